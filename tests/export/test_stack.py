"""The training stack there and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tifffile

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import write_stack
from napari_cosynth.records.base import make_record


@pytest.fixture
def records(classes):
    rng = np.random.default_rng(0)
    out = []
    for i in range(3):
        instances = np.zeros((48, 40), np.int32)
        instances[4:12, 4 + i : 12 + i], instances[20:30, 20:29] = 1, 2
        labels = np.array([0, 1 + i, 2], np.uint8)[instances]
        image = rng.integers(0, 256, (48, 40, 3)).astype(np.uint8)
        out.append(make_record(image, instances, labels, classes, 0.5, "colon", f"tile {i}"))
    return out


@pytest.mark.parametrize("count", [1, 3])
def test_there_and_back(records, tmp_path, count):
    folder = write_stack(records[:count], tmp_path / "stack")
    back = StackDataset(folder)
    assert len(back) == count
    assert back.classes == records[0].classes
    for record, original in zip(back, records, strict=False):
        for field in ("image", "labels", "instances", "distance"):
            assert np.array_equal(getattr(record, field), getattr(original, field)), field
        assert np.array_equal(record.layout.centroids, original.layout.centroids)
        assert np.array_equal(record.layout.class_ids, original.layout.class_ids)
        assert (record.tissue, record.stain, record.mpp) == ("colon", "H&E", 0.5)


def test_files_have_the_documented_shapes(records, tmp_path):
    folder = write_stack(records, tmp_path / "stack")
    shapes = {p.name: tifffile.imread(p) for p in folder.glob("*.tif")}
    assert {k: (v.dtype.name, v.shape) for k, v in shapes.items()} == {
        "images.tif": ("uint8", (3, 48, 40, 3)),
        "labels.tif": ("uint8", (3, 48, 40)),
        "instances.tif": ("int32", (3, 48, 40)),
        "distances.tif": ("float32", (3, 48, 40)),
    }
    description = json.loads((folder / "cosynth.json").read_text())
    assert description["classes"][0] == "background"
    assert description["mpp"] == 0.5
    header, *rows = (folder / "layouts.csv").read_text().splitlines()
    assert header == "sample,index,axis-0,axis-1,class"
    assert len(rows) == 6


def test_records_of_another_kind_are_refused(records, tmp_path):
    from napari_cosynth.records.base import crop

    smaller = crop(records[1], 0, 0, 40, 40)
    with pytest.raises(ValueError, match="sample 1: shape"):
        write_stack([records[0], smaller], tmp_path / "stack")
    with pytest.raises(ValueError, match="nothing to save"):
        write_stack([], tmp_path / "stack")
    assert not list(tmp_path.iterdir())


def test_an_existing_stack_is_kept_unless_told(records, tmp_path):
    folder = write_stack(records[:1], tmp_path / "stack")
    with pytest.raises(FileExistsError):
        write_stack(records, folder)
    assert len(StackDataset(folder)) == 1
    write_stack(records, folder, overwrite=True)
    assert len(StackDataset(folder)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["stack"]


def damage(folder, name):
    if name == "truncated":
        path = folder / "labels.tif"
        path.write_bytes(path.read_bytes()[:60])
        return "labels.tif: cannot be read"
    if name == "dtype":
        tifffile.imwrite(folder / "instances.tif", np.zeros((3, 48, 40), np.uint8))
        return "instances.tif: expected int32"
    if name == "count":
        tifffile.imwrite(folder / "labels.tif", np.zeros((2, 48, 40), np.uint8))
        return "labels.tif: expected uint8 with 3 samples"
    if name == "classes":
        labels = tifffile.imread(folder / "labels.tif")
        tifffile.imwrite(folder / "labels.tif", np.where(labels > 0, 200, 0).astype(np.uint8))
        return "sample 0: labels reach 200"
    if name == "disagree":
        labels = tifffile.imread(folder / "labels.tif")
        labels[0] = 0
        tifffile.imwrite(folder / "labels.tif", labels)
        return "sample 0: labels and instances disagree"
    if name == "json":
        (folder / "cosynth.json").write_text("[]")
        return "cosynth.json: classes"
    (folder / "layouts.csv").write_text("sample,index,axis-0,axis-1,class\n9,0,1,1,epithelial\n")
    return "layouts.csv: line 2"


@pytest.mark.parametrize(
    "name", ["truncated", "dtype", "count", "classes", "disagree", "json", "layouts"]
)
def test_a_damaged_stack_names_file_and_sample(records, tmp_path, name):
    folder = write_stack(records, tmp_path / "stack")
    message = damage(folder, name)
    with pytest.raises(ValueError, match=message):
        list(StackDataset(folder))


def test_a_record_without_nuclei(records, tmp_path, classes):
    blank = np.zeros((48, 40), np.int32)
    empty = make_record(records[0].image, blank, blank.astype(np.uint8), classes, 0.5)
    (back,) = StackDataset(write_stack([empty], tmp_path / "stack"))
    assert len(back.layout) == 0
    assert dataclasses.asdict(back.layout)["shape"] == (48, 40)


def test_a_stack_of_a_later_format_is_refused(records, tmp_path):
    folder = write_stack(records, tmp_path / "stack")
    path = folder / "cosynth.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(ValueError, match=r"cosynth\.json: format: expected 1, got 2"):
        StackDataset(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": "\n2" * 500}))
    with pytest.raises(ValueError, match=r"cosynth\.json: format: expected 1, got ") as error:
        StackDataset(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 150
