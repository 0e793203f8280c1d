import dataclasses
import json

import numpy as np
import pytest

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import Described, append_stack, write_stack
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable

CLASSES = ClassTable.of("inflammatory", "spindle-shaped")


def a_record(seed=0, classes=CLASSES, mpp=0.5, size=24):
    rng = np.random.default_rng(seed)
    instances = np.zeros((size, size), np.int32)
    instances[2:8, 3:9] = 1
    instances[12:18, 5 + seed : 12 + seed] = 2
    labels = np.array([0, 1, 2], np.uint8)[instances]
    image = rng.integers(0, 255, (size, size, 3), np.uint8)
    return make_record(image, instances, labels, classes, mpp, "colon", f"tile {seed}")


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_joint_stack_is_what_one_write_makes(tmp_path):
    records = [a_record(i) for i in range(3)]
    write_stack(records, tmp_path / "whole")
    append_stack(records[:1], tmp_path / "parts")  # makes it
    append_stack(records[1:], tmp_path / "parts")
    for a, b in zip(
        StackDataset(tmp_path / "whole"), StackDataset(tmp_path / "parts"), strict=True
    ):
        for field in ("image", "labels", "instances", "distance"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
        np.testing.assert_array_equal(a.layout.centroids, b.layout.centroids)
    names = ("layouts.csv", "cosynth.json")
    whole, parts = contents(tmp_path / "whole"), contents(tmp_path / "parts")
    assert [whole[n] for n in names] == [parts[n] for n in names]


def test_description_of_an_edited_sample_is_kept(tmp_path):
    recipe = {"synthetic": True, "seed": 7, "edited": True}
    append_stack([Described(a_record(), recipe)], tmp_path / "s")
    append_stack([a_record(1)], tmp_path / "s")
    samples = json.loads((tmp_path / "s" / "cosynth.json").read_text())["samples"]
    assert samples[0] == recipe
    assert samples[1]["source"] == "tile 1"


def test_other_files_in_the_folder_survive(tmp_path):
    folder = append_stack([a_record()], tmp_path / "s")
    (folder / "notes.txt").write_text("mine")
    (folder / "figures").mkdir()
    (folder / "figures" / "a.txt").write_text("also mine")
    append_stack([a_record(1)], folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "figures" / "a.txt").read_text() == "also mine"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (a_record(classes=ClassTable.of("inflammatory", "epithelial")), "classes"),
        (a_record(mpp=0.25), "µm/px 0.5 are not 0.25"),
        (a_record(size=32), r"it holds uint8 \(1, 24, 24, 3\), expected uint8 \(1, 32, 32, 3\)"),
    ],
)
def test_refused_with_the_reason_and_nothing_changed(tmp_path, item, reason):
    folder = write_stack([a_record()], tmp_path / "s")
    before = contents(folder)
    with pytest.raises(ValueError, match=reason):
        append_stack([item], folder)
    assert contents(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(ValueError, match="is not a training stack"):
        append_stack([a_record()], tmp_path)
    assert contents(tmp_path) == {"photo.png": b"x"}


def test_a_damaged_stack_is_refused_and_left_alone(tmp_path):
    folder = write_stack([a_record()], tmp_path / "s")
    (folder / "distances.tif").write_bytes(b"broken")
    before = contents(folder)
    with pytest.raises(ValueError, match=r"distances\.tif: cannot be read as a TIFF"):
        append_stack([a_record(1)], folder)
    assert contents(folder) == before


def test_items_must_agree_among_themselves(tmp_path):
    with pytest.raises(ValueError, match="sample 1: mpp"):
        append_stack([a_record(), dataclasses.replace(a_record(), mpp=1.0)], tmp_path / "s")
    assert not (tmp_path / "s").exists()
