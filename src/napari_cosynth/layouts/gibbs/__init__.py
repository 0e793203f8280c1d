"""Generated layouts: a Gibbs point process fitted to annotated tiles, drawn from and judged."""
