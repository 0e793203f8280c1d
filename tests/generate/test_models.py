"""Layouts drawn by a layout model where the samples are made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.generate.balance import expected_shares
from napari_cosynth.generate.draw import Draws, Job
from napari_cosynth.generate.plan import Balance, ModelLayouts, Plan
from napari_cosynth.generate.pool import build_pool, load_pool, save_pool
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.known import LAYOUT_MODELS
from napari_cosynth.model.checkpoint import read_config

layout_models = pytest.importorskip("napari_cosynth.layouts.gibbs.model")

CONFIG = read_config("default")


@pytest.fixture
def plan() -> Plan:
    return Plan("drawn", 40, (96, 96), (ModelLayouts("model", "default"),))


def draws_of(plan, tmp_path) -> Draws:
    pool = build_pool(plan, tmp_path, CONFIG.classes, CONFIG.mpp)
    save_pool(pool, tmp_path / "pool.npz")
    pool = load_pool(tmp_path / "pool.npz", plan, CONFIG.classes, CONFIG.mpp)
    return Draws(plan, pool, tmp_path, CONFIG.classes, CONFIG.mpp)


def counts_of(jobs: list[Job]) -> np.ndarray:
    layouts = [job.final_layout() for job in jobs]
    return np.array([np.bincount(x.class_ids, minlength=len(CONFIG.classes)) for x in layouts])


def test_each_number_has_its_own_layout_again(plan, tmp_path):
    draws, again = draws_of(plan, tmp_path), draws_of(plan, tmp_path)
    layouts = [draws.job(i).final_layout() for i in range(4)]
    for i, layout in enumerate(layouts):
        point_map(layout)
        assert layout.shape == (96, 96) and layout.classes == CONFIG.classes
        assert np.array_equal(again.job(i).final_layout().centroids, layout.centroids)
    assert len({x.centroids.tobytes() for x in layouts}) == 4
    assert draws.job(0).tissue in CONFIG.tissues


def test_another_model_in_the_same_file_is_refused(tmp_path):
    """Samples after a resume, or on another machine, would be of other layouts."""
    source = LAYOUT_MODELS / "default.json"
    (tmp_path / "m.json").write_bytes(source.read_bytes())
    plan = Plan("drawn", 40, (96, 96), (ModelLayouts("model", "m.json"),))
    draws = draws_of(plan, tmp_path)
    draws.job(0).final_layout()
    (tmp_path / "m.json").write_bytes(source.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"m.json: its sha256 is \w{12}..., that of the model"):
        draws.job(1).final_layout()


def test_counts_bring_the_classes_to_the_target(plan, tmp_path):
    target = {"miscellaneous": 0.2, "inflammatory": 0.5}
    draws = draws_of(dataclasses.replace(plan, balance=Balance(target, "counts")), tmp_path)
    counts = counts_of([draws.job(i) for i in range(6)])
    shares = expected_shares(np.full(6, 1 / 6), counts)
    for name, share in target.items():
        assert shares[CONFIG.classes.index(name)] == pytest.approx(share, abs=0.03)
    assert draws.before[CONFIG.classes.index("miscellaneous")] < 0.1


def test_a_model_that_does_not_know_the_organ(plan, tmp_path):
    with pytest.raises(ValueError, match="organs: moon: none of the layouts is of it"):
        draws_of(dataclasses.replace(plan, organs={"moon": 1.0}), tmp_path)
    with pytest.raises(ValueError, match="nowhere: no such layout model"):
        draws_of(dataclasses.replace(plan, layouts=(ModelLayouts("model", "nowhere"),)), tmp_path)
