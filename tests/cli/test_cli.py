"""The shell as a user meets it: files, help, and one clear line for everything that is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_cosynth
from napari_cosynth.cli import main
from napari_cosynth.cli.synthesis import sampling
from napari_cosynth.datasets.recipes import read_count, read_sample
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.types import Progress, Record, Report, Request, Synthesis

GOOD = (
    "index,axis-0,axis-1,class\n0,10.0,12.0,epithelial\n1,30.5,8.0,1\n2,40.0,50.0,spindle-shaped\n"
)


@pytest.fixture
def run(tmp_path, tiny_checkpoint, capsys):
    """Runs ``cosynth synthesize`` on a layout's text; (exit code, stderr, output folder)."""

    def call(text: str | bytes = GOOD, *extra: str) -> tuple[int, str, Path]:
        layout, out = tmp_path / "layout.csv", tmp_path / "out"
        layout.write_bytes(text if isinstance(text, bytes) else text.encode())
        arguments = ["synthesize", str(layout), "--shape", "64", "64", "--out", str(out)]
        arguments += ["--steps", "2", "--checkpoint", str(tiny_checkpoint), *extra]
        code = main(arguments)
        return code, capsys.readouterr().err, out

    return call


def test_another_format_carries_the_recipe(run):
    code, _, out = run(GOOD, "--seed", "7", "--format", "coco")
    assert code == 0
    assert left(out) == ["annotations.json", "cosynth.json", "images", "layouts.csv"]
    layout, recipe = read_sample(out, 0)
    assert (recipe["seed"], recipe["steps"], len(layout)) == (7, 2, 3)


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_stack_with_every_file(run):
    code, _, out = run(GOOD, "--seed", "7", "--count", "2", "--tissue", "colon")
    assert code == 0
    assert left(out) == [
        "cosynth.json",
        "distances.tif",
        "images.tif",
        "instances.tif",
        "labels.tif",
        "layouts.csv",
    ]
    assert tifffile.imread(out / "images.tif").shape == (2, 64, 64, 3)
    description = json.loads((out / "cosynth.json").read_text())
    assert [s["seed"] for s in description["samples"]] == [7, 8]
    sample = description["samples"][0]
    assert sample["synthetic"] is True
    assert "colon tissue image" in sample["prompt"]
    assert set(sample["report"]) == {f.name for f in dataclasses.fields(Report)}
    record = StackDataset(out)[0]
    assert record.layout.class_ids.tolist() == [2, 1, 3]
    assert record.tissue == "colon"


@pytest.mark.parametrize("kind", ["stack", "coco"])
def test_samples_are_let_go_as_they_are_written(run, kind, monkeypatch):
    """Memory does not grow with --count: of eight samples few are alive at any time."""
    made: list[weakref.ref[Record]] = []
    alive: list[int] = []
    original = sampling.synthesize

    def watched(request: Request, scratch: Path | None) -> Iterator[Progress | Synthesis]:
        for event in original(request, scratch=scratch):
            if isinstance(event, Synthesis):
                made.append(weakref.ref(event.record))
                alive.append(sum(one() is not None for one in made))
            yield event
            del event

    monkeypatch.setattr(sampling, "synthesize", watched)
    code, _, out = run(GOOD, "--count", "8", "--format", kind, "--steps", "1")
    assert code == 0
    assert read_count(out) == len(alive) == 8
    assert max(alive) <= 4


def test_instance_ids_are_rows_of_the_layout(run):
    _, _, out = run()
    record = StackDataset(out)[0]
    report = json.loads((out / "cosynth.json").read_text())["samples"][0]["report"]
    present = set(np.unique(record.instances)) - {0}
    points = {1, 2, 3}
    assert points - present == set(report["missed"])
    assert present - points == set(report["spurious"])


def test_the_same_seed_gives_the_same_files(run, tmp_path):
    _, _, out = run(GOOD, "--seed", "7", "--count", "2")
    first = [tifffile.imread(out / f"{n}.tif") for n in ("images", "labels")]
    _, _, out = run(GOOD, "--seed", "8", "--overwrite")
    second = [tifffile.imread(out / f"{n}.tif") for n in ("images", "labels")]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a[1], b.reshape(a[1].shape))


def test_an_empty_layout_is_a_patch_without_nuclei(run):
    code, _, out = run("index,axis-0,axis-1,class\n")
    assert code == 0
    description = json.loads((out / "cosynth.json").read_text())
    assert "with no nuclei" in description["samples"][0]["prompt"]


def test_a_layout_at_another_scale(run):
    _, _, out = run("index,axis-0,axis-1,class\n0,20,20,1\n", "--mpp", "0.25")
    assert tifffile.imread(out / "labels.tif").shape[-2:] == (32, 32)
    assert json.loads((out / "cosynth.json").read_text())["mpp"] == 0.5


BAD_LAYOUTS = {
    "no column": ("index,axis-0,axis-1\n0,1,1\n", "no column 'class'"),
    "unknown class": (
        "index,axis-0,axis-1,class\n0,1,1,zebra\n",
        "line 2: class: unknown class 'zebra'",
    ),
    "class id": ("index,axis-0,axis-1,class\n0,1,1,9\n", r"id in 1..3, got '9'"),
    "outside": ("index,axis-0,axis-1,class\n0,1,64,1\n", "lies outside the canvas of 64 x 64"),
    "two on one": ("index,axis-0,axis-1,class\n0,5,5,1\n1,5.2,5.2,1\n", "points 0 and 1 share"),
    "nan": ("index,axis-0,axis-1,class\n0,nan,5,1\n", "line 2: axis-0: expected a finite number"),
    "words": ("index,axis-0,axis-1,class\n0,here,5,1\n", "line 2: axis-0: expected a number"),
    "short row": ("index,axis-0,axis-1,class\n0,1\n", "line 2: axis-1: expected a number"),
    "empty": ("", "no column 'axis-0'"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
    "zero bytes": (b"index,axis-0,axis-1,class\n\x00\x00", "not a text file"),
}


@pytest.mark.parametrize("name", BAD_LAYOUTS)
def test_a_bad_layout(run, tmp_path, name):
    text, message = BAD_LAYOUTS[name]
    code, error, _ = run(text)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert left(tmp_path) == ["layout.csv"]


@pytest.mark.parametrize(
    "extra,message",
    [
        (("--steps", "-1"), "steps: expected 0 (the usual) or more, got -1"),
        (("--count", "0"), "--count"),
        (("--seed", "-3"), "seed: expected"),
        (("--guidance", "nan"), "guidance"),
        (("--sampler", "magic"), "sampler: expected one of"),
        (("--device", "cuda:9"), "device"),
        (("--checkpoint", "/nowhere"), "no checkpoint folder"),
        (("--mpp", "-1"), "--mpp: expected"),
        (("--shape", "0", "64"), "--shape: expected H and W above 0, got 0 64"),
        (("--sampler", "fasst"), "got 'fasst' (did you mean 'fast'?)"),
        (("--checkpoint", "defalt"), "did you mean 'default'?"),
    ],
)
def test_bad_options(run, tmp_path, extra, message):
    code, error, _ = run(GOOD, *extra)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert left(tmp_path) == ["layout.csv"]


def test_an_existing_folder_is_kept(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    code, error, out = run()
    assert code == 2
    assert "--overwrite" in error
    assert left(out) == ["precious"]
    code, error, out = run(GOOD, "--overwrite")
    assert code == 2 and "precious is no earlier output of CoSynth" in error
    assert left(out) == ["precious"]
    (out / "precious").unlink()
    code, _, out = run(GOOD, "--overwrite")
    assert code == 0
    assert "precious" not in left(out)


def test_a_missing_layout(tmp_path, capsys):
    code = main(["synthesize", "/no/such.csv", "--shape", "9", "9", "--out", str(tmp_path / "o")])
    assert code == 2
    assert "/no/such.csv: no such file" in capsys.readouterr().err


def test_a_damaged_checkpoint(run, tmp_path, tiny_checkpoint):
    import shutil

    broken = shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
    code, error, out = run(GOOD, "--checkpoint", str(broken))
    assert code == 2
    assert "model.safetensors: not a safetensors file" in error
    assert not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no limit on file size to be had")
def test_a_full_disk_leaves_nothing(tmp_path, tiny_checkpoint):
    """The writing process may write no more than 4 kB to a file: as on a full disk."""
    layout = tmp_path / "layout.csv"
    layout.write_text(GOOD)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from napari_cosynth.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["synthesize", str(layout), "--shape", "64", "64", "--out", str(tmp_path / "out")]
    arguments += ["--steps", "1", "--checkpoint", str(tiny_checkpoint)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert left(tmp_path) == ["layout.csv"]


@pytest.mark.parametrize("command", ["demo", "synthesize", "generate", "replay", "train", "info"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert f"example:\n  cosynth {command}" in capsys.readouterr().out


def test_info(tiny_checkpoint, capsys):
    assert main(["info", str(tiny_checkpoint)]) == 0
    out = capsys.readouterr().out
    assert "2 epithelial" in out
    assert "0.5 µm/px" in out


def test_training_asks_for_its_data(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("COSYNTH_DATA", raising=False)
    assert main(["train", "default", "--out", str(tmp_path / "run")]) == 2
    assert "COSYNTH_DATA" in capsys.readouterr().err
    assert main(["train", "x", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "no such recipe" in capsys.readouterr().err
    assert main(["train", "default", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "no such folder" in capsys.readouterr().err
    # What can be seen without reading a tile comes first.
    arguments = ["train", "default", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    for extra, message in (
        (("--init", "defalt"), "defalt: no checkpoint folder there (did you mean 'default'?)"),
        (("--hours", "-1"), "--hours: expected above 0, got -1"),
        (("--nodes", "0"), "--nodes: expected at least 1, got 0"),
    ):
        assert main([*arguments, *extra]) == 2
        assert message in capsys.readouterr().err
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("synthesise", "x.csv"), "cosynth: COMMAND: expected one of demo, synthesize,"),
        (("synthesise", "x.csv"), "(did you mean 'synthesize'?)"),
        (("synthesize", "x.csv", "--format", "stak"), "--format: expected one of coco,"),
        (("synthesize", "x.csv", "--format", "stak"), "(did you mean 'stack'?)"),
        (
            ("info", "default", "--formt", "coco"),
            "cosynth info: unknown argument '--formt' (did you mean '--from'?)",
        ),
        (
            ("train", "default", "--otu", "run"),  # said before that --out is missing
            "cosynth train: unknown argument '--otu' (did you mean '--out'?)",
        ),
        (("layout", "smaple"), "cosynth layout: COMMAND: expected one of detect,"),
        (
            ("convert", "a", "b", "--to", "coco", "--patch", "x"),
            "cosynth convert: --patch: invalid",
        ),
    ],
)
def test_a_slip_on_the_command_line_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_file_and_a_folder_that_exists_are_plain_words(tmp_path, capsys):
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert capsys.readouterr().err.endswith("a.json: no such file\n")
    (tmp_path / "out").mkdir()
    pair = str(Path(napari_cosynth.__file__).parent / "samples" / "pair")
    assert main(["convert", pair, str(tmp_path / "out"), "--to", "coco"]) == 2
    assert "out: exists already; --overwrite replaces it\n" in capsys.readouterr().err


def test_without_a_command_it_says_what_there_is(capsys):
    assert main([]) == 2
    assert "synthesize" in capsys.readouterr().err


def test_an_error_names_the_command_of_a_group(tmp_path, capsys):
    out = str(tmp_path / "o.csv")
    assert main(["layout", "sample", "defalt", "--shape", "9", "9", "--out", out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cosynth layout sample: defalt: no such layout model (did you mean")


def test_an_output_below_a_file_and_a_folder_as_layout(run, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    code, error, _ = run(GOOD, "--out", str(tmp_path / "file" / "out"))
    assert code == 2
    assert f"cannot write in {tmp_path / 'file'}: Not a directory" in error
    arguments = ["--shape", "64", "64", "--out", str(tmp_path / "o")]
    assert main(["synthesize", str(tmp_path), *arguments]) == 2
    assert "expected a CSV file, got a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    arguments += ["--checkpoint", str(tmp_path / "empty")]
    assert main(["synthesize", str(tmp_path / "layout.csv"), *arguments]) == 2
    assert "empty: no checkpoint: expected a folder with config.json" in capsys.readouterr().err
    assert left(tmp_path) == ["empty", "file", "layout.csv"]


def test_a_text_the_checkpoint_does_not_know_is_said(run, caplog):
    code, _, _ = run(GOOD, "--prompt", "purple zebra")
    assert code == 0
    assert "does not know: purple, zebra" in caplog.text
    run(GOOD, "--tissue", "brain", "--overwrite")
    assert "the checkpoint knows colon" in caplog.text


def test_samples_in_the_stain_of_a_reference(run, tmp_path):
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0, 1, (64, 64, 2))
    density = amounts @ [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]
    reference = tmp_path / "reference.tif"
    image = (255 * np.exp(-density)).astype(np.uint8)
    tifffile.imwrite(reference, image, photometric="rgb")
    code, _, out = run(GOOD, "--match-stain", str(reference), "--match-method", "reinhard")
    assert code == 0
    (sample,) = json.loads((out / "cosynth.json").read_text())["samples"]
    said = sample["stain_match"]
    assert (said["method"], said["reference"]) == ("reinhard", "reference.tif")
    assert said["strength"] == 1
    more = ("--match-stain", str(reference), "--match-strength", "40", "--overwrite")
    assert run(GOOD, *more)[0] == 0
    (sample,) = json.loads((out / "cosynth.json").read_text())["samples"]
    assert sample["stain_match"]["strength"] == 0.4
    code, said, _ = run(GOOD, *more[:2], "--match-strength", "140", "--overwrite")
    assert code == 2 and "expected 0 to 100 %, got 140" in said


def test_a_blank_reference_is_refused_before_sampling(run, tmp_path):
    reference = tmp_path / "blank.tif"
    tifffile.imwrite(reference, np.full((64, 64, 3), 255, np.uint8), photometric="rgb")
    code, said, out = run(GOOD, "--match-stain", str(reference))
    assert code == 2 and len(said.strip().splitlines()) == 1
    assert "blank.tif: the reference" in said and not out.exists()
