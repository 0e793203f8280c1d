"""Several regions of a slide: name them, lay them out, sample them in turn, write them into the slide."""
