"""The plugin's docks but the train dock, and the forms only they have."""
