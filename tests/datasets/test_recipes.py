"""Recipe and layout of any sample of any export."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_cosynth.datasets.recipes import read_count, read_sample
from napari_cosynth.export.base import Described
from napari_cosynth.export.stack import append_stack, write_stack
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable

CLASSES = ClassTable.of("inflammatory", 'a, "b"')
RECIPE = {"synthetic": True, "seed": 3, "prompt": "p", "checkpoint_sha256": "0" * 64}


def a_record(seed=0, size=24):
    rng = np.random.default_rng(seed)
    instances = np.zeros((size, size + 3), np.int32)
    instances[2:8, 3:9] = 1
    instances[12:18, 5 + seed : 12 + seed] = 2
    labels = np.array([0, 1, 2], np.uint8)[instances]
    image = rng.integers(0, 255, (*labels.shape, 3), np.uint8)
    return make_record(image, instances, labels, CLASSES, 0.5, "colon", f"tile {seed}")


def items():
    return [Described(a_record(i), {**RECIPE, "seed": i}, f"s/{i}") for i in range(3)]


@pytest.mark.parametrize("named", ["folder", "json"])
def test_layout_and_recipe_of_a_stack(tmp_path, named):
    folder = write_stack(iter(items()), tmp_path / "stack")
    append_stack([a_record(5)], folder)
    path = folder if named == "folder" else folder / "cosynth.json"
    assert read_count(path) == 4
    for index, item in enumerate(items()):
        layout, recipe = read_sample(path, index)
        assert recipe == item.description
        np.testing.assert_array_equal(layout.centroids, item.record.layout.centroids)
        np.testing.assert_array_equal(layout.class_ids, item.record.layout.class_ids)
        assert (layout.shape, layout.mpp, layout.classes) == ((24, 27), 0.5, CLASSES)
    assert read_sample(path, 3)[1]["source"] == "tile 5"
    with pytest.raises(ValueError, match=r"sample: expected 0\.\.3, got 4"):
        read_sample(path, 4)
    with pytest.raises(ValueError, match=r"no cosynth\.json"):
        read_sample(tmp_path, 0)


def test_a_stack_of_an_earlier_version_has_its_shape_in_its_arrays(tmp_path):
    folder = write_stack(items(), tmp_path / "stack")
    path = folder / "cosynth.json"
    content = json.loads(path.read_text())
    for field in ("names", "shapes", "exporter"):
        del content[field]
    path.write_text(json.dumps(content))
    assert read_sample(folder, 1)[0].shape == (24, 27)
    append_stack([a_record(5)], folder)
    assert json.loads(path.read_text())["shapes"] == [[24, 27]] * 4
