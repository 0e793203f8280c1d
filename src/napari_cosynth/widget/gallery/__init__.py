"""The samples of a session: to keep or discard, and safe from a crash."""
