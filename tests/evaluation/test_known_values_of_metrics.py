"""Figures at their limits and by plain loops, where the other tests look at real tiles or the middle."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.color import rgb2gray, rgb2hed
from skimage.measure import regionprops

from napari_cosynth.evaluation.metrics.bootstrap import (
    DRAWS,
    HALVES,
    LEVEL,
    Estimate,
    bootstrap_weights,
    half_samples,
    interval,
    over_halves,
    spread_of,
    weighted_mean,
)
from napari_cosynth.evaluation.metrics.layout import PLAUSIBLE, follow
from napari_cosynth.evaluation.metrics.memorisation import closeness
from napari_cosynth.evaluation.metrics.quotients import json_ready, mean_defined, quotient
from napari_cosynth.evaluation.metrics.segmentation import Detection, detection
from napari_cosynth.evaluation.metrics.separation import dice_per_nucleus, separated, touching
from napari_cosynth.evaluation.metrics.shapes import class_medians, measure_nuclei
from napari_cosynth.evaluation.metrics.texture import spectral_distance, texture
from napari_cosynth.evaluation.readings.reading import COLUMNS, Key, read_answers
from napari_cosynth.evaluation.reports.alignment import note, open_judge
from napari_cosynth.evaluation.reports.checks import check_sample
from napari_cosynth.evaluation.reports.compare import Difference, _depends, compare
from napari_cosynth.evaluation.reports.downstream import table_figures
from napari_cosynth.evaluation.reports.figure import JUDGES
from napari_cosynth.evaluation.reports.scores import Scores
from napari_cosynth.geometry.instances import separate, separate_baseline
from napari_cosynth.types import ClassTable, Layout, Record
from nuclei import record

NAN = float("nan")


# Nuclei


def test_nuclei_as_scikit_image_measures_them():
    made = record(3)
    for hulls in (True, False):
        nuclei = measure_nuclei(made, hulls)
        regions = regionprops(made.instances)
        assert nuclei.ids.tolist() == [r.label for r in regions] and len(nuclei) == len(regions)
        np.testing.assert_allclose(nuclei.area, [r.area * 0.25 for r in regions])
        np.testing.assert_allclose(nuclei.centroids, [r.centroid for r in regions])
        solid = [r.solidity if hulls else NAN for r in regions]
        np.testing.assert_allclose(nuclei.solidity, solid)
        for value, region in zip(nuclei.eccentricity, regions, strict=True):
            # regionprops adds a pixel's own spread, 1/12, to both axes: the largest nuclei agree.
            if region.area > 30:
                assert value == pytest.approx(region.eccentricity, abs=0.05)
            if region.area == 1:
                assert value == 0
        kinds = [made.labels[tuple(r.coords[0])] for r in regions]
        assert nuclei.class_ids.tolist() == kinds


def test_eccentricity_of_bars():
    """A bar of n pixels has no second axis; one of 2 x 4: variances 1/4 and 5/4."""
    ids = np.zeros((12, 12), np.int32)
    ids[1, 1:6], ids[5:7, 2:6], ids[9:11, 9:11] = 1, 2, 3
    blank = Layout(np.zeros((0, 2)), np.zeros(0), (12, 12), 0.5, ClassTable.of("a"))
    image, labels = np.zeros((12, 12, 3), np.uint8), (ids > 0).astype(np.uint8)
    made = Record(image, ids, labels, labels.astype(np.float32), blank, 0.5, "", "")
    found = measure_nuclei(made).eccentricity
    np.testing.assert_allclose(found, [1, np.sqrt(1 - 0.25 / 1.25), 0])


def test_medians_by_class():
    sets = [measure_nuclei(record(seed), False) for seed in range(4)]
    found = class_medians(sets, 5)
    for k in range(5):
        areas = [a for n in sets for a, c in zip(n.area, n.class_ids, strict=True) if c == k]
        assert found[k] == pytest.approx(np.median(areas) if areas and k else NAN, nan_ok=True)
    assert np.isnan(found[[0, 4]]).all() and np.isfinite(found[1:4]).all()


@pytest.mark.parametrize("area,plausible", [(2.0, 1), (1.9, 0), (8.0, 1), (8.1, 0), (NAN, 0)])
def test_areas_are_plausible_from_half_to_twice_the_median(area, plausible):
    assert PLAUSIBLE == (0.5, 2.0)
    made = record(0)
    nuclei = measure_nuclei(made, False)
    count = len(made.layout)
    own = dataclasses.replace(nuclei, area=np.full(count, area))
    found = follow(made, own, np.array([NAN, 4, 4, NAN]))
    known = np.isin(made.layout.class_ids, (1, 2)).sum()
    assert found.judged[0] == known and found.plausible[0] == plausible * known
    assert found.points[0] == found.present[0] == count and found.missed[0] == 0


@pytest.mark.parametrize("where", [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 2)])
def test_nuclei_touch_their_eight_neighbours(where):
    ids = np.zeros((7, 7), np.int32)
    ids[3, 3], ids[3 + where[0], 3 + where[1]], ids[0, 6] = 1, 3, 4
    meet = max(map(abs, where)) == 1
    for turned in (ids, ids[::-1], ids[:, ::-1].copy(), ids.T.copy()):
        assert touching(turned).tolist() == [meet, False, meet, False]
    assert touching(np.zeros((3, 3), np.int32)).tolist() == []


def test_each_method_separates_as_it_says():
    made = record(1)
    found = separated(made)
    points, _ = separate(made.labels, made.distance, made.layout)
    np.testing.assert_array_equal(found["points"], points)
    for method in ("distance maxima", "connected components"):
        baseline = separate_baseline(made.labels, made.distance, method)
        np.testing.assert_array_equal(found[method], baseline)


def test_of_instances_that_share_as_much_the_lower_id_is_taken():
    truth, found = np.array([[1, 1, 1, 1, 0]]), np.array([[3, 3, 2, 2, 2]])
    assert dice_per_nucleus(truth, found).tolist() == [2 * 2 / (4 + 3)]


# Detection


def test_pairs_up_to_three_micrometres():
    for away, paired in ((12.0, 1), (12.001, 0)):
        found = detection(np.zeros((1, 2)), [1], np.array([[away, 0]]), [1], 2, 0.25)
        assert found.paired.sum() == paired and found.missed[1] == found.spurious[1] == 1 - paired


def test_detections_add_up():
    one = Detection(np.eye(2, dtype=int), np.array([0, 1]), np.array([0, 2]))
    both = one + Detection(2 * np.eye(2, dtype=int), np.array([0, 3]), np.array([0, 4]))
    assert both.paired.tolist() == [[3, 0], [0, 3]]
    assert (both.missed.tolist(), both.spurious.tolist()) == ([0, 4], [0, 6])


# Intervals


def test_intervals_are_the_middle_of_what_is_defined():
    assert (DRAWS, HALVES, LEVEL) == (200, 60, 0.95)
    draws = np.arange(41.0)
    assert interval(draws) == pytest.approx((1, 39)) == Estimate(0, draws).interval
    half = np.concatenate([draws, np.full(41, np.nan)])
    assert interval(half) == pytest.approx((1, 39))
    assert np.isnan(interval(np.append(half, np.nan))).all() and np.isnan(interval(draws[:0])).all()


def test_draws_are_as_many_groups_with_replacement_and_halves_without():
    weights = bootstrap_weights(list("abcd"), seed=3)
    assert weights.shape == (201, 4) and (weights.sum(1) == 4).all() and weights.max() > 2
    assert (bootstrap_weights(list("abcd"), seed=4) != weights).any()
    assert (bootstrap_weights(list("abcd"), seed=3) == weights).all()
    assert (bootstrap_weights(list("abcd"))[1:] == bootstrap_weights(list("abcd"), 0)[1:]).all()
    two = bootstrap_weights(list("ab"), draws=50)
    assert np.isfinite(two).all() and {tuple(r) for r in two[1:]} == {(0, 2), (1, 1), (2, 0)}
    halves = half_samples(list("abcdef"))
    assert len(halves) == 60 and all(len(set(h)) == 3 for h in halves)
    assert {len(h) for h in half_samples(list("abcde"))} == {2}
    assert half_samples(["a", "a"]) == [] and len(half_samples(["a", "b"])) == 60


def test_weighted_means_leave_out_what_is_not_defined():
    weights = np.array([[1.0, 1, 1], [0, 2, 1], [0, 0, 3]])
    found = weighted_mean([1.0, 4.0, NAN], weights)
    assert found.value == 2.5 and found.draws[0] == 4 and np.isnan(found.draws[1])


def test_halves_of_two_sets_are_drawn_by_seeds_of_their_own():
    names, seen = list("abcdef"), []
    over_halves(lambda a, b: seen.append((tuple(a), tuple(b))) or 0.0, (names, names), 5, 7)
    assert len(seen) == 7 and any(a != b for a, b in seen)
    expected = [half_samples(names, s, 7) for s in (5, 6)]
    assert seen == [(tuple(a), tuple(b)) for a, b in zip(*expected, strict=True)]
    undefined = iter([0.0, NAN, 1.0])
    assert np.isnan(over_halves(lambda a, b: next(undefined), (names, names), 0, 3)).all()


def test_a_spread_lies_about_the_whole_and_not_below_the_least():
    found = spread_of(10.0, np.array([1.0, 2, 6]), 9.0)
    assert found.value == 10 and found.draws.tolist() == [9, 9, 13]
    assert spread_of(1.0, np.array([0.0, 2, 4])).draws.tolist() == [0, 1, 3]


# Quotients


def test_quotients():
    assert quotient([1, 0, -1], [2, 0, 0]).tolist()[0] == 0.5
    assert np.isnan(quotient([1, 0, -1], [2, 0, 0])[1:]).all()
    assert quotient(3, -2) == -1.5 and quotient([[1], [2]], [4, 8]).shape == (2, 2)
    assert mean_defined([1, NAN, 3]) == 2 and np.isnan(mean_defined([NAN]))
    value = {1: (np.float32(0.5), np.int64(2)), "b": [np.inf, True, None, "x", np.array([1, 2])]}
    assert json_ready(value) == {"1": [0.5, 2], "b": [None, True, None, "x", [1, 2]]}


def test_closeness_of_distances_of_nothing_and_few():
    zero = closeness(np.array([0.0, 1.0]), np.zeros(3))
    assert np.isnan(zero["median ratio"])
    # Of four unseen ones the quantile of rank 0.25 is their least: what is nearer is closer.
    few = closeness(np.array([0.5, 1.0, 3.0]), np.array([1.0, 2, 3, 4]))
    assert few["closer than the closest 5 % of unseen"] == pytest.approx(1 / 3)
    assert few["median ratio"] == pytest.approx(1 / 2.5)


# Texture


def test_texture_by_its_definition():
    rng = np.random.default_rng(0)
    images = ndi.gaussian_filter(rng.integers(0, 256, (2, 40, 44, 3)).astype(float), (0, 1, 1, 0))
    images = images.round().astype(np.uint8)
    labels = np.zeros((2, 40, 44), np.uint8)
    labels[0, 10:20, 10:20], labels[1, 0, 0], labels[1, 30:33, 43] = 1, 2, 1
    found = texture(images, labels)
    grey = np.stack([rgb2gray(i) * 255 for i in images])
    near = np.zeros_like(labels, bool)
    for n, y, x in np.argwhere(labels > 0):
        near[n, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = True
    lap = np.concatenate([np.abs(ndi.laplace(g))[~w] for g, w in zip(grey, near, strict=True)])
    assert found.laplacian == pytest.approx(np.median(lap))
    fine = np.stack([g - ndi.gaussian_filter(g, 6) for g in grey])
    for lag, value in zip((1, 2, 4), found.correlation, strict=True):
        pairs = [
            (fine[n, y, x], fine[n, y, x - lag])
            for n, y, x in np.argwhere(~near)
            if x >= lag and not near[n, y, x - lag]
        ]
        assert value == round(np.corrcoef(np.array(pairs).T)[0, 1], 3)
    assert found.colour == tuple(round(float(v), 1) for v in images.mean((0, 1, 2)))
    stain = np.stack([rgb2hed(i)[..., 0] for i in images])
    inside, outside = stain[labels > 0], stain[labels == 0]
    wins = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    assert found.auc == pytest.approx(wins)


def test_powers_are_compared_in_decibels_from_a_floor():
    a, b = np.array([9.0, 100, 1e-9, 0]), np.array([1.0, 10, 1e-6, 1e-5])
    assert spectral_distance(a, b) == pytest.approx(np.sqrt((10**2 + 0 + 10**2) / 3))


# Reports


def sample(**changes) -> Record:
    return dataclasses.replace(record(0), source="s", **changes)


def test_a_sample_is_checked_at_both_ends():
    good = sample()
    check_sample(good)
    count, size = len(good.layout), good.instances.size
    for value, message in (
        (-1, "ids from 0, got -1"),
        (count + size + 1, f"ids up to {count + size}"),
    ):
        ids = good.instances.copy()
        ids[ids == 1] = value
        with pytest.raises(ValueError, match=f"^s: instances: expected {message}"):
            check_sample(sample(instances=ids))
    ids[ids == count + size + 1] = count + size
    check_sample(sample(instances=ids))
    for value, refused in ((0.0, 0), (1.0, 0), (-0.001, 1), (1.001, 1), (NAN, 1), (np.inf, 1)):
        distance = good.distance.copy()
        distance[0, 0] = value
        if refused:
            with pytest.raises(ValueError, match=r"^s: distances: expected values in \[0, 1\]"):
                check_sample(sample(distance=distance))
        else:
            check_sample(sample(distance=distance))
    labels = good.labels.copy()
    labels[tuple(np.argwhere(good.instances == 3)[0])] = good.labels[good.instances == 3][0] % 3 + 1
    with pytest.raises(ValueError, match=r"^s: labels: instance 3 is both '.*' and '.*'"):
        check_sample(sample(labels=labels))


@pytest.mark.parametrize(
    "low,high,better,real,verdict",
    [
        (0.1, 0.3, "higher", NAN, "B"),
        (0.1, 0.3, "lower", NAN, "A"),
        (-0.3, -0.1, "higher", NAN, "A"),
        (-0.3, -0.1, "lower", NAN, "B"),
        (-0.1, 0.3, "higher", NAN, ""),
        (0.0, 0.3, "higher", NAN, ""),
        (-0.3, 0.0, "lower", NAN, ""),
        (0.1, 0.3, "", NAN, "differs"),
        (0.1, 0.3, "real", NAN, "differs"),
        (0.1, 0.3, "real", 1.3, "B"),
        (0.1, 0.3, "real", 0.9, "A"),
        (NAN, NAN, "lower", NAN, ""),
    ],
)
def test_verdicts(low, high, better, real, verdict):
    assert Difference("", "", "", 1.0, 1.2, low, high, real, better).verdict == verdict


def test_where_both_are_as_far_from_the_real_one_the_first_is_kept():
    assert Difference("", "", "", 1.0, 2.0, 0.5, 1.5, 1.5, "real").verdict == "A"


def test_which_figures_depend_on_which_network():
    encoder, imagenet, inception, segmenter = JUDGES
    names = {
        encoder: [("Images", "kernel distance (tile encoder)"), ("Memorisation", "median ratio")],
        imagenet: [("Images", "Fréchet distance (ImageNet features)")],
        inception: [("Images", n) for n in ("FID", "KID", "IS", "FID, over that")],
        segmenter: [("Image-label alignment (a segmenter of real tiles)", "AJI, ratio")],
    }
    everything = [(k, n) for k, of in names.items() for n in of] + [("", ("Labels", "FSD"))]
    for kind in JUDGES:
        for owner, (section, name) in everything:
            assert _depends((section, name, "all"), kind) == (owner == kind), (kind, name)


def report(groups: str, values: list[float], **identity: str) -> dict:
    row = {"section": "Labels", "name": "FSD", "of": "all", "value": 1.0, "real": None}
    row |= {"better": "lower", "draws": values}
    return {"identity": {"real": "r", "groups": groups, **identity}, "figures": [row]}


def test_draws_of_the_same_layouts_are_compared_pair_by_pair():
    draws = list(np.arange(100.0))
    (found,), (note_,) = compare(report("g", draws), report("g", [d + 1 for d in draws]))
    assert (found.low, found.high) == (1, 1) and found.holds and "pair by pair" in note_
    (apart,), (note_,) = compare(report("g", draws), report("h", [d + 1 for d in draws]))
    assert apart.low < -50 and apart.high > 50 and "independent" in note_
    (cut,), _ = compare(report("g", draws), report("g", [d + 1 for d in draws[:40]]))
    assert (cut.low, cut.high) == (1, 1)
    other = report("g", draws)
    other["figures"][0] = {**other["figures"][0], "of": "a"}
    assert compare(report("g", draws), other)[0] == []
    with pytest.raises(ValueError, match="against different real patches"):
        compare(report("g", draws), report("g", draws) | {"identity": {"real": "x"}})


def test_without_a_judge():
    assert open_judge(None, ClassTable.of("a"), 0.5, None) is None
    assert "No segmenter was named" in note(None) and "above 1" in note(SimpleNamespace())


def test_answers_that_are_no_text(tmp_path):
    path, key = tmp_path / "a.csv", Key("r", {"001": "real"})
    path.write_bytes(b"\xff\xff\xff")
    with pytest.raises(
        ValueError, match=r"a\.csv: (cannot be read as CSV|reading: no such column)"
    ):
        read_answers(path, key)
    with pytest.raises(ValueError, match=r"none\.csv: cannot be read as CSV"):
        read_answers(tmp_path / "none.csv", key)
    head = ",".join(COLUMNS)
    for ratings, found in (("1,5", {"labels": {"001": 1}, "classes": {"001": 5}}), (",", None)):
        path.write_text(f"{head}\nr,me,001,,{ratings}\n")
        if found is None:
            with pytest.raises(ValueError, match="no answers in it"):
                read_answers(path, key)
        else:
            assert read_answers(path, key).ratings == found


def test_scores_of_the_wrong_type_are_named():
    zero = {"dice": [0, 0], "aji": [0, 0], "panoptic": np.zeros((4, 2)), "paired": np.zeros((2, 2))}
    zero |= {"missed": [0, 0], "spurious": [0, 0]}
    assert Scores.from_json(zero, 2).dice.tolist() == [0, 0]
    for name in zero:
        for bad in (None, "x", {"a": 1}):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                Scores.from_json({**zero, name: bad}, 2)
        with pytest.raises(ValueError, match=f"^{name}: expected numbers of shape"):
            Scores.from_json({k: v for k, v in zero.items() if k != name}, 2)
    for bad in ([np.nan, 0], [np.inf, 0], [-1, 0]):
        with pytest.raises(ValueError, match=r"^missed: expected finite counts"):
            Scores.from_json({**zero, "missed": bad}, 2)


def test_a_table_without_its_baseline_has_no_differences():
    counts = Scores(np.ones(2), np.ones(2), np.ones((4, 2)), np.eye(2), np.ones(2), np.ones(2))
    arms = {"a": {0: {"t": counts}}, "b": {0: {"t": counts}}}
    names = ("background", "x")
    both = {f.section for f in table_figures(arms, names, "a")}
    assert both == {"Table 4", "Table 4: difference from a"}
    assert {f.section for f in table_figures(arms, names, "none")} == {"Table 4"}
