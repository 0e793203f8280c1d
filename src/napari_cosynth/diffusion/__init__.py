"""Joint diffusion over image, distance map (both Gaussian) and semantic labels (categorical)."""
