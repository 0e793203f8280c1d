"""Training by a packed recipe makes the same batches as by the original."""

from __future__ import annotations

import json

import torch

from napari_cosynth.cli import main
from napari_cosynth.io.settings import plain
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.data import CosynthData


def test_the_same_batches(recipe, data, tmp_path, capsys):
    (tmp_path / "recipe.json").write_text(json.dumps(plain(recipe)))
    out = tmp_path / "packed"
    arguments = ["pack", str(tmp_path / "recipe.json"), "--data", str(data), "--out", str(out)]
    assert main(arguments) == 0
    assert "1 files of at most" in capsys.readouterr().out
    one, two = CosynthData(recipe, data), CosynthData(load_recipe(out / "recipe.json"), out)
    assert one.tissues == two.tissues
    for step in (0, 5):
        a, b = one.stream.batch_at(step), two.stream.batch_at(step)
        assert a.prompts == b.prompts
        assert torch.equal(a.clean.image, b.clean.image)
        assert torch.equal(a.clean.distance, b.clean.distance)
        assert torch.equal(a.points, b.points)
        assert torch.equal(a.noise.labels, b.noise.labels)
    (a,), (b,) = one.val_dataloader(), two.val_dataloader()
    assert torch.equal(a.clean.image, b.clean.image)
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
