"""Run-length encoding and filled polygons against COCO's own API."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from napari_cosynth.geometry.rle import (
    decode,
    encode,
    from_string,
    paint,
    polygon_spans,
    to_string,
)


def masks():
    rng = np.random.default_rng(0)
    yield np.zeros((5, 7), bool)
    yield np.ones((5, 7), bool)
    for density in (0.02, 0.5, 0.95):
        yield rng.random((61, 40)) < density
    blob = np.zeros((300, 400), bool)
    blob[100:250, 30:390] = True
    yield blob


@pytest.mark.parametrize("mask", masks())
def test_there_and_back_and_as_the_api_does(mask):
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    runs = encode(mask)
    assert to_string(runs) == theirs["counts"].decode()
    assert from_string(theirs["counts"].decode()) == runs
    np.testing.assert_array_equal(decode(runs, mask.shape), mask)


@pytest.mark.parametrize("text", ["a b", "~", "`"])
def test_a_damaged_string_is_refused(text):
    with pytest.raises(ValueError, match="counts"):
        decode(from_string(text), (4, 4))


def test_runs_that_do_not_fill_the_canvas_are_refused():
    with pytest.raises(ValueError, match="add up to 4 x 4"):
        decode([3, 4], (4, 4))


def test_polygons_are_filled_as_the_api_does():
    rng = np.random.default_rng(1)
    shape = (50, 70)
    polygons = []
    for number, corners in enumerate([3, 4, 5, 9, 20] * 60):
        reach = (75, 20, 400)[number % 3]
        points = rng.uniform(-5, 75, 2) + rng.uniform(-reach, reach, (corners, 2))
        polygons.append((points.round(), (points * 10).round() / 10, points)[number % 3])
    sizes = np.array([len(points) for points in polygons])
    of, starts, stops = polygon_spans(np.concatenate(polygons), sizes, shape)
    for number, points in enumerate(polygons):
        theirs = coco.decode(coco.frPyObjects([points.ravel().tolist()], *shape))[..., 0] > 0
        flat = np.zeros(shape[0] * shape[1], bool)
        paint(flat, starts[of == number], stops[of == number], True)
        np.testing.assert_array_equal(flat.reshape(shape, order="F"), theirs)
    for sizes in ([], [0]):
        found = polygon_spans(np.zeros((0, 2)), np.array(sizes, np.int64), shape)
        assert [len(part) for part in found] == [0, 0, 0]


def test_the_later_span_holds():
    flat = np.zeros(12, int)
    paint(flat, np.array([0, 2, 5]), np.array([4, 6, 5]), np.array([1, 2, 3]))
    assert flat.tolist() == [1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0]


def test_a_border_without_end_is_refused():
    far = np.array([(0, 0), (1e9, 0), (0, 1e9)])
    with pytest.raises(ValueError, match="within reach of the image"):
        polygon_spans(far, np.array([3]), (50, 70))
