"""The core types refuse what would fail later, in one line that names the field."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from napari_cosynth.types import ClassTable, Layout, Report, Request, default_palette
from napari_cosynth.types.recipe import Recipe, same_but, stated


@pytest.mark.parametrize(
    "change,message",
    [
        ({"centroids": [[1, 70]], "class_ids": [1]}, r"point 0 at \(1, 70\) lies outside"),
        ({"centroids": [[-0.6, 5]], "class_ids": [1]}, "lies outside"),
        ({"centroids": [[np.nan, 5]], "class_ids": [1]}, "point 0: expected finite"),
        ({"centroids": [[5, 5]], "class_ids": [0]}, r"class id in 1\.\.3, got 0"),
        ({"centroids": [[5, 5]], "class_ids": [300]}, r"got 300"),
        ({"centroids": [[5, 5]], "class_ids": [1, 1]}, "class_ids: expected 1"),
        ({"shape": (0, 4)}, "shape: expected"),
        ({"mpp": 0}, "mpp: expected"),
        ({"mpp": float("nan")}, "mpp: expected"),
    ],
)
def test_a_bad_layout_is_refused(layout, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(layout, **change)


def test_points_on_the_rim_are_inside(classes):
    centroids = np.array([[-0.5, -0.5], [63.4, 63.4]], np.float32)
    assert len(Layout(centroids, np.array([1, 2]), (64, 64), 0.5, classes)) == 2


def test_scaling_keeps_pixel_corners(classes):
    """A point at the centre of a 2x2 block comes to the centre of the block's one pixel."""
    fine = Layout(np.array([[0.5, 2.5]]), np.array([1]), (64, 32), 0.25, classes)
    coarse = fine.scaled_to(0.5)
    assert coarse.shape == (32, 16)
    np.testing.assert_allclose(coarse.centroids, [[0, 1]])
    np.testing.assert_allclose(coarse.scaled_to(0.25).centroids, fine.centroids)


def test_arrays_are_read_only(layout):
    with pytest.raises(ValueError, match="read-only"):
        layout.centroids[0, 0] = 3


@pytest.mark.parametrize("names", [("inflammatory",), ("background",), ("background", "a", "a")])
def test_a_bad_class_table_is_refused(names):
    with pytest.raises(ValueError, match="classes"):
        ClassTable(names, default_palette(len(names)))


def test_an_unknown_class_lists_the_known_ones(classes):
    with pytest.raises(ValueError, match="unknown class 'x'; known are: inflammatory, epithelial"):
        classes.index("x")


def test_palette_colours_differ():
    assert len(np.unique(default_palette(40), axis=0)) == 40


@pytest.mark.parametrize(
    "change",
    [{"steps": -1}, {"look": "pink"}, {"guidance": float("nan")}, {"seeds": ()}, {"seeds": (-1,)}],
)
def test_a_bad_request_is_refused(layout, change):
    with pytest.raises(ValueError, match=next(iter(change)).rstrip("s")):
        Request(layout, "", **change)


def test_a_report_survives_json():
    report = Report(missed=(1, 4), merged=(2,))
    assert Report.from_json(report.to_json()) == report


def test_a_stored_recipe_gives_the_fields_of_its_request():
    recipe = {"prompt": "p", "sampler": "few", "steps": 4, "guidance": 1, "seed": 7, "report": {}}
    assert stated(recipe) == {
        "prompt": "p", "sampler": "few", "steps": 4, "guidance": 1, "seeds": (7,)
    }  # fmt: skip
    assert stated({**recipe, "look": None})["look"] == "none"
    assert stated({}) == {}


def test_a_recipe_is_read_as_it_was_stored():
    layout = Layout(np.array([[5, 5]]), np.array([1]), (10, 12), 0.5, ClassTable.of("a"))
    asked = Request(
        layout, "p", sampler="fast", steps=3, guidance=2.0, seeds=(7, 8), tissue="colon"
    )
    stored = json.loads(json.dumps(asked.stored(8)))
    read = Recipe.read(stored, layout)
    assert same_but(read, Recipe(layout, "p", "default", "fast", 3, 2.0, (8,), "colon"))
    assert Request.read(stored, layout, device="cpu").device == "cpu"
    for field in ("seed", "prompt", "sampler", "steps", "guidance"):
        with pytest.raises(ValueError, match=f"^{field}: missing$"):
            Recipe.read({k: v for k, v in stored.items() if k != field}, layout)


def test_recipes_are_compared_in_every_field_but_those_named():
    layout = Layout(np.array([[5, 5]]), np.array([1]), (10, 12), 0.5, ClassTable.of("a"))
    first = Request(layout, "p")
    moved = dataclasses.replace(
        first, layout=dataclasses.replace(layout, centroids=np.array([[6, 6]]))
    )
    assert same_but(first, moved)  # points are the caller's to compare
    for change in ({"guidance": 2.0}, {"look": "none"}, {"device": "cpu"}, {"prompt": "q"}):
        other = dataclasses.replace(first, **change)
        assert not same_but(first, other) and same_but(first, other, *change)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", "7", "seed: expected a whole number, got '7'"),
        ("seed", -1, "seed: expected 0"),
        ("steps", True, "steps: expected a whole number, got 'True'"),
        ("steps", 4.5, "steps: expected a whole number"),
        ("guidance", float("nan"), "guidance: expected a number in 0..20"),
        ("guidance", [1], "guidance: expected a number, got"),
        ("prompt", None, "prompt: expected text, got 'None'"),
        ("look", "pink", "look: expected null or finite numbers"),
    ],
)
def test_a_damaged_recipe_is_refused_with_its_field(field, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        stated({field: value})
