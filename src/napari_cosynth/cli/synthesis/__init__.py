"""``cosynth demo``, ``synthesize``, ``inpaint``, ``generate``, ``replay``: from points to samples."""
