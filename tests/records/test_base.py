"""Crops, resampling, remapping and augmentation keep image and annotation together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.geometry.raster import point_map
from napari_cosynth.records.augment import augment, random_crop, turn
from napari_cosynth.records.base import crop, make_record, remap
from napari_cosynth.records.resample import resample
from napari_cosynth.stain.jitter import jitter_stain
from napari_cosynth.types import ClassTable

TABLE = ClassTable.of("a", "b")


@pytest.fixture
def record():
    """A 64x64 record whose image shows its instances: red = id, so that moves can be checked."""
    instances = np.zeros((64, 64), np.int32)
    instances[4:16, 4:16], instances[10:30, 40:50], instances[40:60, 20:30] = 1, 2, 3
    labels = np.array([0, 1, 2, 1], np.uint8)[instances]
    image = np.full((64, 64, 3), 220, np.uint8)
    image[..., 0] = instances * 50
    return make_record(image, instances, labels, TABLE, 0.25, "colon", "test")


def test_a_crop_recomputes_what_it_cuts(record):
    part = crop(record, 0, 0, 32, 45)
    assert len(part.layout) == 2
    np.testing.assert_allclose(part.layout.centroids[1], [19.5, 42])  # of the visible half
    assert part.distance.max() > 0.9
    assert (point_map(part.layout) > 0).sum() == 2


def test_a_crop_drops_fragments_with_their_points(record):
    part = crop(record, 0, 0, 11, 64)  # nucleus 2 shows one row of ten pixels, 1 shows seven rows
    assert len(part.layout) == 2
    part = crop(record, 0, 0, 32, 40 + 0)
    assert len(part.layout) == 1
    tiny = crop(record, 15, 0, 49, 64)  # one row of twelve pixels of nucleus 1
    assert len(tiny.layout) == 3
    gone = crop(record, 15, 11, 20, 20)  # five pixels of it
    assert len(gone.layout) == 0
    assert gone.labels.max() == 0


def test_resampling_halves_everything(record):
    half = resample(record, 0.5)
    assert half.image.shape == (32, 32, 3)
    assert half.instances.max() == 3
    np.testing.assert_allclose(half.layout.centroids[0], [(9.5 - 0.5) / 2, (9.5 - 0.5) / 2])
    assert half.image[5, 5, 0] == 50
    assert half.layout.class_ids.tolist() == [1, 2, 1]
    back = resample(half, 0.25)
    assert (back.instances == record.instances).mean() > 0.99


def test_resampling_averages_whole_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    blank = np.zeros((8, 8), np.int32)
    coarse = resample(make_record(image, blank, blank.astype(np.uint8), TABLE, 0.25), 0.5)
    mean = image.reshape(4, 2, 4, 2, 3).mean((1, 3))
    assert np.abs(coarse.image - mean).max() <= 0.5


def test_remap_by_name(record):
    new = ClassTable.of("miscellaneous", "b")
    out = remap(record, new, {"a": "miscellaneous"})
    assert out.layout.class_ids.tolist() == [1, 2, 1]
    assert out.classes == new
    with pytest.raises(ValueError, match="class 'a' is mapped to unknown 'a'"):
        remap(record, new, {})
    # Nor where only labels have it: a synthetic nucleus without a point.
    kept = record.layout.class_ids != 1
    points = dataclasses.replace(
        record.layout,
        centroids=record.layout.centroids[kept],
        class_ids=record.layout.class_ids[kept],
    )
    with pytest.raises(ValueError, match="class 'a' is mapped to unknown 'a'"):
        remap(dataclasses.replace(record, layout=points), new, {})


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_turning_moves_everything_together(record, turns, flip):
    moved = turn(record, turns, flip)
    for y, x in moved.layout.centroids.round().astype(int):
        assert moved.instances[y, x] > 0
        assert moved.image[y, x, 0] > 0
    assert np.array_equal(moved.image[..., 0] > 0, moved.instances > 0)
    assert sorted(moved.layout.class_ids) == [1, 1, 2]
    expected = np.rot90(record.image, turns)
    assert np.array_equal(moved.image, expected[:, ::-1] if flip else expected)


def test_augmentation_draws_all_eight_orientations():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)[..., None].repeat(3, 2)
    empty = np.zeros((8, 8), np.int32)
    tile = make_record(image, empty, empty.astype(np.uint8), TABLE, 0.5)
    drawn = {augment(tile, 8, np.random.default_rng(s)).image.tobytes() for s in range(80)}
    wanted = [np.rot90(image, k) for k in range(4)]
    assert drawn == {v.tobytes() for w in wanted for v in (w, w[:, ::-1])}


def test_augmentation_is_a_function_of_its_generator(record):
    first, second = (augment(record, 32, np.random.default_rng(4), 0.1) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.instances, second.instances)


def test_scale_jitter_changes_sizes_and_not_the_grid(record):
    """Areas grow by the square of the factor by which the patch was cut smaller."""
    patches = [augment(record, 24, np.random.default_rng(s), scale_strength=0.5) for s in range(20)]
    assert all(p.labels.shape == (24, 24) and p.mpp == p.layout.mpp == 0.25 for p in patches)
    areas = [np.bincount(p.instances.ravel())[1:].max(initial=0) for p in patches]
    whole = np.bincount(record.instances.ravel())[1:].max()
    assert max(areas) > 1.3 * whole


def test_a_patch_around_a_point_contains_it():
    """Every corner that keeps the point inside is drawn, and no other."""
    image = np.zeros((12, 9, 3), np.uint8)
    image[..., 0], image[..., 1] = np.indices((12, 9))
    empty = np.zeros((12, 9), np.int32)
    tile = make_record(image, empty, empty.astype(np.uint8), TABLE, 0.5)
    rngs = (np.random.default_rng(seed) for seed in range(100))
    patches = [random_crop(tile, 4, rng, around=(10.2, 0.9)) for rng in rngs]
    assert {tuple(p.image[0, 0, :2].tolist()) for p in patches} == {
        (y, x) for y in (7, 8) for x in (0, 1)
    }


def test_a_patch_larger_than_the_tile_is_refused(record):
    with pytest.raises(ValueError, match="smaller than the patch of 65"):
        augment(record, 65, np.random.default_rng(0))
    for seed in range(9):
        with pytest.raises(ValueError, match="smaller than the patch of 65"):
            augment(record, 65, np.random.default_rng(seed), scale_strength=0.5)


def test_stain_jitter_changes_colour_and_not_structure(data_root):
    from napari_cosynth.datasets.published.consep import ConsepDataset

    image = ConsepDataset(data_root / "consep/train", only=["train_1"])[0].image[:128, :128]
    changed = jitter_stain(image, 0.2, np.random.default_rng(1))
    assert np.abs(changed.astype(int) - image).mean() > 1
    grey = [a.mean(2).ravel() for a in (image.astype(float), changed.astype(float))]
    assert np.corrcoef(*grey)[0, 1] > 0.95
    same = jitter_stain(image, 0.0, np.random.default_rng(1))
    assert np.abs(same.astype(int) - image).mean() < 1.5
