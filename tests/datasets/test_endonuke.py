"""EndoNuke's reader on a folder made in the published layout, and its watershed by hand."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from napari_cosynth.datasets.published.endonuke import (
    ENDONUKE_CLASSES,
    EndoNukeDataset,
    instances_from_keypoints,
    read_keypoints,
)
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.records.resample import resample
from published import GROUND, make_endonuke, save_image


@pytest.fixture
def folder(tmp_path):
    make_endonuke(tmp_path, tiles=3)
    return tmp_path


def test_tiles_of_every_size(folder):
    dataset = EndoNukeDataset(folder)
    assert dataset.names == ("0000", "0001", "0002")
    assert dataset.classes.names[1:] == ENDONUKE_CLASSES
    for record, side in zip(dataset, (200, 400, 256), strict=True):
        assert record.image.shape == (side, side, 3)
        assert record.mpp == 100 / side
        painted = (record.image[..., 0].astype(int) - 40) // 20
        inside = (record.image != GROUND).any(-1)
        assert np.array_equal(record.labels, np.where(inside, painted, 0))
        # As the paper has them: all rescaled to 256 x 256.
        assert resample(record, 100 / 256).image.shape == (256, 256, 3)
        names = [n for i, n in enumerate(ENDONUKE_CLASSES, 1) if i in record.layout.class_ids]
        assert prompt_for(record.layout, record.tissue, record.stain).startswith(
            "high-quality histopathology IHC-stained endometrium tissue image including nuclei "
            f"types of {names[0]}"
        )


def test_touching_nuclei_part_at_their_neck():
    y, x = np.indices((40, 60))
    mask = ((y - 20) ** 2 + (x - 18) ** 2 < 144) | ((y - 20) ** 2 + (x - 40) ** 2 < 144)
    keypoints = np.array([[22.0, 44.0], [17.0, 15.0]])  # neither at its nucleus' centre
    instances, unused = instances_from_keypoints(mask, keypoints)
    assert unused == []
    assert np.array_equal(instances > 0, mask)
    assert (instances[mask] == np.where(x[mask] > 29, 1, 2)).mean() > 0.98


def test_masks_and_keypoints_that_do_not_meet():
    mask = np.zeros((30, 30), bool)
    mask[3:9, 3:9] = mask[20:26, 20:26] = True
    keypoints = np.array([[5.0, 5.0], [5.0, 5.2], [28.0, 2.0]])
    instances, unused = instances_from_keypoints(mask, keypoints)
    assert set(np.unique(instances)) == {0, 1}  # the mask below has no point: no class, no nucleus
    assert unused == [1, 2]
    blank, unused = instances_from_keypoints(mask, np.zeros((0, 2)))
    assert blank.max() == 0
    assert unused == []


def test_a_pathologist_comes_first_and_bare_images_are_named(folder, caplog):
    other = folder / "labels" / "posterior" / "ptg1"
    other.mkdir(parents=True)
    (other / "0000.txt").write_text("3 4 2\n")
    save_image(folder / "images" / "0009.png", np.full((200, 200, 3), 255, np.uint8))
    with caplog.at_level(logging.INFO):
        dataset = EndoNukeDataset(folder)
        record = dataset[0]
    assert "1 of 4 images have no keypoints and are left out (0009, ...)" in caplog.text
    assert "0000.txt: 1 keypoints without a mask" in caplog.text
    assert len(record.layout) == 0
    assert len(dataset) == 3


def test_keypoints_as_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("10 4 0\n200 0 1\n\n 7.5\t9 2 \n")
    points, types = read_keypoints(path, (200, 200))
    assert points.tolist() == [[4, 10], [0, 199], [9, 7.5]]
    assert types.tolist() == [0, 1, 2]
    path.write_text("")
    assert read_keypoints(path, (200, 200))[0].shape == (0, 2)


@pytest.mark.parametrize(
    "text,message",
    [
        ("1 2", "line 1: expected 'x y class', got '1 2'"),
        ("1 2 0\n1,2,0", "line 2: expected 'x y class'"),
        ("1 2 3", "line 1: expected class 0, 1 or 2, got 3"),
        ("1 2 0.5", "line 1: expected class"),
        ("1 300 0", r"line 1: \(1, 300\) lies outside the tile of 200 x 200"),
        ("nan 3 0", "lies outside"),
        ("\udcff", "cannot be read as text"),
    ],
)
def test_a_bad_keypoint_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message) as error:
        read_keypoints(path, (200, 200))
    assert "a.txt" in str(error.value)


def test_bad_tiles_are_named(folder):
    save_image(folder / "masks" / "0000.png", np.zeros((200, 199), np.uint8))
    with pytest.raises(ValueError, match=r"0000\.png: expected a mask \(200, 200\)"):
        EndoNukeDataset(folder)[0]
    save_image(folder / "images" / "0000.png", np.zeros((200, 199, 3), np.uint8))
    with pytest.raises(ValueError, match=r"0000\.png: expected a square tile"):
        EndoNukeDataset(folder)[0]
    (folder / "masks" / "0001.png").unlink()
    with pytest.raises(ValueError, match="masks: no mask for '0001'"):
        EndoNukeDataset(folder)
    with pytest.raises(ValueError, match="no such folder"):
        EndoNukeDataset(folder / "labels")
