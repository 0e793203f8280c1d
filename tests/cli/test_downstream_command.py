"""``cosynth downstream`` from end to end, tiny: every kind of arm, piece by piece, and its report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.cli import main
from napari_cosynth.cli.evaluation.downstream import Downstream
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.known import downstream_recipes
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.downstream import load_downstream
from napari_cosynth.training.records import open_dataset
from published import paint

RECIPE = """
name = "toy"
mpp = 0.5
classes = ["inflammatory", "epithelial", "spindle-shaped"]
baseline = "real+aug"
seeds = [0, 1]
data.kind = "consep"
data.root = "toy"
data.options = {{ mpp = 0.5, class_names = ["inflammatory", "epithelial", "spindle-shaped"] }}
split = {{ diffusion = ["d"], segmenter = ["a"], test = ["b", "c"] }}
sampling = {{ checkpoint = "{checkpoint}", steps = 2, shape = 64 }}
arms = [
  {{ name = "real", augmented = false }},
  {{ name = "real+aug" }},
  {{ name = "real+aug+synthetic", source = "points" }},
  {{ name = "real+aug+labels", source = "labels" }},
  {{ name = "real+aug+perturbed", source = "perturbed" }},
  {{ name = "synthetic-x1", real = false, source = "points" }},
  {{ name = "synthetic-x2", real = false, source = "points", copies = 2 }},
  {{ name = "no-points-x1", real = false, source = "no points" }},
]
[segmenter]
steps = 2
batch = 2
crop = 32
[segmenter.network]
preset = "compact"
stem = 4
widths = [8, 8, 8, 8]
units = [1, 1, 1, 1]
dense_units = [1, 1]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four tiles in HoVer-Net's layout."""
    from scipy.io import savemat

    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for kind in ("Images", "Labels"):
        (root / "toy" / kind).mkdir(parents=True)
    for name in "abcd":
        image, instances, types, _ = paint(96, 3, rng)
        imsave(root / "toy" / "Images" / f"{name}.png", image, check_contrast=False)
        content = {"inst_map": instances, "inst_type": types[:, None]}
        savemat(root / "toy" / "Labels" / f"{name}.mat", content)
    return root


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_checkpoint) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "toy.toml"
    path.write_text(RECIPE.format(checkpoint=tiny_checkpoint))
    return path


def call(recipe: Path, data: Path, out: Path, *extra: str) -> int:
    where = ["--data", str(data), "--out", str(out), "--device", "cpu"]
    return main(["downstream", str(recipe), *where, *extra])


@pytest.fixture(scope="module")
def finished(recipe, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("downstream")
    assert call(recipe, data, out, "--run", "real:0", "synthetic-x2:1") == 0
    assert sorted(p.name for p in (out / "results").iterdir()) == [
        "real-0.json",
        "synthetic-x2-1.json",
    ]
    assert not (out / "report.json").exists()
    before = (out / "sets" / "points-1" / "images.tif").stat().st_mtime_ns
    assert call(recipe, data, out) == 0
    assert (out / "sets" / "points-1" / "images.tif").stat().st_mtime_ns == before
    return out


def test_every_run_lands_and_the_report_follows(finished):
    assert len(list((finished / "results").iterdir())) == 16
    report = json.loads((finished / "report.json").read_text())
    rows = [f for f in report["figures"] if f["section"] == "Table 4"]
    assert len({f["name"] for f in rows}) == 8
    columns = [f["of"] for f in rows if f["name"] == "real"]
    classes = [f"F_c {c}" for c in ("inflammatory", "epithelial", "spindle-shaped")]
    assert columns == ["Dice", "AJI", "PQ", "F_d", "Acc", *classes]
    assert all(len(f["seeds"]) == 2 for f in rows)
    gains = {f["name"] for f in report["figures"] if "difference from real+aug" in f["section"]}
    assert len(gains) == 7 and "real+aug" not in gains
    assert "networks" in (finished / "report.html").read_text()


def test_figure_8_is_drawn_from_the_synthetic_arms(finished):
    page = (finished / "report.html").read_text()
    assert re.search(r"Dice, synthetic alone.*points", page)


def test_sets_are_ordinary_stacks_with_their_recipes(finished, tiny_checkpoint):
    names = sorted(p.name for p in (finished / "sets").iterdir())
    assert names == ["labels-1", "no-points-1", "perturbed-1", "points-1", "points-2"]
    stacks = {name: StackDataset(finished / "sets" / name) for name in names}
    bench = Downstream(load_downstream(finished / "recipe.json"), Path(), finished, progress=False)
    assert bench.missing() == []
    one, two = (stacks[f"points-{k}"] for k in (1, 2))
    assert one.samples[0]["seed"] == 0 and two.samples[0]["seed"] == len(one)
    np.testing.assert_array_equal(one[0].layout.centroids, two[0].layout.centroids)
    assert (one[0].image != two[0].image).any()
    # The labels' set holds the real labels under other images; the perturbed set other labels.
    np.testing.assert_array_equal(stacks["labels-1"][0].layout.centroids, one[0].layout.centroids)
    assert len(stacks["perturbed-1"][0].layout) > 0
    assert stacks["no-points-1"].samples[0]["source"] == "no points"
    assert stacks["labels-1"].samples[0]["labels_of"] == "a.png"


def test_a_damaged_result_is_named(finished, recipe, data, tmp_path, capsys):
    path = finished / "results" / "real-1.json"
    content = path.read_text()
    try:
        path.write_text(content.replace('"missed"', '"mist"', 1))
        assert call(recipe, data, finished, "--report") == 2
        assert (
            "real-1.json: not a result of this recipe (missed: expected" in capsys.readouterr().err
        )
    finally:
        path.write_text(content)


def test_arms_may_be_added_and_nothing_changed(finished, recipe, data, tmp_path, capsys):
    changed = tmp_path / "changed.toml"
    text = recipe.read_text()
    changed.write_text(text.replace("steps = 2\nbatch", "steps = 3\nbatch"))
    assert call(changed, data, finished, "--report") == 2
    assert "segmenter: not what its runs were started with" in capsys.readouterr().err
    added = text.replace("arms = [", 'arms = [\n { name = "more", source = "points" },')
    changed.write_text(added)
    assert call(changed, data, finished, "--report") == 0
    assert "16 of 18 runs are done" in capsys.readouterr().out
    assert "more:0" in (finished / "report.html").read_text()
    assert call(recipe, data, finished, "--report") == 0


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('test = ["b", "c"]', 'test = ["b", "a"]', "test: tile 'a' is in segmenter too"),
        ('test = ["b", "c"]', 'test = ["b", "x"]', "no tile named 'x'"),
        ('baseline = "real+aug"', 'baseline = "none"', "baseline: expected one of real"),
        ("copies = 2", "copy = 2", "arms.6.copy: unknown key"),
        ("steps = 2, shape", "step = 2, shape", "sampling.step: unknown key"),
        (
            "checkpoint = ",
            "checkpoint_without_points = ",
            "sampling.checkpoint: name the diffusion",
        ),
        ('source = "labels"', 'source = "sdm"', "arms.3.source"),
    ],
)
def test_a_bad_recipe_gets_one_line(recipe, data, tmp_path, capsys, old, new, message):
    path = tmp_path / "bad.toml"
    assert old in recipe.read_text()
    path.write_text(recipe.read_text().replace(old, new))
    assert call(path, data, tmp_path / "out", "--run", "real:0") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error, error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("run", ["real", "real:7", "nothing:0", ":0"])
def test_a_bad_run_lists_what_there_is(recipe, data, tmp_path, capsys, run):
    assert call(recipe, data, tmp_path / "out", "--run", run) == 2
    assert "--run: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_saw_the_tiles_is_refused(recipe, data, tmp_path, tiny_checkpoint, capsys):
    import shutil

    shutil.copytree(tiny_checkpoint, tmp_path / "run" / "model")
    (tmp_path / "run" / "recipe.json").write_text(
        json.dumps(
            {
                "name": "leaky",
                "mpp": 0.5,
                "classes": ["inflammatory", "epithelial", "spindle-shaped"],
                "stages": [{"steps": 1, "crop": 32, "batch": 1}],
                "data": [{"kind": "consep", "root": "toy", "excluded": ["a", "b"]}],
            }
        )
    )
    path = tmp_path / "leaky.toml"
    path.write_text(RECIPE.format(checkpoint=tmp_path / "run" / "model"))
    assert call(path, data, tmp_path / "out", "--run", "synthetic-x1:0") == 2
    assert "model: it was trained on c, which the split keeps from it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_exported_model_that_saw_the_tiles_is_refused_before_any_arm(
    data, tmp_path, tiny_checkpoint, capsys, caplog
):
    """Without its run's folder, by what its configuration says; an old one that says nothing is."""
    from shutil import copytree

    model = copytree(tiny_checkpoint, tmp_path / "exported")
    path = tmp_path / "leaky.toml"
    path.write_text(RECIPE.format(checkpoint=model))
    config = json.loads((model / "config.json").read_text())
    for tiles, leaked in (
        ({"consep elsewhere/train": ["d", "c"], "folder x": ["b"]}, "c"),
        ({"packed .": ["b", "a"]}, "a, b"),
    ):
        (model / "config.json").write_text(json.dumps({**config, "tiles": tiles}))
        assert call(path, data, tmp_path / "out") == 2  # of all arms, "real" would come first
        assert f"exported: it was trained on {leaked}, which" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    for tiles in ({"consep toy": ["d"]}, {}):
        (model / "config.json").write_text(json.dumps({**config, "tiles": tiles}))
        bench = Downstream(load_downstream(path), data, tmp_path / "out", progress=False)
        caplog.clear()
        bench.check(bench.recipe.arms)
        assert ("whether it saw those of the test is not known" in caplog.text) == (not tiles)


def test_a_model_that_is_not_there_is_named(recipe, data, tmp_path, tiny_checkpoint, capsys):
    path = tmp_path / "early.toml"
    path.write_text(RECIPE.format(checkpoint="diffusion/model"))
    assert call(path, data, tmp_path / "out", "--run", "synthetic-x1:0") == 2
    assert re.search(
        r"checkpoint: neither in .*out nor by name: diffusion/model", capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_the_bundled_recipe_and_its_model_agree(data_root):
    """The diffusion model's tiles are those that the split gives it; the rest are all used."""
    assert list(downstream_recipes()) == ["downstream-consep"]
    recipe = load_downstream("downstream-consep")
    model = load_recipe("consep-ten")
    assert (model.mpp, model.classes) == (recipe.mpp, recipe.classes)
    assert model.data[0].classes == recipe.data.classes
    assert model.point_dropout > 0
    seen = open_dataset(model.data[0], data_root, without=model.data[0].excluded).names
    assert set(seen) == set(recipe.split.diffusion)
    unseen = {*recipe.split.segmenter, *recipe.split.test}
    assert unseen == set(model.data[0].excluded)
    held = load_recipe("default").data[0].validation
    assert set(held) <= set(recipe.split.test)
