"""Stain normalisation: stains found again in a mixture, colours moved on real tiles, white kept."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.optimize import nnls
from skimage.color import rgb2lab

from napari_cosynth import registry
from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.stain.normalise import (
    Macenko,
    Vahadane,
    concentrations,
    from_optical_density,
    optical_density,
    tissue,
)

KINDS = registry.names("normaliser")


def unit(*vectors):
    array = np.array(vectors, float)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


HAEMATOXYLIN_EOSIN = unit([0.60, 0.70, 0.39], [0.20, 0.90, 0.38])


def mixture(stains, seed=0, side=160, strength=1.0):
    """An image painted by hand: nuclei mostly of the first stain, the rest of the second, a white
    margin. Returns it with the amounts (H, W, 2)."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    nuclei = ((y % 20 - 10) ** 2 + (x % 20 - 10) ** 2 < 40)[..., None]
    many = np.stack([rng.gamma(9, 0.1, (side, side)), rng.gamma(2, 0.03, (side, side))], -1)
    few = np.stack([rng.gamma(2, 0.03, (side, side)), rng.gamma(6, 0.1, (side, side))], -1)
    amounts = strength * np.where(nuclei, many, few)
    amounts[:24] = 0
    return from_optical_density(amounts @ stains), amounts


def degrees(first, second):
    return np.degrees(np.arccos(np.clip((first * second).sum(1), -1, 1)))


@pytest.fixture(scope="module")
def tiles(data_root):
    """Real tiles of other hospitals and scanners: a reference and two sources."""
    reference = ConsepDataset(data_root / "consep/train", only=["train_1"])[0].image
    monuseg = FolderDataset(data_root / "monuseg/train", only=["TCGA-18-5592-01Z-00-DX1"])
    tnbc = FolderDataset(data_root / "tnbc")
    framed = monuseg[0].image[:384, :384].copy()
    framed[:40] = 255
    return reference[:384, :384], (framed, tnbc[3].image)


@pytest.fixture(scope="module", params=KINDS)
def case(request, tiles):
    """A method, its reference, the sources (the first with a white margin) and what became of them."""
    reference, sources = tiles
    normalise = registry.resolve("normaliser", request.param)(reference)
    kept = [s.copy() for s in sources]
    moved = [normalise(s) for s in sources]
    assert all(np.array_equal(a, b) for a, b in zip(kept, sources, strict=True))
    return request.param, normalise, reference, list(zip(sources, moved, strict=True))


def test_optical_density_and_back():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, -1)
    assert np.array_equal(from_optical_density(optical_density(every)), every)
    assert optical_density(np.full(3, 255, np.uint8)).tolist() == [0, 0, 0]


def test_amounts_are_the_non_negative_least_squares():
    rng = np.random.default_rng(1)
    stains = unit([0.6, 0.7, 0.3], [0.2, 0.9, 0.4])
    density = rng.normal(0.2, 0.5, (200, 3))
    wanted = [nnls(stains.T, row)[0] for row in density]
    np.testing.assert_allclose(concentrations(density, stains), wanted, atol=1e-9)


@pytest.mark.parametrize("kind", [Macenko, Vahadane])
def test_stains_of_a_mixture_are_found_again(kind):
    for stains in (HAEMATOXYLIN_EOSIN, unit([0.55, 0.75, 0.36], [0.12, 0.95, 0.28])):
        image, amounts = mixture(stains)
        fitted = kind(image)
        assert degrees(fitted.stains, stains).max() < 6
        found = concentrations(optical_density(image), fitted.stains)
        for i in range(2):
            assert np.corrcoef(found[..., i].ravel(), amounts[..., i].ravel())[0, 1] > 0.97


def test_vahadane_is_scikit_learns_optimum():
    """One pass of mini-batches ends where the full, slow dictionary learning ends."""
    from sklearn.decomposition import DictionaryLearning

    image, _ = mixture(HAEMATOXYLIN_EOSIN, side=80)
    density = optical_density(image)[tissue(image)]
    found = Vahadane.stain_vectors(density)
    full = DictionaryLearning(
        2,
        alpha=0.1,
        max_iter=5,
        fit_algorithm="cd",
        positive_code=True,
        positive_dict=True,
        dict_init=found,
        code_init=np.maximum(density @ np.linalg.pinv(found), 0),
        random_state=0,
    ).fit(density)
    assert degrees(found, unit(*full.components_)).max() < 2


@pytest.mark.parametrize("kind", [Macenko, Vahadane])
def test_a_mixture_takes_the_stains_of_another(kind):
    """The same tissue under two stainings: normalising one gives the other."""
    target = unit([0.50, 0.75, 0.43], [0.10, 0.93, 0.35])
    pale, _ = mixture(HAEMATOXYLIN_EOSIN, strength=0.7)
    deep, _ = mixture(target)
    moved = kind(deep)(pale)
    before = np.abs(pale.astype(int) - deep).mean()
    assert np.abs(moved.astype(int) - deep).mean() < 0.3 * before


def test_real_tiles_take_the_colours_of_the_reference(case):
    name, _, reference, pairs = case
    wanted = statistics(reference)
    for source, moved in pairs:
        before, after = (np.abs(statistics(i) - wanted) for i in (source, moved))
        assert after[0].sum() < 0.5 * before[0].sum(), (before, after)
        if name == "reinhard":  # the others rescale amounts of stain, not the spread of a colour
            assert after[1].sum() < 3


def test_structure_of_real_tiles_is_preserved(case):
    """Light and dark stay where they were in the tissue: lightness and its gradients correlate."""
    _, _, _, pairs = case
    for source, moved in pairs:
        where = tissue(source)
        old, new = (rgb2lab(i)[..., 0] for i in (source, moved))
        assert np.corrcoef(old[where], new[where])[0, 1] > 0.95
        slopes = [np.diff(light, axis=0)[where[1:] & where[:-1]] for light in (old, new)]
        assert np.corrcoef(*slopes)[0, 1] > 0.9


def test_the_reference_stays_as_it_is(case):
    _, normalise, reference, _ = case
    again = normalise(reference)
    assert np.abs(again.astype(int) - reference).mean() < 6
    assert np.abs(statistics(again) - statistics(reference)).max() < 3


def test_white_stays_white(case):
    _, normalise, _, [(source, moved), _] = case
    assert moved[:40].min() >= 254
    assert np.array_equal(normalise(source), moved)  # a function of the image alone
    blank = np.full((64, 64, 3), 250, np.uint8)
    assert np.array_equal(normalise(blank), blank)


@pytest.mark.parametrize("name", KINDS)
def test_a_blank_reference_is_refused(name):
    with pytest.raises(ValueError, match="reference for stain normalisation shows 0 pixels"):
        registry.resolve("normaliser", name)(np.full((32, 32, 3), 255, np.uint8))


@pytest.mark.parametrize("name", KINDS)
def test_one_colour_only_does_not_break(name):
    """Tissue of a single density has no second stain, and no spread."""
    flat = np.full((32, 32, 3), (150, 90, 160), np.uint8)
    image, _ = mixture(HAEMATOXYLIN_EOSIN)
    kind = registry.resolve("normaliser", name)
    for moved in (kind(image)(flat), kind(flat)(image)):
        assert moved.dtype == np.uint8
        assert moved.shape[2] == 3


def statistics(image):
    """Mean and spread of the tissue's CIELAB channels, (2, 3)."""
    lab = rgb2lab(image)[tissue(image)]
    return np.stack([lab.mean(0), lab.std(0)])


def test_without_scikit_learn_vahadane_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(ValueError, match=r"needs scikit-learn: pip install 'napari-cosynth\[train"):
        Vahadane.stain_vectors(np.ones((200, 3)))
