"""The four docks of the plugin, and the forms only they have."""
