"""Every figure of a report against what it is made of: values, real values, sides, limits of cost."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from napari_cosynth.evaluation.metrics import memorisation, separation
from napari_cosynth.evaluation.metrics.labels import class_percentages, segmentation_distance
from napari_cosynth.evaluation.metrics.shapes import measure_nuclei
from napari_cosynth.evaluation.metrics.texture import spectral_distance, texture
from napari_cosynth.evaluation.reports import figures as module
from napari_cosynth.evaluation.reports.figure import OVER_HALVES, Figure, halved, halved_many
from napari_cosynth.evaluation.reports.figures import (
    diversity_figures,
    evaluate,
    image_figures,
    label_figures,
    layout_figures,
    memorisation_figures,
    separation_figures,
)
from napari_cosynth.evaluation.reports.samples import HULLED, Samples, layout_key, spread
from napari_cosynth.evaluation.reports.shape_figures import MEASURED, _values, shape_figures
from napari_cosynth.evaluation.reports.texture_figures import TEXTURED, texture_figures
from napari_cosynth.records.spectrum import radial_power
from napari_cosynth.types import Record
from nuclei import CLASSES, record

NAMES = ("all", *CLASSES.names[1:])


def samples(seeds: range, tiles: int = 4, features: bool = False) -> Samples:
    rng = np.random.default_rng(seeds.start)
    records = [record(seed) for seed in seeds]
    groups = [f"{seeds.start} tile {i % tiles}" for i in range(len(records))]
    return Samples(
        records, groups, features=[rng.normal(size=(len(records), 3))] * 2 if features else []
    )


@pytest.fixture(scope="module")
def made() -> Samples:
    return samples(range(100, 110), features=True)


@pytest.fixture(scope="module")
def real() -> Samples:
    return samples(range(8), features=True)


def by_name(found) -> dict[tuple[str, str], Figure]:
    return {(f.name, f.of): f for f in found}


@pytest.mark.parametrize(
    "count,wanted", [(10, 4), (10, 10), (3, 9), (250, 250), (251, 250), (1, 1)]
)
def test_rows_are_spread_from_end_to_end(count, wanted):
    rows = spread(count, wanted)
    assert len(rows) == min(count, wanted) and rows[0] == 0
    assert rows[-1] == (count - 1 if wanted > 1 else 0)
    if count > 1 and wanted > 1:
        assert np.ptp(np.diff(rows)) <= 1


def test_of_many_records_a_part_has_its_hulls_measured(monkeypatch):
    assert HULLED == 250
    monkeypatch.setattr("napari_cosynth.evaluation.reports.samples.HULLED", 5)
    small = record(0, (24, 24))
    few = Samples([small] * 5, ["a"] * 5)
    assert not any(np.isnan(n.solidity).any() for n in few.nuclei)
    many = Samples([small] * 6, ["a"] * 6)
    left = [i for i, n in enumerate(many.nuclei) if np.isnan(n.solidity).any()]
    assert len(left) == 1 and len(many) == 6
    part = many.take(np.array([left[0], 0]))
    assert part.nuclei[0] is many.nuclei[left[0]] and part.groups == ["a", "a"]


def test_a_part_of_samples_has_its_rows_of_everything(made):
    whole = dataclasses.replace(
        made, imagenet=np.arange(10.0)[:, None], inception=(np.arange(10.0), -np.arange(10.0))
    )
    part = whole.take(np.array([7, 2]))
    assert part.records == [whole.records[7], whole.records[2]]
    assert part.imagenet.ravel().tolist() == [7, 2]
    assert [v.tolist() for v in part.inception] == [[7, 2], [-7, -2]]
    np.testing.assert_array_equal(part.features[1], whole.features[1][[7, 2]])
    assert part.images.shape == (2, 40, 56, 3) and (part.images[0] == part.records[0].image).all()
    assert made.take(np.array([1])).inception is made.take(np.array([1])).imagenet is None


def test_samples_of_one_layout_have_one_key():
    one, other = record(0), record(1)
    layout = one.layout
    assert layout_key(one) == layout_key(dataclasses.replace(one, image=other.image))
    turned = dataclasses.replace(layout, class_ids=layout.class_ids[::-1].copy())
    moved = dataclasses.replace(layout, centroids=layout.centroids[::-1].copy())
    keys = {layout_key(dataclasses.replace(one, layout=v)) for v in (layout, turned, moved)}
    assert len(keys) == 3 and {len(key) for key in keys} == {16}


def test_a_half_is_every_other_group_of_the_sorted_names():
    real = Samples([None] * 6, ["c", "a", "b", "a", "d", "e"], nuclei=[None] * 6)
    seen = []
    assert halved(real, lambda a, b: seen.append((a.tolist(), b.tolist())) or 7.0) == 7.0
    assert seen == [([0, 1, 3, 5], [2, 4])]  # a, c and e; b and d
    alone = Samples([None] * 2, ["a", "a"], nuclei=[None] * 2)
    two = Samples([None] * 2, ["a", "b"], nuclei=[None] * 2)
    assert np.isnan(halved(alone, lambda a, b: 0.0)) and np.isnan(
        halved_many(alone, lambda a, b: 0.0)
    )
    assert halved(two, lambda a, b: float(len(a) - len(b))) == 0
    assert halved_many(two, lambda a, b: float(len(a) + len(b))) == 2


def test_many_halves_are_twelve_splits_of_all_groups():
    groups = list("aabbccddeeff")
    real, seen = Samples([None] * 12, groups, nuclei=[None] * 12), []

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        assert sorted([*a, *b]) == list(range(12)) and len(a) == len(b) == 6
        assert all((i in a) == (i + 1 in a) for i in range(0, 12, 2))
        seen.append(tuple(a))
        return np.nan if len(seen) == 1 else float(len(seen))

    # The mean of those that are defined: 2 to 12.
    assert halved_many(real, distance) == 7
    assert len(seen) == 12 and len(set(seen)) > 5
    odd = Samples([None] * 3, ["a", "b", "c"], nuclei=[None] * 3)
    assert halved_many(odd, lambda a, b: float(len(b) - len(a))) == 1


def test_distances_of_images_take_equally_many_of_both(made, real, monkeypatch):
    seen = {}
    for name in ("image_figures", "label_figures"):
        monkeypatch.setattr(
            module, name, lambda a, b, n=name: seen.setdefault(n, (len(a), len(b))) and []
        )
    figures = evaluate(made, real)
    assert seen == {"image_figures": (8, 8), "label_figures": (8, 8)}
    sections = list(dict.fromkeys(f.section for f in figures))
    assert sections == [
        "Texture",
        "Layout",
        "Shapes (Wasserstein distance from real)",
        "Diversity",
        "Instance separation (mDice on real labels)",
    ]


def test_only_kernel_distances_have_intervals_below_nothing(real):
    """Of two sets alike: a Fréchet distance is none below 0, an unbiased one may be."""
    rng = np.random.default_rng(0)
    two = [dataclasses.replace(real, features=[rng.normal(size=(8, 2))]) for _ in range(2)]
    found = by_name(image_figures(*two))
    assert found["Fréchet distance (tile encoder)", "all"].estimate.draws.min() >= 0
    assert found["kernel distance (tile encoder)", "all"].estimate.draws.min() < 0
    assert found["kernel distance (tile encoder)", "all"].seeds == ()
    flat = dataclasses.replace(real, features=[np.ones((8, 2))])
    multiple = by_name(image_figures(flat, flat))[
        f"Fréchet distance (tile encoder), {OVER_HALVES}", "all"
    ]
    assert np.isnan(multiple.real)


def test_labels_against_what_they_are_made_of(made, real):
    found = by_name(label_figures(made, real))
    shares = [class_percentages([r.labels for r in s.records], 4) for s in (made, real)]
    fsd = found["FSD", "all"]
    assert fsd.better == "lower" and fsd.section == "Labels"
    assert fsd.estimate.value == pytest.approx(segmentation_distance(shares[1], shares[0]))
    halves = [[i for i in range(8) if i % 4 in of] for of in ((0, 2), (1, 3))]
    assert fsd.real == pytest.approx(segmentation_distance(*(shares[1][h] for h in halves)))
    ids = np.concatenate([n.class_ids for n in real.nuclei])
    areas = np.concatenate([n.area for n in real.nuclei])
    usual = [areas[ids == k].mean() for k in (1, 2, 3)]
    for samples, value in ((made, lambda f: f.estimate.value), (real, lambda f: f.real)):
        points = np.stack([np.bincount(r.layout.class_ids, minlength=4) for r in samples.records])
        counts = np.stack([np.bincount(n.class_ids, minlength=4) for n in samples.nuclei])
        error = np.abs(counts - points)[:, 1:]
        sizes = np.zeros(4)
        for n in samples.nuclei:
            np.add.at(sizes, n.class_ids, n.area)
        expected = points.sum(0)[1:] * usual
        for k, name in enumerate(NAMES):
            of = slice(None) if k == 0 else slice(k - 1, k)
            wanted = {
                "count error, nuclei per image": error[:, of].sum() / len(samples),
                "count excess, share of points": (counts - points)[:, 1:][:, of].sum()
                / points[:, 1:][:, of].sum(),
                "area excess, share of expected": sizes[1:][of].sum() / expected[of].sum() - 1,
            }
            for measure, number in wanted.items():
                assert value(found[measure, name]) == pytest.approx(number, abs=1e-9), measure
                side = "lower" if measure.startswith("count error") else "real"
                assert found[measure, name].better == side


def test_layouts_sides_and_a_class_without_real_nuclei(made, real):
    found = list(layout_figures(made, real))
    assert {f.section for f in found} == {"Layout"}
    assert [f.of for f in found[:4]] == list(NAMES)
    for figure in found:
        wanted = "higher" if figure.name.startswith("points with") else "lower"
        assert figure.better == wanted
    share = by_name(found)["points with an instance of their class", "all"]
    assert share.estimate.value == share.real == 1


@pytest.mark.parametrize("kind,unit", [("area", ", µm²"), ("eccentricity", ""), ("solidity", "")])
def test_shapes_are_wasserstein_distances_by_class(made, real, kind, unit):
    found = by_name(shape_figures(made, real))
    assert len(found) == 3 * 4 * 2
    for k, of in enumerate(NAMES):
        ours, theirs = (
            np.concatenate([getattr(n, kind)[(n.class_ids == k) | (k == 0)] for n in s.nuclei])
            for s in (made, real)
        )
        figure = found[f"{kind}{unit}", of]
        assert figure.estimate.value == pytest.approx(wasserstein_distance(ours, theirs))
        halves = [
            np.concatenate(
                [
                    getattr(n, kind)[(n.class_ids == k) | (k == 0)]
                    for i, n in enumerate(real.nuclei)
                    if i % 2 == odd
                ]
            )
            for odd in (0, 1)
        ]
        assert figure.real == pytest.approx(wasserstein_distance(*halves))
        multiple = found[f"{kind}, {OVER_HALVES}", of]
        scale = figure.estimate.value / multiple.estimate.value
        np.testing.assert_allclose(multiple.estimate.draws * scale, figure.estimate.draws)
        assert multiple.real == 1 and {figure.better, multiple.better} == {"lower"}


def test_at_most_three_thousand_nuclei_of_a_class_enter_a_distance():
    nuclei = measure_nuclei(record(0))
    count = len(nuclei)
    many = Samples([None] * 400, ["a"] * 400, nuclei=[nuclei] * 400)
    values, owners = _values(many, "area", 0)
    assert MEASURED == 3000 < 400 * count
    assert len(values) == len(owners) == 3000 and owners[0] == 0 and owners[-1] == 399
    np.testing.assert_array_equal(values[:1], nuclei.area[:1])
    bare = dataclasses.replace(nuclei, solidity=np.where(np.arange(count) == 1, np.nan, 0.5))
    few = Samples([None] * 2, ["a"] * 2, nuclei=[bare, nuclei])
    values, owners = _values(few, "solidity", 0)
    assert len(values) == 2 * count - 1 and np.bincount(owners).tolist() == [count - 1, count]
    none, owners = _values(few, "area", 9)
    assert len(none) == len(owners) == 0


def test_textures_are_means_over_images(made, real):
    found = by_name(texture_figures(made, real))
    each = [[texture(r.image[None], r.labels[None]) for r in s.records] for s in (made, real)]
    wanted = {
        "haematoxylin AUC of nuclei": lambda t: t.auc,
        "background Laplacian, grey levels": lambda t: t.laplacian,
        "background autocorrelation at 1 px": lambda t: t.correlation[0],
        "background autocorrelation at 2 px": lambda t: t.correlation[1],
        "background autocorrelation at 4 px": lambda t: t.correlation[2],
        "mean red, grey levels": lambda t: t.colour[0],
        "mean green, grey levels": lambda t: t.colour[1],
        "mean blue, grey levels": lambda t: t.colour[2],
    }
    for name, value in wanted.items():
        figure = found.pop((name, "all"))
        assert figure.estimate.value == pytest.approx(np.mean([value(t) for t in each[0]]))
        assert figure.real == pytest.approx(np.mean([value(t) for t in each[1]]))
        assert figure.better == "real"
    area = found.pop(("nucleus area of all pixels", "all"))
    assert area.estimate.value == pytest.approx(np.mean([r.labels > 0 for r in made.records]))
    power = [np.stack([radial_power(r.image) for r in s.records]) for s in (made, real)]
    spectra = found.pop(("distance of power spectra, dB", "all"))
    assert spectra.estimate.value == pytest.approx(
        spectral_distance(power[0].mean(0), power[1].mean(0))
    )
    assert spectra.real == pytest.approx(
        spectral_distance(power[1][::2].mean(0), power[1][1::2].mean(0))
    )
    assert spectra.better == "lower"
    # Of a side of 40 pixels the coarsest band holds the bins 1 and 2: means of 1/64 to 1/16.
    ranges = {"1/64 to 1/16": (1, 3), "1/16 to 1/8": (3, 5), "1/8 to 1/4": (5, 10)}
    ranges["1/4 to 1/2"] = (10, 20)
    for band, (low, high) in ranges.items():
        figure = found.pop((f"power over real, {band} cycles/px", "all"))
        ratio = np.divide(*(p.mean(0)[low:high].mean() for p in power))
        assert figure.estimate.value == pytest.approx(ratio)
        assert figure.real == 1 and figure.better == "real"
    assert not found


def test_of_many_images_a_part_has_its_texture_measured(monkeypatch):
    small = record(0, (16, 16))
    count = []
    name = "napari_cosynth.evaluation.reports.texture_figures.texture"
    monkeypatch.setattr(name, lambda i, labels: count.append(1) or texture(i, labels))
    both = [Samples([small] * n, [str(i) for i in range(n)], nuclei=[None] * n) for n in (252, 3)]
    found = by_name(texture_figures(*both))
    assert TEXTURED == 250 and len(count) == 250 + 3
    assert len(found["mean red, grey levels", "all"].estimate.draws) == 200


def test_diversity_is_over_pairs_of_one_layout(real):
    one, two, three = (record(seed) for seed in (50, 51, 52))

    def also(of: Record, labels: np.ndarray) -> Record:
        return dataclasses.replace(of, labels=labels)

    bare = one.labels * (one.instances != 1)
    records = [one, also(one, bare), two, also(two, two.labels), also(two, 0 * two.labels), three]
    features = np.random.default_rng(0).normal(size=(6, 4))
    made = Samples(records, list("aabbbc"), features=[features, 2 * features])
    found = by_name(diversity_figures(made, real))

    def dice(a: np.ndarray, b: np.ndarray) -> float:
        return 2 * ((a == b) & (a > 0)).sum() / ((a > 0).sum() + (b > 0).sum())

    figure = found["label Dice of samples of one layout", "all"]
    assert figure.estimate.value == pytest.approx((dice(one.labels, bare) + 1 / 3) / 2)
    pairs = list(itertools.combinations([r.labels for r in real.records], 2))
    assert figure.real == pytest.approx(np.mean([dice(*p) for p in pairs]))
    figure = found["tile encoder distance of samples of one layout", "all"]

    def away(rows: list[int]) -> float:
        gaps = [
            np.linalg.norm(features[i] - features[j]) for i, j in itertools.combinations(rows, 2)
        ]
        return float(np.sqrt(5) * np.mean(gaps))

    assert figure.estimate.value == pytest.approx((away([0, 1]) + away([2, 3, 4])) / 2)
    theirs = np.concatenate(real.features, 1)
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(theirs, 2)]
    assert figure.real == pytest.approx(np.mean(gaps)) and figure.better == ""
    bare = dataclasses.replace(made, features=[])
    assert list(by_name(diversity_figures(bare, real))) == [
        ("label Dice of samples of one layout", "all")
    ]


def test_memorisation_is_over_the_features_of_all_networks(made, real):
    assert not list(memorisation_figures(made, real, []))
    rng = np.random.default_rng(0)
    training = [rng.normal(size=(20, 3)) for _ in range(2)]
    found = by_name(memorisation_figures(made, real, training))
    seen = np.concatenate(training, 1)

    def nearest(samples: Samples) -> np.ndarray:
        joint = np.concatenate(samples.features, 1)
        return np.linalg.norm(joint[:, None] - seen, axis=-1).min(1)

    expected = memorisation.closeness(nearest(made), nearest(real))
    assert set(expected) == set(memorisation.USUAL)
    for name, value in expected.items():
        figure = found[name, "all"]
        assert figure.estimate.value == pytest.approx(value)
        assert figure.real == memorisation.USUAL[name] and figure.better == "real"
    assert memorisation.USUAL == {
        "median ratio": 1.0,
        "closer than the closest 5 % of unseen": 0.05,
        "nearer than an unseen patch": 0.5,
    }


def test_separation_is_the_mean_over_all_nuclei(real):
    found = by_name(separation_figures(real))
    for method in separation.METHODS:
        each = [separation.separations(r)[method] for r in real.records]
        figure = found[method, "all"]
        assert figure.estimate.value == pytest.approx(np.nanmean(np.concatenate(each)))
        # A draw of one tile alone has its nuclei's mean.
        assert len(figure.estimate.draws) == 200
    assert list(found) == [(m, "all") for m in separation.METHODS]


def test_of_many_real_patches_a_part_is_separated_again(monkeypatch):
    small, count = record(0, (24, 24)), []
    once = separation.separations(small)
    monkeypatch.setattr(separation, "separations", lambda r: count.append(1) or once)
    many = Samples([small] * 252, [str(i) for i in range(252)], nuclei=[None] * 252)
    list(separation_figures(many))
    assert len(count) == module.SEPARATED == 250
