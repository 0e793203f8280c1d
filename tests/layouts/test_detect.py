import numpy as np
import pytest
from skimage.draw import disk

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.layouts.sources.detect import detect_nuclei

CENTRES = np.array([(30, 40), (30, 90), (80, 50), (120, 110), (10, 140)])


def picture(mpp):
    """Nuclei of 3 µm's radius on eosin."""
    factor = 0.5 / mpp
    image = np.full((round(150 * factor), round(160 * factor), 3), (230, 190, 215), np.uint8)
    for centre in (CENTRES + 0.5) * factor - 0.5:
        image[disk(centre, 6 * factor)] = (90, 70, 140)
    return image


@pytest.mark.parametrize("mpp", [0.25, 0.33, 0.5, 1.0])
def test_nuclei_are_found_where_they_are_at_any_mpp(mpp):
    found = detect_nuclei(picture(mpp), mpp)
    wanted = (CENTRES + 0.5) * 0.5 / mpp - 0.5
    assert len(found) == len(CENTRES)
    away = np.linalg.norm(found[:, None] - wanted[None], axis=2).min(0)
    assert (away * mpp).max() < 0.6  # µm


@pytest.mark.parametrize("value", [0, 128, 240, 255])
def test_nothing_is_found_where_nothing_is(value):
    rng = np.random.default_rng(0)
    image = np.full((128, 128, 3), value, np.uint8)
    assert len(detect_nuclei(image, 0.5)) == 0
    noisy = (image + rng.normal(0, 2, image.shape)).clip(0, 255).astype(np.uint8)
    assert value < 240 or len(detect_nuclei(noisy, 0.5)) == 0
    assert detect_nuclei(np.zeros((1, 1, 3), np.uint8), 0.5).shape == (0, 2)


def test_refusals():
    with pytest.raises(ValueError, match=r"image: expected uint8 \(H, W, 3\)"):
        detect_nuclei(np.zeros((8, 8), np.uint8), 0.5)
    with pytest.raises(ValueError, match=r"mpp: expected 0\.05 to 2 µm/px"):
        detect_nuclei(np.zeros((8, 8, 3), np.uint8), 40.0)


@pytest.mark.parametrize(
    ("tile", "precision", "recall"), [("train_6", 0.8, 0.5), ("train_12", 0.3, 0.5)]
)
def test_nuclei_of_real_tiles(data_root, tile, precision, recall):
    """Loosely; docs/results/detector.md has the figures. ``train_12`` has a margin of blue ink."""
    record = ConsepDataset(data_root / "consep" / "train", only=[tile])[0]
    found = detect_nuclei(record.image, record.mpp)
    ids = record.instances[tuple(np.round(found).astype(int).clip(0, 999).T)]
    assert np.mean(ids > 0) > precision
    assert len(np.unique(ids[ids > 0])) > recall * len(record.layout)
