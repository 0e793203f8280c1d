"""Haematoxylin and eosin: taken apart, jittered, brought to a reference."""
