"""An edit changes what is near it, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import changed_box
from napari_cosynth.synthesis.resynthesize import REACH, resynthesize
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Layout, Request, Synthesis


def last(events: object) -> Synthesis:
    sample = list(events)[-1]  # type: ignore[call-overload]
    assert isinstance(sample, Synthesis)
    return sample


@pytest.fixture
def request_(tiny_checkpoint: Path, classes: ClassTable) -> Request:
    rng = np.random.default_rng(0)
    centroids = rng.uniform(0, [260, 330], (60, 2)).astype(np.float32)
    layout = Layout(centroids, rng.integers(1, 4, 60).astype(np.uint8), (261, 333), 0.5, classes)
    return Request(layout, "tissue", str(tiny_checkpoint), steps=2, device="cpu")


@pytest.mark.parametrize("corner", [(20, 30), (255, 320), (130, 160)])
def test_all_but_the_surroundings_of_the_edit_is_bit_identical(
    request_: Request, corner: tuple[int, int]
) -> None:
    before = last(synthesize(request_))
    layout = request_.layout
    edited = dataclasses.replace(
        layout,
        centroids=np.vstack([layout.centroids, np.array([corner], np.float32)]),
        class_ids=np.append(layout.class_ids, 2).astype(np.uint8),
    )
    box = changed_box(layout, edited)
    assert box is not None
    after = last(resynthesize(dataclasses.replace(request_, layout=edited), before, box))
    free = box.grown(REACH).clipped(layout.shape)
    outside = np.ones(layout.shape, bool)
    outside[free.slices] = False
    for name in ("image", "distance"):
        old, new = getattr(before.record, name), getattr(after.record, name)
        np.testing.assert_array_equal(old[outside], new[outside])
        assert (old[~outside] != new[~outside]).any()
    np.testing.assert_array_equal(before.raw_labels[outside], after.raw_labels[outside])
    assert len(after.record.layout) == len(layout) + 1
    assert after.recipe["resampled"] == [[free.y0, free.x0, free.y1, free.x1]]


def test_the_same_edit_gives_the_same_pixels(request_: Request) -> None:
    before = last(synthesize(request_))
    box = Box(100, 100, 110, 110)
    first, second = (last(resynthesize(request_, before, box)) for _ in range(2))
    np.testing.assert_array_equal(first.record.image, second.record.image)


def test_another_canvas_is_refused(request_: Request, layout: Layout) -> None:
    before = last(synthesize(request_))
    other = dataclasses.replace(request_, layout=layout)
    with pytest.raises(ValueError, match="expected a layout of"):
        resynthesize(other, before, Box(0, 0, 1, 1))
