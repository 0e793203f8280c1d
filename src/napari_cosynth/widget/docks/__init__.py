"""All docks except those for training and regions, and the forms that only they use."""
