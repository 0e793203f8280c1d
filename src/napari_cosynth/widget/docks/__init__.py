"""The docks but those for training and regions, and the forms only they have."""
