"""Training a tiny HoVer-Net: it learns two tiles, resumes to the same weights, saves and loads."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_cosynth.evaluation.metrics.bootstrap import weighted_sum
from napari_cosynth.evaluation.reports.scores import measures, score
from napari_cosynth.records.base import make_record
from napari_cosynth.segmenter.checkpoint import load_segmenter, pixels_digest, save_segmenter
from napari_cosynth.segmenter.predict import segment
from napari_cosynth.training.segmenter import PatchStream, SegmenterSettings, train_segmenter
from napari_cosynth.types import ClassTable, Record
from published import paint

TABLE = ClassTable.of("a", "b")
TINY = {
    "preset": "compact",
    "stem": 8,
    "widths": [16, 16, 24, 24],
    "units": [1, 1, 1, 1],
    "dense_units": [1, 1],
}


def tile(seed: int) -> Record:
    image, instances, types, _ = paint(96, 2, np.random.default_rng(seed))
    labels = np.concatenate([[0], types]).astype(np.uint8)[instances]
    return make_record(image, instances, labels, TABLE, 0.5, source=f"x/{seed}.png", smallest=6)


@pytest.fixture(scope="module")
def tiles() -> list[Record]:
    return [tile(0), tile(1)]


def test_it_learns_its_tiles(tiles, tmp_path, losses):
    settings = SegmenterSettings(network=TINY, steps=80, batch=4, crop=64, lr=1e-2)
    digests = {"0.png": pixels_digest(tiles[0].image)}
    folder = train_segmenter(
        [(tiles, 1.0)],
        settings,
        tmp_path,
        augmented=False,
        device="cpu",
        progress=False,
        tiles=digests,
    )
    course = list(losses(tmp_path, "loss").values())
    assert course[-1] < 0.5 * course[0]
    segmenter = load_segmenter(folder)
    assert segmenter.description.tiles == digests
    assert segmenter.description.class_names == TABLE.names
    scores = [score(t, *segment(segmenter.network, t.image, 0.5)) for t in tiles]
    found = measures(weighted_sum(scores, np.ones((1, 2))), TABLE.names)
    assert found["AJI", "all"][0] > 0.5
    assert found["F_d", "all"][0] > 0.7


def test_a_stopped_run_goes_on_to_the_same_weights(tiles, tmp_path):
    settings = SegmenterSettings(network=TINY, steps=4, batch=2, crop=32)
    whole = train_segmenter([(tiles, 1.0)], settings, tmp_path / "a", device="cpu", progress=False)
    for _ in range(6):  # no time at all: a step a start
        part = train_segmenter(
            [(tiles, 1.0)], settings, tmp_path / "b", device="cpu", progress=False, max_hours=0
        )
        if part is not None:
            break
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, part))
    for key, tensor in first.items():
        torch.testing.assert_close(tensor, second[key], rtol=0, atol=0)
    with pytest.raises(ValueError, match="holds a run of other settings"):
        train_segmenter([(tiles, 1.0)], settings, tmp_path / "a", seed=1, device="cpu")


def test_batches_are_functions_of_seed_and_step(tiles):
    settings = SegmenterSettings(network=TINY, steps=4, batch=2, crop=32)
    one, two = (PatchStream([(tiles, 1.0)], settings, 7, True).batch_at(3) for _ in range(2))
    torch.testing.assert_close(one.images, two.images)
    torch.testing.assert_close(one.targets.offsets, two.targets.offsets)
    other = PatchStream([(tiles, 1.0)], settings, 8, True).batch_at(3)
    assert (one.images != other.images).any()


def test_sources_are_drawn_by_their_shares(tiles):
    settings = SegmenterSettings(network=TINY, steps=1, batch=64, crop=32)
    dark = [dataclasses.replace(t, image=np.zeros_like(t.image)) for t in tiles]
    batch = PatchStream([(tiles, 3.0), (dark, 1.0)], settings, 0, False).batch_at(0)
    share = float((batch.images.amax((1, 2, 3)) < 0).float().mean())
    assert 0.1 < share < 0.4


def test_a_tile_smaller_than_a_patch_is_named(tiles, tmp_path):
    with pytest.raises(
        ValueError, match=r"x/0.png: \(96, 96\) pixels are less than the crop of 128"
    ):
        train_segmenter([(tiles, 1.0)], SegmenterSettings(), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def saved(tiles, tmp_path):
    settings = SegmenterSettings(network=TINY, steps=1, batch=1, crop=32)
    return train_segmenter([(tiles, 1.0)], settings, tmp_path, device="cpu", progress=False)


def test_a_segmenter_is_read_as_it_was_written(saved, tmp_path):
    segmenter = load_segmenter(saved)
    again = load_segmenter(save_segmenter(segmenter, tmp_path / "copy"))
    assert again.description == segmenter.description
    for (name, one), two in zip(
        segmenter.network.state_dict().items(), again.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name


def test_a_damaged_segmenter_gets_one_line(saved):
    tensors = load_file(saved / "model.safetensors")
    key = "stem.0.weight"
    save_file(
        {**tensors, key: torch.full_like(tensors[key], float("nan"))}, saved / "model.safetensors"
    )
    with pytest.raises(ValueError, match=f"model.safetensors: tensor '{key}' holds NaN"):
        load_segmenter(saved)
    save_file({**tensors, key: tensors[key][:1]}, saved / "model.safetensors")
    with pytest.raises(ValueError, match=f"model.safetensors: tensor '{key}': expected"):
        load_segmenter(saved)
    (saved / "model.safetensors").write_bytes(b"pickle")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_segmenter(saved)
    table = json.loads((saved / "config.json").read_text())
    table["network"]["widths"] = [1, 2, 3, 4]
    (saved / "config.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"config.json: network.*widths: expected multiples of 4"):
        load_segmenter(saved)
    (saved / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config.json: no such file"):
        load_segmenter(saved)
