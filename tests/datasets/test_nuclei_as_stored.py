"""Nuclei without a class, in several parts, or with ids that no program would number so."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from napari_cosynth.checks.checks import check
from napari_cosynth.cli import main
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.omezarr import OmeZarrDataset
from napari_cosynth.datasets.published.consep import ConsepDataset
from slides import edit_metadata, ome_zarr

IMAGE = np.full((40, 40, 3), 200, np.uint8)


def three_nuclei(second=2, third=3):
    ids = np.zeros((40, 40), np.int64)
    ids[2:8, 2:8], ids[12:18, 12:18], ids[25:35, 25:35] = 1, second, third
    return ids


@pytest.fixture
def conic(tmp_path):
    ids = three_nuclei(third=6)
    kinds = np.select([ids == 1, ids == 2], [1, 2], 0)
    np.save(tmp_path / "images.npy", IMAGE[None])
    np.save(tmp_path / "labels.npy", np.stack([ids, kinds], -1)[None].astype(np.int32))
    return tmp_path


def test_a_nucleus_without_a_class_is_named_alike_by_info_check_and_convert(conic, capsys):
    line = f"{conic / 'labels.npy'}: patch 0: instance 6 has no class (--unclassified drops"
    assert main(["info", str(conic)]) == 2
    assert line in capsys.readouterr().err
    assert main(["check", str(conic)]) == 1
    assert line in capsys.readouterr().out
    assert main(["convert", str(conic), str(conic / "o"), "--to", "folder"]) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("drop", ["neutrophil", "epithelial"]),
        ("plasma", ["neutrophil", "epithelial", "plasma"]),
        ("odd", ["neutrophil", "epithelial", "odd"]),
    ],
)
def test_nuclei_without_a_class_are_dropped_or_given_one(conic, wanted, names, capsys):
    _, dataset = open_records(conic, unclassified=wanted)
    record = dataset[0]
    assert [record.classes.names[c] for c in record.layout.class_ids] == names
    assert record.instances.max() == len(names)
    becomes = "left out" if wanted == "drop" else wanted
    assert dataset.notes == [
        f"1 nuclei without a class: {becomes} (in 1 records, first {dataset.names[0]})"
    ]
    assert main(["info", str(conic), "--unclassified", wanted]) == 0
    assert f"note:    {dataset.notes[0]}" in capsys.readouterr().out


def test_a_nucleus_in_two_far_parts_is_counted_once_however_often_it_is_read(conic):
    labels = np.load(conic / "labels.npy")
    labels[0, 36:39, 2:5] = 1, 1  # far from the rest of nucleus 1
    labels[0, labels[0, ..., 0] == 6] = 6, 3
    np.save(conic / "labels.npy", labels)
    _, dataset = open_records(conic)
    for _ in range(2):
        assert len(dataset[0].layout) == 4
    (note,) = dataset.notes
    assert note.startswith("1 nuclei in several parts")
    assert check([("s", dataset)]).notes == [f"s: {note}"]


def mat(root, **content):
    for folder in ("Labels", "Images"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(IMAGE).save(root / "Images" / "a.png")
    savemat(root / "Labels" / "a.mat", content)
    return ConsepDataset(root)


def test_sparse_and_huge_ids_are_read(tmp_path):
    types = np.array([[3], [1], [2]])
    for number, third in enumerate((2_000_000_000, 2**40)):
        dataset = mat(tmp_path / str(number), inst_map=three_nuclei(third=third), inst_type=types)
        layout = dataset[0].layout
        np.testing.assert_array_equal(layout.class_ids, [3, 1, 2])


def test_inst_uid_says_which_nucleus_a_class_is_of(tmp_path, capsys):
    ids = three_nuclei()
    uid, types = np.array([[3], [1]]), np.array([[4], [2]])
    dataset = mat(tmp_path / "a", inst_map=ids, inst_uid=uid, inst_type=types)
    parts = dataset.parts("a")
    np.testing.assert_array_equal(parts.labels, np.select([ids == 3, ids == 1], [4, 2], 0))
    file = tmp_path / "a" / "Labels" / "a.mat"
    with pytest.raises(ValueError, match=r"a\.mat: instance 2 has no class"):
        dataset[0]
    command = ["layout", "convert", str(file), str(tmp_path / "l.csv"), "--mpp", "0.25"]
    names = ["type 2=inflammatory", "type 4=spindle-shaped", "=miscellaneous"]
    assert main([*command, "--map", *names]) == 0, capsys.readouterr().err
    lines = (tmp_path / "l.csv").read_text().splitlines()[1:]
    assert [line.split(",")[-1] for line in lines] == [
        "inflammatory",
        "miscellaneous",
        "spindle-shaped",
    ]
    with pytest.raises(ValueError, match=r"inst_type: expected 3 classes, one per instance, got 2"):
        mat(tmp_path / "b", inst_map=ids, inst_type=types).parts("a")


def test_images_of_floats_up_to_one_are_refused(tmp_path):
    fold = tmp_path / "fold1"
    fold.mkdir()
    masks = np.zeros((1, 40, 40, 6))
    masks[0, 2:8, 2:8, 0] = 1
    np.save(fold / "images.npy", (IMAGE / 255)[None])
    np.save(fold / "masks.npy", masks)
    np.save(fold / "types.npy", np.array(["Breast"]))
    with pytest.raises(ValueError, match=r"images\.npy: patch 0: no value above 1 in floats"):
        open_records(tmp_path)[1][0]
    np.save(fold / "images.npy", IMAGE[None].astype(float))
    np.testing.assert_array_equal(open_records(tmp_path)[1][0].image, IMAGE)


def zarr_of(path, stored, classes=(1, 2, 3)):
    """An OME-Zarr of some ids, of which those of ``classes`` have one each: A, B, ..."""
    ome_zarr(path, [np.moveaxis(IMAGE, -1, 0)], labels={"instances": [stored]})
    named = [{"label-value": v, "class": "ABC"[i]} for i, v in enumerate(classes)]
    edit_metadata(
        path / "labels" / "instances" / ".zattrs",
        lambda content: content["image-label"].update(properties=named),
    )
    return OmeZarrDataset(path)


@pytest.mark.parametrize(
    ("third", "kind"),
    [(3, np.float64), (3, np.int8), (2_000_000_000, np.int64), (2**40, np.uint64)],
)
def test_ids_of_an_ome_zarr_are_read_as_those_of_any_label_image(tmp_path, third, kind):
    stored = three_nuclei(third=third).astype(kind)
    record = zarr_of(tmp_path / "a.zarr", stored, (1, 2, third))[0]
    np.testing.assert_array_equal(record.instances, three_nuclei())
    assert [record.classes.names[c] for c in record.layout.class_ids] == ["A", "B", "C"]


@pytest.mark.parametrize(("wrong", "shown"), [(-4, "-4"), (2.5, "2.5"), (np.nan, "nan")])
def test_what_is_no_id_in_an_ome_zarr_is_named(tmp_path, wrong, shown):
    stored = np.where(three_nuclei() == 3, wrong, three_nuclei())
    with pytest.raises(ValueError, match=rf"labels/instances: .*got {shown} at row 25, column 25"):
        zarr_of(tmp_path / "a.zarr", stored).parts("a")


def test_a_nucleus_without_a_class_in_an_ome_zarr_is_named_or_given_one(tmp_path):
    dataset = zarr_of(tmp_path / "a.zarr", three_nuclei(third=9), (1, 2))
    with pytest.raises(ValueError, match=r"labels/instances: instance 9 has no class"):
        dataset[0]
    _, dataset = open_records(tmp_path / "a.zarr", unclassified="drop")
    assert len(dataset[0].layout) == 2
