"""Bad PyTorch files get our line, never torch's advice to unpickle them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_cosynth.cli import main
from napari_cosynth.evaluation.encoders.inception import load_inception
from napari_cosynth.model.torch_files import read_torch


class _Code:
    def __reduce__(self) -> tuple:
        return exec, ("raise SystemExit('code of the file ran')",)


def objects(path: Path) -> None:
    torch.save({"weight": torch.zeros(2), "options": argparse.Namespace(lr=1)}, path)


def cut(path: Path) -> None:
    torch.save({"weight": torch.zeros(3000)}, path)
    path.write_bytes(path.read_bytes()[:6000])


def old_and_cut(path: Path) -> None:
    torch.save({"w": torch.zeros(3000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:6000])


BAD = {
    "it holds argparse.Namespace, which would have to be executed": objects,
    "it holds .*exec, which would": lambda path: torch.save(_Code(), path),
    "it holds torch.nn.modules.linear.Linear": lambda path: torch.save(torch.nn.Linear(2, 2), path),
    "it is a TorchScript program": lambda path: torch.jit.save(
        torch.jit.script(torch.nn.Linear(2, 2)), path
    ),
    "it is a safetensors file: its name has to end": lambda path: save_file(
        {"weight": torch.zeros(2)}, path
    ),
    "it is empty": lambda path: path.write_bytes(b""),
    "damaged, or no file that torch.save wrote": lambda path: path.write_text("<!doctype html>"),
    "damaged, or no": cut,
    "damaged, or ": old_and_cut,
    "damaged": lambda path: path.write_text("hello"),
}


@pytest.mark.parametrize("reason", BAD)
@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_a_bad_file_gets_one_line_that_says_what_is_wrong(tmp_path, reason, mmap):
    path = tmp_path / "weights.pth"
    BAD[reason](path)
    with pytest.raises(ValueError, match=rf"^{path}: not a test's weights \({reason}") as error:
        read_torch(path, "a test's weights", mmap)
    said = str(error.value)
    assert "\n" not in said and "weights_only" not in said and "trust" not in said


def test_what_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=f"^{tmp_path}: is a folder, expected weights"):
        read_torch(tmp_path, "weights")
    with pytest.raises(ValueError, match=r"none.pth: no such file"):
        read_torch(tmp_path / "none.pth", "weights")
    torch.save({"a": torch.ones(2)}, tmp_path / "good.pth")
    for mmap in (False, True):
        assert read_torch(tmp_path / "good.pth", "weights", mmap)["a"].tolist() == [1, 1]


def test_inceptions_weights(tmp_path):
    objects(tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w.pth: not weights of InceptionV3 \(it holds argparse"):
        load_inception(tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_text("hello, no header")
    with pytest.raises(ValueError, match=r"w.safetensors: not weights of InceptionV3"):
        load_inception(tmp_path / "w.safetensors")


@pytest.mark.parametrize("bad", [objects, cut, lambda path: torch.save({"a": 1}, path)])
def test_a_runs_state(tmp_path, capsys, bad):
    """Where a run goes on, and where it is exported: before any tile is read."""
    import json

    from napari_cosynth.io.settings import plain
    from napari_cosynth.training.config import load_recipe

    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text(json.dumps(plain(load_recipe("default"))))
    bad(run / "last.ckpt")
    (tmp_path / "data").mkdir()
    train = ["train", "default", "--data", str(tmp_path / "data"), "--out", str(run), "--resume"]
    for arguments in (train, ["export-checkpoint", str(run), str(tmp_path / "model")]):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "last.ckpt: not a run's state (" in said
        assert "weights_only" not in said
