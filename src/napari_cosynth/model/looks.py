"""The look of an image in 22 numbers: its stain, density and detail, whatever nuclei it has.

A network that is conditioned on these numbers paints in the look of a reference. The numbers need
pixels only, so any image can be the reference. They are differentiable, so a loss can pull a sample
towards them. Older networks know the first 16 numbers, without the detail of each part.

Optical densities are log10. A pixel is dark where its red density is above the image's own threshold
(Otsu 1979). Dark pixels are mostly nuclei, since haematoxylin absorbs red and eosin hardly does. Ink is
left out: it would be taken for nuclei of a colour that no tissue has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse
from napari_cosynth.stain.haematoxylin import is_ink

_PARTS = ("background", "nuclei")
_SIGMAS = (1.0, 2.0, 4.0)
"""Sigmas of Gaussians in pixels; the difference of two neighbours is the detail of one size."""
NUMBERS = (
    *(
        f"{what} density of {part}, {channel}"
        for part in _PARTS
        for what in ("mean", "deviation of")
        for channel in ("red", "green", "blue")
    ),
    "share of white",
    "share of dense background",
    "deviation of what is finer than a Gaussian of 2 px",
    "deviation of red less green density",
    *(
        f"log deviation of detail in {part}, {size}"
        for part in _PARTS
        for size in ("below 1 px", "1 to 2 px", "2 to 4 px")
    ),
)
"""Meanings of the numbers, in their order."""
SIZES = (16, len(NUMBERS))
"""Lengths of the looks that networks have been trained with; shorter looks are the first numbers."""
LOOKS = "looks.json"
"""File of a checkpoint folder with the looks of its training tiles, its bank."""
_EDGE = 0.03
"""Width in density of the soft step between two kinds of pixels; a hard step has no gradient."""
_WHITE, _DENSE = 0.07, 0.25
"""Mean densities: white pixels lie below the first, dense background above the second."""
_LEAST_DETAIL = 1e-5
"""Floor of the detail's variance, in squared shares of the grey range: less than one grey level."""
_FARTHEST = 5.0
"""Limit of a standardised number. No network has learned looks farther from the mean."""


def describe(images: Tensor) -> Tensor:
    """Looks, float32 (B, N) as in ``NUMBERS``, of images, float (B, 3, H, W) in [-1, 1]."""
    levels = (images.float().clamp(-1, 1) + 1) * 127.5
    density = -((levels + 1) / 256).log10()
    red, mean = density[:, 0], density.mean(1)
    tissue = 1 - is_ink(red, density[:, 1], density[:, 2]).float()
    dark = ((red - _thresholds(red.detach(), tissue)[:, None, None]) / _EDGE).sigmoid()
    white = ((_WHITE - mean) / (_EDGE / 2)).sigmoid()
    paper = (1 - dark) * (1 - white) * tissue
    dark = dark * tissue
    parts = [
        (weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-3))[:, None]
        for weight in (paper, dark)
    ]
    numbers = []
    for shares in parts:
        average = (shares * density).sum((2, 3))
        spread = (shares * (density - average[..., None, None]) ** 2).sum((2, 3))
        numbers += [average, (spread + 1e-6).sqrt()]
    grey = levels.mean(1, keepdim=True)
    blurred = [grey, *(_blurred(grey, sigma) for sigma in _SIGMAS)]
    fine = (grey - blurred[2])[:, 0] / 255
    redness = red - density[:, 1]
    dense = paper * ((mean - _DENSE) / _EDGE).sigmoid()
    numbers.append(
        torch.stack(
            [
                white.mean((1, 2)),
                dense.mean((1, 2)),
                _deviation(fine, tissue),
                _deviation(redness, tissue),
            ],
            1,
        )
    )
    bands = torch.cat([(a - b) / 255 for a, b in pairwise(blurred)], 1)
    numbers += [(shares * bands**2).sum((2, 3)).add(_LEAST_DETAIL).log() / 2 for shares in parts]
    return torch.cat(numbers, 1)


def look_of(image: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """The look of one image, uint8 (H, W, 3) with a side of at least 16 pixels.

    Raises ValueError for any other array.
    """
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or min(image.shape[:2]) < 16
    ):
        raise ValueError(
            "look: expected an RGB image of 8 bits of at least 16 x 16 pixels, got "
            f"{image.dtype} {image.shape}"
        )
    planes = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)
    with torch.inference_mode():
        return tuple(round(float(v), 5) for v in describe(planes[None])[0])


def _deviation(values: Tensor, weight: Tensor) -> Tensor:
    share = weight / weight.sum((1, 2), keepdim=True).clamp_min(1)
    mean = (share * values).sum((1, 2), keepdim=True)
    return ((share * (values - mean) ** 2).sum((1, 2)) + 1e-8).sqrt()


def _blurred(grey: Tensor, sigma: float) -> Tensor:
    far = round(3 * sigma)
    reach = torch.arange(-far, far + 1, dtype=grey.dtype, device=grey.device)
    bell = torch.exp(-((reach / sigma) ** 2) / 2)
    bell = bell / bell.sum()
    padded = F.pad(grey, [far] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, bell[None, None, :, None]), bell[None, None, None])


def _thresholds(values: Tensor, weight: Tensor, bins: int = 64, top: float = 1.0) -> Tensor:
    """Otsu's threshold of each image, (B,), from densities (B, H, W) in [0, ``top``)."""
    index = (values.flatten(1) * (bins / top)).long().clamp(0, bins - 1)
    counts = torch.zeros(len(values), bins, device=values.device, dtype=torch.float64)
    counts.scatter_add_(1, index, weight.flatten(1).double())
    centres = (torch.arange(bins, device=values.device, dtype=torch.float64) + 0.5) * (top / bins)
    below = counts.cumsum(1)
    above = below[:, -1:] - below
    sums = (counts * centres).cumsum(1)
    lower = sums / below.clamp_min(1)
    upper = (sums[:, -1:] - sums) / above.clamp_min(1)
    between = below * above * (lower - upper) ** 2
    # Of equally good thresholds take the middle: in an image of two colours all between are as good.
    best = (between >= between.amax(1, keepdim=True) * (1 - 1e-9)).double()
    middle = (best * (torch.arange(bins, device=values.device) + 1)).sum(1) / best.sum(1)
    return (middle * (top / bins)).float()


def _sizes() -> str:
    return " or ".join(str(size) for size in SIZES)


@dataclass(frozen=True)
class LookScale:
    """Mean and deviation of looks over training tiles; a network sees (x - mean) / deviation."""

    __pydantic_config__ = FORBID_UNKNOWN

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.deviation) or len(self.mean) not in SIZES:
            raise ValueError(f"look: expected {_sizes()} means and as many deviations")
        if min(self.deviation) <= 0:
            raise ValueError("look.deviation: expected numbers above 0")

    @classmethod
    def over(cls, looks: Sequence[Sequence[float]]) -> LookScale:
        """The scale of some looks, computed in float64 and rounded to 6 places.

        A number that hardly differs among them gets a deviation of 1e-3.
        """
        values = np.array(looks, np.float64)
        deviation = np.maximum(values.std(0), 1e-3)
        return cls(
            tuple(round(float(v), 6) for v in values.mean(0)),
            tuple(round(float(v), 6) for v in deviation),
        )

    def relative(self, looks: Tensor) -> Tensor:
        """Looks (B, M) in standard deviations from the mean, float32 (B, N).

        N is the size of this scale; of longer looks, M > N, the first N numbers count.
        """
        mean, deviation = (
            torch.tensor(v, dtype=torch.float32, device=looks.device)
            for v in (self.mean, self.deviation)
        )
        return (looks[:, : len(mean)] - mean) / deviation

    def standardised(self, looks: Tensor, share: float = 1.0) -> Tensor:
        """Looks (B, M) as a network takes them, float32 (B, N): ``share`` times :meth:`relative`, clipped
        to [-5, 5]."""
        return (share * self.relative(looks)).clamp(-_FARTHEST, _FARTHEST)


@dataclass(frozen=True)
class TileLook:
    """The look, tissue and classes of one training tile."""

    __pydantic_config__ = FORBID_UNKNOWN

    tile: str
    tissue: str
    shares: dict[str, float]
    """Shares of the tile's nuclei by class name."""
    look: tuple[float, ...]
    density: float | None = None
    """Nuclei per mm²; None in banks that were written before they had it."""

    def __post_init__(self) -> None:
        if len(self.look) not in SIZES:
            raise ValueError(f"look: expected {_sizes()} numbers, got {len(self.look)}")
        if self.density is not None and not 0 <= self.density < np.inf:
            raise ValueError(f"density: expected nuclei per mm², got {self.density}")


_SPARSE = 500.0
"""Nuclei per mm² below which two densities count as alike: a handful on a canvas."""
_RIDGE = 0.1
"""Added to the variances of the bank's looks, in squared standard deviations. A few tiles underestimate
the variance along directions in which they hardly differ."""


def usual_share(look: Sequence[float], scale: LookScale, bank: Sequence[TileLook]) -> float:
    """Share, in (0, 1], of a look's difference from the mean look that a network can follow.

    It is 1 for a look no farther from the bank's mean than the bank's farthest tile, and shrinks a
    farther look to that distance. The distance is Mahalanobis', which knows which numbers vary together.
    Ink on a slide gives looks that are far off although each number is hardly out of range, and a network
    that has to follow one paints no tissue. The share is also 1 where the bank has no more tiles than a
    look has numbers.
    """
    size = len(scale.mean)
    if len(bank) <= size:
        return 1.0
    mean, deviation = np.array(scale.mean), np.array(scale.deviation)
    known = (np.array([tile.look[:size] for tile in bank]) - mean) / deviation
    spread = np.linalg.inv(np.cov(known.T) + _RIDGE * np.eye(size))
    offsets = np.vstack([known, (np.array(look[:size]) - mean) / deviation]) - known.mean(0)
    distances = np.sqrt(np.einsum("ni,ij,nj->n", offsets, spread, offsets))
    return float(min(1.0, distances[:-1].max() / max(distances[-1], 1e-9)))


def read_bank(folder: Path) -> tuple[TileLook, ...]:
    """The looks of a checkpoint's training tiles; empty where its folder has no such file.

    Raises ValueError naming file and field where the file is damaged.
    """
    file = folder / LOOKS
    if not file.is_file():
        return ()
    return parse(tuple[TileLook, ...], read_json(file), str(file))


def draw_look(
    bank: Sequence[TileLook], tissue: str, shares: dict[str, float], density: float, seed: int
) -> TileLook | None:
    """A training tile drawn by the seed, whose look a sample is to have; None where the bank is empty.

    Tiles of this tissue are preferred; where the bank has none, all tiles count. Of these only tiles with
    one of the layout's classes count, if there are any. Among them, tiles with its mix of classes and
    about as many nuclei are likelier: the chance falls by a factor e for each fifth of the nuclei that
    differ in class, and for each factor of 1.65 between the densities.
    ``shares`` are the shares of the layout's nuclei by class name, ``density`` its nuclei per mm².
    """
    fitting = [tile for tile in bank if tile.tissue == tissue] or list(bank)
    if not fitting:
        return None
    classes = sorted({*shares, *(name for tile in fitting for name in tile.shares)})

    def differ(tile: TileLook) -> float:
        return sum(abs(tile.shares.get(n, 0.0) - shares.get(n, 0.0)) for n in classes) / 2

    def denser(tile: TileLook) -> float:
        if tile.density is None:
            return 0.0
        return abs(np.log((tile.density + _SPARSE) / (density + _SPARSE)))

    # A tile of wholly other classes says nothing of this layout, unless all tiles are such.
    fitting = [tile for tile in fitting if differ(tile) < 0.999] or fitting
    chances = np.exp([-5 * differ(tile) - 2 * denser(tile) for tile in fitting])
    rng = np.random.default_rng([seed, 0x100C])
    return fitting[int(rng.choice(len(fitting), p=chances / chances.sum()))]
