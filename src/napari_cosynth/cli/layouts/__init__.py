"""``cosynth layout``: points from files, images, patterns and fitted models."""
