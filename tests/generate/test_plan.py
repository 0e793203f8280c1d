"""Plans and the layouts they name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.cli import main
from napari_cosynth.export.stack import write_stack
from napari_cosynth.generate.plan import DatasetLayouts, load_plan
from napari_cosynth.generate.pool import build_pool, corners, load_pool, save_pool
from napari_cosynth.records.base import make_record

GOOD = 'name = "n"\nsamples = 5\nshape = [64, 64]\n'
SOURCE = '[[layouts]]\nsource = "folder"\nroot = "layouts"\n'

BAD = {
    "unknown key": (GOOD + "sample = 3\n" + SOURCE, "sample: unknown key"),
    "unknown key of a source": (GOOD + SOURCE + "rot = 1\n", "layouts.0.folder.rot: unknown key"),
    "no source": (GOOD + "layouts = []\n", "layouts: expected at least one source"),
    "which source": (GOOD + '[[layouts]]\nsource = "web"\n', "layouts.0"),
    "missing": ('name = "n"\nshape = [64, 64]\n' + SOURCE, "samples"),
    "samples": (GOOD.replace("5", "0") + SOURCE, "samples: expected at least 1, got 0"),
    "shape": (GOOD.replace("[64, 64]", "[0, 64]") + SOURCE, "shape: expected (H, W) above 0"),
    "weight": (GOOD + SOURCE + "weight = -1\n", "layouts.0: weight: expected a weight above 0"),
    "organ": (GOOD + SOURCE + "[organs]\ncolon = 0\n", "organs: colon: expected a weight above 0"),
    "shares": (
        GOOD + SOURCE + "[balance.target]\na = 0.7\nb = 0.6\n", "expected shares of at most 1 in all",
    ),
    "counts": (
        GOOD + SOURCE + '[balance]\nmethod = "counts"\ntarget = {a = 0.5}\n',
        "counts needs layout models, and layouts.0 is none",
    ),
    "attempts": (GOOD + SOURCE + "[quality]\nattempts = 0\n", "attempts: expected 1..100"),
    "limit": (GOOD + SOURCE + "[quality]\nmissed = -0.1\n", "missed: expected a share of 0 or more"),
    "memory": (
        GOOD.replace("[64, 64]", "[4096, 4096]") + "shard_size = 50\n" + SOURCE,
        "shard_size: expected at most 5 of 4096 x 4096 pixels",
    ),
    "text": ("name = ", "cannot be read as TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_one_line(tmp_path, capsys, name):
    text, message = BAD[name]
    (tmp_path / "plan.toml").write_text(text)
    code = main(["generate", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert str(tmp_path / "plan.toml") in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_layouts_leave_nothing(tmp_path, plan, data, capsys, tiny_checkpoint):
    text = GOOD + f'checkpoint = "{tiny_checkpoint}"\n' + SOURCE
    (tmp_path / "plan.toml").write_text(text)
    call = [
        "generate",
        str(tmp_path / "plan.toml"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "o"),
    ]
    for content, message in (
        (
            "index,axis-0,axis-1,class\n0,1,1,zebra\n",
            "13.csv: line 2: class: unknown class 'zebra'",
        ),
        ("index,axis-0,axis-1,class\n0,5,5,1\n1,5.2,5.2,1\n", "13.csv: points 0 and 1 share"),
        ("index,axis-0,axis-1,class\n0,5,64,1\n", "13.csv: point 0 at (5, 64) lies outside"),
    ):
        (data / "layouts" / "13.csv").write_text(content)
        assert main(call) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "o").exists()


def test_seeds_do_not_meet(plan):
    plan = dataclasses.replace(plan, quality=dataclasses.replace(plan.quality, attempts=3), seed=5)
    seeds = [s for i in range(plan.samples) for s in plan.seeds_of(i)]
    assert seeds == list(range(5, 5 + 3 * plan.samples))
    assert [list(plan.members(s)) for s in range(plan.shards)] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("whole,part,stride", [(64, 64, 64), (500, 256, 256), (513, 256, 100)])
def test_crops_cover_a_tile(whole, part, stride):
    starts = corners(whole, part, stride)
    covered = np.zeros(whole, bool)
    for start in starts:
        assert 0 <= start <= whole - part
        covered[start : start + part] = True
    assert covered.all()
    assert max(np.diff(starts), default=0) <= stride


@pytest.fixture
def tiles(tmp_path, classes):
    """A data set of two tiles of 96 x 80 pixels."""
    rng = np.random.default_rng(0)
    records = []
    for _ in range(2):
        instances = np.kron(np.arange(1, 31).reshape(6, 5), np.ones((16, 16), int))
        instances[::4] = 0
        labels = np.where(instances > 0, instances % 3 + 1, 0).astype(np.uint8)
        image = rng.integers(0, 255, (96, 80, 3), np.uint8)
        records.append(make_record(image, instances, labels, classes, 0.5, "colon", "tile"))
    write_stack(records, tmp_path / "stack")
    return tmp_path


def test_layouts_of_a_data_set(plan, tiles, classes):
    """Crops have the layouts that the records' crops have; whole tiles must be of the shape."""
    from napari_cosynth.datasets.stack import StackDataset
    from napari_cosynth.records.base import crop

    source = DatasetLayouts("dataset", "stack", "stack")
    plan = dataclasses.replace(plan, layouts=(source,))
    pool = build_pool(plan, tiles, classes, 0.5)
    assert len(pool.entries) == 2 * 2 * 2
    assert pool.entries[3].origin == "stack 0 at (32, 16)"
    wanted = crop(StackDataset(tiles / "stack")[0], 32, 16, 64, 64).layout
    assert np.array_equal(pool.entries[3].layout.centroids, wanted.centroids)
    assert pool.entries[3].tissue == "colon"
    whole = dataclasses.replace(plan, layouts=(dataclasses.replace(source, cut="whole"),))
    with pytest.raises(
        ValueError, match=r"96 x 80 pixels at 0.5 µm/px, and the plan's shape is 64 x 64"
    ):
        build_pool(whole, tiles, classes, 0.5)
    fitting = dataclasses.replace(whole, shape=(96, 80))
    assert len(build_pool(fitting, tiles, classes, 0.5).entries) == 2
    save_pool(pool, tiles / "pool.npz")
    again = load_pool(tiles / "pool.npz", plan, classes, 0.5)
    for a, b in zip(pool.entries, again.entries, strict=True):
        assert (a.origin, a.tissue, a.source) == (b.origin, b.tissue, b.source)
        assert np.array_equal(a.layout.centroids, b.layout.centroids)
        assert np.array_equal(a.layout.class_ids, b.layout.class_ids)
    (tiles / "pool.npz").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(ValueError, match=r"pool.npz: cannot be read as the run's layouts"):
        load_pool(tiles / "pool.npz", plan, classes, 0.5)


def test_layouts_of_real_tiles(data_root):
    from napari_cosynth.model.checkpoint import read_config
    from napari_cosynth.training.config import bundled_recipes

    assert bundled_recipes()
    config = read_config("default")
    source = DatasetLayouts(
        "dataset", "consep", "consep/train", only=("train_1",),
        classes={"other": "miscellaneous", "fibroblast": "spindle-shaped",
                 "muscle": "spindle-shaped", "endothelial": "spindle-shaped"},
    )  # fmt: skip
    from napari_cosynth.generate.plan import Plan

    plan = Plan("real", 4, (256, 256), (source,))
    pool = build_pool(plan, data_root, config.classes, config.mpp)
    assert [e.origin for e in pool.entries] == [
        f"consep/train train_1 at ({y}, {x})" for y in (0, 244) for x in (0, 244)
    ]
    assert min(len(e.layout) for e in pool.entries) > 20


def test_a_plan_round_trips_through_a_run(plan, tmp_path):
    import json

    from napari_cosynth.io.settings import plain

    (tmp_path / "plan.json").write_text(json.dumps(plain(plan)))
    assert load_plan(tmp_path / "plan.json") == plan
