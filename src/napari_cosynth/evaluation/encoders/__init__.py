"""Networks that turn images into features, and how the tile encoder is trained."""
