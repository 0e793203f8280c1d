"""PanNuke's reader on folds made in the published layout, and on the shared sample of real patches."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.datasets.published.pannuke import PANNUKE_CLASSES, PanNukeDataset, tissue_name
from published import GROUND, make_pannuke


@pytest.mark.parametrize("floats", [True, False])
def test_folds_as_published(tmp_path, floats):
    make_pannuke(tmp_path, patches=3, folds=2, floats=floats)
    dataset = PanNukeDataset(tmp_path)
    assert dataset.classes.names[1:] == PANNUKE_CLASSES
    assert dataset.names[:4] == ("fold1_00000", "fold1_00001", "fold1_00002", "fold2_00000")
    assert dataset.tissues == ("adrenal gland", "breast", "head and neck")
    for record in dataset:
        assert (record.mpp, record.image.shape) == (0.25, (256, 256, 3))
        painted = (record.image[..., 0].astype(int) - 40) // 20
        inside = (record.image != GROUND).any(-1)
        assert np.array_equal(record.labels, np.where(inside, painted, 0))
        # Ids begin at 1 in every channel of the files; no two nuclei may share one here.
        assert len(record.layout) == len(np.unique(record.instances)) - 1 > 20
    chosen = PanNukeDataset(tmp_path, only=["fold2_00001"])
    assert chosen[0].tissue == "adrenal gland"
    assert chosen.tissues == ("adrenal gland",)
    assert "images.npy: patch 1" in chosen[0].source


def test_folds_in_one_folder_each(tmp_path):
    make_pannuke(tmp_path / "deep", patches=2, folds=1, floats=False)
    flat = tmp_path / "fold1"
    flat.mkdir()
    for path in (tmp_path / "deep").rglob("*.npy"):
        path.rename(flat / path.name)
    (record, _) = PanNukeDataset(tmp_path)
    assert len(record.layout) > 20
    assert PanNukeDataset(flat).names == ("fold1_00000", "fold1_00001")


def test_real_patches(data_root):
    """The shared sample: the counts that came with it, class by class, and its tissues."""
    import csv

    root = data_root / "pannuke_sample"
    dataset = PanNukeDataset(root)
    assert len(dataset) == 15
    with (root / "cell_count.csv").open() as handle:
        counts = {row["image"]: row for row in csv.DictReader(handle)}
    ids = 0
    for record in dataset:
        raw = np.load(root / "labels" / Path(record.source).with_suffix(".npy").name)
        ids += len(np.unique(raw[0])) - 1
        assert np.array_equal(record.labels, raw[1])
        row = counts[Path(record.source).name]
        for index, name in enumerate(PANNUKE_CLASSES, start=1):
            # A nucleus in two pieces counts as two here.
            published = int(row[name.capitalize()])
            assert published <= (record.layout.class_ids == index).sum() <= published + 3
    assert ids == 328
    assert "breast" in dataset.tissues


def test_tissue_names_read_as_words():
    published = ["Adrenal_gland", "Bile-duct", "Breast", "HeadNeck", "Ovarian"]
    assert [tissue_name(n) for n in published] == [
        "adrenal gland",
        "bile duct",
        "breast",
        "head and neck",
        "ovarian",
    ]


def resident() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_reading_a_fold_larger_than_memory_keeps_little_of_it(tmp_path):
    """1,000 patches, 4.7 GB on paper and next to nothing on disk: holes read as zeros."""
    for name, channels in (("images", 3), ("masks", 6)):
        shape = (1000, 256, 256, channels)
        np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", np.float64, shape)
    np.save(tmp_path / "types.npy", np.full(1000, "Colon"))
    dataset = PanNukeDataset(tmp_path)
    dataset[0]
    before = resident()
    for index in range(0, 1000, 25):  # 40 patches of 4.7 MB
        assert len(dataset[index].layout) == 0
    assert resident() - before < 60e6


def damage(root: Path, name: str, change) -> None:
    (path,) = root.rglob(f"{name}.npy")
    array = np.load(path)
    np.save(path, change(array), allow_pickle=True)


@pytest.mark.parametrize(
    "name,change,message",
    [
        ("images", lambda a: a[..., 0], r"images\.npy: expected \(N, H, W, 3\)"),
        ("images", lambda a: a * 2.0, r"images\.npy: patch 0: expected values in 0\.\.255"),
        ("images", lambda a: a * np.nan, r"images\.npy: patch 0: expected values in 0\.\.255"),
        ("masks", lambda a: a[..., :5], r"masks\.npy: expected \(2, 256, 256, 6\)"),
        (
            "masks",
            lambda a: a + 0.4,
            r"masks\.npy: patch 0: expected whole numbers of 0 or more as ids",
        ),
        (
            "masks",
            lambda a: a - 1,
            r"masks\.npy: patch 0: expected whole numbers of 0 or more as ids",
        ),
        ("types", lambda a: a[:1], r"types\.npy: expected 2 tissue names"),
        ("types", lambda a: np.arange(2), r"types\.npy: expected 2 tissue names"),
        ("types", lambda a: a.view(a.dtype.newbyteorder()), r"types\.npy: .* no characters"),
        ("types", lambda a: (a.view("u4") | 2**30).view(a.dtype), r"types\.npy: expected text"),
        ("types", lambda a: a.astype(object), r"types\.npy: cannot be read as a plain"),
    ],
)
def test_a_bad_array_is_named(tmp_path, name, change, message):
    make_pannuke(tmp_path, patches=2, folds=1, floats=True)
    damage(tmp_path, name, change)
    with pytest.raises(ValueError, match=message):
        PanNukeDataset(tmp_path)[0]


def test_what_is_missing_is_named(tmp_path):
    make_pannuke(tmp_path, patches=1, folds=1, floats=False)
    (tmp_path / "Fold 1/masks/fold1/masks.npy").unlink()
    with pytest.raises(ValueError, match=r"masks\.npy: no such file"):
        PanNukeDataset(tmp_path)
    (tmp_path / "Fold 1/images/fold1/images.npy").write_bytes(b"\x93NUMPY garbage")
    with pytest.raises(ValueError, match=r"images\.npy: .*cannot be read|images\.npy: no|masks"):
        PanNukeDataset(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="images: no such folder"):
        PanNukeDataset(tmp_path / "empty")


@pytest.fixture
def patches(tmp_path):
    """One file per patch."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    imsave(tmp_path / "images/2_1.png", np.full((32, 32, 3), 99, np.uint8), check_contrast=False)
    both = np.zeros((2, 32, 32), np.int32)
    both[:, 4:9, 4:9] = np.array([7, 5])[:, None, None]
    np.save(tmp_path / "labels/2_1.npy", both)
    (tmp_path / "types.csv").write_text("image,tissue_type\n2_1.png,HeadNeck\n")
    return tmp_path


def test_patches_as_files(patches):
    (record,) = PanNukeDataset(patches)
    assert record.tissue == "head and neck"
    assert record.layout.class_ids.tolist() == [5]


@pytest.mark.parametrize(
    "file,content,message",
    [
        ("types.csv", "image,tissue_type\n", "no tissue for '2_1'"),
        ("types.csv", "image,organ\n2_1.png,Colon\n", "no column 'tissue_type'"),
        ("labels/2_1.npy", np.zeros((32, 32), np.int32), r"expected integers \(2, H, W\)"),
        ("labels/2_1.npy", np.full((2, 32, 32), 6), r"classes 0\.\.5"),
        ("labels/2_1.npy", np.zeros((2, 31, 32), np.int32), "differ in shape"),
        ("labels/2_1.npy", {"inst_map": 1}, "cannot be read as a plain"),
    ],
)
def test_a_bad_patch_is_named(patches, file, content, message):
    if isinstance(content, str):
        (patches / file).write_text(content)
    else:
        np.save(patches / file, content, allow_pickle=True)
    with pytest.raises(ValueError, match=message) as error:
        PanNukeDataset(patches)[0]
    assert "2_1" in str(error.value) or "types.csv" in str(error.value)
