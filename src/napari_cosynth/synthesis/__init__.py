"""Samples from requests: a whole canvas, around an edit, into a real image, an image for labels."""
