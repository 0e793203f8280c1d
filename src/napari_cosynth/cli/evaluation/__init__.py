"""``cosynth evaluate``, ``compare``, ``score``, ``separation``, ``downstream``: how good it is."""
