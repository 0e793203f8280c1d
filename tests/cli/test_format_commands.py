"""``cosynth info``, ``convert``, ``split`` and ``check``, as a shell calls them."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from skimage.io import imread

from napari_cosynth.cli import main
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.recipes import read_sample
from napari_cosynth.export.folder import write_folder
from napari_cosynth.export.stack import write_stack
from napari_cosynth.types import ClassTable
from nuclei import items, record


@pytest.fixture
def stack(tmp_path):
    return write_stack(items(3, shape=(64, 64)), tmp_path / "stack")


def failing(capsys, *words):
    assert main([str(w) for w in words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.err


def test_info_tells_what_a_folder_holds(stack, tmp_path, capsys):
    assert main(["info", str(stack), "--picture", str(tmp_path / "p.png")]) == 0
    out = capsys.readouterr().out
    nuclei = sum(len(item.record.layout) for item in items(3, shape=(64, 64)))
    for part in (
        "format:  stack, export of CoSynth, 3 synthetic",
        "records: 3",
        "shapes:  64 x 64 (3)",
        "µm/px:   0.5\n",
        f"nuclei:  {nuclei}",
        "1 inflammatory (",
        "tissues: colon (3)",
    ):
        assert part in out
    assert imread(tmp_path / "p.png").shape == (128, 3 * 64 + 8, 3)


def test_info_still_tells_of_checkpoints(tiny_checkpoint, capsys):
    assert main(["info", str(tiny_checkpoint)]) == 0
    assert "grid:" in capsys.readouterr().out


def test_there_and_back_keeps_recipes_layouts_and_numbers(stack, tmp_path):
    assert main(["convert", str(stack), str(tmp_path / "coco"), "--to", "coco"]) == 0
    assert main(["convert", str(tmp_path / "coco"), str(tmp_path / "pan"), "--to", "pannuke"]) == 0
    assert main(["convert", str(tmp_path / "pan"), str(tmp_path / "back"), "--to", "stack"]) == 0
    for index, (before, after) in enumerate(
        zip(open_records(stack)[1], open_records(tmp_path / "back")[1], strict=True)
    ):
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.instances, after.instances)
        np.testing.assert_array_equal(before.labels, after.labels)
        for folder in ("coco", "pan", "back"):
            layout, recipe = read_sample(tmp_path / folder, index)
            np.testing.assert_array_equal(layout.centroids, before.layout.centroids)
            assert recipe == items(3)[index].description
    assert main(["check", str(stack)]) == 0


def test_a_changed_sample_is_marked_so(stack, tmp_path):
    out = tmp_path / "out"
    words = ["--mpp", "1", "--classes", "inflammatory=immune", "--patch", "16"]
    assert main(["convert", str(stack), str(out), "--to", "hovernet", *words]) == 0
    _, dataset = open_records(out)
    assert dataset.classes.names == ("background", "immune", "epithelial", "spindle-shaped")
    assert len(dataset) == 3 * 4
    assert {r.mpp for r in dataset} == {1.0}
    assert all(s["edited"] for s in dataset.own.samples)


def test_published_classes_keep_their_numbers(tmp_path, capsys):
    classes = ClassTable.of("tumour", "lymphocyte", "stroma")
    source = write_stack(items(2, shape=(48, 48), classes=classes), tmp_path / "s")
    words = ["tumour=neoplastic", "lymphocyte=inflammatory", "stroma=connective"]
    out = tmp_path / "pannuke"
    assert main(["convert", str(source), str(out), "--to", "pannuke", "--classes", *words]) == 0
    assert np.load(out / "masks.npy").shape == (2, 48, 48, 6)
    assert open_records(out)[1].classes.names[1:] == (
        "neoplastic",
        "inflammatory",
        "connective",
        "dead",
        "epithelial",
    )


def test_convert_refuses_in_one_line_and_writes_nothing(stack, tmp_path, capsys):
    out = tmp_path / "out"
    assert "no class of the source" in failing(
        capsys, "convert", stack, out, "--to", "coco", "--classes", "a=b"
    )
    assert "expected OLD=NEW" in failing(
        capsys, "convert", stack, out, "--to", "coco", "--classes", "a"
    )
    assert "--mpp: expected above 0" in failing(
        capsys, "convert", stack, out, "--to", "coco", "--mpp", 0
    )
    assert "takes none" in failing(
        capsys, "convert", stack, out, "--to", "coco", "--compression", "lzw"
    )
    assert "no such file" in failing(capsys, "convert", tmp_path / "no", out, "--to", "coco")
    (tmp_path / "empty").mkdir()
    assert "none of the known formats" in failing(
        capsys, "convert", tmp_path / "empty", out, "--to", "coco"
    )
    assert "exists already" in failing(capsys, "convert", stack, stack, "--to", "coco")
    assert not out.exists()


def test_split_writes_a_table_and_the_parts(tmp_path, capsys):
    made = [
        dataclasses.replace(item, description={"synthetic": False, "slide": f"slide {i // 2}"})
        for i, item in enumerate(items(12))
    ]
    source = write_stack(made, tmp_path / "s")
    words = ["--parts", "train=2", "test=1", "--to", "coco", "--seed", "3"]
    assert main(["split", str(source), str(tmp_path / "split"), *words]) == 0
    with (tmp_path / "split" / "split.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    parts = {part: [r for r in rows if r["part"] == part] for part in ("train", "test")}
    assert [len(parts[p]) for p in ("train", "test")] == [8, 4]
    assert not {r["group"] for r in parts["train"]} & {r["group"] for r in parts["test"]}
    paths = [str(tmp_path / "split" / p) for p in parts]
    assert [len(open_records(p)[1]) for p in paths] == [8, 4]
    assert main(["check", *paths]) == 0
    capsys.readouterr()
    assert main(["check", *paths, str(source)]) == 1
    assert "12 leaked copy" in capsys.readouterr().out


def test_check_prints_json_and_exits_by_what_it_found(stack, tmp_path, capsys):
    assert main(["check", str(stack), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    twice = write_stack([*items(2), *items(1)], tmp_path / "twice")
    assert main(["check", str(twice), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["kind"], finding["name"]) == ("copy", "2")
    assert "no such file" in failing(capsys, "check", tmp_path / "no")
    assert "named twice" in failing(capsys, "check", stack, stack)


def test_the_bundled_pair_passes():
    from napari_cosynth.layouts.drawn.patterns import SAMPLES

    assert main(["check", str(SAMPLES / "pair")]) == 0


SCRIPT = """
import sys
from pathlib import Path
from napari_cosynth.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
print("peak", status.split("VmHWM:")[1].split()[0])
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_does_not_grow_with_the_number_of_records(tmp_path):
    peaks = []
    for count in (8, 160):
        folder = tmp_path / str(count)
        folder.mkdir()
        for name, channels in (("images", 3), ("labels", 2)):
            shape = (count, 256, 256, channels)
            array = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)
            array[:, 100:110, 100:110] = 1
            del array
        command = [sys.executable, "-c", SCRIPT, "convert", folder, tmp_path / f"out{count}"]
        done = subprocess.run(
            [*map(str, command), "--to", "stack"], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split("peak")[1]) / 1024)
    # 152 records more are 110 MB more of arrays.
    assert peaks[1] - peaks[0] < 20, peaks


def test_tiles_smaller_than_the_patch_are_said(tmp_path, capsys, caplog):
    made = [
        dataclasses.replace(item, record=record(i, shape=shape))
        for i, (item, shape) in enumerate(zip(items(2), [(40, 56), (90, 130)], strict=True))
    ]
    source = write_folder(made, tmp_path / "s")
    command = ["convert", str(source), str(tmp_path / "o"), "--to", "folder", "--patch"]
    assert main([*command, "64"]) == 0
    assert "1 tiles smaller than --patch 64: left out (in 1 records, first tile_0)" in caplog.text
    assert len(list((tmp_path / "o" / "images").iterdir())) == 2
    assert main([*command, "200", "--overwrite"]) == 2
    assert "every tile is smaller than --patch 200" in capsys.readouterr().err
