"""``cosynth evaluate`` on what ``cosynth generate`` made, and what it checks before any work."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_cosynth.cli import main
from napari_cosynth.cli.evaluation import evaluate
from napari_cosynth.cli.synthesis import reference
from napari_cosynth.datasets.shards import ShardsDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.evaluation.encoders.encoder import save_encoders, train_encoder
from napari_cosynth.export.stack import write_stack
from napari_cosynth.records.base import make_record
from napari_cosynth.segmenter.checkpoint import (
    Segmenter,
    SegmenterDescription,
    load_segmenter,
    save_segmenter,
)
from napari_cosynth.training.segmenter import SegmenterSettings
from napari_cosynth.types import ClassTable, Record
from published import paint

TABLE = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")
"""Of the tiny checkpoint, its µm/px too."""


def tile(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    image, instances, types, _ = paint(64, 3, rng)
    labels = np.concatenate([[0], types]).astype(np.uint8)[instances]
    return make_record(image, instances, labels, TABLE, 0.5, source=f"tile {seed}", smallest=6)


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_checkpoint) -> Path:
    """Five generated samples in shards of two, real tiles and an encoder's file."""
    root = tmp_path_factory.mktemp("made")
    write_stack([tile(s) for s in range(4)], root / "real")
    save_encoders([train_encoder([tile(9)], 0, steps=2)], TABLE, 0.5, root / "tiles.safetensors")
    (root / "plan.toml").write_text(
        f"""
name = "five"
checkpoint = "{tiny_checkpoint}"
samples = 5
shard_size = 2
shape = [64, 64]
steps = 2
[[layouts]]
source = "dataset"
kind = "stack"
root = "real"
"""
    )
    assert main(["generate", str(root / "plan.toml"), "--out", str(root / "set")]) == 0
    return root


def arguments(root: Path, samples: Path | str, out: Path, **others: Path | str) -> list[str]:
    options = {
        "against": root / "real",
        "encoder": root / "tiles.safetensors",
        **others,
        "out": out,
    }
    named = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return ["evaluate", str(root / samples), *named]


def test_a_generated_data_set_is_measured_as_the_stack_of_its_samples(made, tmp_path):
    shards = sorted((made / "set").glob("shard-*"))
    assert len(shards) == 3 and (made / "set" / "manifest.json").is_file()
    records = list(ShardsDataset(made / "set"))
    assert len(records) == 5
    write_stack(records, tmp_path / "one")
    assert main(arguments(made, "set", tmp_path / "shards")) == 0
    assert main(arguments(made, tmp_path / "one", tmp_path / "stack")) == 0
    ours, theirs = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("shards", "stack")
    )
    assert (ours["samples"], ours["stack"]) == (5, "set")
    values = [{(f["name"], f["of"]): f["value"] for f in r["figures"]} for r in (ours, theirs)]
    for name in ("missed per point", "spurious per point", "area, µm²", "FSD", "mean colour, R"):
        for key in [k for k in values[0] if k[0] == name]:
            assert values[0][key] == pytest.approx(values[1][key]), key
    assert values[0]["missed per point", "all"] is not None


def test_it_is_a_real_side_and_a_reading_too(made, tmp_path):
    assert main(arguments(made, "real", tmp_path / "r", against=made / "set")) == 0
    assert json.loads((tmp_path / "r.json").read_text())["real patches"] == 5
    reading = [*arguments(made, "set", tmp_path / "reading"), "--reading", "--pairs", "4"]
    assert main(reading) == 0
    assert (tmp_path / "reading" / "key.json").is_file()


def test_crumbs_are_counted_on_neither_side(made, tmp_path):
    """One pixel that no point asked for, in a stack that stands on either side."""
    stack = tmp_path / "crumbs"
    shutil.copytree(made / "real", stack)
    from tifffile import imread, imwrite

    for name, value in (("labels", 1), ("instances", 500)):
        pages = imread(stack / f"{name}.tif")
        free = np.argwhere(imread(made / "real" / "labels.tif")[0] == 0)
        y, x = next((y, x) for y, x in free if not pages[0, y - 1 : y + 2, x - 1 : x + 2].any())
        pages[0, y, x] = value
        imwrite(stack / f"{name}.tif", pages)
    assert StackDataset(stack)[0].instances.max() == 500
    assert main(arguments(made, stack, tmp_path / "made")) == 0
    assert main(arguments(made, made / "real", tmp_path / "other", against=stack)) == 0
    for report in ("made", "other"):
        figures = json.loads((tmp_path / f"{report}.json").read_text())["figures"]
        found = {(f["name"], f["of"]): f for f in figures}
        row = found["count error, nuclei per image", "all"]
        assert (row["value"], row["real"]) == (0, 0)


def test_a_poor_judge_is_said_on_the_console_and_on_the_page(made, tmp_path, caplog):
    torch.manual_seed(0)
    network = SegmenterSettings(
        network={"stem": 4, "widths": [8] * 4, "units": [1] * 4, "dense_units": [1, 1]}
    ).build(len(TABLE))
    description = SegmenterDescription(network.config, TABLE.names, 0.5)
    save_segmenter(Segmenter(network, description), tmp_path / "judge")
    load_segmenter(tmp_path / "judge")
    out = tmp_path / "judged"
    assert main(arguments(made, "set", out, segmenter=tmp_path / "judge")) == 0
    (said,) = (m for m in caplog.messages if "poor judge" in m)
    assert re.search(r"on the real tiles its AJI is 0\.\d\d, below 0\.3", said)
    assert "poor judge" in out.with_suffix(".html").read_text()
    assert said in json.loads(out.with_suffix(".json").read_text())["notes"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"encoder": "real"}, "real: cannot be read as a tile encoder"),
        ({"encoder": "plan.toml"}, "plan.toml: cannot be read as a tile encoder"),
        ({"encoder": "plan.toml/new"}, "plan.toml/new: cannot write in"),
        ({"inception": "none.pth"}, "none.pth: no such file"),
        ({"inception": "plan.toml"}, "plan.toml: "),
        ({"segmenter": "none"}, "none: no such file"),
        ({"segmenter": "real"}, "real/config.json: no such file"),
        ({"against": "none"}, "--against: .*none: expected"),
        ({"against": "consep:none"}, "none: no such f"),
        ({"out": "plan.toml/report"}, "cannot write in"),
    ],
)
def test_every_named_file_is_checked_before_any_record_is_read(
    made, tmp_path, monkeypatch, capsys, others, message
):
    def read(*_: object) -> None:
        raise AssertionError("a record was read")

    monkeypatch.setattr(evaluate, "read_samples", read)
    monkeypatch.setattr(reference, "open_split", read)
    places = {
        key: value if ":" in value else str(made / value)
        for key, value in others.items()
        if key != "out"
    }
    out = made / others["out"] if "out" in others else tmp_path / "report"
    assert main(arguments(made, "set", out, **places)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message, error), error
    assert not list(tmp_path.iterdir())


def test_a_recipe_without_its_data_is_told_at_once(made, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    places = {"against": "default", "data": tmp_path / "data"}
    assert main(arguments(made, "set", tmp_path / "r", **places)) == 2
    assert re.search(r"--data: .*consep/train: no such folder", capsys.readouterr().err)


def test_what_is_no_set_of_samples(made, tmp_path, capsys):
    assert main(arguments(made, made, tmp_path / "r")) == 2
    assert "expected the folder of a stack or of a generated data set" in capsys.readouterr().err
    convert = ["convert", str(made / "real"), str(tmp_path / "coco"), "--to", "coco"]
    assert main(convert) == 0
    capsys.readouterr()
    assert main(arguments(made, tmp_path / "coco", tmp_path / "r")) == 2
    assert "data set, got the format coco" in capsys.readouterr().err
