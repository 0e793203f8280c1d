"""What every record goes through: made, cropped, turned, resampled, edited, damaged."""
