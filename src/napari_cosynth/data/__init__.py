"""Readers of annotated nuclei and what turns their records into training patches."""
