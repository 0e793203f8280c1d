"""Runs that are killed, starved of disk or fed NaN: what is left resumes to the same losses."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from napari_cosynth.cli import main
from napari_cosynth.io.settings import plain
from napari_cosynth.training.callbacks import MovingAverage
from napari_cosynth.training.run import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture(scope="module", params=["recipe", "few_recipe"])
def recipe(request):
    """Training as a denoiser, and against a discriminator."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def processes():
    """A server that has imported training once, and forks a process per run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["napari_cosynth.training.run"])
    return context


def killed_run(recipe, data, out, resume, event, name, count):
    """Trains until the ``count``-th time ``event`` happens to a file called ``name``, then dies."""
    torch.set_num_threads(1)
    seen = 0

    def hook(happened, arguments):
        nonlocal seen
        if happened not in ("open", "os.rename"):
            return
        path = arguments[1 if happened == "os.rename" else 0]
        if happened == event and isinstance(path, (str, Path)) and name in Path(path).name:
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    train(recipe, data, out, resume=resume, device="cpu", progress=False, save_minutes=0)


def state_of(run):
    return torch.load(run / "last.ckpt", weights_only=True)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the processes that are killed: sums over several threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same_run(one, other, losses):
    """Weights, average, moments and validation losses, to the last bit."""
    a, b = state_of(one), state_of(other)
    assert a["global_step"] == b["global_step"]
    for name, tensor in a["state_dict"].items():
        assert torch.equal(tensor, b["state_dict"][name]), name
    for first, second in zip(a["optimizer_states"], b["optimizer_states"], strict=True):
        for i, moments in first["state"].items():
            for name, tensor in moments.items():
                assert torch.equal(tensor, second["state"][i][name]), (i, name)
    for name in ("val_image", "val_distance", "val_labels", "train_image", "train_labels"):
        first = losses(one, name)
        assert first
        assert first.items() <= losses(other, name).items()


def test_killed_at_any_moment_and_resumed(recipe, data, tmp_path, processes, losses):
    """By SIGKILL: when the first state is begun, when one is written but not yet in its place, while
    the model is exported, and whenever the parent happens to see a new state."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, data, whole, device="cpu", progress=False)
    moments = [
        ("open", ".last.ckpt.", 1),
        ("os.rename", "last.ckpt", 2),
        ("open", "model.safetensors", 1),
        ("os.rename", "last.ckpt", 3),
    ]
    steps = []
    for i, moment in enumerate(moments):
        child = processes.Process(target=killed_run, args=(recipe, data, run, i > 0, *moment))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, moment
        steps.append(state_of(run)["global_step"] if (run / "last.ckpt").exists() else None)
        if moment[0] == "os.rename":
            assert list(run.glob(".last.ckpt.*")), "killed with a state beside the last one"
    assert steps == [None, 1, 3, 5]
    child = processes.Process(target=killed_run, args=(recipe, data, run, True, "never", "", 1))
    child.start()
    before = (run / "last.ckpt").stat().st_ino
    while child.is_alive() and (run / "last.ckpt").stat().st_ino == before:
        pass
    child.kill()
    child.join()
    assert 5 < state_of(run)["global_step"] <= 8
    train(recipe, data, run, device="cpu", progress=False, resume=True)
    assert_same_run(whole, run, losses)
    assert not [p.name for p in run.iterdir() if p.name.startswith(".")]


def test_stopped_between_validations_and_resumed(recipe, data, tmp_path, losses):
    """--hours stops where the run is, and the means since the last validation go on."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, data, whole, device="cpu", progress=False)
    train(recipe, data, run, device="cpu", progress=False, max_hours=1e-9)
    assert state_of(run)["global_step"] == 1
    train(recipe, data, run, resume=True, device="cpu", progress=False)
    assert_same_run(whole, run, losses)


def test_ctrl_c_keeps_the_state_of_its_step_and_is_resumed(
    recipe, data, tmp_path, losses, monkeypatch, capsys
):
    whole, run, file = (tmp_path / name for name in ("whole", "run", "recipe.json"))
    file.write_text(json.dumps(plain(recipe)))
    train(recipe, data, whole, device="cpu", progress=False)
    average = MovingAverage.on_train_batch_end

    def pressed(self, trainer, module, *arguments):
        average(self, trainer, module, *arguments)
        if trainer.global_step == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    with monkeypatch.context() as patched:
        patched.setattr(MovingAverage, "on_train_batch_end", pressed)
        arguments = ["train", str(file), "--data", str(data), "--out", str(run), "--device", "cpu"]
        assert main(arguments) == 130
    line = "cosynth train: stopped; the same command with --resume goes on\n"
    assert capsys.readouterr().err.endswith(line)
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    assert state_of(run)["global_step"] == 2
    train(recipe, data, run, resume=True, device="cpu", progress=False)
    assert_same_run(whole, run, losses)


def starved(out, data, limit, report):
    """Resumes the run with every file limited to ``limit`` bytes, as on a full disk."""
    import resource

    torch.set_num_threads(1)
    with report.open("w") as sys.stderr:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        arguments = ["train", str(out / "recipe.json"), "--data", str(data), "--out", str(out)]
        code = main([*arguments, "--resume", "--device", "cpu", "--save-minutes", "0"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, resource.RLIM_INFINITY))
    sys.exit(code)


def test_a_full_disk_leaves_the_last_state(recipe, data, tmp_path, processes):
    run, report = tmp_path / "run", tmp_path / "report"
    train(recipe, data, run, device="cpu", progress=False, max_hours=1e-9)
    before = (run / "last.ckpt").read_bytes()
    child = processes.Process(target=starved, args=(run, data, len(before) // 2, report))
    child.start()
    child.join()
    assert child.exitcode == 2
    line = report.read_text().splitlines()[-1]
    assert "File too large: stopped; the last state is whole" in line
    assert str(run) in line
    assert (run / "last.ckpt").read_bytes() == before
    assert not list(run.glob(".last.ckpt.*"))
    train(recipe, data, run, resume=True, device="cpu", progress=False)
    assert state_of(run)["global_step"] == 8


def test_nan_stops_with_the_batch_named(recipe, data, tmp_path, capsys):
    """A tile that overflows: step and tile are in the line, and no weight has become NaN."""
    recipe = dataclasses.replace(recipe, optimizer=dataclasses.replace(recipe.optimizer, lr=1e30))
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(plain(recipe)))
    arguments = ["train", str(path), "--data", str(data), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--device", "cpu", "--save-minutes", "0"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "at step 1: stopped before the weights changed" in line
    assert "toy/images/a.png" in line
    assert state_of(tmp_path / "run")["global_step"] == 1
    for tensor in state_of(tmp_path / "run")["state_dict"].values():
        assert torch.isfinite(tensor).all()


def test_resuming_another_model_is_refused(recipe, data, tmp_path):
    train(recipe, data, tmp_path / "run", device="cpu", progress=False, max_hours=1e-9)
    other = dataclasses.replace(recipe, network={**recipe.network, "widths": [8, 24]})
    with pytest.raises(ValueError, match="network: not what the run to resume was started with"):
        train(other, data, tmp_path / "run", resume=True, device="cpu", progress=False)
