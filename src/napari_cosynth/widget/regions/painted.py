"""The results that were sampled into a slide, and the writing of a slide with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_cosynth.geometry.box import Box
from napari_cosynth.records.resample import enlarged, resized
from napari_cosynth.slides.written import Patch, write_with_patches
from napari_cosynth.types import Synthesis
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY


@dataclass(frozen=True)
class Painted:
    """A result that was sampled into an image."""

    name: str
    image: str
    """Name of the image's layer."""
    region: Box
    """Box in that image's pixels."""
    seen: bool
    """Whether the viewer shows it."""
    made: Synthesis
    shown: npt.NDArray[np.uint8]
    """The result's image as it is now, uint8 (H, W, 3); it may have been repainted or matched since."""

    def patch(self) -> Patch:
        """The pixels that replace the region in the image."""
        pixels = self.made.patch
        assert pixels is not None  # it was sampled into an image
        changed = (self.shown != self.made.record.image).any(-1)
        if changed.any():
            shape = (pixels.shape[0], pixels.shape[1])
            where = enlarged(changed, shape)
            pixels = np.where(where[..., None], resized(self.shown, shape), pixels)
        return Patch(self.region, pixels)


def painted_in(viewer: ViewerModel) -> list[Painted]:
    """The results in a viewer that were sampled into an image, oldest first."""
    found = []
    for name, layers in results.groups(viewer).items():
        made = layers["labels"].metadata.get(SAMPLE_KEY) if "labels" in layers else None
        if not isinstance(made, Synthesis) or made.patch is None or "image" not in layers:
            continue
        facts = made.provenance["inpainted"]
        image = layers["image"]
        found.append(
            Painted(
                name,
                facts["image"],
                Box(*facts["region"]),
                bool(image.visible),
                made,
                np.asarray(image.data),
            )
        )
    return found


def one_for_each_place(painted: Sequence[Painted]) -> tuple[list[Painted], list[Painted]]:
    """Results that can go into the image together, and those left out because they overlap one of these.

    Results that the viewer shows come first, then the newest.
    """
    order = sorted(enumerate(painted), key=lambda pair: (not pair[1].seen, -pair[0]))
    taken: list[Painted] = []
    left: list[Painted] = []
    for _, one in order:
        (left if any(one.region.overlaps(o.region) for o in taken) else taken).append(one)
    return taken, left


def slide_of(viewer: ViewerModel, painted: Sequence[Painted]) -> Image:
    """The image layer that the results were sampled into; the active one if there are several.

    Raises ValueError if there is no result or the image is not in the viewer.
    """
    names = {one.image for one in painted}
    found = [x for x in viewer.layers if isinstance(x, Image) and x.name in names]
    if not found:
        raise ValueError(
            "nothing was sampled into an image that is open: press Into image first"
            if not names
            else f"no layer {' or '.join(sorted(names))}: open the image that was sampled into"
        )
    active: Layer | None = viewer.layers.selection.active
    return next((x for x in found if x is active), found[-1])


def write_slide(
    path: Path,
    slide: Image,
    mpp: float,
    painted: Sequence[Painted],
    advanced: Callable[[float], None],
) -> None:
    """Writes a copy of the image with the results in it. Not for the GUI thread."""
    level: Any = slide.data[0] if slide.multiscale else slide.data
    write_with_patches(path, level, [one.patch() for one in painted], mpp, advanced)
