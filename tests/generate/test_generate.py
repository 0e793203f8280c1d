"""A data set by a plan: the same files whatever stops the run, and nothing lost or made twice."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.checks.splits import groups_of
from napari_cosynth.cli import main
from napari_cosynth.datasets.recipes import read_sample
from napari_cosynth.datasets.shards import ShardsDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.base import Described
from napari_cosynth.export.hovernet import write_tiles
from napari_cosynth.export.stack import write_stack
from napari_cosynth.generate.manifest import read_manifest
from napari_cosynth.generate.plan import DatasetLayouts, Plan, Quality
from napari_cosynth.generate.run import generate, in_this_process
from napari_cosynth.generate.sample import too_many
from napari_cosynth.types import Report
from nuclei import CLASSES
from nuclei import record as painted


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a finished data set is made of."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def toml(plan: Plan) -> str:
    """The plan as a user writes it."""
    (source,) = plan.layouts
    q = "\n".join(
        f"{k} = {v}" for k, v in dataclasses.asdict(plan.quality).items() if v is not None
    )
    return f"""
name = "{plan.name}"
samples = {plan.samples}
shape = [64, 64]
checkpoint = "{plan.checkpoint}"
steps = {plan.steps}
shard_size = {plan.shard_size}
per_layout = {plan.per_layout}
[[layouts]]
source = "folder"
root = "{source.root}"
tissue = "colon"
[quality]
{q}
"""


def test_shards_and_a_manifest(plan, data, tmp_path):
    generate(plan, tmp_path / "out", data, quiet=True)
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == [
        "layouts.npz", "looks.json", "manifest.json", "shard-00000", "shard-00001", "shard-00002",
    ]  # fmt: skip
    manifest = read_manifest(out)
    assert [e["id"] for e in manifest.samples] == list(range(7))
    assert [e["seed"] for e in manifest.samples] == list(range(7))
    content = json.loads((out / "manifest.json").read_text())
    assert content["counts"]["kept"] == 7
    for entry in manifest.samples:
        stack = StackDataset(out / entry["shard"])
        record, recipe = stack[entry["index"]], stack.samples[entry["index"]]
        assert (recipe["id"], recipe["seed"]) == (entry["id"], entry["seed"])
        assert recipe["report"] == entry["report"]
        assert recipe["threads"] == 1
        assert recipe["checkpoint_sha256"] == content["checkpoint"]["sha256"]
        assert record.tissue == "colon"
        assert len(record.layout) == entry["points"] == sum(entry["nuclei"].values())


def test_shards_are_read_as_one_data_set(plan, data, tmp_path):
    generate(plan, tmp_path / "out", data, quiet=True)
    shards = ShardsDataset(tmp_path / "out")
    assert shards.names[:4] == ("shard-00000-0", "shard-00000-1", "shard-00000-2", "shard-00001-0")
    assert shards.tissues == ("colon",)
    for record, entry in zip(shards, read_manifest(tmp_path / "out").samples, strict=True):
        stack = StackDataset(tmp_path / "out" / entry["shard"])
        assert np.array_equal(record.image, stack[entry["index"]].image)
    assert len(ShardsDataset(tmp_path / "out", only=["shard-00002-0"])) == 1
    description = tmp_path / "out" / "shard-00001" / "cosynth.json"
    description.write_text(description.read_text().replace('"mpp": 0.5', '"mpp": 0.25'))
    with pytest.raises(ValueError, match="shard-00001: its classes or µm/px are not those of"):
        ShardsDataset(tmp_path / "out")
    with pytest.raises(ValueError, match="no shard-"):
        ShardsDataset(data)


def test_samples_of_a_layout_differ_only_by_seed(plan, data, tmp_path):
    generate(plan, tmp_path / "out", data, quiet=True)
    first = StackDataset(tmp_path / "out" / "shard-00000")
    a, b = first[0], first[1]
    assert np.array_equal(a.layout.centroids, b.layout.centroids)
    assert not np.array_equal(a.image, b.image)
    assert not np.array_equal(a.layout.centroids, first[2].layout.centroids)


def test_a_sample_is_a_function_of_plan_and_number(plan, data, tmp_path):
    generate(plan, tmp_path / "a", data, quiet=True)
    backwards = dataclasses.replace(plan, samples=4, shard_size=4)
    generate(
        backwards, tmp_path / "b", data, quiet=True,
        engine=lambda jobs, settings: in_this_process(reversed(list(jobs)), settings),
    )  # fmt: skip
    few = StackDataset(tmp_path / "b" / "shard-00000")
    for i, entry in enumerate(read_manifest(tmp_path / "a").samples[:4]):
        record = StackDataset(tmp_path / "a" / entry["shard"])[entry["index"]]
        assert np.array_equal(record.image, few[i].image)
        assert np.array_equal(record.instances, few[i].instances)


def test_rejected_samples_are_drawn_again_and_counted(plan, data, tmp_path):
    """Limits from the reports of an unfiltered run, so that some samples pass and some do not."""
    free = dataclasses.replace(plan, quality=Quality(attempts=3))
    generate(free, tmp_path / "free", data, quiet=True)
    shares = [
        len(e["report"]["merged"]) / e["points"] for e in read_manifest(tmp_path / "free").samples
    ]
    limit = sorted(shares)[3]
    strict = dataclasses.replace(plan, quality=Quality(merged=limit, attempts=3))
    generate(strict, tmp_path / "strict", data, quiet=True)
    manifest = read_manifest(tmp_path / "strict")
    again = 0
    for i, entry in enumerate(manifest.samples):
        tried = [a["seed"] for a in entry["rejected"]] + [entry["seed"]] * entry["kept"]
        assert tried == list(range(3 * i, 3 * i + len(tried)))
        assert all(len(a["report"]["merged"]) > limit * entry["points"] for a in entry["rejected"])
        if entry["kept"]:
            assert len(entry["report"]["merged"]) <= limit * entry["points"]
        else:
            assert len(tried) == 3 and entry["shard"] is None
        again += len(tried) - 1
    assert again > 0
    assert manifest.counts["drawn again"] == again
    assert manifest.counts["kept"] + manifest.counts["rejected"] == 7
    kept = [e["id"] for e in manifest.samples if e["kept"]]
    stored = [s["id"] for p in sorted((tmp_path / "strict").glob("shard-*"))
              for s in StackDataset(p).samples]  # fmt: skip
    assert stored == kept


def test_the_limits_by_hand():
    report = Report(missed=(1,), spurious=(11, 12), merged=(), flagged=(2, 3, 4))
    assert too_many(report, 10, Quality()) == ()
    assert too_many(report, 10, Quality(missed=0.1, spurious=0.1, merged=0, flagged=0.3)) == (
        "spurious",
    )
    assert too_many(Report(), 0, Quality(missed=0, spurious=0)) == ()
    assert too_many(Report(spurious=(1,)), 0, Quality(spurious=0.5)) == ("spurious",)


def test_all_rejected_leaves_a_manifest_and_no_shards(plan, data, tmp_path):
    nothing = dataclasses.replace(plan, samples=2, quality=Quality(missed=0, merged=0, spurious=0))
    manifest = generate(nothing, tmp_path / "out", data, quiet=True)
    if manifest.counts["kept"] == 0:
        assert not list((tmp_path / "out").glob("shard-*"))
    assert manifest.counts["finished"] == 2


def test_killed_and_resumed(plan, data, tmp_path):
    """SIGKILL as soon as a number of samples is finished; each process gets a little further."""
    plan_file, out = tmp_path / "plan.toml", tmp_path / "out"
    plan_file.write_text(toml(plan))
    generate(plan, tmp_path / "whole", data, quiet=True)
    code = (
        "import os, signal, sys\n"
        "from napari_cosynth.generate import folder\n"
        "put, limit = folder.DatasetFolder.put, int(sys.argv.pop(1))\n"
        "done = []\n"
        "def counted(self, index, data):\n"
        "    put(self, index, data)\n"
        "    done.append(index)\n"
        "    print(index, flush=True)\n"
        "    if len(done) == limit: os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder.DatasetFolder.put = counted\n"
        "from napari_cosynth.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    made: list[int] = []
    for limit, extra in ((2, []), (3, ["--resume"])):
        arguments = ["generate", str(plan_file), "--data", str(data), "--out", str(out), *extra]
        done = subprocess.run(
            [sys.executable, "-c", code, str(limit), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        made += [int(line) for line in done.stdout.splitlines() if line.isdecimal()]
    assert made == list(range(5))
    assert main([*arguments[:6], "--resume"]) == 0
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["stack", "manifest", "list", "unlink", "end"])
def test_killed_while_a_shard_is_written(plan, data, tmp_path, moment, monkeypatch):
    """At each step between the samples of a shard and their removal from where they wait."""
    from napari_cosynth.generate import folder, manifest
    from napari_cosynth.generate.manifest import Listing, Manifest

    write = Manifest.write

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    generate(plan, tmp_path / "whole", data, quiet=True)
    with monkeypatch.context() as patch:
        if moment == "stack":
            patch.setattr(folder, "write_stack", kill)
        elif moment == "manifest":
            patch.setattr(Listing, "add", kill)
        elif moment == "list":  # half of a shard's second line is on the disk
            line = manifest._line
            patch.setattr(
                manifest, "_line", lambda e: line(e) if e["id"] % 3 == 0 else line(e)[:20]
            )
            patch.setattr(manifest.Tally, "add", kill)
        elif moment == "end":
            patch.setattr(Manifest, "write", lambda *a: kill() if len(a) > 2 else write(*a))
        else:
            unlink = Path.unlink
            patch.setattr(
                Path, "unlink",
                lambda self, **k: kill() if self.suffix == ".safetensors" and self.stem[0] == "0"
                else unlink(self, **k),
            )  # fmt: skip
        with pytest.raises(Killed):
            generate(plan, tmp_path / "out", data, quiet=True)
    (tmp_path / "out" / ".shard-00000.left").mkdir()
    (tmp_path / "out" / "pending" / ".00000004.half").write_bytes(b"x")
    generate(plan, tmp_path / "out", data, resume=True, quiet=True)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_full_disk_stops_with_one_line_and_the_run_goes_on(plan, data, tmp_path):
    """No file over 60 kB: the samples fit, the images of a shard do not."""
    plan = dataclasses.replace(plan, shard_size=7)
    plan_file, out = tmp_path / "plan.toml", tmp_path / "out"
    plan_file.write_text(toml(plan))
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from napari_cosynth.cli import main\n"
        "import napari_cosynth.generate.run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["generate", str(plan_file), "--data", str(data), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "File too large; what is finished is kept" in done.stderr.splitlines()[-1]
    assert not list(out.glob(".shard*"))
    assert main([*arguments, "--resume"]) == 0
    generate(plan, tmp_path / "whole", data, quiet=True)
    assert files(out) == files(tmp_path / "whole")


def test_what_cannot_be_resumed(plan, data, tmp_path, capsys):
    out, plan_file = tmp_path / "out", tmp_path / "plan.toml"
    plan_file.write_text(toml(plan))
    call = ["generate", str(plan_file), "--data", str(data), "--out", str(out)]
    assert main(call) == 0
    assert "7 of 7 samples in 3 shards" in capsys.readouterr().out
    assert main(call) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    plan_file.write_text(toml(dataclasses.replace(plan, steps=3)))
    assert main([*call, "--resume"]) == 2
    assert "plan: steps: not as in the plan to resume by" in capsys.readouterr().err
    assert main(["generate", str(plan_file), "--out", str(tmp_path), "--resume"]) == 2
    assert "no generated data set there" in capsys.readouterr().err


def test_an_unfinished_run_lists_whole_shards(plan, data, tmp_path):
    """And says which line of the list is damaged, when it reads or resumes."""

    def some(jobs, settings):
        for n, item in enumerate(in_this_process(jobs, settings)):
            if n == 5:
                raise KeyboardInterrupt
            yield item

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        generate(plan, out, data, engine=some, quiet=True)
    assert json.loads((out / "manifest.json").read_text())["samples"] == []
    manifest = read_manifest(out)
    assert [e["id"] for e in manifest.samples] == [0, 1, 2]
    assert manifest.counts["kept"] == 3
    listed = out / "listed.jsonl"
    lines = listed.read_text().splitlines()
    for line, message in (("{}", "line 2: no sample"), (lines[2], "expected sample 1, got 2")):
        listed.write_text("\n".join([lines[0], line, lines[2], ""]))
        with pytest.raises(ValueError, match=rf"listed\.jsonl: .*{message}"):
            generate(plan, out, data, resume=True, quiet=True)
    listed.write_text("\n".join([*lines, ""]))
    generate(plan, out, data, resume=True, quiet=True)
    generate(plan, tmp_path / "whole", data, quiet=True)
    assert files(out) == files(tmp_path / "whole")


def test_two_runs_of_one_folder(plan, data, tmp_path):
    from napari_cosynth.generate.folder import locked

    generate(plan, tmp_path / "out", data, quiet=True)
    with locked(tmp_path / "out"), pytest.raises(ValueError, match="another run is writing it"):
        generate(plan, tmp_path / "out", data, resume=True, quiet=True)


def test_a_damaged_pending_sample_is_named(plan, data, tmp_path):
    def some(jobs, settings):
        for n, item in enumerate(in_this_process(jobs, settings)):
            if n == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        generate(plan, tmp_path / "out", data, engine=some, quiet=True)
    damaged = tmp_path / "out" / "pending" / "00000001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"00000001.safetensors: not a finished sample"):
        generate(plan, tmp_path / "out", data, resume=True, quiet=True)
    damaged.unlink()
    generate(plan, tmp_path / "out", data, resume=True, quiet=True)
    generate(plan, tmp_path / "whole", data, quiet=True)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_shards_keep_their_recipes_in_other_formats(plan, data, tmp_path):
    """And their layouts, by which splits go: the two samples of one stay together."""
    out = tmp_path / "out"
    generate(plan, out, data, quiet=True)
    for kind in ("coco", "stack"):
        assert main(["convert", str(out), str(tmp_path / kind), "--to", kind]) == 0
        for entry in read_manifest(out).samples:
            layout, recipe = read_sample(out / entry["shard"], entry["index"])
            again, kept = read_sample(tmp_path / kind, entry["id"])
            assert kept == recipe
            assert (kept["synthetic"], kept["seed"]) == (True, entry["seed"])
            assert np.array_equal(again.centroids, layout.centroids)
    for stored, record in zip(StackDataset(tmp_path / "stack"), ShardsDataset(out), strict=True):
        assert np.array_equal(stored.instances, record.instances)
    slides = list(groups_of(ShardsDataset(out)).values())
    assert slides[0:6:2] == slides[1:6:2]
    assert len(set(slides)) == 4


def test_crops_of_one_tile_stay_on_one_side_and_are_found_where_they_do_not(
    plan, tmp_path, tiny_checkpoint, capsys
):
    """Splits go by the slide of the real tile, which its real patches share."""
    names = ("TCGA-AA-0001-01Z", "TCGA-AA-0001-02Z", "TCGA-BB-0002-01Z", "TCGA-CC-0003-01Z")
    tiles = [
        Described(painted(i, (64, 128), CLASSES), {"synthetic": False}, n)
        for i, n in enumerate(names)
    ]
    write_tiles(tiles, tmp_path / "data" / "real")
    (tmp_path / "data" / "real" / "cosynth.json").unlink()
    source = DatasetLayouts(
        "dataset", "consep", "real", options={"mpp": 0.5, "class_names": list(CLASSES.names[1:])}
    )
    plan = dataclasses.replace(plan, layouts=(source,), samples=16, per_layout=1, steps=1)
    out = tmp_path / "made"
    generate(plan, out, tmp_path / "data", quiet=True)
    made = groups_of(ShardsDataset(out))
    assert set(made.values()) == {"TCGA-AA-0001", "TCGA-BB-0002", "TCGA-CC-0003"}
    layouts = {e["layout"] for e in read_manifest(out).samples}
    assert len(layouts) == 8  # two crops of each of the four tiles
    arguments = ["split", str(out), str(tmp_path / "parts"), "--parts", "a=1", "b=1", "c=1"]
    assert main([*arguments, "--to", "stack"]) == 0
    rows = (tmp_path / "parts" / "split.csv").read_text().splitlines()[1:]
    sides = {(group, part) for _, group, part in (row.split(",") for row in rows)}
    assert len(sides) == 3
    capsys.readouterr()
    only = [n for n, group in made.items() if group == "TCGA-BB-0002"]
    write_stack(list(ShardsDataset(out, only=only)), tmp_path / "leak")
    description = json.loads((tmp_path / "leak" / "cosynth.json").read_text())
    description["samples"] = [
        read_sample(out / n.rpartition("-")[0], int(n.rpartition("-")[2]))[1] for n in only
    ]
    (tmp_path / "leak" / "cosynth.json").write_text(json.dumps(description))
    for split in (tmp_path / "parts" / part for part in "abc"):
        held = "TCGA-BB-0002" in groups_of(StackDataset(split)).values()
        assert main(["check", str(tmp_path / "leak"), str(split)]) == int(held)
        assert ("TCGA-BB-0002 is in" in capsys.readouterr().out) == held


def test_sets_of_before_go_by_the_tile_too(tmp_path):
    """Their recipes name a crop, and no slide."""
    recipes = [
        {"synthetic": True, "layout": f"consep/train train_{tile} at (0, {x})"}
        for tile in (1, 2)
        for x in (0, 64)
    ]
    items = [Described(painted(i), recipe) for i, recipe in enumerate(recipes)]
    slides = list(groups_of(StackDataset(write_stack(items, tmp_path / "s"))).values())
    assert slides[0] == slides[1] != slides[2] == slides[3]
    image = {"synthetic": True, "inpainted": {"image": "TCGA-AA-0001-01Z.svs"}}
    stack = write_stack([Described(painted(), image)], tmp_path / "inpainted")
    assert list(groups_of(StackDataset(stack)).values()) == ["TCGA-AA-0001"]
