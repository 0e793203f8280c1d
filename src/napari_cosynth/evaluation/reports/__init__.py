"""Records to figures, figures to a page and JSON; comparison of two reports."""
