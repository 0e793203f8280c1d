"""Stain and grain of a sample: the form's look, and stain matching afterwards."""
