"""Segmentation scores against cases worked by hand and against loops over every pair of masks."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from napari_cosynth.evaluation.metrics.quotients import json_ready, quotient
from napari_cosynth.evaluation.metrics.segmentation import (
    aji_counts,
    detection,
    dice_counts,
    overlaps,
    panoptic,
)
from napari_cosynth.evaluation.metrics.separation import dice_per_nucleus


def blobs(seed: int, count: int = 14, side: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    instances = np.zeros((side, side), np.int32)
    for i in range(1, count + 1):
        cy, cx = rng.uniform(0, side, 2)
        instances[(y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(2, 6) ** 2] = i
    return instances


def masks(instances: np.ndarray) -> dict[int, np.ndarray]:
    return {int(i): instances == i for i in np.unique(instances) if i}


def hand_case() -> tuple[np.ndarray, np.ndarray]:
    """One row: nucleus 1 of 4 pixels found with 3, nucleus 2 of 3 missed, one of 2 made up."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 0, 0, 0]], np.int32)
    found = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2]], np.int32)
    return truth, found


def test_by_hand():
    truth, found = hand_case()
    pairs = overlaps(truth, found)
    assert quotient(*dice_counts(truth, found)) == pytest.approx(2 * 3 / (7 + 5))
    assert aji_counts(pairs).tolist() == [3, 4 + 3 + 2]
    score = panoptic(pairs, [1, 2], [1, 1], 4)
    assert score.dq[0] == pytest.approx(1 / (1 + 0.5 + 0.5))
    assert score.sq[0] == pytest.approx(0.75)
    assert score.pq[0] == pytest.approx(0.375)
    # Class 1: matched, and one made up. Class 2: missed. Class 3: absent, so undefined.
    np.testing.assert_allclose(score.pq[1:], [0.75 / 1.5, 0, np.nan])
    assert score.mpq == pytest.approx((0.5 + 0) / 2)


def test_aji_lets_two_nuclei_share_a_found_one():
    truth = np.array([[1, 1, 2, 2, 2]], np.int32)
    found = np.array([[1, 1, 1, 1, 1]], np.int32)
    assert aji_counts(overlaps(truth, found)).tolist() == [2 + 3, 5 + 5]


@pytest.mark.parametrize("seed", range(6))
def test_against_loops_over_masks(seed):
    truth, found = blobs(seed), blobs(100 + seed)
    a, b = masks(truth), masks(found)
    rng = np.random.default_rng(seed)
    classes = [rng.integers(1, 4, 14) for _ in range(2)]
    pairs = overlaps(truth, found)

    intersections = unions = 0
    used = set()
    for mask in a.values():
        ious = {j: (mask & m).sum() / (mask | m).sum() for j, m in b.items()}
        j = max(ious, key=lambda k: ious[k])
        if ious[j] > 0:
            used.add(j)
            intersections += (mask & b[j]).sum()
            unions += (mask | b[j]).sum()
        else:
            unions += mask.sum()
    unions += sum(m.sum() for j, m in b.items() if j not in used)
    assert aji_counts(pairs).tolist() == [intersections, unions]

    score = panoptic(pairs, *classes, 4)
    for k in range(4):
        mine = {i: m for i, m in a.items() if k in (0, classes[0][i - 1])}
        theirs = {j: m for j, m in b.items() if k in (0, classes[1][j - 1])}
        ious = [
            (m & n).sum() / (m | n).sum()
            for m, n in itertools.product(mine.values(), theirs.values())
        ]
        tp = [v for v in ious if v > 0.5]
        fp, fn = len(theirs) - len(tp), len(mine) - len(tp)
        expected = sum(tp) / (len(tp) + fp / 2 + fn / 2) if mine or theirs else np.nan
        assert score.pq[k] == pytest.approx(expected, nan_ok=True)

    for i, value in enumerate(dice_per_nucleus(truth, found), start=1):
        if i not in a:
            assert np.isnan(value)
            continue
        # Of instances that share equally many pixels any may be taken.
        shared = {j: (a[i] & m).sum() for j, m in b.items()}
        best = [j for j in b if shared[j] == max(shared.values()) and shared[j] > 0]
        allowed = [2 * shared[j] / (a[i].sum() + b[j].sum()) for j in best] or [0.0]
        assert any(value == pytest.approx(v) for v in allowed)


def test_counts_add_up_over_images():
    one, two = (hand_case(), (blobs(1), blobs(2)))
    parts = [panoptic(overlaps(*p), np.ones(14), np.ones(14), 2) for p in (one, two)]
    both = parts[0] + parts[1]
    assert both.true_positives[0] == sum(p.true_positives[0] for p in parts)
    assert both.pq[0] == pytest.approx(both.pq[1])


def test_detection_by_hand():
    """Four true nuclei; one paired in class, one paired out of class, one 13 px away, one alone."""
    truth = np.array([[0, 0], [50, 0], [100, 0], [150, 0]], float)
    found = np.array([[12, 0], [50, 3], [113, 0]], float)
    score = detection(truth, [1, 1, 2, 2], found, [1, 2, 2], 4, mpp=0.25)
    assert score.paired[1, 1] == 1
    assert score.paired[1, 2] == 1
    assert score.paired.sum() == 2
    assert score.f_d == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert score.accuracy == pytest.approx(0.5)
    # Class 1: TP 1, FN 1. Class 2: FP 1, two undetected and one made up. Class 3: nowhere.
    np.testing.assert_allclose(score.f_c, [np.nan, 2 / (2 + 2), 0, np.nan])


def test_the_radius_is_in_micrometres():
    truth, found = np.array([[0.0, 0]]), np.array([[7.0, 0]])
    assert detection(truth, [1], found, [1], 2, mpp=0.25).f_d == 1
    assert detection(truth, [1], found, [1], 2, mpp=0.5).f_d == 0


def test_the_pairing_is_the_cheapest_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.uniform(0, 10, (4, 2)), rng.uniform(0, 10, (5, 2))
        away = np.linalg.norm(a[:, None] - b, axis=-1)
        chosen = min(
            itertools.permutations(range(5), 4), key=lambda p: sum(away[range(4), list(p)])
        )
        near = int((away[range(4), list(chosen)] <= 3).sum())
        assert detection(a, [1] * 4, b, [1] * 5, 2, mpp=1.0).paired.sum() == near


def test_nothing_gives_null_and_no_warning():
    empty = np.zeros((5, 5), np.int32)
    none = np.zeros((0, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = panoptic(overlaps(empty, empty), [], [], 3)
        found = detection(none, [], none, [], 3, 0.5)
        values = [
            quotient(*dice_counts(empty, empty)),
            quotient(*aji_counts(overlaps(empty, empty))),
            *(score.dq, score.sq, score.pq, score.mpq),
            *(found.f_d, found.accuracy, found.f_c),
        ]
        assert dice_per_nucleus(empty, empty).size == 0
    assert json_ready(values) == [None, None, *[[None] * 3] * 3, None, None, None, [None] * 3]
