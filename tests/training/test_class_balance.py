"""Classes are drawn alike, however many nuclei they have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.records.base import make_record
from napari_cosynth.training.balance import ClassBalance
from napari_cosynth.training.data import CosynthData
from napari_cosynth.types import ClassTable

TABLE = ClassTable.of("common", "absent", "rare")


def tile(places: list[tuple[int, int, int]]):
    ids, labels = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.uint8)
    for number, (y, x, class_id) in enumerate(places, start=1):
        ids[y : y + 3, x : x + 3], labels[y : y + 3, x : x + 3] = number, class_id
    return make_record(np.zeros((40, 40, 3), np.uint8), ids, labels, TABLE, 0.5)


def test_a_rare_class_is_drawn_as_often_as_a_common_one():
    many = tile([(y, x, 1) for y in range(0, 40, 5) for x in range(0, 40, 5)])
    one = tile([(20, 30, 3)])
    balance = ClassBalance([many, one])
    rng = np.random.default_rng(0)
    draws = [balance.draw(rng) for _ in range(400)]
    assert all(d is not None for d in draws)
    rare = [place for index, place in draws if index == 1]
    assert 160 < len(rare) < 240  # 200 of 400, five standard deviations
    assert all(tuple(place) == (21, 31) for place in rare)


def test_without_nuclei_there_is_nothing_to_draw():
    assert ClassBalance([tile([])]).draw(np.random.default_rng(0)) is None


def test_balanced_batches_hold_what_was_drawn(recipe, data):
    balanced = dataclasses.replace(recipe, class_balance=1.0)
    batch = CosynthData(balanced, data).stream.batch_at(0)
    assert (batch.points > 0).flatten(1).any(1).all()
    with pytest.raises(ValueError, match="class_balance: expected a share"):
        dataclasses.replace(recipe, class_balance=1.5)
    lazy = dataclasses.replace(recipe.data[0], in_memory=False)
    with pytest.raises(ValueError, match="class_balance: expected data in memory"):
        dataclasses.replace(balanced, data=(lazy,))
