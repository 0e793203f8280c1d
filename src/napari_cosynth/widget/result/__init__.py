"""Work on a result: show it, separate it anew, check it nucleus by nucleus, save it."""
