"""Folders whose classes stand in CSV tables beside the instance maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.foreign.instance_classes import read_classes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One tile with the instances 3 and 70000 of the classes 2 and 1."""
    instances = np.zeros((20, 24), np.int32)
    instances[2:6, 2:6], instances[10:14, 10:16] = 3, 70_000
    for name in ("images", "instances", "classes"):
        (tmp_path / name).mkdir()
    imsave(tmp_path / "images" / "a.png", np.full((20, 24, 3), 200, np.uint8), check_contrast=False)
    tifffile.imwrite(tmp_path / "instances" / "a.tif", instances)
    (tmp_path / "classes" / "a.csv").write_text("3,2\n70000,1\n")
    return tmp_path


def test_numbers_are_classes_and_get_names(folder: Path) -> None:
    dataset = FolderDataset(folder)
    assert dataset.classes.names[1:] == ("class 1", "class 2")
    record = dataset[0]
    wanted = np.zeros((20, 24), np.uint8)
    wanted[2:6, 2:6], wanted[10:14, 10:16] = 2, 1
    np.testing.assert_array_equal(record.labels, wanted)
    named = FolderDataset(folder, class_names=("tumour", "other"))
    assert named.classes.names[1:] == ("tumour", "other")
    np.testing.assert_array_equal(named[0].labels, record.labels)


@pytest.mark.parametrize("text", ["id,class\n70000,T\n3,S\n", "\ufeff3 , S\r\n\r\n70000, T\r\n"])
def test_names_a_header_and_an_editors_marks(folder: Path, text: str) -> None:
    (folder / "classes" / "a.csv").write_text(text, encoding="utf-8")
    dataset = FolderDataset(folder)
    assert dataset.classes.names[1:] == ("S", "T")
    assert dataset[0].labels[3, 3] == 1 and dataset[0].labels[11, 11] == 2


@pytest.mark.parametrize(
    "text,message",
    [
        ("3,2\n", r"a\.csv: instance 70000 has no class$"),
        ("3,2\n70000\n", r"a\.csv: line 2: expected an id and a class, got '70000'$"),
        ("3,2\n70000,1\n3,1\n", r"a\.csv: line 3: instance 3 has two classes$"),
        ("3,2\n-1,1\n", r"a\.csv: line 2: expected an id and a class, got '-1,1'$"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "classes" / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        FolderDataset(folder)[0]


def test_a_class_that_is_not_named_and_a_table_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.csv: instance 3: expected a class of T, got '2'$"):
        FolderDataset(folder, class_names=("T",))[0]
    (folder / "classes" / "a.csv").unlink()
    with pytest.raises(ValueError, match=r"classes: no files \(\.csv\) in it$"):
        FolderDataset(folder)


def test_no_more_classes_than_labels_can_hold(folder: Path) -> None:
    lines = "".join(f"{i},c{i}\n" for i in range(1, 300))
    (folder / "classes" / "a.csv").write_text(lines)
    assert len(read_classes(folder / "classes" / "a.csv")) == 299
    with pytest.raises(ValueError, match="expected at most 255 classes, got 299"):
        FolderDataset(folder)
