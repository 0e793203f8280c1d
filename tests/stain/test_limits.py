"""Stains at the limits that are set, and normalisers' steps by plain arithmetic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2hed, rgb2lab

from napari_cosynth.records.base import make_record
from napari_cosynth.stain import haematoxylin as module
from napari_cosynth.stain import normalise, stain_match
from napari_cosynth.stain.haematoxylin import haematoxylin, judged
from napari_cosynth.stain.normalise import (
    Macenko,
    Reinhard,
    Vahadane,
    concentrations,
    from_optical_density,
    optical_density,
    tissue,
)
from napari_cosynth.stain.stain_match import match_to
from napari_cosynth.types import ClassTable, Report

VECTORS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def stained(seed: int, most: tuple[float, float] = (1.2, 1.0), side: int = 48) -> np.ndarray:
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0, 1, (side, side, 2)) * most
    return from_optical_density(amounts @ VECTORS)


def test_ink_takes_a_quarter_more_red_than_green():
    red, green = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    image = np.stack([red, green, np.full_like(red, 90)], -1).astype(np.uint8)
    density = -np.log10((image[..., :2].astype(np.float32) + 1) / 256)
    ink = (density[..., 0] > 1.25 * density[..., 1]) & (density[..., 0] > 0.2)
    expected = np.where(ink, 0, rgb2hed(image)[..., 0].clip(0))
    np.testing.assert_allclose(haematoxylin(image), expected, atol=1e-6)
    assert 0.1 < ink.mean() < 0.5


def test_one_nucleus_at_each_limit():
    """24 pixels of 0.25 µm² are 6 µm²: half of a usual area of 12."""
    ids = np.zeros((40, 40), np.int32)
    ids[5:9, 5:11], ids[20:24, 20:26], ids[30:34, 34:40] = 1, 2, 3
    image = np.full((40, 40, 3), (230, 170, 200), np.uint8)
    image[(ids == 1) | (ids == 3)] = (110, 80, 150)  # the second is as its surroundings are
    table = ClassTable.of("a", "b")
    record = make_record(image, ids, (ids > 0).astype(np.uint8), table, 0.5)
    assert module.SMALL == 0.5 and module.AROUND == 2.0 and module.BAND == 512
    assert judged(Report(), record, {"a": 12.0}) == Report(pale=(2,))
    assert judged(Report(), record, {"a": 12.1}) == Report(pale=(2,), small=(1, 2))
    assert judged(Report(), record, {"b": 99.0}) == Report(pale=(2,))
    coarse = dataclasses.replace(record, mpp=5.0)
    assert judged(Report(), coarse, {"a": 1200.1}).small == (1, 2)


def test_optical_densities():
    values = optical_density(np.array([0, 254, 255], np.uint8))
    np.testing.assert_allclose(values, [np.log(256), np.log(256 / 255), 0])
    assert from_optical_density(np.array([0.0, -1, 9])).tolist() == [255, 255, 0]
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(from_optical_density(optical_density(every)), every)


def test_tissue_is_darker_than_macenkos_beta():
    grey = np.arange(256, dtype=np.uint8)
    density = np.log(256 / (grey + 1.0))
    np.testing.assert_array_equal(tissue(np.stack([grey] * 3, -1)[None])[0], density > 0.15)
    one = np.array([[[255, 255, 160]]], np.uint8)  # of three channels the mean counts
    assert tissue(one)[0, 0] == (np.log(256 / 161) / 3 > 0.15)


@pytest.mark.parametrize("kind", [Reinhard, Macenko, Vahadane])
def test_an_image_of_fewer_than_a_hundred_tissue_pixels_stays(kind):
    normaliser = kind(stained(0))
    assert normalise.FEWEST == 100
    image = np.full((20, 20, 3), 255, np.uint8)
    image.reshape(-1, 3)[:99] = stained(1).reshape(-1, 3)[tissue(stained(1)).ravel()][:99]
    assert normaliser(image) is image
    image = image.copy()
    image.reshape(-1, 3)[:100] = stained(1).reshape(-1, 3)[tissue(stained(1)).ravel()][:100]
    assert normaliser(image) is not image
    with pytest.raises(ValueError, match="shows 99 pixels of tissue, expected at least 100"):
        image.reshape(-1, 3)[0] = 255
        kind(image)


def test_reinhard_by_hand():
    reference, image = stained(0, (0.8, 1.5)), stained(1)
    image[:5] = 250  # hardly stained: the change fades out
    stats = [rgb2lab(v)[tissue(v)] for v in (reference, image)]
    lab = rgb2lab(image)
    moved = (lab - stats[1].mean(0)) / stats[1].std(0) * stats[0].std(0) + stats[0].mean(0)
    weight = (optical_density(image).mean(-1) / 0.15).clip(0, 1)[..., None]
    expected = 255 * lab2rgb(lab + weight * (moved - lab))
    assert np.abs(Reinhard(reference)(image) - expected).max() <= 0.5 + 1e-6
    assert 0 < weight[:5].max() < 0.5


def test_macenkos_vectors_are_the_extreme_percentiles_of_angles():
    density = optical_density(stained(2)).reshape(-1, 3)
    density = density[density.mean(1) > 0.15]
    values, axes = np.linalg.eig(density.T @ density)
    plane = axes[:, np.argsort(-values)[:2]]
    plane = plane * np.sign(plane.sum(0))
    angles = np.arctan2(*(density @ plane).T[::-1])
    ends = np.percentile(angles, [1, 99])
    vectors = np.maximum([plane @ [np.cos(a), np.sin(a)] for a in ends], 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors[np.argsort(-vectors[:, 0])]
    np.testing.assert_allclose(Macenko.stain_vectors(density), vectors, atol=1e-9)


def test_amounts_are_scaled_by_their_99th_percentile():
    reference, image = stained(0, (0.6, 1.4)), stained(1)
    normaliser = Macenko(reference)
    density = optical_density(image)
    own = Macenko.stain_vectors(density[tissue(image)])
    amounts = concentrations(density, own)
    ends = [
        np.percentile(concentrations(optical_density(v)[tissue(v)], s), 99, axis=0)
        for v, s in ((reference, normaliser.stains), (image, own))
    ]
    expected = 256 * np.exp(-(amounts * ends[0] / ends[1]) @ normaliser.stains) - 1
    assert np.abs(normaliser(image) - expected.clip(0, 255)).max() <= 0.5 + 1e-6


def test_vahadane_learns_from_five_thousand_pixels(monkeypatch):
    seen = []

    class Learner:
        def __init__(self, **options) -> None:
            seen.append(options)

        def fit(self, density: np.ndarray) -> Learner:
            seen.append(density)
            self.components_ = VECTORS[::-1]
            return self

    monkeypatch.setattr("sklearn.decomposition.MiniBatchDictionaryLearning", Learner)
    density = np.random.default_rng(0).random((5001, 3))
    np.testing.assert_allclose(Vahadane.stain_vectors(density), VECTORS)
    options, drawn = seen
    assert drawn.shape == (5000, 3) and len(np.unique(drawn, axis=0)) == 5000
    assert options["alpha"] == 0.1 and options["n_components"] == 2 and options["random_state"] == 0
    assert options["positive_code"] and options["positive_dict"]
    np.testing.assert_allclose(options["dict_init"], VECTORS)
    Vahadane.stain_vectors(density[:5000])
    assert seen[-1] is not drawn and len(seen[-1]) == 5000 and (seen[-1] == density[:5000]).all()


def test_a_stain_that_is_not_there_has_a_direction_of_its_own():
    found = normalise._ordered(np.array([[0.0, 0, 0], [0.9, 0.1, -0.2]]))
    np.testing.assert_allclose(found[1], np.full(3, 3**-0.5))
    np.testing.assert_allclose(found[0], np.array([0.9, 0.1, 0]) / np.hypot(0.9, 0.1))
    equal = np.array([[0.6, 0.8, 0], [0.6, 0, 0.8]])
    np.testing.assert_array_equal(normalise._ordered(equal), equal)


def test_references_are_thinned_to_four_million_pixels(monkeypatch):
    assert stain_match.MOST_PIXELS == 4_000_000 and stain_match.LEAST_SPREAD == 0.01
    image = stained(0)
    wanted = Macenko(image).stains
    monkeypatch.setattr(stain_match, "MOST_PIXELS", 48 * 48)
    np.testing.assert_array_equal(match_to("macenko", image, "r").normaliser.stains, wanted)
    monkeypatch.setattr(stain_match, "MOST_PIXELS", 48 * 48 - 1)
    half = Macenko(np.ascontiguousarray(image[::2, ::2])).stains
    np.testing.assert_array_equal(match_to("macenko", image, "r").normaliser.stains, half)


@pytest.mark.parametrize("spread,refused", [(0.008, True), (0.02, False)])
def test_tissue_of_nearly_one_colour(spread, refused):
    rng = np.random.default_rng(0)
    image = from_optical_density(0.8 + spread * rng.normal(size=(40, 40, 3)))
    if refused:
        with pytest.raises(
            ValueError, match="r: the reference for stain matching is of one colour"
        ):
            match_to("reinhard", image, "r")
    else:
        assert match_to("reinhard", image, "r").method == "reinhard"


@pytest.mark.parametrize("rim", [False, True])
@pytest.mark.parametrize("side", ["top", "left", "bottom", "right"])
def test_a_nucleus_at_any_rim_may_be_cut_and_is_not_small(side, rim):
    ids = np.zeros((40, 44), np.int32)
    near = 0 if rim else 1
    spot = {
        "top": (near, 20),
        "left": (20, near),
        "bottom": (40 - 4 - near, 20),
        "right": (20, 44 - 4 - near),
    }[side]
    ids[spot[0] : spot[0] + 4, spot[1] : spot[1] + 4] = 1
    image = np.where(ids[..., None] > 0, (110, 80, 150), (230, 170, 200)).astype(np.uint8)
    record = make_record(image, ids, (ids > 0).astype(np.uint8), ClassTable.of("a"), 0.5)
    assert judged(Report(), record, {"a": 99.0}).small == (() if rim else (1,))
