"""Alignment: ratios near 1 for images that show their labels, near 0 for those that do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.evaluation.reports.alignment import (
    POOR,
    alignment_figures,
    check_segmenter,
    check_unseen,
    doubt,
)
from napari_cosynth.evaluation.reports.figure import Figure
from napari_cosynth.evaluation.reports.samples import Samples
from napari_cosynth.records.base import make_record
from napari_cosynth.segmenter.checkpoint import Segmenter, load_segmenter, pixels_digest
from napari_cosynth.training.segmenter import SegmenterSettings, train_segmenter
from napari_cosynth.types import ClassTable, Record
from published import paint

TABLE = ClassTable.of("a", "b")


def tile(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    image, instances, types, _ = paint(96, 2, rng)
    image = (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    labels = np.concatenate([[0], types]).astype(np.uint8)[instances]
    return make_record(image, instances, labels, TABLE, 0.5, source=f"x/{seed}.png", smallest=6)


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Segmenter:
    tiles = [tile(s) for s in range(4)]
    network = {"stem": 8, "widths": [16, 16, 24, 24], "units": [1] * 4, "dense_units": [1, 1]}
    settings = SegmenterSettings(network=network, steps=60, batch=4, crop=64, lr=1e-2)
    folder = train_segmenter(
        [(tiles, 1.0)],
        settings,
        tmp_path_factory.mktemp("judge"),
        device="cpu",
        progress=False,
        tiles={"0.png": pixels_digest(tiles[0].image)},
    )
    return load_segmenter(folder)


def figures(judge: Segmenter, made: list[Record]) -> dict[tuple[str, str], Figure]:
    real = [tile(s) for s in (10, 11, 12)]
    sets = [Samples(r, [str(i) for i in range(len(r))]) for r in (made, real)]
    return {(f.name, f.of): f for f in alignment_figures(*sets, judge)}


def test_images_that_show_their_labels_have_a_ratio_near_one(judge):
    found = figures(judge, [tile(s) for s in (20, 21, 22)])
    for name in ("AJI, ratio", "PQ, ratio", "recall, ratio"):
        assert found[name, "all"].real == 1
        assert found[name, "all"].estimate.value == pytest.approx(1, abs=0.35)
    low, high = found["AJI, ratio", "all"].estimate.interval
    assert low <= found["AJI, ratio", "all"].estimate.value <= high
    ours, theirs = found["AJI, synthetic", "all"], found["AJI, real tiles", "all"]
    assert ours.real == theirs.estimate.value
    expected = ours.estimate.value / theirs.estimate.value
    assert found["AJI, ratio", "all"].estimate.value == pytest.approx(expected)
    assert {of for name, of in found if name == "recall, ratio"} == {"all", "a", "b"}


def test_labels_of_other_images_do_not_align(judge):
    wrong = [dataclasses.replace(tile(s), image=tile(s + 100).image) for s in (20, 21, 22)]
    right = figures(judge, [tile(s) for s in (20, 21, 22)])
    found = figures(judge, wrong)
    name = "AJI, ratio", "all"
    assert found[name].estimate.value < 0.5 * right[name].estimate.value


def test_a_judge_that_saw_the_tiles_is_refused(judge):
    check_unseen(judge, [tile(5)], Path("judge"))
    with pytest.raises(ValueError, match=r"^judge: tiles: it was trained on 0.png"):
        check_unseen(judge, [tile(5), tile(0)], Path("judge"))
    check_segmenter(judge, TABLE, 0.5)
    with pytest.raises(ValueError, match="class_names: expected the stack's"):
        check_segmenter(judge, ClassTable.of("a", "x"), 0.5)
    with pytest.raises(ValueError, match="mpp: expected the stack's"):
        check_segmenter(judge, TABLE, 0.25)


def test_a_judge_that_is_poor_on_real_tiles_is_doubted(judge):
    found = list(figures(judge, [tile(20)]).values())
    (real,) = (f for f in found if f.name == "AJI, real tiles")
    assert doubt([]) is None
    for value, doubted in ((POOR, False), (POOR - 0.01, True)):
        estimate = dataclasses.replace(real.estimate, value=value)
        others = [f for f in found if f is not real]
        said = doubt([*others, dataclasses.replace(real, estimate=estimate)])
        assert (said is not None) == doubted
    assert said is not None and "its AJI is 0.29, below 0.3" in said
