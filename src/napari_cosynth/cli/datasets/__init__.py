"""``cosynth info``, ``convert``, ``split``, ``check``: for data sets, exports, slides and checkpoints."""
