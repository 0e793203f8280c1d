"""Several processes: the same losses as one at the same global batch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
import torch

from napari_cosynth.io.settings import plain
from napari_cosynth.training.config import StageConfig
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.run import train


def test_each_process_makes_its_rows_of_the_same_batch(recipe, data):
    recipe = dataclasses.replace(recipe, stages=(StageConfig(8, 32, 6),))
    whole = CosynthData(recipe, data).stream.batch_at(3)
    parts = []
    for rank in range(3):
        sets = CosynthData(recipe, data)
        sets.share(rank, 3)
        parts.append(sets.stream.batch_at(3))
    assert [p for part in parts for p in part.prompts] == whole.prompts
    for read in (
        lambda b: b.clean.image,
        lambda b: b.points,
        lambda b: b.t,
        lambda b: b.noise.image,
        lambda b: b.noise.labels,
    ):
        assert torch.equal(torch.cat([read(part) for part in parts]), read(whole))
    assert len(set(whole.t.tolist())) == 6


def test_a_batch_that_cannot_be_shared_is_refused(recipe, data):
    with pytest.raises(ValueError, match="batch of 2 cannot be cut into equal parts for 3"):
        CosynthData(recipe, data).share(0, 3)


def test_workers_make_the_same_batches_in_order(recipe, data):
    sets = CosynthData(recipe, data)
    loader = torch.utils.data.DataLoader(sets.stream, batch_size=None, num_workers=2)
    for step, batch in enumerate(loader):
        assert torch.equal(batch.noise.image, sets.stream.batch_at(step).noise.image), step
    assert step == recipe.validate_every - 1


def test_two_processes_by_torchrun(recipe, data, tmp_path, losses):
    """Losses in training and validation, gloo on two CPU processes against one."""
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(plain(recipe)))
    train(recipe, data, tmp_path / "one", device="cpu", progress=False)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "napari_cosynth.cli", "train", str(path), "--data", str(data)]
    command += ["--out", str(tmp_path / "two"), "--device", "cpu", "--devices", "2"]
    done = subprocess.run(
        [sys.executable, *torchrun, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("train_image", "train_distance", "train_labels", "val_image", "val_labels"):
        one, two = losses(tmp_path / "one", name), losses(tmp_path / "two", name)
        assert list(one) == [3, 7]
        assert two == pytest.approx(one, rel=1e-5), name
