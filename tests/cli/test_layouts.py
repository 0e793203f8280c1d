"""``cosynth layout fit`` and ``sample`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_cosynth.cli import main
from napari_cosynth.cli.layouts.generated import _one_annotation
from napari_cosynth.layouts.gibbs.model import (
    LayoutModel,
    TissueModel,
    load_layout_model,
    save_layout_model,
)
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.types import ClassTable, Layout

MODEL = LayoutModel(
    classes=("round", "long cell"),
    colors=((255, 0, 0), (0, 0, 255)),
    hard_core=((3.0, 3.0), (3.0, 3.0)),
    knots=(3.0, 8.0),
    potentials=(((0.0, 0.0), (0.0, 0.0)), ((0.0, 0.0), (0.0, 0.0))),
    scales=(20.0,),
    nodes=(-1.0, 1.0),
    tissues=(
        TissueModel(
            "skin", ("round", "long cell"), ((3000.0, 3000.0),), (((-0.5, 0.5),), ((0.0, 0.0),))
        ),
    ),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_layout_model(MODEL, tmp_path / "model.json")


def sample(model: Path, out: Path, *extra: str) -> int:
    return main(["layout", "sample", str(model), "--shape", "96", "96", "--out", str(out), *extra])


def test_one_layout_is_a_file_that_synthesize_reads(model, tmp_path, capsys):
    out = tmp_path / "layout.csv"
    counts = ["--counts", "round=9", "long cell=4"]
    assert sample(model, out, "--seed", "3", "--tissue", "skin", *counts) == 0
    assert "13 nuclei" in capsys.readouterr().out
    layout = read_layout(out, (96, 96), 0.5, MODEL.table)
    assert np.bincount(layout.class_ids).tolist() == [0, 9, 4]
    drawn = MODEL.sample((96, 96), 3, 0.5, "skin", {"round": 9, "long cell": 4})
    assert layout.centroids.tobytes() == drawn.centroids.tobytes()
    assert sample(model, out) == 2
    assert "exists already" in capsys.readouterr().err


def test_several_layouts_are_a_folder_named_by_seed(model, tmp_path):
    out = tmp_path / "many"
    assert sample(model, out, "--seed", "5", "--count", "2", "--mpp", "0.25") == 0
    assert sorted(p.name for p in out.iterdir()) == ["5.csv", "6.csv"]


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (["--counts", "round"], "--counts: expected CLASS=N, got 'round'"),
        (["--counts", "round=-3"], "--counts: expected CLASS=N, got 'round=-3'"),
        (["--counts", "round=1", "round=2"], "--counts: round: given twice"),
        (["--counts", "square=1"], "counts: expected one of round, long cell, got 'square'"),
        (["--tissue", "hair"], "tissue: expected one of skin, got 'hair'"),
        (["--count", "0"], "--count: expected at least 1, got 0"),
        (["--mpp", "0"], "mpp: expected"),
        (["--seed", "-1"], "seed: expected"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(model, tmp_path, capsys, extra, line):
    assert sample(model, tmp_path / "out.csv", *extra) == 2
    error = capsys.readouterr().err
    assert error.startswith("cosynth layout sample: ") and line in error and error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Three tiles of 160 µm whose nuclei are squares at random places."""
    rng = np.random.default_rng(0)
    for folder in ("images", "instances"):
        (tmp_path / "tiles" / folder).mkdir(parents=True)
    for name in "abc":
        ids = np.zeros((320, 320), np.uint16)
        for number, (y, x) in enumerate(rng.integers(2, 317, (120, 2)), start=1):
            ids[y - 2 : y + 3, x - 2 : x + 3] = number
        imageio.imwrite(
            tmp_path / "tiles" / "images" / f"{name}.png", np.zeros((320, 320, 3), "u1")
        )
        imageio.imwrite(tmp_path / "tiles" / "instances" / f"{name}.png", ids)
    return tmp_path / "tiles"


def test_fit_to_a_folder(tiles, tmp_path, capsys):
    out = tmp_path / "fitted.json"
    arguments = ["layout", "fit", f"folder:{tiles}", "--out", str(out), "--rounds", "0"]
    assert main([*arguments, "--without", "b"]) == 0
    model = load_layout_model(out)
    assert model.classes == ("unspecified",)
    assert model.about["tiles"] == ["a", "c"]
    assert len(model.tissues[0].levels) == 2
    assert "cosynth layout sample" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert json.loads(out.read_text())["about"]["tiles"] == ["a", "c"]


@pytest.mark.parametrize(
    ("dataset", "extra", "line"),
    [
        ("nothing", [], "nothing: expected a stack folder, a recipe, or KIND:FOLDER"),
        ("folder:/absent", [], "no such folder"),
        ("folder:TILES", ["--without", "z"], "--without: no tile named 'z'"),
        ("folder:TILES", ["--rounds", "-1"], "--rounds: expected 0 or more"),
    ],
)
def test_a_bad_fit_is_one_line_and_leaves_nothing(tiles, tmp_path, capsys, dataset, extra, line):
    out = tmp_path / "fitted.json"
    dataset = dataset.replace("TILES", str(tiles))
    assert main(["layout", "fit", dataset, "--out", str(out), *extra]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
    assert not out.exists()


def test_tiles_annotated_with_other_classes_are_left_out_and_named():
    table = ClassTable.of("a", "b", "any")

    def tile(name: str, tissue: str, *ids: int) -> tuple[str, str, Layout]:
        points = np.arange(2 * len(ids)).reshape(-1, 2)
        return name, tissue, Layout(points, np.array(ids), (50, 50), 0.5, table)

    tiles = [
        tile("1", "colon", 1, 1),
        tile("2", "colon", 3, 3, 3),
        tile("3", "colon", 2),
        tile("4", "colon", 1, 2),
        tile("5", "lung", 3),
    ]
    chosen, left = _one_annotation(tiles)
    assert sorted(name for name, _, _ in chosen) == ["1", "3", "4", "5"]
    assert left == [("2", "colon")]
