"""Whose stain and grain a sample has: the form's look, and stain matching afterwards."""
