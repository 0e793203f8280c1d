"""``cosynth train-segmenter``: the recipe's training tiles alone, and one line where input is bad."""

from __future__ import annotations

import json

import numpy as np
from scipy.io import savemat
from skimage.io import imsave

from napari_cosynth.cli import main
from napari_cosynth.segmenter.checkpoint import load_segmenter
from published import paint


def test_a_segmenter_is_trained_on_the_training_tiles_alone(tmp_path, capsys):
    root = tmp_path / "data"
    for kind in ("Images", "Labels"):
        (root / "toy" / kind).mkdir(parents=True)
    for seed, name in enumerate(("train", "held")):
        image, instances, types, _ = paint(144, 2, np.random.default_rng(seed))
        imsave(root / "toy" / "Images" / f"{name}.png", image, check_contrast=False)
        content = {"inst_map": instances, "inst_type": types[:, None]}
        savemat(root / "toy" / "Labels" / f"{name}.mat", content)
    recipe = {
        "name": "toy",
        "mpp": 0.5,
        "classes": ["a", "b"],
        "stages": [{"steps": 1, "crop": 32, "batch": 1}],
        "data": [
            {
                "kind": "consep",
                "root": "toy",
                "validation": ["held"],
                "options": {"mpp": 0.5, "class_names": ["a", "b"]},
            }
        ],
    }
    (tmp_path / "toy.json").write_text(json.dumps(recipe))
    command = ["train-segmenter", str(tmp_path / "toy.json"), "--data", str(root)]
    command += ["--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--steps", "1"]) == 0
    assert "--segmenter" in capsys.readouterr().out
    description = load_segmenter(tmp_path / "out" / "model").description
    assert list(description.tiles) == ["train.png"]
    assert description.class_names == ("background", "a", "b")
    for extra, message in (
        (["--steps", "2"], "holds a run of other settings"),
        (["--steps", "0"], "--steps: expected at least 1, got 0"),
        (["--sets", "other"], "--sets: expected one of toy, got 'other'"),
    ):
        out = ["--out", str(tmp_path / ("out" if extra[1] == "2" else "new"))]
        assert main([*command, *out, *extra]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
