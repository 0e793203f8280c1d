"""Files: written whole or not at all, their names and text checked; settings; words for errors."""
