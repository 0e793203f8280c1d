"""Blind readings: their page, and what readers made of them."""
