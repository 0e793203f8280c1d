"""Data sets as their authors publish them, a module each."""
