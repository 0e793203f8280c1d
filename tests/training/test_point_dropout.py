"""Hidden points: an empty point map beside labels that stay, and nothing else that changes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_cosynth.training.config import Recipe
from napari_cosynth.training.data import CosynthData


def batch(recipe: Recipe, data, share: float):
    changed = dataclasses.replace(recipe, point_dropout=share)
    return CosynthData(changed, data).stream.batch_at(5)


def test_dropped_points_leave_the_labels(recipe, data):
    kept, dropped = batch(recipe, data, 0.0), batch(recipe, data, 1.0)
    assert kept.points.any()
    assert not dropped.points.any()
    torch.testing.assert_close(kept.clean.labels, dropped.clean.labels)
    torch.testing.assert_close(kept.clean.distance, dropped.clean.distance)
    torch.testing.assert_close(kept.noise.image, dropped.noise.image)
    assert kept.prompts == dropped.prompts
    assert dropped.clean.labels.any()


def test_some_are_dropped_and_validation_never_is(recipe, data):
    changed = dataclasses.replace(
        recipe, point_dropout=0.5, stages=(dataclasses.replace(recipe.stages[0], batch=32),)
    )
    sets = CosynthData(changed, data)
    points = sets.stream.batch_at(0).points.flatten(1).any(1)
    assert 4 < int(points.sum()) < 28
    for held in sets.val_dataloader():
        assert held.points.flatten(1).any(1).all()


@pytest.mark.parametrize("field", ["point_dropout", "text_dropout"])
def test_a_share_is_a_share(recipe, field):
    with pytest.raises(ValueError, match=f"{field}: expected a share of 0 to 1"):
        dataclasses.replace(recipe, **{field: 1.5})
