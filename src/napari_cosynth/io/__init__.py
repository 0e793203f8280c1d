"""Files written whole or not at all; checked paths, names and text; settings; error texts."""
