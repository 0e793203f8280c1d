"""Image files of exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import Record


def write_png(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes uint8 (H, W, 3) or (H, W), or uint16 (H, W), as PNG; makes the folder if missing."""
    import imageio.v3 as iio

    path.parent.mkdir(exist_ok=True)
    iio.imwrite(path, array)


def sixteen_bits(record: Record, where: str) -> npt.NDArray[np.uint16]:
    """The instance ids as uint16. Raises ValueError, beginning with ``where``, if they do not fit."""
    if (largest := int(record.instances.max(initial=0))) > 65535:
        raise ValueError(f"{where}: instances: expected ids up to 65535, got {largest}")
    return record.instances.astype(np.uint16)
