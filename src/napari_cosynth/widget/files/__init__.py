"""File > Open, Save and Open Sample."""
