"""A region of a real image is sampled; every other pixel of it stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, laplace

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import cut
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.synthesis.inpaint import _with_found, inpaint
from napari_cosynth.synthesis.looks import look_of_pixels
from napari_cosynth.synthesis.place import Place, part_to_read
from napari_cosynth.types import ClassTable, Layout, Previews, Progress, Request, Synthesis

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
    return Request(layout, "tissue", str(tiny_checkpoint), steps=3, device="cpu")


def test_the_result_is_the_region_alone(request_: Request, image: np.ndarray) -> None:
    events = list(
        inpaint(request_, Place(image, REGION, (1000, 2000), "slide.svs"), Previews(every=1))
    )
    sample = events[-1]
    assert isinstance(sample, Synthesis) and sample.patch is not None
    assert sample.record.labels.shape == sample.raw_labels.shape == REGION.shape
    # 0.499 µm/px is the checkpoint's own grid: nothing is resampled.
    np.testing.assert_array_equal(sample.patch, sample.record.image)
    assert (sample.patch != image[REGION.slices]).any()
    np.testing.assert_array_equal(sample.record.layout.centroids, [[10, 4], [30, 44], [60, 74]])
    assert sample.record.source == "slide.svs, inpainted by tiny seed 0"
    recipe = sample.recipe
    assert recipe["inpainted"].pop("found_around") > 0  # noise is full of dark spots
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
    *_, shown, sample = inpaint(request_, Place(image, REGION), Previews(every=1))
    assert isinstance(shown, Progress) and shown.image is not None
    assert isinstance(sample, Synthesis)
    made = sample.record.image.astype(float)
    bend = np.abs(laplace(made - shown.image, axes=(0, 1)))
    clipped = binary_dilation((made == 0) | (made == 255), np.ones((3, 3, 1), bool))
    inner = np.s_[1:-1, 1:-1]
    assert (~clipped[inner]).sum() > 1000
    # A membrane has no curvature; rounding gives at most half a grey level in each of eight terms.
    assert bend[inner][~clipped[inner]].max() <= 4


def test_the_region_has_the_look_of_the_image_unless_another_is_asked_for(
    request_: Request, image: np.ndarray, few_checkpoint: Path
) -> None:
    asked = dataclasses.replace(request_, checkpoint=str(few_checkpoint), steps=0)
    sample = last(inpaint(asked, Place(image, REGION)))
    assert tuple(sample.recipe["look"]) == look_of_pixels(image, 0.499, 0.5)[:16]
    assert sample.recipe["look_of"] == "around the region of image"
    assert sample.record.source.startswith("image, inpainted by few")
    for look in ("none", (0.25,) * 16):
        other = last(inpaint(dataclasses.replace(asked, look=look), Place(image, REGION)))
        assert other.recipe["look"] == (None if look == "none" else list(look))
        assert (other.record.image != sample.record.image).any()


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


def without(layout: Layout, row: int) -> Layout:
    kept = np.arange(len(layout)) != row
    return dataclasses.replace(
        layout, centroids=layout.centroids[kept], class_ids=layout.class_ids[kept]
    )


def away_from(point: tuple[float, float], box: Box) -> np.ndarray:
    y, x = np.indices(box.shape)
    return np.hypot(y + box.y0 - point[0], x + box.x0 - point[1])


@pytest.mark.parametrize("added", [True, False])
def test_only_what_is_around_a_changed_point_is_new(
    request_: Request, image: np.ndarray, added: bool
) -> None:
    layouts = request_.layout, without(request_.layout, 1)
    after, before = layouts if added else layouts[::-1]
    wanted = dataclasses.replace(request_, layout=after)
    sample = last(inpaint(wanted, Place(image, REGION, before=before)))
    assert sample.patch is not None
    differs = (sample.patch != image[REGION.slices]).any(-1)
    away = away_from((70, 100), REGION)
    assert not differs[away > 24].any() and differs[away < 20].mean() > 0.9
    np.testing.assert_array_equal(sample.patch, sample.record.image)
    assert len(sample.record.layout) == (3 if added else 2)
    edit = sample.recipe["inpainted"]["edit"]
    point, none = [(30.0, 44.0, request_.layout.classes.names[2])], []
    assert edit == {"added": point if added else none, "removed": none if added else point}


def test_a_nucleus_that_stays_beside_a_new_one_keeps_its_core(
    request_: Request, image: np.ndarray
) -> None:
    centroids = np.array([[70, 100], [70, 116]], np.float32)
    after = dataclasses.replace(request_.layout, centroids=centroids, class_ids=np.array([2, 1]))
    wanted = dataclasses.replace(request_, layout=after)
    sample = last(inpaint(wanted, Place(image, REGION, before=without(after, 0))))
    assert sample.patch is not None
    differs = (sample.patch != image[REGION.slices]).any(-1)
    core = away_from((70, 116), REGION) <= 6
    assert not differs[core].any()
    assert differs[(away_from((70, 100), REGION) < 20) & ~core].mean() > 0.9


def test_on_a_finer_grid_too_what_is_far_from_the_change_stays_bit_for_bit(
    request_: Request, image: np.ndarray
) -> None:
    layout = dataclasses.replace(request_.layout, mpp=0.25)
    wanted = dataclasses.replace(request_, layout=layout)
    sample = last(inpaint(wanted, Place(image, REGION, before=without(layout, 0))))
    assert sample.patch is not None
    differs = (sample.patch != image[REGION.slices]).any(-1)
    away = away_from((50, 60), REGION)
    assert not differs[away > 50].any() and differs[away < 40].mean() > 0.9


@pytest.mark.parametrize("fine", [False, True])
def test_of_a_polygon_only_the_inside_is_new(
    request_: Request, image: np.ndarray, fine: bool
) -> None:
    """On a finer image, too, to a pixel of the model's grid."""
    box = REGION
    corners = np.array([(box.y0, box.x0), (box.y0, box.x1), (box.y1, box.x0)], float) - 0.5
    wanted = request_
    if fine:
        wanted = dataclasses.replace(
            request_, layout=dataclasses.replace(request_.layout, mpp=0.25)
        )
    sample = last(inpaint(wanted, Place(image, box, (10, 20), outline=corners)))
    assert sample.patch is not None
    differs = (sample.patch != image[box.slices]).any(-1)
    height, width = box.shape
    y, x = np.indices(box.shape) + 0.5
    depth = (1 - y / height - x / width) * min(box.shape) / 2  # pixels, about
    assert differs[depth > 2].mean() > 0.9 and not differs[depth < -2].any()
    assert sample.recipe["inpainted"]["outline"] == np.add(corners, [10, 20]).tolist()


def test_an_outline_beside_the_region_is_refused(request_: Request, image: np.ndarray) -> None:
    far = np.array([(0.0, 0.0), (0.0, 5.0), (5.0, 0.0)])
    with pytest.raises(ValueError, match="outline: nothing is to be painted inside it"):
        last(inpaint(request_, Place(image, REGION, outline=far)))
    with pytest.raises(ValueError, match="outline: expected"):
        Place(image, REGION, outline=far[:2])


def test_a_layout_that_changes_nothing_is_refused(request_: Request, image: np.ndarray) -> None:
    elsewhere = without(request_.layout, 3)
    for before in (request_.layout, elsewhere):
        with pytest.raises(ValueError, match=r"a.png: before: every point of the region is there"):
            inpaint(request_, Place(image, REGION, source="a.png", before=before))
    small = Layout(np.zeros((0, 2)), np.zeros(0), (9, 9), 0.5, request_.layout.classes)
    with pytest.raises(ValueError, match=r"before: expected a canvas of \(176, 208\)"):
        Place(image, REGION, before=small)


def test_nuclei_around_the_region_are_found_where_no_point_says_them(request_: Request) -> None:
    y, x = np.indices((176, 208))
    image = np.full((176, 208, 3), (235, 200, 215), np.uint8)
    discs = [(20, 20), (20, 100), (150, 60), (70, 100), (150, 180)]
    for cy, cx in discs:
        image[np.hypot(y - cy, x - cx) <= 6] = (90, 60, 140)
    layout = dataclasses.replace(request_.layout, mpp=0.5)
    painted = np.zeros(layout.shape, bool)
    painted[REGION.slices] = True
    seen = _with_found(layout, image, painted)
    count = len(layout)
    np.testing.assert_array_equal(seen.centroids[:count], layout.centroids)
    found = seen.centroids[count:]
    # That at (20, 20) has its point, and that at (70, 100) lies in the region.
    rest = [discs[1], discs[2], discs[4]]
    assert sorted(map(tuple, np.round(found).astype(int).tolist())) == sorted(rest)
    assert len(set(seen.class_ids[count:].tolist())) == 1
    # Where the image stays within the region, its nuclei stay too; that one has no point.
    painted[60:80, 90:110] = False
    layout = without(layout, 1)
    seen = _with_found(layout, image, painted)
    assert (70, 100) in map(tuple, np.round(seen.centroids[len(layout) :]).astype(int).tolist())


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
