"""Working on a result: shown, separated anew, checked nucleus by nucleus, saved."""
