"""``cosynth evaluate``, ``compare``, ``score``, ``separation``, ``downstream``: how good samples are."""
