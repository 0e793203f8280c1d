"""``cosynth info``, ``convert``, ``split``, ``check``: data sets, exports, slides and checkpoints."""
