"""``cosynth demo``, ``synthesize``, ``inpaint``, ``generate``, ``replay``: samples from points."""
