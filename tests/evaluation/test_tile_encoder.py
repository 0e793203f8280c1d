"""The tile encoder on made-up tiles: what its features are, its units, its crops, and a step by hand."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_cosynth.evaluation.encoders import encoder
from napari_cosynth.evaluation.encoders.damages import DAMAGES, damaged
from napari_cosynth.evaluation.encoders.encoder import (
    CELL,
    FEATURES,
    TileEncoder,
    encoder_features,
    load_encoders,
    save_encoders,
    train_encoder,
)
from nuclei import CLASSES, record

COLOURS = 6
SEEN = FEATURES - COLOURS


def fresh(classes: int = 4, seed: int = 0) -> TileEncoder:
    torch.manual_seed(seed)
    return TileEncoder(classes).eval().requires_grad_(False)


def test_its_levels_halve_and_its_heads_have_a_row_a_class_and_a_damage():
    model = fresh(5)
    features, logits, damages = model(torch.zeros(2, 3, 64, 96))
    assert FEATURES == 2 * (16 + 24 + 40 + 64) + 6
    assert features.shape == (2, FEATURES)
    assert logits.shape == (2, 5, 64 // CELL, 96 // CELL) and CELL == 16
    assert damages.shape == (2, DAMAGES)
    widths = (3, 16, 24, 40, 64)
    levels = sum(9 * a * b + b + 2 * b + 9 * b * b + b for a, b in pairwise(widths))
    heads = 64 * 5 + 5 + 288 * DAMAGES + DAMAGES
    assert sum(p.numel() for p in model.parameters()) == levels + heads


def test_features_are_means_and_deviations_of_levels_and_colours():
    """By plain numpy; patches of mean 0 and variance 1 go in, but faint ones stay faint."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 48, 3), np.uint8)
    images[1] = 127 + (images[1] > 127)  # grey levels that differ by one: fainter than 0.1
    images[2, ..., 1] = 255
    model = fresh()
    (found,) = encoder_features([model], images)
    assert found.shape == (3, FEATURES)
    x = images.transpose(0, 3, 1, 2) / 127.5 - 1
    mean, spread = x.mean((2, 3)), np.sqrt(x.var((2, 3)) + 1e-6).clip(0.1)
    np.testing.assert_allclose(found[:, SEEN:], np.concatenate([mean, spread], 1), atol=1e-5)
    assert (found[1, -3:] == pytest.approx(0.1)) and found[2, SEEN + 1] == pytest.approx(1)
    y = torch.from_numpy((x - mean[..., None, None]) / spread[..., None, None]).float()
    expected = []
    for level in model.levels:
        y = level(y)
        values = y.numpy().reshape(*y.shape[:2], -1).astype(np.float64)
        expected += [values.mean(-1), np.sqrt(values.var(-1) + 1e-6)]
    np.testing.assert_allclose(found[:, :SEEN], np.concatenate(expected, 1), atol=1e-4)


def test_batches_and_other_networks_change_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    models = [fresh(4, seed) for seed in (0, 1)]
    both = encoder_features(models, images, batch=2)
    assert len(both) == 2 and not np.allclose(*both)
    for model, found in zip(models, both, strict=True):
        np.testing.assert_allclose(found, encoder_features([model], images)[0], atol=1e-5)
    assert encoder_features(models, images[:0])[1].shape == (0, FEATURES)


@pytest.mark.parametrize("tiles", [2, 3, 9])
def test_units_are_what_tiles_differ_by(tiles, monkeypatch):
    """Of three tiles or more their means, of fewer their crops; each part whitened on its own."""
    records = []
    for seed in range(tiles):  # the more seldom red, the darker
        made = record(seed, (64, 80))
        shades = np.array([seed % 3 + 1, 1, 1], np.uint8)
        records.append(dataclasses.replace(made, image=made.image // shades))
    model = fresh()
    counts = []
    draw = encoder._draw
    monkeypatch.setattr(
        encoder, "_draw", lambda r, g, s, n: (counts.append(n), draw(r, g, s, n))[1]
    )
    encoder._set_units(model, records, np.random.default_rng(3), 48)
    # As many crops as make 400, from 4 to 32 of each tile.
    assert counts == [32] * tiles
    rng = np.random.default_rng(3)
    raw = [encoder_features([fresh()], draw([r], rng, 48, 32)[0])[0] for r in records]
    joint = np.concatenate(raw)
    spread = joint.std(0).clip(1e-4)
    np.testing.assert_allclose(model.mean, joint.mean(0), atol=1e-5)
    units = np.stack([v.mean(0) for v in raw]) if tiles > 2 else joint
    units = (units - joint.mean(0)) / spread
    whole = model.scale.numpy().astype(np.float64) * spread[:, None]
    assert not whole[:SEEN, SEEN:].any() and not whole[SEEN:, :SEEN].any()
    for part, weight in ((slice(0, SEEN), 1.0), (slice(SEEN, None), 5.0)):
        covariance = np.cov(units[:, part].T)
        shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / len(covariance) * np.eye(
            len(covariance)
        )
        root = whole[part, part]
        np.testing.assert_allclose(root, root.T, atol=1e-3 * np.abs(root).max())
        product = root @ shrunk @ root
        np.testing.assert_allclose(product, weight**2 * np.eye(len(product)), atol=2e-2)


def test_many_tiles_give_four_crops_each(monkeypatch):
    counts = []
    draw = encoder._draw
    monkeypatch.setattr(
        encoder, "_draw", lambda r, g, s, n: (counts.append(n), draw(r, g, s, n))[1]
    )
    encoder._set_units(fresh(), [record(0)] * 120, np.random.default_rng(0), 16)
    assert counts == [4] * 120
    counts.clear()
    encoder._set_units(fresh(), [record(0)] * 20, np.random.default_rng(0), 16)
    assert counts == [20] * 20


def test_crops_come_from_everywhere_in_all_eight_positions_with_their_labels():
    """Each pixel of the one tile tells its place."""
    image = np.zeros((20, 19, 3), np.uint8)
    image[..., 0], image[..., 1] = np.indices((20, 19))
    tile = dataclasses.replace(record(0, (20, 19)), image=image)
    images, labels = encoder._draw([tile], np.random.default_rng(0), 16, 1500)
    assert images.shape == (1500, 16, 16, 3) and labels.shape == (1500, 16, 16)
    seen = set()
    for image, label in zip(images, labels, strict=True):
        y, x = image[..., 0].astype(int), image[..., 1].astype(int)
        np.testing.assert_array_equal(label, tile.labels[y, x])
        seen.add((y.min(), x.min(), y[0, 0] - y.min(), x[0, 0] - x.min(), y[0, 0] == y[0, 1]))
    assert len(seen) == 5 * 4 * 8
    mixed, _ = encoder._draw([tile, record(1)], np.random.default_rng(0), 16, 50)
    assert 10 < sum(bool(image[..., 2].any()) for image in mixed) < 40


@pytest.mark.parametrize(
    "shape,side", [((300, 200), 96), ((96, 97), 96), ((95, 200), 80), ((16, 40), 16)]
)
def test_crops_are_whole_cells_and_at_most_six(shape, side):
    assert encoder._crop_side([record(0, (400, 400)), record(0, shape)]) == side


def test_a_tile_smaller_than_a_cell_is_refused():
    with pytest.raises(ValueError, match="tiles of at least 16 pixels, got 15"):
        encoder._crop_side([record(0, (40, 15))])


def test_training_is_the_loop_that_it_says():
    """Two steps written out: seeds, shares of 16 x 16 cells, losses 1 to 5, AdamW on one cycle."""
    records, steps, seed = [record(s, (48, 64)) for s in range(3)], 2, 7
    found = train_encoder(records, seed, steps=steps)
    assert not found.training and not any(p.requires_grad for p in found.parameters())
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = TileEncoder(4)
    begun = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        images, labels = encoder._draw(records, rng, 48, 8)
        shares = np.stack(
            [[(c == k).reshape(3, 16, 3, 16).mean((1, 3)) for k in range(4)] for c in labels]
        )
        nuclei = torch.from_numpy(labels > 0).float()[:, None]
        x = torch.from_numpy(images.transpose(0, 3, 1, 2) / 127.5 - 1).float()
        shown, amounts = damaged(x, nuclei, generator)
        _, logits, damages = model(shown)
        entropy = -(torch.from_numpy(shares) * F.log_softmax(logits, 1)).sum(1).mean()
        loss = entropy + 5 * ((damages - amounts) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
    for (name, ours), theirs, first in zip(
        found.named_parameters(), model.parameters(), begun, strict=True
    ):
        # A bias that batch norm takes away again has no gradient but that of rounding.
        if not name.endswith(".0.bias"):
            step = (theirs.detach() - first).abs().mean()
            assert (ours - theirs.detach()).abs().mean() < 0.02 * step, name


def test_files_say_what_they_were_trained_at(tmp_path):
    path = tmp_path / "tiles.safetensors"
    models = [fresh(4, seed) for seed in (0, 1)]
    save_encoders(models, CLASSES, 0.5, path)
    loaded = load_encoders(path, 0.5 + 5e-7)
    assert len(loaded) == 2 and not any(m.training for m in loaded)
    for model, again in zip(models, loaded, strict=True):
        for ours, theirs in zip(
            model.state_dict().values(), again.state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)
    assert not any(p.requires_grad for model in loaded for p in model.parameters())
    with pytest.raises(ValueError, match=r"mpp: trained at 0.5 µm/px, the images have 0.500002"):
        load_encoders(path, 0.500002)
    save_encoders([], CLASSES, 0.5, path)
    with pytest.raises(ValueError, match=r"networks: expected 1\.\.16, got 0"):
        load_encoders(path, 0.5)
