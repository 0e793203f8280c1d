"""Images to features, and what their distances are taught with."""
