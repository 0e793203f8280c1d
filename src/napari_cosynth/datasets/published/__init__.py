"""Readers of data sets as their authors publish them, a module each."""
