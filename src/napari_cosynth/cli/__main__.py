"""``python -m napari_cosynth.cli``."""

import sys

from napari_cosynth.cli import main

sys.exit(main())
