"""Images of any size and kind: samples to RGB, µm/px, lazy pyramids."""
