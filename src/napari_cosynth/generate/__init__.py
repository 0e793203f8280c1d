"""Whole data sets by a plan: layouts, samples, shards and a manifest, on one machine or many."""
