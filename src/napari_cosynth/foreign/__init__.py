"""Files of other programs, read without running code in them; every failure is one line."""
