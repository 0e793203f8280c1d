"""``cosynth evaluate`` and ``compare`` on stacks as files: page, JSON, verdicts, and bad input."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cosynth.cli import main
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.evaluation.encoders.encoder import save_encoders, train_encoder
from napari_cosynth.evaluation.reports.compare import compare
from napari_cosynth.export.stack import write_stack
from napari_cosynth.model.efficientnet import PACKAGE
from napari_cosynth.records.base import make_record
from napari_cosynth.segmenter.checkpoint import pixels_digest
from napari_cosynth.training.segmenter import SegmenterSettings, train_segmenter
from napari_cosynth.types import ClassTable, Record
from published import paint

TABLE = ClassTable.of("a", "b", "never")


def tile(seed: int, side: int = 96) -> Record:
    rng = np.random.default_rng(seed)
    image, instances, types, _ = paint(side, 2, rng)
    image = (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    labels = np.concatenate([[0], types]).astype(np.uint8)[instances]
    return make_record(image, instances, labels, TABLE, 0.5, source=f"tile {seed}", smallest=6)


def blurred(record: Record) -> Record:
    noise = np.random.default_rng(0).normal(0, 30, record.image.shape)
    return dataclasses.replace(record, image=(record.image + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Real patches, samples like them, noisy ones of the same layouts, and an encoder's file."""
    root = tmp_path_factory.mktemp("evaluate")
    samples = [tile(s) for s in range(20, 28)]
    write_stack([tile(s) for s in range(8)], root / "real")
    write_stack(samples, root / "good")
    write_stack([blurred(s) for s in samples], root / "noisy")
    networks = [train_encoder([tile(s) for s in range(3)], seed, steps=4) for seed in (0, 1)]
    save_encoders(networks, TABLE, 0.5, root / "tiles.safetensors")
    for name in ("good", "noisy"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            assert call(root, name, "--out", str(root / f"{name}-report")) == 0
    return root


def call(root: Path, stack: str, *extra: str) -> int:
    arguments = ["evaluate", str(root / stack), "--against", str(root / "real")]
    return main([*arguments, "--encoder", str(root / "tiles.safetensors"), *extra])


def read(folder: Path, name: str) -> dict[tuple[str, str], dict]:
    content = json.loads((folder / f"{name}-report.json").read_text())
    return {(f["name"], f["of"]): f for f in content["figures"]}


def test_figures_of_samples_that_follow_their_points(folder):
    figures = read(folder, "good")
    shares = figures["points with an instance of their class", "all"]
    assert (shares["value"], shares["low"], shares["high"]) == (1, 1, 1)
    assert figures["missed per point", "a"]["value"] == 0
    area = figures["area, µm²", "all"]
    assert area["low"] <= area["value"] <= area["high"]
    kernel = figures["kernel distance (tile encoder)", "all"]
    assert len(kernel["seeds"]) == 2
    assert kernel["value"] == pytest.approx(np.mean(kernel["seeds"]))
    content = json.loads((folder / "good-report.json").read_text())
    assert content["images in each distance"] == 8
    assert not any("FID" in f["name"] for f in content["figures"])


def test_bands_and_shapes_against_real_ones(folder):
    good, noisy = read(folder, "good"), read(folder, "noisy")
    name = "power over real, 1/4 to 1/2 cycles/px", "all"
    assert good[name]["value"] == pytest.approx(1, rel=0.5)
    assert noisy[name]["value"] > 2 * good[name]["high"]
    assert good[name]["real"] == 1
    area, multiple = (
        good[n, "all"] for n in ("area, µm²", "area, over that between halves of the real tiles")
    )
    scale = area["value"] / multiple["value"]
    assert multiple["high"] == pytest.approx(area["high"] / scale, rel=1e-3)
    missing = good["area, over that between halves of the real tiles", "never"]
    assert missing["value"] is missing["real"] is None


def test_a_class_that_never_occurs_is_null_and_a_dash(folder):
    figures = read(folder, "good")
    for name in ("missed per point", "area, µm²", "count excess, share of points"):
        row = figures[name, "never"]
        assert row["value"] is row["low"] is row["high"] is None
    page = (folder / "good-report.html").read_text()
    row = re.search(r"<tr><td>missed per point.*?</tr>", page).group()
    assert row.endswith("<td>–</td></tr>")


def test_the_page_needs_nothing_else(folder):
    page = (folder / "good-report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in page
    assert page.count("data:image/jpeg") == 8
    assert page.count("<svg") == 4


def test_compare_says_what_holds(folder, capsys):
    reports = [str(folder / f"{n}-report.json") for n in ("good", "noisy")]
    assert main(["compare", *reports]) == 0
    text = capsys.readouterr().out
    assert "the layouts agree" in text
    assert re.search(r"background Laplacian.*A is better", text)
    assert "missed per point" not in text  # the labels are the same
    assert main(["compare", reports[0], reports[0], "--all"]) == 0
    text = capsys.readouterr().out
    assert "missed per point" in text and "0 of" in text


def test_reports_that_cannot_be_compared(folder, tmp_path, capsys):
    good = folder / "good-report.json"
    content = json.loads(good.read_text())
    content["identity"]["real"] = "other"
    (tmp_path / "other.json").write_text(json.dumps(content))
    assert main(["compare", str(good), str(tmp_path / "other.json")]) == 2
    assert "different real patches" in capsys.readouterr().err
    content["figures"][0]["draws"] = ["x"]
    (tmp_path / "bad.json").write_text(json.dumps(content))
    assert main(["compare", str(good), str(tmp_path / "bad.json")]) == 2
    assert "bad.json: figures: 0: value, real, draws" in capsys.readouterr().err


def spoil(stack: Path, array: str, change) -> None:
    values = tifffile.imread(stack / f"{array}.tif")
    tifffile.imwrite(stack / f"{array}.tif", change(values))


def two_classes(labels: np.ndarray) -> np.ndarray:
    y, x = np.argwhere(labels[1] > 0)[0]
    labels[1, y, x] = 3 - labels[1, y, x]
    return labels


@pytest.mark.parametrize(
    "array, change, message",
    [
        ("labels", two_classes, r"stack: sample 1: labels: instance \d+ is both '[ab]' and '[ab]'"),
        ("labels", lambda v: v[:, :50], r"images.tif: expected \(2, 50, 96\) as the labels, got"),
        ("labels", lambda v: v * 0, r"stack: sample 0: labels and instances disagree"),
        ("instances", lambda v: v * 10**6, r"stack: sample 0: instances: expected ids up to"),
        ("distances", lambda v: v * 2, r"stack: sample 0: distances: expected values in \[0, 1\]"),
    ],
)
def test_a_bad_stack_gets_one_line(folder, tmp_path, capsys, array, change, message):
    write_stack([tile(30), tile(31)], tmp_path / "stack")
    spoil(tmp_path / "stack", array, change)
    arguments = ["evaluate", str(tmp_path / "stack"), "--against", str(folder / "real")]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not list(tmp_path.glob("r*"))


def test_nothing_at_all_is_null_and_no_warning(folder, tmp_path):
    """Samples without a nucleus, one of them, against one tile: what has no value divides nothing."""
    empty = np.zeros((96, 96), np.int32)
    image = np.full((96, 96, 3), 240, np.uint8)
    blank = make_record(image, empty, empty.astype(np.uint8), TABLE, 0.5, source="blank")
    write_stack([blank], tmp_path / "blank")
    write_stack([tile(5)], tmp_path / "one")
    for stack, real in (("blank", "one"), ("one", "blank"), ("blank", "blank")):
        out = tmp_path / f"{stack}-{real}"
        arguments = ["evaluate", str(tmp_path / stack), "--against", str(tmp_path / real)]
        arguments += ["--encoder", str(folder / "tiles.safetensors"), "--out", str(out)]
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            assert main(arguments) == 0
        rows = json.loads(out.with_suffix(".json").read_text())["figures"]
        found = {(f["name"], f["of"]): f["value"] for f in rows}
        assert found["area, µm²", "all"] is None
        assert found["Fréchet distance (tile encoder)", "all"] is None
        page = out.with_suffix(".html").read_text()
        assert "nan" not in re.sub(r"base64,[^\"]+", "", page).lower()


def test_a_stack_without_samples(folder, tmp_path, capsys):
    write_stack([tile(30)], tmp_path / "stack")
    description = json.loads((tmp_path / "stack" / "cosynth.json").read_text())
    description["samples"] = []
    (tmp_path / "stack" / "cosynth.json").write_text(json.dumps(description))
    for name, shape, dtype in (
        ("images", (0, 96, 96, 3), np.uint8),
        ("labels", (0, 96, 96), np.uint8),
        ("instances", (0, 96, 96), np.int32),
        ("distances", (0, 96, 96), np.float32),
    ):
        path = tmp_path / "stack" / f"{name}.tif"
        tifffile.imwrite(path, np.zeros((1, *shape[1:]), dtype))
    arguments = ["evaluate", str(tmp_path / "stack"), "--against", str(folder / "real")]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "stack" in error


def test_classes_that_disagree_name_the_sample(folder, tmp_path, capsys):
    other = ClassTable.of("a", "x", "never")
    record = dataclasses.replace(tile(0), layout=dataclasses.replace(tile(0).layout, classes=other))
    write_stack([record], tmp_path / "other")
    arguments = ["evaluate", str(folder / "good"), "--against", str(tmp_path / "other")]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 2
    assert re.search(r"other: sample 0: class 'x'", capsys.readouterr().err)


def test_an_existing_report_stays(folder, capsys):
    before = (folder / "good-report.html").read_bytes()
    assert call(folder, "noisy", "--out", str(folder / "good-report.html")) == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "good-report.html").read_bytes() == before


def test_a_reading_is_made_and_scored(folder, tmp_path, capsys):
    out = tmp_path / "reading"
    assert call(folder, "good", "--reading", "--pairs", "6", "--seed", "1", "--out", str(out)) == 0
    assert sorted(p.name for p in out.iterdir()) == ["key.json", "reading.html"]
    key = json.loads((out / "key.json").read_text())
    lines = ["reading,reader,item,origin,labels,classes"]
    lines += [f"{key['reading']},ann,{i['item']},synthetic,3," for i in key["items"]]
    (tmp_path / "ann.csv").write_text("\n".join(lines))
    answers = ["score", str(out), str(tmp_path / "ann.csv"), "--out", str(tmp_path / "s.json")]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert main(answers) == 0
    assert "ann: right 0.5" in capsys.readouterr().out
    (scores,) = json.loads((tmp_path / "s.json").read_text())["scores"]
    assert scores["ratings"]["classes"]["real"]["value"] is None
    assert scores["real taken for synthetic"] == 1
    assert main(answers) == 2
    assert "s.json: exists already" in capsys.readouterr().err
    assert call(folder, "good", "--reading", "--out", str(out)) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_segmenter_judges_the_images(folder, tmp_path, capsys):
    """The section is there with a segmenter, and without one the page says that it is not."""
    assert "--segmenter" in (folder / "good-report.html").read_text()
    assert not any("alignment" in f["section"] for f in read_all(folder / "good-report.json"))
    network = {"stem": 4, "widths": [8] * 4, "units": [1] * 4, "dense_units": [1, 1]}
    settings = SegmenterSettings(network=network, steps=4, batch=2, crop=64)
    run = tmp_path / "segmenter"
    model = train_segmenter([([tile(50)], 1.0)], settings, run, device="cpu", progress=False)
    out = ["--segmenter", str(model), "--out", str(tmp_path / "judged")]
    assert call(folder, "good", *out) == 0
    rows = [f for f in read_all(tmp_path / "judged.json") if "alignment" in f["section"]]
    assert {f["name"] for f in rows} >= {"AJI, ratio", "PQ, synthetic", "recall, real tiles"}
    assert "segmenter" in json.loads((tmp_path / "judged.json").read_text())["identity"]
    capsys.readouterr()
    assert main(["compare", str(folder / "good-report.json"), str(tmp_path / "judged.json")]) == 0
    assert "figures of the segmenter are left out: not the same in both" in capsys.readouterr().out
    seen = StackDataset(folder / "real")[0]
    run = tmp_path / "seen"
    tiles = {"0": pixels_digest(seen.image)}
    model = train_segmenter(
        [([tile(50)], 1.0)], settings, run, device="cpu", progress=False, tiles=tiles
    )
    capsys.readouterr()
    out = ["--segmenter", str(model), "--out", str(tmp_path / "leak")]
    assert call(folder, "good", *out) == 2
    assert "model: tiles: it was trained on 0" in capsys.readouterr().err
    assert not list(tmp_path.glob("leak*"))


def test_distances_on_imagenet_features(folder, tmp_path, monkeypatch, capsys, caplog):
    """There by default; without the package left out, with a line, and so is their comparison."""
    good, noisy = read(folder, "good"), read(folder, "noisy")
    for name in ("Fréchet distance", "kernel distance"):
        name = f"{name} (ImageNet features)", "all"
        assert 2 * good[name]["value"] < noisy[name]["value"]
        assert good[name]["real"] is not None and good[name]["better"] == "lower"
    monkeypatch.setitem(sys.modules, PACKAGE.replace("-", "_"), None)
    assert call(folder, "good", "--out", str(tmp_path / "without")) == 0
    line = f"No distances on ImageNet features: the package {PACKAGE} is not installed"
    (said,) = caplog.messages
    assert said.startswith(line) and "\n" not in said
    assert line in (tmp_path / "without.html").read_text()
    rows = read_all(tmp_path / "without.json")
    assert not any("ImageNet" in f["name"] for f in rows)
    assert any("tile encoder" in f["name"] for f in rows)
    assert main(["compare", str(folder / "good-report.json"), str(tmp_path / "without.json")]) == 0
    assert "figures of the ImageNet features are left out" in capsys.readouterr().out


def test_figures_are_left_out_by_the_network_they_depend_on(folder):
    ours, theirs = (json.loads((folder / "good-report.json").read_text()) for _ in range(2))
    for report in (ours, theirs):
        report["figures"] += [
            {**report["figures"][0], "section": "Memorisation", "name": "median ratio"},
            {**report["figures"][0], "section": "Images", "name": "FID, over something"},
        ]

    def left_out(network: str) -> set[str]:
        other = {**theirs, "identity": {**theirs["identity"], network: "other"}}
        kept = {d.name for d in compare(ours, other)[0]}
        return {f["name"] for f in ours["figures"]} - kept

    assert {n.partition(",")[0] for n in left_out("ImageNet features")} == {
        "Fréchet distance (ImageNet features)",
        "kernel distance (ImageNet features)",
    }
    assert {"median ratio", "kernel distance (tile encoder)"} <= left_out("tile encoder")
    assert left_out("Inception") == {"FID, over something"}


def read_all(path: Path) -> list[dict]:
    return json.loads(path.read_text())["figures"]
