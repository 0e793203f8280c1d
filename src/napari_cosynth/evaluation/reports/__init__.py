"""Records to figures, figures to a page and JSON; two reports compared."""
