"""Files of other programs: read without running anything in them, every failure in a line of its own."""
