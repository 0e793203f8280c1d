"""The networks, the encoders of points and text, and checkpoints."""
