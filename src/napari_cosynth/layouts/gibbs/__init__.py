"""Generated layouts: a Gibbs point process, its fit to annotated tiles, its sampler, its assessment."""
