"""Diversity and memorisation by hand; the tile encoder on made-up and on real tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.evaluation.encoders.encoder import (
    FEATURES,
    digest,
    encoder_features,
    load_encoders,
    save_encoders,
    train_encoder,
)
from napari_cosynth.evaluation.metrics import memorisation
from napari_cosynth.evaluation.metrics.distances import frechet_distance, kernel_distance
from napari_cosynth.evaluation.metrics.diversity import (
    label_dice,
    pairwise_distance,
    pairwise_label_dice,
)
from napari_cosynth.evaluation.metrics.memorisation import closeness, nearest_distances
from napari_cosynth.records.base import crop
from napari_cosynth.records.resample import resample


def test_label_dice_by_hand():
    a, b = np.array([[0, 1, 1, 2]], np.uint8), np.array([[1, 1, 2, 2]], np.uint8)
    assert label_dice(a, b) == pytest.approx(2 * 2 / (3 + 4))
    assert np.isnan(label_dice(a * 0, a * 0))
    assert pairwise_label_dice([a, a, b]) == pytest.approx((1 + 4 / 7 + 4 / 7) / 3)
    assert np.isnan(pairwise_label_dice([a]))
    assert pairwise_distance(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3)


def test_copies_are_seen():
    rng = np.random.default_rng(0)
    training, unseen = rng.normal(size=(200, 4)), rng.normal(size=(1000, 4))
    away = np.linalg.norm(unseen[:, None] - training, axis=-1).min(1)
    usual = nearest_distances(unseen, training)
    np.testing.assert_allclose(usual, away)
    copies = nearest_distances(training[:50] + 1e-3, training)
    assert closeness(copies, usual)["median ratio"] < 0.01
    assert closeness(copies, usual)["closer than the closest 5 % of unseen"] == 1
    fresh = closeness(nearest_distances(rng.normal(size=(1000, 4)), training), usual)
    assert 0.8 < fresh["median ratio"] < 1.2
    assert np.isnan(closeness(usual[:0], usual)["median ratio"])


@pytest.fixture(scope="module")
def tiles(data_root):
    names = ["train_1", "train_15"]
    return [resample(t, 0.5) for t in ConsepDataset(data_root / "consep/train", only=names)]


def test_the_tile_encoder_tells_ruined_patches_from_real_ones(tiles, tmp_path):
    model = train_encoder(tiles, seed=3, steps=80)
    short = [train_encoder(tiles, seed=4, steps=3) for _ in range(2)]
    corners = range(0, 401, 100)
    patches = [crop(t, y, x, 96, 96) for t in tiles for y in corners for x in corners]
    images = np.stack([p.image for p in patches])
    (features,) = encoder_features([model], images)
    assert features.shape == (50, FEATURES) and np.isfinite(features).all()
    np.testing.assert_array_equal(*encoder_features(short, images))

    real, other = features[::2], features[1::2]
    rng = np.random.default_rng(0)
    noisy = (images + rng.normal(0, 40, images.shape)).clip(0, 255).astype(np.uint8)
    blue = images.copy()
    blue[..., 0] //= 2
    for ruined in (noisy, blue):
        (found,) = encoder_features([model], ruined[1::2])
        for distance in (kernel_distance, frechet_distance):
            assert distance(real, found) > 2 * abs(distance(real, other))

    path = tmp_path / "tiles.safetensors"
    save_encoders([short[0], model], tiles[0].classes, 0.5, path)
    loaded = load_encoders(path, 0.5)
    np.testing.assert_array_equal(encoder_features(loaded, images)[1], features)
    assert digest(loaded, tiles[0].classes, 0.5) == digest([short[1], model], tiles[0].classes, 0.5)
    with pytest.raises(ValueError, match=r"tiles.safetensors: mpp: trained at 0.5 µm/px"):
        load_encoders(path, 0.25)


def test_files_that_are_no_encoder(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match=r"x.safetensors: cannot be read as a tile encoder"):
        load_encoders(path, 0.5)
    torch.save({}, path)
    with pytest.raises(ValueError, match=r"x.safetensors: cannot be read as a tile encoder"):
        load_encoders(path, 0.5)


def test_samples_like_unseen_ones_count_as_such_whatever_their_numbers():
    rng = np.random.default_rng(0)
    found = [
        closeness(rng.gamma(3, size=made), rng.gamma(3, size=unseen))
        for made, unseen in ((7, 39), (60, 19))
        for _ in range(2000)
    ]
    for name in (memorisation.NEARER, memorisation.CLOSER):
        for half in (found[:2000], found[2000:]):
            mean = np.mean([f[name] for f in half])
            assert mean == pytest.approx(memorisation.USUAL[name], rel=0.12)


def test_a_tie_counts_half():
    assert closeness(np.ones(3), np.ones(5))[memorisation.NEARER] == 0.5
    assert closeness(np.zeros(3), np.ones(5))[memorisation.NEARER] == 1
    # 2 lies nearer than 3 and 4, farther than 1: two pairs of three.
    assert closeness(np.array([2.0]), np.array([1.0, 3, 4]))[memorisation.NEARER] == pytest.approx(
        2 / 3
    )
