"""Stain normalisation: an image in the colours of a reference (Reinhard, Macenko, Vahadane).

Optical density is -ln((I + 1) / 256): 0 at white, additive in the stains (Beer and Lambert). White
background stays white in all three; statistics are those of tissue alone.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from skimage.color import lab2rgb, rgb2lab

Floats = npt.NDArray[np.float64]

TISSUE = 0.15
"""A pixel is tissue if the mean of its three optical densities is above this (Macenko's beta)."""
FEWEST = 100
"""Fewest pixels of tissue to measure stains from; an image with fewer is not changed."""
SAMPLE = 5_000
"""Most pixels of tissue that a dictionary is learned from."""
SPARSITY = 0.1
"""Vahadane's lambda."""


class Normaliser(Protocol):
    """Brings images into the colours of ``reference``; both uint8 (H, W, 3).

    Raises ValueError if the reference shows no tissue.
    """

    def __init__(self, reference: npt.NDArray[np.uint8]) -> None: ...

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The image with its stain replaced and its structure kept; unchanged if it shows no tissue."""
        ...


def optical_density(image: npt.NDArray[np.uint8]) -> Floats:
    """Optical density, float64 (..., 3), 0 (white) to 5.5 (black), of an image, uint8 (..., 3)."""
    return np.log(256.0) - np.log1p(image.astype(np.float64))


def from_optical_density(density: Floats) -> npt.NDArray[np.uint8]:
    """The inverse of :func:`optical_density`, rounded and clipped to uint8."""
    return (256.0 * np.exp(-density) - 1).round().clip(0, 255).astype(np.uint8)


def tissue(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The pixels of an image (H, W, 3) that are not background, bool (H, W)."""
    return np.asarray(optical_density(image).mean(-1) > TISSUE)


class Reinhard:
    """Matches mean and spread of each CIELAB channel of the tissue (Reinhard et al. 2001).

    The change fades out from ``TISSUE`` to white, so that the background takes no colour and no edge
    appears around it.
    """

    def __init__(self, reference: npt.NDArray[np.uint8]) -> None:
        self.mean, self.spread = _lab_statistics(rgb2lab(reference), _checked(reference))

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        where = tissue(image)
        if where.sum() < FEWEST:
            return image
        lab = rgb2lab(image)
        mean, spread = _lab_statistics(lab, where)
        moved = (lab - mean) * (self.spread / np.maximum(spread, 1e-6)) + self.mean
        weight = np.clip(optical_density(image).mean(-1) / TISSUE, 0, 1)[..., None]
        rgb = lab2rgb(lab + weight * (moved - lab))
        return np.asarray((rgb * 255).round().clip(0, 255), np.uint8)


class StainNormaliser:
    """Replaces the colours of two stains by the reference's, and rescales their amounts.

    The 99th percentile of either amount becomes the reference's. Colours outside the plane of the two
    stains (pigment) are lost, as in both published methods.
    """

    def __init__(self, reference: npt.NDArray[np.uint8]) -> None:
        where = _checked(reference)
        density = optical_density(reference)
        self.stains = self.stain_vectors(density[where])
        self.most = _highest(concentrations(density[where], self.stains))

    @staticmethod
    def stain_vectors(density: Floats) -> Floats:
        """Optical densities of tissue (N, 3) -> unit vectors (2, 3), haematoxylin first."""
        raise NotImplementedError

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        where = tissue(image)
        if where.sum() < FEWEST:
            return image
        density = optical_density(image)
        amounts = concentrations(density, self.stain_vectors(density[where]))
        scale = self.most / np.maximum(_highest(amounts[where]), 1e-6)
        return from_optical_density((amounts * scale) @ self.stains)


class Macenko(StainNormaliser):
    """Stains: the extreme directions in the plane of the two largest variances (Macenko et al. 2009)."""

    @staticmethod
    def stain_vectors(density: Floats) -> Floats:
        _, axes = np.linalg.eigh(density.T @ density)
        plane = axes[:, :0:-1]  # by falling eigenvalue
        plane = plane * np.where(plane.sum(0) < 0, -1, 1)
        across = density @ plane
        angles = np.percentile(np.arctan2(across[:, 1], across[:, 0]), (1, 99))
        return _ordered(np.stack([np.cos(angles), np.sin(angles)], 1) @ plane.T)


class Vahadane(StainNormaliser):
    """Stains by non-negative sparse dictionary learning (Vahadane et al. 2016), by scikit-learn.

    It learns from at most ``SAMPLE`` pixels of tissue, always the same ones of an image. It makes one
    pass over mini-batches and starts at Ruifrok and Johnston's colours.
    """

    @staticmethod
    def stain_vectors(density: Floats) -> Floats:
        try:
            from sklearn.decomposition import MiniBatchDictionaryLearning
        except ImportError:
            raise ValueError(
                "Vahadane normalisation needs scikit-learn: pip install 'napari-cosynth[train]'"
            ) from None
        rng = np.random.default_rng(0)
        if len(density) > SAMPLE:
            density = density[rng.choice(len(density), SAMPLE, replace=False)]
        begin = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
        learner = MiniBatchDictionaryLearning(
            n_components=2,
            alpha=SPARSITY,
            max_iter=1,
            batch_size=256,
            fit_algorithm="cd",
            dict_init=begin / np.linalg.norm(begin, axis=1, keepdims=True),
            positive_code=True,
            positive_dict=True,
            max_no_improvement=None,
            tol=0.0,
            random_state=0,
        )
        return _ordered(learner.fit(density).components_)


def concentrations(density: Floats, stains: Floats) -> Floats:
    """Non-negative amounts (..., 2) of two stains (2, 3) that fit densities (..., 3) by least squares.

    With two stains the constrained solution has a closed form: the unconstrained one if it is not
    negative, else the better of the two with a single stain.
    """
    overlap = float(stains[0] @ stains[1])
    projected = density @ stains.T  # stains are unit vectors, so this is the fit of each alone
    free = (projected - overlap * projected[..., ::-1]) / max(1 - overlap**2, 1e-12)
    alone = np.maximum(projected, 0)
    first = (alone[..., 0] >= alone[..., 1])[..., None]
    single = np.where(np.concatenate([first, ~first], -1), alone, 0)
    return np.where((free >= 0).all(-1, keepdims=True), free, single)


def _ordered(vectors: Floats) -> Floats:
    """Unit vectors (2, 3) with non-negative entries; first the stain that absorbs more red."""
    positive = np.maximum(vectors, 0)
    lengths = np.linalg.norm(positive, axis=1, keepdims=True)
    # A stain that is absent from the tissue has no direction; grey stands in for it.
    unit = np.where(lengths > 1e-6, positive / np.maximum(lengths, 1e-6), 1 / np.sqrt(3))
    return unit if unit[0, 0] >= unit[1, 0] else unit[::-1]


def _highest(amounts: Floats) -> Floats:
    return np.asarray(np.percentile(amounts.reshape(-1, 2), 99, axis=0), np.float64)


def _lab_statistics(lab: Floats, where: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    pixels = lab[where]
    return pixels.mean(0), pixels.std(0)


def _checked(reference: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    where = tissue(reference)
    if where.sum() < FEWEST:
        raise ValueError(
            f"the reference for stain normalisation shows {where.sum()} pixels of tissue, "
            f"expected at least {FEWEST}"
        )
    return where
