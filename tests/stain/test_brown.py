"""Brown tissue is told from pink and violet, whatever lies between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.data import immunohistochemistry
from skimage.io import imread

from napari_cosynth.stain.brown import BROWN, brown_share


def test_immunohistochemistry_is_brown_in_every_part() -> None:
    whole = immunohistochemistry()
    for y in range(0, 512, 256):
        for x in range(0, 512, 256):
            assert brown_share(whole[y : y + 256, x : x + 256]) > BROWN


def test_colours_by_hand() -> None:
    white, brown, violet, pink = (245, 244, 246), (150, 100, 60), (90, 60, 140), (230, 160, 200)
    image = np.array([[white, white, brown, violet], [pink, violet, violet, brown]], np.uint8)
    assert brown_share(image) == 2 / 6
    assert brown_share(np.full((4, 4, 3), 250, np.uint8)) == 0.0


def test_real_tiles_are_not(data_root: Path) -> None:
    shares = [
        brown_share(imread(path)[..., :3]) for path in sorted(data_root.glob("tnbc/**/*.png"))[:12]
    ]
    assert max(shares, default=0.0) < BROWN
