"""``cosynth train``, ``train-segmenter``, ``export-checkpoint``, ``pack``."""
