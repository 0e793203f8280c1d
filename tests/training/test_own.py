"""A recipe for one's own folder, what it takes, and a run beside: paused, resumed, gone at last."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.cli import main
from napari_cosynth.datasets.survey import survey
from napari_cosynth.export.stack import write_stack
from napari_cosynth.model.checkpoint import load
from napari_cosynth.training.config import OptimizerConfig, StageConfig, load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.own.aside import (
    PAUSED,
    Aside,
    begin_arguments,
    last_line,
    resume_arguments,
)
from napari_cosynth.training.own.cost import cost_of
from napari_cosynth.training.own.proposal import propose, write_recipe
from napari_cosynth.training.run import train
from napari_cosynth.training.run_folder import Start, keep_model, read_run
from napari_cosynth.types import ClassTable
from nuclei import items

WAIT = 600


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """A stack of our own with two classes that no recipe knows."""
    classes = ClassTable.of("tumour", "stroma")
    return write_stack(items(6, classes=classes), tmp_path_factory.mktemp("own") / "mine")


def test_a_recipe_for_a_folder_follows_a_bundled_one(mine, tmp_path):
    found = survey(mine)
    first, *rest = found.classes
    mapping = {first: "inflammatory"}
    recipe = propose(found, load_recipe("few"), "mine", 500, mapping, {})
    file = write_recipe(recipe, tmp_path / "mine.toml")
    assert load_recipe(file) == recipe
    assert "betas" in file.read_text() and "text_dropout" not in file.read_text()
    few = load_recipe("few")
    assert recipe.classes == (*few.classes, *rest)
    assert recipe.adversarial == few.adversarial and recipe.total_steps == 500
    assert recipe.optimizer.decay == 166 and recipe.licence == ""
    data = CosynthData(recipe, mine.parent)
    assert len(data.training[0]) + len(data.validation[0]) == 6 and len(data.validation[0]) >= 1
    (record, *_) = data.training[0]
    assert record.classes.names[1:] == recipe.classes
    # Patches, validation and sample grid fit into the tiles.
    assert data.stream.batch_at(0).clean.labels.shape[-1] == recipe.stages[0].crop
    assert data.held_out(2, recipe.sample_shape)


def test_whole_slides_are_kept_for_validation(mine):
    found = survey(mine)
    names = list(found.slides)
    found.slides = dict(zip(names, "aabbcc", strict=True))
    kept = propose(found, load_recipe("default"), "m", 5, {}, {}).data[0].validation
    assert len(kept) == 2 and len({found.slides[name] for name in kept}) == 1
    found.slides = dict.fromkeys(names[:1], "a")
    (data,) = propose(found, load_recipe("default"), "m", 5, {}, {}).data
    assert not data.validation and not data.validation_share


def test_what_cannot_be_trained_on_is_told_in_a_line(mine):
    found = survey(mine)
    for change, reason in (
        ({"least_side": 15.0}, "at least 32 pixels a side at 0.5 µm/px, got 30"),
        ({"nuclei": type(found.nuclei)()}, "no nuclei in it"),
    ):
        with pytest.raises(ValueError, match=reason):
            propose(dataclasses.replace(found, **change), load_recipe("few"), "m", 5, {}, {})
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        propose(found, load_recipe("few"), "m", 0, {}, {})
    large = dataclasses.replace(found, area=1e9)
    recipe = propose(large, load_recipe("few"), "m", 5, {}, {})
    assert not recipe.data[0].in_memory and recipe.class_balance == 0


def test_the_shell_writes_the_same_recipe(mine, tmp_path, capsys):
    first = survey(mine).classes[0]
    out = tmp_path / "mine.toml"
    words = ["recipe", "few", "--on", str(mine), "--steps", "40", "--out", str(out)]
    assert main([*words, "--classes", f"{first}=inflammatory"]) == 0
    wanted = propose(survey(mine), load_recipe("few"), "mine", 40, {first: "inflammatory"}, {})
    assert load_recipe(out) == wanted
    said = capsys.readouterr().out
    assert f"{first} is inflammatory" in said and f"--data {mine.parent}" in said
    assert main(words) == 2 and "exists already" in capsys.readouterr().err
    words[-1] = str(tmp_path / "other.toml")
    assert main([*words, "--classes", "zebra=inflammatory"]) == 2
    assert "expected one of" in capsys.readouterr().err
    assert load_recipe(out) == wanted


def test_cost_counts_steps_validations_and_room(recipe, few_recipe):
    cost = cost_of(dataclasses.replace(recipe, stages=(StageConfig(8, 50, 4),)), 1000)
    assert cost.step == pytest.approx(4 * 4 * 50 * 50 / 1e6)
    between = 2 * 48 * 48 + 1 * 48 * 48 * 2
    assert cost.between == pytest.approx(between / 1e6)
    assert cost.seconds(10.0) == pytest.approx(10 * (8 * cost.step + 2 * cost.between))
    assert cost.seconds(10.0, done=4) == pytest.approx(10 * (4 * cost.step + cost.between))
    assert cost.seconds_as_measured(3.0, done=7) == pytest.approx(
        3 * (1 + cost.between / cost.step)
    )
    assert cost.disk >= 2 * 16 * 1000
    few, usual = cost_of(few_recipe, 1000), cost_of(recipe, 1000)
    assert few.disk > usual.disk and few.step > usual.step


def test_a_run_is_read_while_it_is_written(recipe, data, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(ValueError, match=r"run: not the folder of a run \(it has no recipe.json\)"):
        read_run(run)
    train(recipe, data, run, device="cpu", progress=False)
    log = run / "log/version_0/metrics.csv"
    found = read_run(run)
    assert (found.steps, found.done, found.exported, found.finished) == (8, 8, 8, True)
    assert found.resumable and [p.name for p in found.grids] == ["0000004.png", "0000008.png"]
    assert found.curves["val_image"][0].tolist() == [3, 7]
    assert found.start == Start(str(data))
    (run / "samples/.0000009.png.x1y2.png").touch()  # is being written
    assert read_run(run).grids == found.grids
    # A second start goes on from step 4, and a line of it is being written.
    later = run / "log/version_10/metrics.csv"
    later.parent.mkdir()
    later.write_text("loss,seconds,step,val_image\n,,7,0.5\n0.25,2.5,9,\n0.1,3.5")
    found = read_run(run)
    assert found.curves["val_image"][1][-1] == 0.5 and found.curves["loss"][0].tolist() == [9]
    assert found.seconds == 2.5
    log.write_bytes(b"\xff\x00step\n")
    (run / "model/config.json").write_text("{")
    assert read_run(run).exported == 0
    (run / "recipe.json").write_text('{"stages": 3}')
    with pytest.raises(ValueError, match="stages: not those of a training recipe"):
        read_run(run)


def test_a_model_is_kept_once_under_a_free_name(recipe, data, tmp_path):
    train(recipe, data, tmp_path / "run", device="cpu", progress=False)
    place = tmp_path / "models"
    first = keep_model(tmp_path / "run", place, "mine")
    assert load(first).config.training["steps"] == 8
    assert keep_model(tmp_path / "run", place, "mine") == first
    (first / "config.json").write_text("{}")
    assert keep_model(tmp_path / "run", place, "mine") == place / "mine-2"
    with pytest.raises(ValueError, match="no exported model in it yet"):
        keep_model(tmp_path, place, "mine")


def wait_for(happened, process: Aside) -> None:
    end = time.monotonic() + WAIT
    while not happened():
        assert process.code is None, process.last_line()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def endless(recipe, tmp_path) -> Path:
    """The toy recipe with more steps than anybody waits for."""
    stages = (StageConfig(100_000, 32, 2),)
    long = dataclasses.replace(recipe, stages=stages, optimizer=OptimizerConfig(warmup=2))
    return write_recipe(long, tmp_path / "toy.toml")


def test_a_run_beside_is_paused_by_its_input_and_goes_on(endless, data, tmp_path):
    run = tmp_path / "run"
    begun = Aside(begin_arguments(endless, data, run, None, "cpu"), tmp_path / "run.log")
    wait_for(lambda: (run / "samples").is_dir() and read_run(run).done >= 10, begun)
    assert begun.code is None
    begun.stop()
    assert begun.wait(WAIT) == PAUSED
    assert "stopped; the same command with --resume goes on" in begun.last_line()
    before = read_run(run)
    assert before.resumable and not before.finished
    again = Aside(resume_arguments(before, "cpu"), tmp_path / "run.log")
    wait_for(lambda: read_run(run).done > before.done + 10, again)
    again.stop()
    assert again.wait(WAIT) == PAUSED
    steps = read_run(run).curves["loss"][0]
    assert steps[0] == 9 and (np.diff(steps) > 0).all()
    with pytest.raises(ValueError, match="does not tell its data"):
        resume_arguments(dataclasses.replace(before, start=None), "cpu")


def test_a_run_beside_ends_with_its_parent(endless, data, tmp_path):
    """Also where the parent is killed."""
    run, log = tmp_path / "run", tmp_path / "run.log"
    arguments = begin_arguments(endless, data, run, None, "cpu")
    code = (
        "import time; from pathlib import Path\n"
        "from napari_cosynth.training.own.aside import Aside\n"
        f"beside = Aside({arguments!r}, Path({str(log)!r})); time.sleep(1000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + WAIT
    while not (run / "samples").is_dir() and time.monotonic() < end:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while "stopped" not in last_line(log) and time.monotonic() < end:
        time.sleep(0.05)
    assert "stopped" in last_line(log) and read_run(run).resumable


def test_bad_input_is_the_last_line_of_its_log(endless, tmp_path):
    arguments = begin_arguments(endless, tmp_path / "none", tmp_path / "run", None, "cpu")
    beside = Aside(arguments, tmp_path / "run.log")
    assert beside.wait(WAIT) == 2
    assert beside.last_line() == f"--data: {tmp_path / 'none'}: no such folder"
    assert last_line(tmp_path / "absent.log") == ""


def test_tiles_are_held_out_by_a_part_of_their_names(mine):
    found = survey(mine)
    first, *others = sorted(found.slides)
    (data,) = propose(found, load_recipe("few"), "m", 5, {}, {}, [first]).data
    assert data.validation == (first,) and not data.validation_share
    with pytest.raises(ValueError, match="no tile to hold out has 'nowhere' in its name"):
        propose(found, load_recipe("few"), "m", 5, {}, {}, [first, "nowhere"])
    with pytest.raises(ValueError, match="none is left to train on"):
        propose(found, load_recipe("few"), "m", 5, {}, {}, [first, *others])
