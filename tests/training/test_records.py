"""Splits by share, lazy records, normalisation to a tile, patches on a grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from napari_cosynth import registry
from napari_cosynth.records.augment import random_crop
from napari_cosynth.records.base import make_record
from napari_cosynth.training.config import DataConfig, NormaliserConfig
from napari_cosynth.training.data import CosynthData, usual_areas
from napari_cosynth.training.records import LazyRecords, split_dataset, validation_names
from napari_cosynth.types import ClassTable


def test_a_share_depends_on_the_names_alone():
    names = [f"tile_{i}" for i in range(1000)]
    held = validation_names(names, 0.2)
    assert len(held) == 200
    assert set(validation_names(names[::-1], 0.2)) == set(held)
    assert list(held) == sorted(held, key=names.index)
    more = set(validation_names([*names, "tile_1000"], 0.2))
    assert len(more ^ set(held)) <= 2
    assert 60 < sum(int(n[5:]) < 400 for n in held) < 100  # spread, not the first or last
    assert len(validation_names(names[:3], 0.05)) == 1


def test_a_split_by_share_parts_whole_tiles(data):
    config = DataConfig("folder", "toy", validation_share=0.5)
    training, validation = split_dataset(config, data)
    assert validation is not None
    assert {*training.names, *validation.names} == {"a", "b"}
    assert len(training) == len(validation) == 1
    with pytest.raises(ValueError, match="validation_share: no tile is left to train on"):
        split_dataset(dataclasses.replace(config, excluded=("b",)), data)
    assert split_dataset(DataConfig("folder", "toy"), data)[1] is None


@pytest.mark.parametrize(
    "change,message",
    [
        ({"validation_share": 1.0}, "validation_share: expected 0 or more and below 1"),
        ({"validation_share": 0.1, "validation": ("a",)}, "expected tiles or validation_share"),
    ],
)
def test_a_bad_split_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DataConfig("folder", "toy", **change)


def test_lazy_records_train_alike(recipe, data):
    """Read when drawn or held in memory: the same batches."""
    lazy = dataclasses.replace(
        recipe, data=tuple(dataclasses.replace(d, in_memory=False) for d in recipe.data)
    )
    held, drawn = (CosynthData(r, data) for r in (recipe, lazy))
    assert isinstance(drawn.training[0], LazyRecords)
    assert drawn.tissues == held.tissues == ("colon",)
    for step in (0, 5):
        a, b = held.stream.batch_at(step), drawn.stream.batch_at(step)
        assert torch.equal(a.clean.image, b.clean.image)
        assert torch.equal(a.points, b.points)
        assert a.prompts == b.prompts
    for a, b in zip(held.held_out(2, 48), drawn.held_out(2, 48), strict=True):
        assert np.array_equal(a.image, b.image)


def test_tiles_take_the_colours_of_one(recipe, data):
    (config,) = recipe.data
    stained = dataclasses.replace(config, normaliser=NormaliserConfig("reinhard", "a"))
    sets = CosynthData(dataclasses.replace(recipe, data=(stained,)), data)
    plain = CosynthData(recipe, data)
    normalise = registry.resolve("normaliser", "reinhard")(plain.training[0][0].image)
    expected = normalise(plain.validation[0][0].image)
    assert np.array_equal(sets.validation[0][0].image, expected)
    assert np.array_equal(sets.validation[0][0].labels, plain.validation[0][0].labels)
    lost = dataclasses.replace(config, normaliser=NormaliserConfig("reinhard", "c"))
    with pytest.raises(ValueError, match="no tile named 'c'"):
        CosynthData(dataclasses.replace(recipe, data=(lost,)), data)


def test_patches_on_a_grid_reach_the_border():
    blank = np.zeros((100, 64), np.int32)
    image = np.zeros((100, 64, 3), np.uint8)
    image[..., 0] = np.arange(100)[:, None]
    image[..., 1] = np.arange(64)
    record = make_record(image, blank, blank.astype(np.uint8), ClassTable.of("a"), 0.5)
    rng = np.random.default_rng(0)
    corners = [random_crop(record, 32, rng, stride=16).image[0, 0] for _ in range(200)]
    assert {int(c[0]) for c in corners} == {0, 16, 32, 48, 64, 68}
    assert {int(c[1]) for c in corners} == {0, 16, 32}


def test_the_usual_area_of_a_class_is_the_median_over_all_sets():
    classes = ClassTable.of("a", "b", "never")

    def record(*sides: int):
        instances = np.zeros((40, 40 * len(sides)), np.int32)
        for number, side in enumerate(sides):
            instances[5 : 5 + side, 40 * number + 5 : 40 * number + 5 + side] = number + 1
        labels = np.where(instances > 0, 1 + (instances == len(sides)), 0).astype(np.uint8)
        image = np.zeros((*instances.shape, 3), np.uint8)
        return make_record(image, instances, labels, classes, 0.5)

    found = usual_areas([[record(4, 6, 9)], [record(8, 10, 11)]], classes)
    assert found == {"a": (36 + 64) / 2 / 4, "b": (81 + 121) / 2 / 4}
    assert usual_areas([[]], classes) == {}
