"""A region of a real image is sampled; every other pixel of it stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, laplace

from napari_cosynth.data.slide import open_slide
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import cut
from napari_cosynth.geometry.place import Place, part_to_read
from napari_cosynth.synthesis.inpaint import inpaint
from napari_cosynth.types import ClassTable, Layout, Progress, Request, Synthesis

REGION = Box(40, 56, 104, 136)


def last(events: Iterator[object]) -> Synthesis:
    *_, sample = events
    assert isinstance(sample, Synthesis)
    return sample


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(2).integers(90, 250, (176, 208, 3)).astype(np.uint8)


@pytest.fixture
def request_(tiny_checkpoint: Path, classes: ClassTable) -> Request:
    centroids = np.array([[50, 60], [70, 100], [100, 130], [20, 20]], np.float32)
    layout = Layout(centroids, np.array([1, 2, 3, 1]), (176, 208), 0.499, classes)
    return Request(layout, "tissue", str(tiny_checkpoint), steps=3, device="cpu", preview_every=1)


def test_the_result_is_the_region_alone(request_: Request, image: np.ndarray) -> None:
    events = list(inpaint(request_, Place(image, REGION, (1000, 2000), "slide.svs")))
    sample = events[-1]
    assert isinstance(sample, Synthesis) and sample.patch is not None
    assert sample.record.labels.shape == sample.raw_labels.shape == REGION.shape
    # 0.499 µm/px is the checkpoint's own grid: nothing is resampled.
    np.testing.assert_array_equal(sample.patch, sample.record.image)
    assert (sample.patch != image[REGION.slices]).any()
    np.testing.assert_array_equal(sample.record.layout.centroids, [[10, 4], [30, 44], [60, 74]])
    recipe = sample.recipe
    assert recipe["synthetic"] and recipe["inpainted"] == {
        "image": "slide.svs",
        "region": [1040, 2056, 1104, 2136],
        "mpp": 0.499,
    }
    previews = [e for e in events if isinstance(e, Progress)]
    assert [p.step for p in previews] == [1, 2, 3]
    assert all(p.image is not None and p.image.shape == (*REGION.shape, 3) for p in previews)


def test_the_region_is_the_last_estimate_at_its_place_moved_by_a_membrane(
    request_: Request, image: np.ndarray
) -> None:
    *_, shown, sample = inpaint(request_, Place(image, REGION))
    assert isinstance(shown, Progress) and shown.image is not None
    assert isinstance(sample, Synthesis)
    made = sample.record.image.astype(float)
    bend = np.abs(laplace(made - shown.image, axes=(0, 1)))
    clipped = binary_dilation((made == 0) | (made == 255), np.ones((3, 3, 1), bool))
    inner = np.s_[1:-1, 1:-1]
    assert (~clipped[inner]).sum() > 1000
    # A membrane has no curvature; rounding gives at most half a grey level in each of eight terms.
    assert bend[inner][~clipped[inner]].max() <= 4


def test_a_seed_gives_the_same_region_and_the_surroundings_count(
    request_: Request, image: np.ndarray
) -> None:
    first, again = (last(inpaint(request_, Place(image, REGION))) for _ in range(2))
    np.testing.assert_array_equal(first.record.image, again.record.image)
    assert (
        first.record.image != last(inpaint(request_, Place(255 - image, REGION))).record.image
    ).any()
    moved = dataclasses.replace(request_, seeds=(8,))
    assert (first.record.image != last(inpaint(moved, Place(image, REGION))).record.image).any()


def test_what_the_region_held_before_does_not_count(request_: Request, image: np.ndarray) -> None:
    emptied = image.copy()
    emptied[REGION.slices] = 255
    one, other = (last(inpaint(request_, Place(i, REGION))) for i in (image, emptied))
    np.testing.assert_array_equal(one.record.image, other.record.image)
    np.testing.assert_array_equal(one.record.instances, other.record.instances)


def test_an_image_of_another_scale_keeps_its_own_grid(request_: Request, image: np.ndarray) -> None:
    fine = dataclasses.replace(request_, layout=dataclasses.replace(request_.layout, mpp=0.25))
    sample = last(inpaint(fine, Place(image, REGION)))
    assert sample.record.mpp == 0.5 and sample.record.labels.shape == (32, 40)
    assert sample.patch is not None and sample.patch.shape == (64, 80, 3)
    np.testing.assert_allclose(sample.record.layout.centroids[0], [4.75, 1.75])


def test_only_the_surroundings_are_read() -> None:
    box = Box(4000, 5000, 4100, 5100)
    at_once = part_to_read(box, (20000, 30000), 0.5, 0.5)
    assert at_once.shape[0] >= 256 + 100 and at_once.y0 <= 4000 - 128
    finer = part_to_read(box, (20000, 30000), 0.25, 0.5)
    assert finer.shape[0] >= 2 * 256
    assert part_to_read(Box(0, 0, 10, 10), (64, 64), 0.5, 0.5) == Box(0, 0, 64, 64)


@pytest.mark.parametrize(
    "region,message",
    [
        (Box(100, 0, 180, 40), "region: expected a part of 176 x 208 pixels"),
        (Box(10, 10, 20, 90), "region: expected at least 16 pixels a side"),
    ],
)
def test_a_region_that_cannot_be_is_refused(
    request_: Request, image: np.ndarray, region: Box, message: str
) -> None:
    with pytest.raises(ValueError, match=f"a.png: {message}"):
        inpaint(request_, Place(image, region, source="a.png"))


def test_what_does_not_fit_is_refused(request_: Request, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="layout: expected a canvas of"):
        inpaint(request_, Place(image[:100], Box(0, 0, 50, 50)))
    with pytest.raises(ValueError, match="image: expected uint8"):
        Place(image[..., 0], REGION)
    large = np.zeros((1200, 1200, 3), np.uint8)
    layout = Layout(np.zeros((0, 2)), np.zeros(0), (1200, 1200), 0.5, request_.layout.classes)
    wanted = dataclasses.replace(request_, layout=layout)
    with pytest.raises(ValueError, match="region: expected at most 1024 pixels a side"):
        inpaint(wanted, Place(large, Box(0, 0, 1100, 100)))


def test_into_the_real_slide(data_root: Path, request_: Request) -> None:
    level = open_slide(data_root / "slides" / "CMU-1-Small-Region.svs").levels[0]
    region = Box(900, 1200, 964, 1280)
    part = part_to_read(region, level.shape[:2], 0.499, 0.5)
    centroids = np.array([[920, 1220], [940, 1260]], np.float32)
    layout = Layout(centroids, np.array([1, 2]), level.shape[:2], 0.499, request_.layout.classes)
    wanted = dataclasses.replace(request_, layout=cut(layout, part))
    place = Place(level[part.slices], region.moved(-part.y0, -part.x0), (part.y0, part.x0))
    sample = last(inpaint(wanted, place))
    assert sample.recipe["inpainted"]["region"] == [900, 1200, 964, 1280]
    np.testing.assert_array_equal(sample.record.layout.centroids, [[20, 20], [40, 60]])
