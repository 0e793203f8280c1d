"""Adversarial post-training for the sampler ``few``: the step, its discriminator, its losses."""
