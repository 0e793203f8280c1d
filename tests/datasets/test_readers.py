"""Readers on files made in exactly their layout, and on the real tiles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.io import savemat
from skimage.io import imsave

from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.datasets.published.consep import ConsepDataset


@pytest.fixture
def consep_folder(tmp_path):
    image = np.full((40, 50, 3), 200, np.uint8)
    instances = np.zeros((40, 50), np.int32)
    instances[2:10, 2:10], instances[20:30, 20:32] = 5, 300
    (tmp_path / "Images").mkdir()
    (tmp_path / "Labels").mkdir()
    imsave(tmp_path / "Images" / "t_1.png", image, check_contrast=False)
    savemat(
        tmp_path / "Labels" / "t_1.mat",
        {"inst_map": instances, "inst_type": np.array([[2], [7]], np.uint8)},
    )
    return tmp_path


def test_consep_types_follow_the_sorted_ids(consep_folder):
    (record,) = ConsepDataset(consep_folder)
    assert record.labels[5, 5] == 2
    assert record.labels[25, 25] == 7
    assert record.layout.class_ids.tolist() == [2, 7]
    np.testing.assert_allclose(record.layout.centroids, [[5.5, 5.5], [24.5, 25.5]])
    assert (record.mpp, record.tissue) == (0.25, "colon")


@pytest.mark.parametrize(
    "content,message",
    [
        ({"inst_map": np.ones((40, 50), np.int32)}, "inst_type"),
        ({"inst_map": np.ones((40, 50)), "inst_type": np.array([[1], [2]])}, "expected 1 classes"),
        ({"inst_map": np.ones((40, 50)), "inst_type": np.array([[9]])}, r"expected 0\.\.7"),
        ({"other": 1}, "inst_map"),
        ({"inst_map": np.ones((30, 50)), "inst_type": np.array([[1]])}, "differ in shape"),
    ],
)
def test_a_bad_mat_names_file_and_field(consep_folder, content, message):
    savemat(consep_folder / "Labels" / "t_1.mat", content)
    with pytest.raises(ValueError, match=message) as error:
        ConsepDataset(consep_folder)[0]
    assert "t_1" in str(error.value)


def test_a_damaged_mat_is_named(consep_folder):
    (consep_folder / "Labels" / "t_1.mat").write_bytes(b"\x00garbage")
    with pytest.raises(ValueError, match=r"t_1\.mat"):
        ConsepDataset(consep_folder)[0]


def test_an_unknown_tile_in_a_split_is_an_error(consep_folder):
    with pytest.raises(ValueError, match="no tile named 't_9'"):
        ConsepDataset(consep_folder, without=["t_9"])


def test_folder_with_tissues(tmp_path):
    for kind in ("images", "instances"):
        (tmp_path / kind).mkdir()
    ids = np.zeros((30, 30), np.uint16)
    ids[3:9, 3:9] = 700
    imsave(tmp_path / "images" / "a.png", np.full((30, 30, 3), 9, np.uint8), check_contrast=False)
    imsave(tmp_path / "instances" / "a.png", ids, check_contrast=False)
    (tmp_path / "organs.json").write_text(json.dumps({"a": "kidney"}))
    dataset = FolderDataset(tmp_path, tissues="organs.json")
    assert dataset.tissues == ("kidney",)
    assert dataset[0].layout.class_ids.tolist() == [1]
    assert dataset[0].classes.names == ("background", "unspecified")
    (tmp_path / "organs.json").write_text("{}")
    with pytest.raises(ValueError, match=r"organs\.json: no tissue for 'a'"):
        FolderDataset(tmp_path, tissues="organs.json")


def test_real_counts(data_root):
    """The counts that the data's own page gives."""
    consep = ConsepDataset(data_root / "consep/train", only=["train_1", "train_2"])
    for record in consep:
        assert record.image.shape == (1000, 1000, 3)
        assert np.array_equal(record.labels > 0, record.instances > 0)
    monuseg = FolderDataset(data_root / "monuseg/train", tissues="organs.json")
    assert len(monuseg) == 30
    assert "kidney" in monuseg.tissues
    assert len(FolderDataset(data_root / "tnbc", tissue="breast")) == 50
