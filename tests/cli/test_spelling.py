"""A path means the same however it is spelt: relative, with dots, with a slash at its end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth import registry
from napari_cosynth.cli import main
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.evaluation.encoders.encoder import save_encoders, train_encoder
from napari_cosynth.export.stack import write_stack
from nuclei import items, record
from published import make_endonuke, make_lizard, make_pannuke


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set of every kind that can be made, each in a folder of its own."""
    root = tmp_path_factory.mktemp("world")
    for name in registry.names("exporter"):
        registry.resolve("exporter", name)(items(2), root / name)
        if name in ("coco", "geojson"):  # as others write them
            registry.resolve("exporter", name)(items(2), root / f"plain-{name}")
            (root / f"plain-{name}" / "cosynth.json").unlink()
    make_lizard(root / "lizard", tiles=2, side=64)
    make_pannuke(root / "folds", patches=2, folds=1, floats=False)
    make_endonuke(root / "endonuke", tiles=2)
    return root


def spellings(path):
    """Folders to stand in, and what the path is called from there."""
    yield path.parent, path.name
    yield path.parent, f"./{path.name}/"
    yield path.parent, f"{path.parent.name}/../{path.name}"
    yield path.parent, f"../{path.parent.name}//{path.name}/."
    yield path, "."
    yield path, "./"
    yield path, f"../{path.name}"
    inner = next((p for p in sorted(path.iterdir()) if p.is_dir()), None)
    if inner is not None:
        yield inner, ".."


def told(path):
    kind, dataset = open_records(path)
    record = dataset[0]
    return (
        kind, dataset.names, dataset.tissues, [dataset.slide_of(n) for n in dataset.names],
        record.mpp, record.tissue, Path(record.source).name, record.labels.tobytes(),
    )  # fmt: skip


def test_every_format_is_read_alike_by_every_spelling(world, monkeypatch):
    (world / world.name).mkdir()
    for folder in sorted(world.iterdir()):
        if folder.name == world.name:
            continue
        expected = told(folder)
        for place, spelt in spellings(folder):
            monkeypatch.chdir(place)
            assert told(spelt) == expected, (folder.name, spelt)
        for file in ("cosynth.json", "annotations.json"):
            if (folder / file).exists():
                monkeypatch.chdir(folder)
                assert told(file) == told(folder / file)
    (world / world.name).rmdir()


def test_the_archives_masks_are_found_from_the_fold_itself(tmp_path, monkeypatch):
    make_pannuke(tmp_path / "made", patches=2, folds=1, floats=False)
    images = next((tmp_path / "made").rglob("images.npy"))
    expected = told(images.parent)
    monkeypatch.chdir(images.parent)
    assert told(".") == expected
    monkeypatch.chdir(images.parent.parent)
    assert told(images.parent.name) == expected


@pytest.mark.parametrize("name", ["conic", "folds", "plain-coco"])
def test_commands_take_every_spelling_of_a_data_set(world, tmp_path, monkeypatch, capsys, name):
    (world / world.name).mkdir(exist_ok=True)
    for number, (place, spelt) in enumerate(spellings(world / name)):
        monkeypatch.chdir(place)
        assert main(["info", spelt]) == 0, spelt
        shown = capsys.readouterr().out
        assert "records: 2" in shown
        assert main(["check", spelt]) in (0, 1)
        out = tmp_path / str(number)
        assert main(["convert", spelt, os.path.relpath(out / "c"), "--to", "stack"]) == 0, spelt
        assert main(["layout", "convert", f"folder:{spelt}", str(out / "l")]) in (0, 2)
        split = ["split", spelt, f"{os.path.relpath(out)}/./s/", "--parts", "a=1", "b=1"]
        assert main(split) in (0, 2)
        error = capsys.readouterr().err
        assert "Traceback" not in error
        a, b = (open_records(out / "c")[1], open_records(world / name)[1])
        assert np.array_equal(a[0].image, b[0].image)
    (world / world.name).rmdir()


def test_other_commands_take_every_spelling(world, tmp_path, monkeypatch, tiny_checkpoint, capsys):
    """Outputs with a slash at the end, layouts and checkpoints from where one stands."""
    (tmp_path / "l.csv").write_text("index,axis-0,axis-1,class\n0,9.0,9.0,inflammatory\n")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    few = ["--steps", "1", "--shape", "32", "32"]
    monkeypatch.chdir(tiny_checkpoint)
    assert main(["info", "."]) == 0
    assert f"checkpoint:  {tiny_checkpoint.name} (" in capsys.readouterr().out
    made = os.path.relpath(tmp_path / "made")
    layout = os.path.relpath(tmp_path / "in" / ".." / "l.csv")
    assert main(["synthesize", layout, *few, "--checkpoint", ".", "--out", made + "/"]) == 0
    assert main(["replay", made + "/.", "--checkpoint", "./"]) == 0
    monkeypatch.chdir(tmp_path / "made")
    assert main(["replay", ".", "--checkpoint", str(tiny_checkpoint)]) == 0
    assert main(["layout", "convert", "stack:.", "../layouts/"]) in (0, 2)
    assert main(["layout", "convert", "../in/../l.csv", "../in/./m.csv", "--mpp", ".5"]) == 0
    assert (tmp_path / "in" / "m.csv").is_file()
    for out in (".", "..", "../in/.."):
        for command in (
            ["synthesize", "../l.csv", *few, "--out", out],
            ["convert", "../made", out, "--to", "stack"],
            ["split", "../made", out],
            ["layout", "convert", "../l.csv", out, "--mpp", ".5"],
            ["layout", "sample", "default", "--shape", "9", "9", "--out", out],
            ["export-checkpoint", "../in", out],
        ):
            for more in ([], ["--overwrite"]):
                assert main([*command, *more]) == 2, (command, out)
    assert (tmp_path / "made" / "images.tif").is_file() and (tmp_path / "l.csv").is_file()


@pytest.fixture(scope="module")
def bench(tmp_path_factory, tiny_checkpoint):
    """Data, recipes and a plan in one folder, as a user has them, and the path of the checkpoint."""
    root = tmp_path_factory.mktemp("bench")
    side = {"shape": (136, 136)}
    registry.resolve("exporter", "hovernet")(items(4, **side), root / "data" / "toy")
    write_stack(items(4, **side), root / "real")
    write_stack(items(4, **side), root / "made")
    networks = [train_encoder([record(9, **side)], seed, steps=2) for seed in (0, 1)]
    save_encoders(networks, record().classes, 0.5, root / "tiles.safetensors")
    classes = list(record().classes.names[1:])
    names = [f"tile_{k}" for k in range(4)]
    data = {"kind": "hovernet", "root": "toy"}
    network = {"preset": "compact", "widths": [8, 16], "blocks": [1, 1], "cross_attention": [1]}
    network |= {"text_width": 16, "point_channels": 8, "point_growth": 4}
    recipe = {
        "name": "toy",
        "mpp": 0.5,
        "classes": classes,
        "stages": [{"steps": 1, "crop": 32, "batch": 1}],
        "data": [{**data, "validation": names[:1]}],
        "network": network,
        "text": {"kind": "compact", "width": 16, "heads": 2},
        "validation_patches": 1,
        "validation_crop": 32,
        "sample_layouts": 0,
    }
    downstream = {
        "name": "toy",
        "mpp": 0.5,
        "classes": classes,
        "baseline": "real",
        "seeds": [0],
        "data": data,
        "split": {"diffusion": names[3:], "segmenter": names[:1], "test": names[1:3]},
        "sampling": {"checkpoint": str(tiny_checkpoint), "steps": 1, "shape": 32},
        "arms": [{"name": "real", "augmented": False}],
        "segmenter": {"steps": 1, "batch": 1, "crop": 32, "network": SMALL},
    }
    plan = {
        "name": "tiny",
        "samples": 1,
        "shape": [32, 32],
        "layouts": [{"source": "folder", "root": "layouts", "tissue": "colon"}],
        "checkpoint": os.path.relpath(tiny_checkpoint, root / "data"),
        "steps": 1,
    }
    for name, content in {"recipe": recipe, "downstream": downstream, "plan": plan}.items():
        (root / f"{name}.json").write_text(json.dumps(content))
    (root / "data" / "layouts").mkdir()
    points = "index,axis-0,axis-1,class\n0,9.0,9.0,inflammatory\n"
    (root / "data" / "layouts" / "a.csv").write_text(points)
    return root


SMALL = {
    "preset": "compact",
    "stem": 4,
    "widths": [8, 8, 8, 8],
    "units": [1, 1, 1, 1],
    "dense_units": [1, 1],
}


def inputs(root):
    """What must still be there, whatever a command was told to write."""
    kept = [p for p in root.rglob("*") if p.is_file() and "out" not in p.relative_to(root).parts[0]]
    return {path: path.read_bytes() for path in kept}


def test_long_commands_take_every_spelling(bench, monkeypatch, capsys):
    """From the data's folder: recipes above it, the data as ``.``, outputs beside it with a slash."""
    before = inputs(bench)
    monkeypatch.chdir(bench / "data")
    cpu = ["--device", "cpu"]
    commands = {
        "pack": ["../recipe.json", "--data", ".", "--out", "../out-packed/"],
        "train": ["../data/../recipe.json", "--data", "./", "--out", "../out-run/.", *cpu],
        "train-segmenter": [
            "../recipe.json", "--data", ".", "--out", ".././out-segmenter/", "--steps", "1", *cpu,
        ],
        "downstream": ["../downstream.json", "--data", ".", "--out", "../out-downstream//", *cpu],
        "generate": ["../plan.json", "--data", ".", "--out", "../out-set/"],
        "evaluate": [
            "../made/", "--against", "../real/.", "--encoder", "./../tiles.safetensors",
            "--out", "../out-report/",
        ],
    }  # fmt: skip
    for name, arguments in commands.items():
        assert main([name, *arguments]) == 0, (name, capsys.readouterr().err)
    for made in ("packed/recipe.json", "run/model", "segmenter/model", "set/manifest.json"):
        assert (bench / f"out-{made}").exists(), sorted(bench.glob("out-*/*"))
    monkeypatch.chdir(bench / "out-run")
    assert main(["export-checkpoint", ".", "../out-checkpoint/"]) == 0
    again = ["train", "../recipe.json", "--data", "../data/", "--out", ".", "--resume", *cpu]
    assert main(again) == 0, capsys.readouterr().err
    monkeypatch.chdir(bench / "out-packed")
    packed = ["train", "recipe.json", "--data", ".", "--out", "../out-run2", *cpu]
    assert main(packed) == 0, capsys.readouterr().err
    monkeypatch.chdir(bench / "out-downstream")
    report = ["downstream", "../downstream.json", "--data", "../data", "--out", ".", "--report"]
    assert main(report) == 0, capsys.readouterr().err
    monkeypatch.chdir(bench / "out-set")
    assert main(["generate", "../plan.json", "--data", "../data", "--out", ".", "--resume"]) == 0
    assert main(["replay", ".", "--checkpoint", json.loads(
        (bench / "downstream.json").read_text())["sampling"]["checkpoint"]]) == 0  # fmt: skip
    monkeypatch.chdir(bench)
    assert main(["compare", "./out-report.json", f"../{bench.name}/out-report.json"]) == 0
    assert inputs(bench) == before


def test_long_commands_refuse_what_is_there_however_it_is_spelt(bench, monkeypatch, capsys):
    before = inputs(bench)
    monkeypatch.chdir(bench / "data")
    where = ["--data", ".", "--out"]
    for out in (".", "./", "../data", "../data/toy/", "toy/..", "..", "../recipe.json"):
        for command in (
            ["pack", "../recipe.json", *where, out],
            ["pack", "../recipe.json", *where, out, "--overwrite"],
            ["train", "../recipe.json", *where, out],
            ["train", "../recipe.json", *where, out, "--resume"],
            ["train-segmenter", "../recipe.json", *where, out, "--steps", "1"],
            ["generate", "../plan.json", *where, out],
            ["generate", "../plan.json", *where, out, "--resume"],
            ["downstream", "../downstream.json", *where, out],
        ):
            assert main(command) == 2, command
            error = capsys.readouterr().err.strip()
            assert error.startswith(f"cosynth {command[0]}: ") and "\n" not in error, error
    for out in ("../plan", "../made/../recipe.json", "../data/../plan/"):
        for more in ([], ["--overwrite"]):
            command = ["evaluate", "../made", "--against", "../real", "--out", out, *more]
            assert main(command) == 2, command
    assert inputs(bench) == before
