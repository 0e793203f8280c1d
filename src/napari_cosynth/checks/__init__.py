"""Checks of data sets: damaged samples, copies, slides in two splits."""
