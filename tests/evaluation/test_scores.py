"""Counts of what a segmenter found: a hand-worked case, and sums of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.evaluation.reports.scores import Scores, measures, score
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable, Record

TABLE = ClassTable.of("a", "b")


@pytest.fixture
def record() -> Record:
    """Two nuclei of class a and one of b, 16 pixels each."""
    instances = np.zeros((24, 24), np.int32)
    for k, (y, x) in enumerate([(1, 1), (1, 12), (14, 1)], start=1):
        instances[y : y + 4, x : x + 4] = k
    labels = np.array([0, 1, 1, 2], np.uint8)[instances]
    image = np.zeros((24, 24, 3), np.uint8)
    return make_record(image, instances, labels, TABLE, 0.25, source="three")


def of(scores: Scores) -> dict[tuple[str, str], float]:
    drawn = Scores(**{k: np.asarray(v, float)[None] for k, v in scores.to_json().items()})
    return {key: float(v[0]) for key, v in measures(drawn, TABLE.names).items()}


def test_the_truth_scores_one(record):
    found = of(score(record, record.instances, record.layout.class_ids))
    assert all(v == 1 for v in found.values()), found


def test_a_case_by_hand(record):
    """One nucleus as it is; one of the wrong class and half as large; one missed; one unasked for."""
    found = np.zeros((24, 24), np.int32)
    found[1:5, 1:5] = 1
    found[1:3, 12:16] = 2
    found[18:22, 18:22] = 3
    values = of(score(record, found, np.array([1, 2, 2], np.uint8)))
    assert values["Dice", "all"] == pytest.approx(2 * (16 + 8) / (48 + 40))
    assert values["AJI", "all"] == pytest.approx((16 + 8) / (16 + 16 + 16 + 16))
    # IoU of the second is exactly 0.5 and no match: TP 1, FP 2, FN 2.
    assert values["PQ", "all"] == pytest.approx(1 / (1 + 0.5 * 2 + 0.5 * 2))
    # Centroids: the second is 1 pixel off and pairs; the third true one is 5.6 px from none.
    assert values["F_d", "all"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert values["Acc", "all"] == 0.5
    assert values["recall", "a"] == 0.5
    assert values["recall", "b"] == 0
    assert values["recall", "all"] == pytest.approx(1 / 3)


def test_what_does_not_occur_is_not_defined(record):
    nothing = score(record, np.zeros((24, 24), np.int32), np.zeros(0, np.uint8))
    values = of(nothing)
    assert values["AJI", "all"] == values["recall", "a"] == values["F_d", "all"] == 0
    assert np.isnan(values["Acc", "all"])


def test_counts_survive_json_and_bad_ones_are_named(record):
    scores = score(record, record.instances, record.layout.class_ids)
    again = Scores.from_json(scores.to_json(), 3)
    np.testing.assert_array_equal(again.panoptic, scores.panoptic)
    for spoilt, message in (
        ({"missed": [1, 2]}, r"missed: expected finite counts of shape \(3,\)"),
        ({"dice": None}, "dice: expected"),
        ({"aji": [-1, 2]}, "aji: expected finite counts"),
    ):
        with pytest.raises(ValueError, match=message):
            Scores.from_json({**scores.to_json(), **spoilt}, 3)
