"""What may be replaced: earlier outputs that hold nothing else, and nothing that is read."""

from __future__ import annotations

import argparse
import json
import re

import numpy as np
import pytest

from napari_cosynth import registry
from napari_cosynth.cli import _parser, main
from napari_cosynth.export.stack import write_stack
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.paths import check_new, check_target
from nuclei import items

FORMATS = registry.names("exporter")


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_is_known_again_and_a_file_that_was_added_to_it_keeps_it(tmp_path, name):
    exporter = registry.resolve("exporter", name)
    out = tmp_path / "out"
    exporter(items(2), out)
    (out / ".DS_Store").write_bytes(b"\0")
    exporter(items(1), out, overwrite=True)
    mine = [out / "notes.txt"]
    mine += [p / "mine.png" for p in out.iterdir() if p.is_dir() and not p.name.isdecimal()][:1]
    for path in mine:
        if path.parent.name == "OME":
            continue
        path.write_text("mine")
        with pytest.raises(ValueError, match=f"{path.name} is no earlier output"):
            exporter(items(1), out, overwrite=True)
        assert path.read_text() == "mine"
        path.unlink()
    exporter(items(1), out, overwrite=True)


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years"},
        {"layout.csv": "index,axis-0,axis-1,class\n", "other.csv": "a,b\n"},
        {"config.json": "{}", "model.safetensors": "x", "README.md": "another program's"},
        {"images.tif": "no description beside it"},
        {"stack/thesis.tex": "years", "image.tif": "x"},
        {"cosynth.json": "not JSON", "images.tif": "x"},
        {"a/b/only_copy.txt": "x"},
        {".git/HEAD": "x"},
        {"inner/": ""},
    ],
)
def test_what_others_wrote_is_never_replaced(tmp_path, files):
    out = tmp_path / "out"
    for name, text in files.items():
        path = out / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = content(out)
    with (
        pytest.raises(ValueError, match="is no earlier output of CoSynth"),
        replaced_folder(out, overwrite=True),
    ):
        raise AssertionError("nothing is written")
    assert content(out) == before


def test_a_target_that_is_or_holds_what_is_read_is_refused_however_it_is_spelt(
    tmp_path, monkeypatch
):
    source = write_stack(items(1), tmp_path / "data" / "inner")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for target in ("data/inner", "data/../data/inner/", "./link/inner", "data", "link", "."):
        with pytest.raises(ValueError, match=r"is or holds"):
            check_target(type(source)(target), True, [source])
    with pytest.raises(ValueError, match=r"is or holds .*inner/images.tif, which is read"):
        check_target(source, True, [source / "images.tif"])
    check_target(source, True, [tmp_path / "data" / "inner2", tmp_path / "data"])
    monkeypatch.chdir(source)
    with pytest.raises(ValueError, match="the folder this runs in"):
        check_target(source, True)


def test_a_shard_of_a_data_set_that_is_read_is_not_replaced(tmp_path):
    shard = write_stack(items(1), tmp_path / "data" / "set" / "shard-00000")
    check_target(shard, True, [tmp_path / "data", shard.parent])  # a folder of the user's
    head = {"format": 1, "plan": {}, "checkpoint": {}, "samples": []}
    (shard.parent / "manifest.json").write_text(json.dumps(head))
    with pytest.raises(ValueError, match=r"shard-00000: is part of .*set, which is read"):
        check_target(shard, True, [shard.parent])
    check_target(shard, True, [tmp_path / "data"])


def test_files_are_replaced_by_files_of_their_kind_only(tmp_path):
    ours = tmp_path / "l.csv"
    ours.write_text("index,axis-0,axis-1,class\n0,1.0,1.0,x\n")
    check_target(ours, True, folder=False)
    with pytest.raises(FileExistsError, match="--overwrite replaces it"):
        check_target(ours, folder=False)
    with pytest.raises(ValueError, match=r"is or holds .*which is read"):
        check_target(ours, True, [ours], folder=False)
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder"):
        check_target(ours, True, folder=True)
    with pytest.raises(IsADirectoryError, match="is a folder, expected a file"):
        check_target(tmp_path, True, folder=False)
    for name, text in {"m.csv": "name,age\n", "m.tif": "II*", "m.json": "{}", "m": ""}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match="is no earlier output of CoSynth"):
            check_target(tmp_path / name, True, folder=False)


def test_commands_refuse_to_replace_what_they_read(tmp_path, monkeypatch, capsys):
    source = registry.resolve("exporter", "folder")(items(1), tmp_path / "data" / "x")
    (tmp_path / "data" / "y").mkdir()
    (tmp_path / "data" / "y" / "only_copy.txt").write_text("x")
    layout = tmp_path / "slides" / "l.csv"
    layout.parent.mkdir()
    layout.write_text("index,axis-0,axis-1,class\n0,9.0,9.0,epithelial\n")
    (tmp_path / "slides" / "s.tif").write_bytes(b"II*\0")
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)
    region = ["--region", "0", "0", "9", "9"]
    for arguments in (
        ["convert", "data/x", "data", "--to", "coco"],
        ["convert", "data/x", "data/x", "--to", "coco"],
        ["convert", "data/x", ".", "--to", "stack"],
        ["split", "data/x", "data"],
        ["inpaint", "slides/s.tif", "slides/l.csv", *region, "--out", "slides"],
        ["synthesize", "slides/l.csv", "--shape", "32", "32", "--out", "slides"],
        ["synthesize", "slides/l.csv", "--shape", "32", "32", "--out", "."],
        ["layout", "detect", "slides/s.tif", "--out", "slides/s.tif"],
        ["layout", "convert", "slides/l.csv", "slides/../slides/l.csv"],
        ["layout", "convert", "folder:data/x", "data"],
        ["layout", "fit", "folder:data/x", "--out", "data/x/cosynth.json"],
        ["info", "data/x", "--picture", "data/x/images/tile_0.png"],
        ["layout", "convert", "slides/l.csv", "data/x/layouts.csv"],
        ["replay", "data/x", "--out", "data/x"],
    ):
        assert main([*arguments, "--overwrite"]) == 2, arguments
        error = capsys.readouterr().err
        assert re.search("is or holds|is part of|is no earlier output", error), error
        assert error.count("\n") == 1
    assert content(tmp_path) == before and source.is_dir()


def test_every_path_a_command_takes_is_declared_as_read_or_written():
    """What a new command reads must be known where it may replace something."""
    for name, parser in _commands(_parser()):
        declared = parser.get_default("reads")
        if declared is None:
            continue
        inputs = {a.dest for a in parser._actions if getattr(a.type, "__name__", "") == "Path"}
        written = {"out", "target", "picture", "instances", "scratch"}
        assert inputs - written <= set(declared), name


def _commands(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield name, sub
                yield from _commands(sub)


def test_outputs_of_commands_are_replaced_when_told(tmp_path, monkeypatch):
    registry.resolve("exporter", "folder")(items(2), tmp_path / "x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("index,axis-0,axis-1,class\n0,9.0,9.0,epithelial\n")
    for arguments in (
        ["convert", "x", "coco", "--to", "coco"],
        ["split", "x", "parts", "--parts", "a=1", "b=1", "--to", "geojson"],
        ["info", "x", "--picture", "x.png"],
        ["layout", "sample", "default", "--shape", "40", "40", "--out", "s.csv"],
        ["layout", "sample", "default", "--shape", "40", "40", "--count", "2", "--out", "many"],
    ):
        assert main(arguments) == 0
        assert main(arguments) == 2
        assert main([*arguments, "--overwrite"]) == 0
    assert json.loads((tmp_path / "coco" / "annotations.json").read_text())["images"]
    assert np.array([p.suffix == ".csv" for p in (tmp_path / "many").iterdir()]).all()


def test_a_run_begins_where_nothing_is(tmp_path):
    run = tmp_path / "run"
    check_new(run, "advice")
    run.mkdir()
    check_new(run, "advice", hidden=True)
    (run / ".DS_Store").touch()
    check_new(run, "advice", hidden=True)
    for hidden in (False, True):
        if hidden:
            (run / "recipe.json").touch()
        with pytest.raises(FileExistsError, match="run: exists already; advice"):
            check_new(run, "advice", hidden)
    with pytest.raises(FileExistsError):
        check_new(run / "recipe.json", "advice", hidden=True)
