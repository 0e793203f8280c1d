"""``cosynth train``, ``train-segmenter``, ``export-checkpoint``, ``pack``: runs and their data."""
