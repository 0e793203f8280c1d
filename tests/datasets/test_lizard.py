"""Lizard's reader on archives made in exactly the published layout."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.io import savemat
from skimage.io import imsave

from napari_cosynth.datasets.published.lizard import LIZARD_CLASSES, LizardDataset
from published import make_lizard


@pytest.fixture
def folder(tmp_path):
    make_lizard(tmp_path, tiles=2, side=120)
    return tmp_path


def test_classes_follow_the_ids_in_their_own_order(folder):
    """``id`` is shuffled in the made files, as it may be in the published ones."""
    dataset = LizardDataset(folder)
    assert dataset.names == ("consep_1", "glas_1")
    assert dataset.classes.names[1:] == LIZARD_CLASSES
    for record in dataset:
        assert (record.mpp, record.tissue, record.stain) == (0.5, "colon", "H&E")
        assert len(record.layout) > 3
        # The maker paints a nucleus of class c in grey 40 + 20 c.
        painted = (record.image[..., 0].astype(int) - 40) // 20
        assert np.array_equal(record.labels[record.labels > 0], painted[record.labels > 0])


def test_ids_need_not_be_consecutive(tmp_path):
    make_lizard(tmp_path, tiles=1, side=64)
    instances = np.zeros((64, 64), np.int32)
    instances[3:9, 3:9], instances[30:40, 30:40] = 70000, 2
    content = {"inst_map": instances, "id": [[9], [70000], [2]], "class": [[3], [6], [1]]}
    savemat(tmp_path / "Lizard_Labels/Labels/consep_1.mat", content)
    (record,) = LizardDataset(tmp_path)
    assert record.labels[5, 5] == 6
    assert record.labels[35, 35] == 1
    np.testing.assert_allclose(record.layout.centroids, [[5.5, 5.5], [34.5, 34.5]])


def test_no_nuclei(tmp_path):
    make_lizard(tmp_path, tiles=1, side=64)
    empty = {"inst_map": np.zeros((64, 64)), "id": np.zeros((0, 1)), "class": np.zeros((0, 1))}
    savemat(tmp_path / "Lizard_Labels/Labels/consep_1.mat", empty)
    (record,) = LizardDataset(tmp_path)
    assert len(record.layout) == 0


ONE = {"inst_map": np.ones((120, 120), np.int32), "id": [[1]], "class": [[2]]}


@pytest.mark.parametrize(
    "change,message",
    [
        ({"class": None}, "expected 'inst_type', 'class' or 'type_map'"),
        ({"class": [[7]]}, r"classes: expected 0\.\.6, got 0\.\.7"),
        ({"class": [[0]]}, "instance 1 has no class"),
        ({"class": [[1], [2]]}, "class: expected 1 classes, one per instance, got 2"),
        ({"class": [[1.5]]}, "class: expected whole numbers"),
        ({"class": ["epithelial"]}, "class: expected whole numbers"),
        ({"id": [[3]]}, "id: nucleus 1 of inst_map is not among them"),
        ({"id": [[1], [1]], "class": [[1], [1]]}, "id: expected distinct"),
        ({"id": [[1e12]]}, "id: nucleus 1 of inst_map is not among them"),
        ({"id": [[1e30]]}, "id: expected whole numbers, got one beyond 64 bits"),
        (
            {"inst_map": -np.ones((120, 120))},
            "inst_map: expected whole numbers of 0 or more as ids, got -1 at row 0, column 0",
        ),
        ({"inst_map": np.ones((120, 110))}, "differ in shape"),
    ],
)
def test_a_bad_label_names_file_and_field(folder, change, message):
    content = {k: v for k, v in {**ONE, **change}.items() if v is not None}
    savemat(folder / "Lizard_Labels/Labels/glas_1.mat", content)
    dataset = LizardDataset(folder, only=["glas_1"])
    with pytest.raises(ValueError, match=message) as error:
        dataset[0]
    assert "glas_1" in str(error.value)


def test_images_and_labels_have_to_meet(folder, caplog):
    overlay = folder / "Overlay"
    overlay.mkdir()
    imsave(overlay / "consep_1.png", np.zeros((9, 9, 3), np.uint8), check_contrast=False)
    assert len(LizardDataset(folder)) == 2
    (folder / "Lizard_Images2/Lizard_Images2/glas_1.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert LizardDataset(folder).names == ("consep_1",)
    assert "1 of 2 labels have no image (glas_1, ...)" in caplog.text
    (folder / "Lizard_Labels/Labels/consep_1.mat").unlink()
    with pytest.raises(ValueError, match=r"no consep_1\.mat belongs to it"):
        LizardDataset(folder)
    with pytest.raises(ValueError, match=r"no files \(\.mat\) in it"):
        LizardDataset(folder / "Lizard_Images1")
    with pytest.raises(ValueError, match="no such folder"):
        LizardDataset(folder / "nowhere")
