"""EndoNuke as its authors' archive and their generate_masks have it, made here by the same calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.datasets.formats import formats_of
from napari_cosynth.datasets.published.endonuke import EndoNukeDataset
from napari_cosynth.datasets.published.endonuke_masks import instances_of_masks
from published import make_endonuke, save_image


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return as_published(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def data(archive: Path, tmp_path: Path) -> Path:
    """The archive, for a test to change."""
    return Path(shutil.copytree(archive, tmp_path / "data"))


def as_published(root: Path) -> Path:
    """``data/dataset`` with lists and master files, ``data/masks/masks_*/masks/NAME.npz``."""
    dataset = root / "data" / "dataset"
    make_endonuke(dataset, tiles=2)
    for name in ("images_context", "metadata"):
        (dataset / name).mkdir()
    lists = dataset / "files_lists" / "bulk" / "ptg2"
    lists.mkdir(parents=True)
    (lists / "labels.txt").write_text("../../../labels/bulk/ptg2/0001.txt\n")
    (root / "data" / "master_ymls").mkdir()
    coarse = EndoNukeDataset(dataset)
    for number, name in enumerate(coarse.names):
        # Rows in the order of the keypoint file, each mask in the whole tile, one pixel fat.
        instances = coarse.parts(name).instances
        text = next((dataset / "labels").rglob(f"{name}.txt")).read_text().split("\n")
        rows = [line.split() for line in text if line]
        masks = np.stack([instances == i + 1 for i in range(len(rows))])
        fat = masks | np.roll(masks, 1, 1) if number else masks
        arrays = {"masks": fat, "classes": np.array([int(r[2]) for r in rows])}
        for kind in ("masks_full", "masks_probes"):
            place = root / "data" / "masks" / kind / "masks"
            place.mkdir(parents=True, exist_ok=True)
            shown = fat if kind == "masks_full" else masks & False
            np.savez_compressed(place / f"{name}.npz", **{**arrays, "masks": shown})
        (root / "data" / "masks" / "masks_full" / "unique_with_masks.yml").write_text("{}\n")
    shutil.rmtree(dataset / "masks")
    return root / "data"


@pytest.mark.parametrize("named", [".", "dataset"])
def test_the_archive_as_it_is_unpacked(archive, tmp_path, named):
    make_endonuke(tmp_path / "plain", tiles=2)
    plain, data = EndoNukeDataset(tmp_path / "plain"), archive
    assert formats_of(data / named) == ("endonuke",)
    found = EndoNukeDataset(data / named)
    assert found.names == plain.names
    first, expected = found[0], plain[0]
    assert first.mpp == 0.5
    assert np.array_equal(first.labels, expected.labels)
    assert np.array_equal(first.instances > 0, expected.instances > 0)
    assert len(first.layout) == len(expected.layout) > 1
    # Fatter masks overlap: each pixel is one nucleus', and none is lost.
    assert found[1].instances.astype(bool).sum() > plain[1].instances.astype(bool).sum()
    probes = EndoNukeDataset(data / named, masks="masks/masks_probes")
    assert len(probes[0].layout) == 0


def test_masks_beside_the_keypoint_files(data):
    for text in (data / "dataset" / "labels").rglob("*.txt"):
        source = data / "masks" / "masks_full" / "masks" / f"{text.stem}.npz"
        shutil.copy(source, text.with_suffix(".npz"))
    whole = [EndoNukeDataset(data)[i].instances for i in (0, 1)]
    shutil.rmtree(data / "masks")
    assert formats_of(data) == ("endonuke",)
    for index, before in enumerate(whole):
        assert np.array_equal(EndoNukeDataset(data)[index].instances, before)


def test_a_pixel_of_two_masks_goes_to_the_nearer_keypoint():
    masks = np.zeros((3, 5, 9), bool)
    masks[0, 1:4, :6] = masks[1, 1:4, 3:] = True
    instances, unused = instances_of_masks(masks, np.array([[2.0, 1.0], [2.0, 6.0], [0.0, 0.0]]))
    assert instances[2].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert unused == [2]


def test_a_tile_without_keypoints(data):
    save_image(data / "dataset" / "images" / "0007.png", np.full((200, 200, 3), 240, np.uint8))
    (data / "dataset" / "labels" / "bulk" / "ptg2" / "0007.txt").write_text("")
    masks = data / "masks" / "masks_full" / "masks" / "0007.npz"
    np.savez(masks, masks=np.zeros((1, 200, 200), bool), classes=np.zeros(0, int))
    assert len(EndoNukeDataset(data, only=["0007"])[0].layout) == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"masks": np.zeros((1, 200, 200), bool)}, "holds no array"),
        ({"masks": np.zeros((1, 9, 9), bool), "classes": np.zeros(1, int)}, "classes: expected"),
        ({"masks": np.array([{}]), "classes": None}, "masks: expected|cannot be read as masks"),
    ],
)
def test_bad_masks_name_their_file(data, arrays, message):
    path = data / "masks" / "masks_full" / "masks" / "0000.npz"
    classes = np.load(path)["classes"]
    arrays = {k: classes if v is None else v for k, v in arrays.items()}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as error:
        EndoNukeDataset(data)[0]
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(ValueError, match="cannot be read as masks"):
        EndoNukeDataset(data)[0]


def test_the_archive_alone_says_what_is_missing(data):
    shutil.rmtree(data / "masks")
    with pytest.raises(ValueError, match="masks: no such folder; the authors' generate_masks"):
        EndoNukeDataset(data)


def test_anyones_keypoints_come_after_a_pathologists(data):
    other = data / "dataset" / "labels" / "agreement" / "posterior" / "anyone"
    other.mkdir(parents=True)
    (other / "0001.txt").write_text("3 4 2\n")
    assert len(EndoNukeDataset(data)[1].layout) > 1
