"""Class shares: the solver against a general one, and draws counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

from napari_cosynth.generate.balance import (
    divided,
    effective,
    expected_shares,
    full_target,
    relabelling,
    tilted,
)
from napari_cosynth.generate.draw import Draws
from napari_cosynth.generate.plan import Balance, FolderLayouts, Plan
from napari_cosynth.generate.pool import build_pool
from napari_cosynth.types import ClassTable, Layout

NAMES = ("inflammatory", "epithelial", "spindle-shaped")


@pytest.fixture
def counts() -> np.ndarray:
    found = np.random.default_rng(0).integers(0, 30, (40, 4))
    found[:, 0] = 0
    found[:, 3] //= 2
    return found.astype(float)


def test_the_tilt_is_the_nearest_in_divergence(counts):
    counts = counts[:8]
    base, other = np.random.default_rng(1).dirichlet(np.full(8, 5), 2)
    target = expected_shares((base + other) / 2, counts)
    ours = tilted(base, counts, target, np.zeros(8, int))
    assert np.allclose(expected_shares(ours, counts), target, atol=1e-5)
    surplus = counts - counts.sum(1, keepdims=True) * target
    general = minimize(
        lambda w: np.sum(w * np.log(np.maximum(w, 1e-300) / base)),
        base,
        bounds=[(1e-12, 1)] * 8,
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1},
            {"type": "eq", "fun": lambda w: w @ surplus[:, 1:3]},
        ],
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert general.success
    assert np.allclose(ours, general.x, atol=1e-4)


def test_a_target_already_met_changes_nothing(counts):
    base = np.full(40, 1 / 40)
    assert np.allclose(
        tilted(base, counts, expected_shares(base, counts), np.zeros(40, int)), base, atol=1e-9
    )


def test_each_organ_keeps_its_weight(counts):
    groups = np.arange(40) % 3
    base = np.random.default_rng(2).dirichlet(np.full(40, 5))
    target = np.array([0, 0.35, 0.35, 0.3])
    ours = tilted(base, counts, target, groups)
    assert np.allclose(expected_shares(ours, counts), target, atol=1e-4)
    for group in range(3):
        assert ours[groups == group].sum() == pytest.approx(base[groups == group].sum(), abs=1e-6)


def test_out_of_reach_goes_as_far_as_it_can(counts):
    base = np.full(40, 1 / 40)
    target, now = np.array([0, 0.0, 0.05, 0.95]), expected_shares(base, counts)
    ours = tilted(base, counts, target, np.zeros(40, int))
    way = (expected_shares(ours, counts) - now)[1:] / (target - now)[1:]
    assert np.allclose(way, way[0], atol=1e-3), "straight towards the target"
    assert 0.1 < way[0] < 1
    assert 4 <= effective(ours) < 8, "a tenth of 40 layouts is left, or the corner is near"


def test_classes_not_named_divide_the_rest(classes):
    target = full_target({"spindle-shaped": 0.4}, np.array([0, 0.6, 0.3, 0.1]), classes)
    assert np.allclose(target, [0, 0.4, 0.2, 0.4])
    with pytest.raises(ValueError, match="no layout has nuclei of another class"):
        full_target({"spindle-shaped": 0.4}, np.array([0, 0, 0, 1.0]), classes)


def test_relabelling_by_hand():
    """0.6, 0.3, 0.1 -> 0.3, 0.3, 0.4: half of the first class becomes the third."""
    base, target = np.array([0, 0.6, 0.3, 0.1]), np.array([0, 0.3, 0.3, 0.4])
    chances = relabelling(base, target)
    assert np.allclose(chances[1], [0, 0.5, 0, 0.5])
    assert np.allclose(chances[2], [0, 0, 1, 0])
    assert np.allclose(base @ chances, target)


def test_counts_add_up_and_are_right_on_average():
    target = np.array([0, 0.5, 0.37, 0.13])
    offsets = (np.arange(1000) + 0.5) / 1000
    found = np.array([divided(17, target, u) for u in offsets])
    assert (found.sum(1) == 17).all()
    assert (np.abs(found - 17 * target) < 1).all()
    assert np.allclose(found.mean(0), 17 * target, atol=0.01)


def counted(draws: Draws, count: int) -> np.ndarray:
    """Shares among the nuclei of the layouts as they will be sampled."""
    ids = np.concatenate([draws.job(i).final_layout().class_ids for i in range(count)])
    return np.bincount(ids, minlength=4) / len(ids)


def draws_of(plan: Plan, data, classes: ClassTable) -> Draws:
    return Draws(plan, build_pool(plan, data, classes, 0.5), data, classes, 0.5)


@pytest.mark.parametrize("method", ["choose", "relabel"])
def test_the_share_of_a_rare_class_is_raised_to_the_target(plan, data, classes, method):
    """Counted over 600 draws; without a target the class has under a tenth of the nuclei."""
    plan = dataclasses.replace(plan, samples=600, per_layout=1)
    assert counted(draws_of(plan, data, classes), 600)[3] < 0.1
    balanced = dataclasses.replace(plan, balance=Balance({"spindle-shaped": 0.18}, method))
    draws = draws_of(balanced, data, classes)
    assert draws.expected[3] == pytest.approx(0.18, abs=1e-4)
    shares = counted(draws, 600)
    assert shares[3] == pytest.approx(0.18, abs=0.01)
    before = draws.before
    assert shares[1] / shares[2] == pytest.approx(before[1] / before[2], rel=0.1)


def test_what_choosing_cannot_reach_is_said(plan, data, classes, caplog):
    balanced = dataclasses.replace(plan, balance=Balance({"spindle-shaped": 0.7}))
    draws = draws_of(balanced, data, classes)
    draws.say()
    assert "gives spindle-shaped a share of 0." in caplog.text
    assert "not 0.700" in caplog.text
    relabelled = dataclasses.replace(plan, balance=Balance({"spindle-shaped": 0.7}, "relabel"))
    assert counted(draws_of(relabelled, data, classes), 300)[3] == pytest.approx(0.7, abs=0.02)


def test_organs_come_by_their_weights(plan, data, classes):
    plan = dataclasses.replace(
        plan,
        organs={"colon": 3.0, "breast": 1.0},
        layouts=(
            FolderLayouts("folder", "layouts", tissue="colon"),
            FolderLayouts("folder", "layouts", weight=0.5),
        ),
        per_layout=1,
        samples=400,
    )
    draws = draws_of(plan, data, classes)
    tissues = [draws.job(i).tissue for i in range(400)]
    assert tissues.count("colon") == pytest.approx(300, abs=3)
    assert tissues.count("breast") == pytest.approx(100, abs=3)
    with pytest.raises(ValueError, match="organs: liver: none of the layouts is of it"):
        only = dataclasses.replace(plan, layouts=plan.layouts[:1], organs={"liver": 1.0})
        draws_of(only, data, classes)


def test_any_run_of_numbers_is_spread_over_the_layouts(plan, data, classes):
    draws = draws_of(dataclasses.replace(plan, samples=500, per_layout=1), data, classes)
    for start in (0, 111, 300):
        origins = [draws.job(i).origin for i in range(start, start + 60)]
        assert min(origins.count(o) for o in set(origins)) >= 3
        assert len(set(origins)) == 12


@pytest.mark.parametrize("orientation", range(8))
def test_no_point_leaves_the_canvas_when_turned(classes, orientation):
    """The rounding to float32 at the far side is coarser than at the near one."""
    from napari_cosynth.generate.draw import oriented

    corner = np.nextafter(np.float32(-0.5), np.float32(0))
    layout = Layout(np.array([[corner, corner]]), np.array([1]), (4096, 4096), 0.5, classes)
    assert len(oriented(layout, orientation)) == 1
    assert len(oriented(oriented(layout, orientation), 4).scaled_to(0.3)) == 1


@pytest.mark.parametrize("orientation", range(8))
def test_orientations_move_points_as_pixels(classes, orientation):
    from napari_cosynth.generate.draw import oriented
    from napari_cosynth.geometry.raster import point_map

    layout = Layout(np.array([[1, 2], [5, 0], [3, 6]]), np.array([1, 2, 3]), (8, 9), 0.5, classes)
    pixels = point_map(layout)
    if orientation >= 4:
        pixels = pixels[:, ::-1]
    assert np.array_equal(
        point_map(oriented(layout, orientation)), np.rot90(pixels, orientation % 4)
    )
