"""Packed data sets: the same records and batches as the data they were made of; damage is named."""

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pytest

from napari_cosynth.datasets.packed import PackedDataset, write_packed
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable

CLASSES = ClassTable.of("a", "b")


@pytest.fixture
def records():
    rng = np.random.default_rng(0)
    made = []
    for i in range(4):
        ids = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 10 + i), int)).astype(np.int32)
        ids[::8] = 0
        ids[:, :: 10 + i] = 0
        labels = np.where(ids > 0, 1 + ids % 2, 0).astype(np.uint8)
        image = rng.integers(0, 255, (*ids.shape, 3), np.uint8)
        record = make_record(image, ids, labels, CLASSES, 0.5, ["colon", "breast"][i % 2], f"r{i}")
        made.append(
            ("one" if i < 3 else "two", f"tile {i}", dataclasses.replace(record, stain="P"))
        )
    return made


def test_there_and_back_in_shards(records, tmp_path):
    paths = write_packed(tmp_path, records, CLASSES, 0.5, 12_000)
    assert len(paths) > 1
    assert max(p.stat().st_size for p in paths) <= 12_000
    dataset = PackedDataset(tmp_path, part="one")
    assert dataset.names == ("tile 0", "tile 1", "tile 2")
    assert dataset.tissues == ("breast", "colon")
    for (_, _, before), after in zip(records, PackedDataset(tmp_path), strict=True):
        for name in ("image", "instances", "labels", "distance"):
            assert np.array_equal(getattr(before, name), getattr(after, name))
        assert np.array_equal(before.layout.centroids, after.layout.centroids)
        assert np.array_equal(before.layout.class_ids, after.layout.class_ids)
        assert (before.classes, before.mpp) == (after.classes, after.mpp)
        assert (before.tissue, before.stain) == (after.tissue, after.stain)
    assert PackedDataset(tmp_path, only=["tile 3"]).names == ("tile 3",)
    with pytest.raises(ValueError, match="no tile named 'tile 3'"):
        PackedDataset(tmp_path, part="one", without=["tile 3"])


def test_one_file_without_a_limit(records, tmp_path):
    assert len(write_packed(tmp_path, records, CLASSES, 0.5, None)) == 1
    with pytest.raises(ValueError, match="r0: needs"):
        write_packed(tmp_path, records, CLASSES, 0.5, 1000)


def rewritten(path, name, content):
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("index.json", b"{", r"index\.json: cannot be read"),
        ("index.json", b'{"classes": 1}', r"index\.json: classes"),
        ("0/image.png", b"no PNG", r"0/image\.png: cannot be read"),
    ],
)
def test_damage_names_file_and_member(records, tmp_path, name, content, message):
    (path,) = write_packed(tmp_path, records, CLASSES, 0.5, None)
    rewritten(path, name, content)
    with pytest.raises(ValueError, match=message) as error:
        list(PackedDataset(tmp_path))
    assert "records-000.zip" in str(error.value)


def test_no_zip_and_no_part(records, tmp_path):
    with pytest.raises(ValueError, match="no records"):
        PackedDataset(tmp_path)
    write_packed(tmp_path, records, CLASSES, 0.5, None)
    (tmp_path / "records-001.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"records-001\.zip: index\.json: cannot be read"):
        PackedDataset(tmp_path)
    (tmp_path / "records-001.zip").unlink()
    with pytest.raises(ValueError, match="no records of 'three'"):
        PackedDataset(tmp_path, part="three")
