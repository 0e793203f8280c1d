"""Several regions of a slide: named, laid out, sampled one after the other, written into the slide."""
