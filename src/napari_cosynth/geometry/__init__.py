"""From layouts to rasters and back: point maps, distance maps, instance separation, prompts."""
