"""Layout models as their users meet them: files, drawing, counts, regions, errors."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from napari_cosynth.io.settings import plain
from napari_cosynth.known import layout_models
from napari_cosynth.layouts.gibbs.model import (
    LayoutModel,
    TissueModel,
    load_layout_model,
    save_layout_model,
)
from napari_cosynth.types import ClassTable, Layout

SHAPE = (160, 200)
MODEL = LayoutModel(
    classes=("round", "long"),
    colors=((255, 0, 0), (0, 0, 255)),
    hard_core=((4.0, 3.0), (3.0, 3.5)),
    knots=(3.0, 6.0, 12.0),
    potentials=(((0.3, 0.2, 0.0), (-1.0, -0.5, 0.0)), ((-1.0, -0.5, 0.0), (0.0, 0.0, 0.0))),
    scales=(15.0, 40.0),
    nodes=(-1.0, 1.0),
    tissues=(
        TissueModel(
            "skin",
            ("round", "long"),
            ((4000.0, 3000.0), (2000.0, 0.0)),
            (((-1.5, 0.8), (0.0, 0.0)), ((0.8, -1.5), (0.2, -0.2))),
        ),
        TissueModel("bone", ("long",), ((500.0,),), (((0.0, 0.0), (0.0, 0.0)),)),
    ),
)


@pytest.fixture(scope="module")
def sampled() -> Layout:
    return MODEL.sample(SHAPE, 3, 0.5, "skin", {"round": 40, "long": 25})


def crowded(layout: Layout, core: np.ndarray) -> int:
    points = layout.centroids.astype(float) * layout.mpp
    away = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(away, np.inf)
    kinds = layout.class_ids.astype(int) - 1
    return int((away < core[kinds[:, None], kinds] - 1e-3).sum())


def test_the_bundled_model():
    assert "default" in layout_models()
    path = layout_models()["default"]
    assert path.stat().st_size < 200_000
    model = load_layout_model("default")
    assert model.tissue("").name == model.tissues[0].name
    assert model.about["licence"]
    layout = model.sample((128, 128), 0, 0.5, "colon")
    assert layout.classes == model.table
    assert crowded(layout, np.array(model.hard_core)) == 0


def test_counts_hard_cores_and_canvas(sampled):
    assert np.bincount(sampled.class_ids).tolist() == [0, 40, 25]
    assert sampled.shape == SHAPE and sampled.mpp == 0.5
    assert crowded(sampled, np.array(MODEL.hard_core)) == 0


def test_the_same_seed_gives_the_same_layout(sampled):
    again = MODEL.sample(SHAPE, 3, 0.5, "skin", {"round": 40, "long": 25})
    assert again.centroids.tobytes() == sampled.centroids.tobytes()
    assert again.class_ids.tobytes() == sampled.class_ids.tobytes()
    other = MODEL.sample(SHAPE, 4, 0.5, "skin", {"round": 40, "long": 25})
    assert other.centroids.tobytes() != sampled.centroids.tobytes()


def test_a_tissue_has_its_own_classes_and_counts_are_drawn_where_not_named():
    layout = MODEL.sample((400, 400), 0, 0.5, "bone")
    assert set(layout.class_ids.tolist()) == {2}
    assert 6 <= len(layout) <= 40  # 20 expected
    layout = MODEL.sample(SHAPE, 0, 0.5, "skin", {"long": 7})
    counts = np.bincount(layout.class_ids, minlength=3)
    assert counts[2] == 7 and counts[1] > 0
    layout = MODEL.sample(SHAPE, 0, 0.5, "skin", {"round": 0, "long": 0})
    assert len(layout) == 0


def test_a_finer_grid_holds_as_many_nuclei_per_area():
    fine = MODEL.sample((400, 400), 1, 0.25, "bone")
    coarse = MODEL.sample((50, 50), 1, 2.0, "bone")
    assert fine.centroids.max() > 200 and len(fine) < 20
    assert coarse.centroids.max() < 50


@pytest.fixture(scope="module")
def filled(sampled) -> tuple[Layout, Layout, np.ndarray]:
    region = np.zeros(SHAPE, bool)
    region[40:110, 30:150] = True
    region[60:80, 60:80] = False  # a hole
    table = ClassTable.of("other", "round", "long")
    ids = sampled.class_ids + 1
    ids[:5] = 1  # a class that the model does not know
    existing = Layout(sampled.centroids, ids, SHAPE, 0.5, table)
    counts = {"round": 12}
    return existing, MODEL.sample(SHAPE, 1, 0.5, "skin", counts, region, existing), region


def inside(layout: Layout, region: np.ndarray) -> np.ndarray:
    at = np.floor(layout.centroids + 0.5).astype(int)
    return region[at[:, 0], at[:, 1]]


def test_a_region_keeps_what_is_outside_bit_for_bit(filled):
    existing, found, region = filled
    kept = ~inside(existing, region)
    number = int(kept.sum())
    assert 0 < number < len(existing)
    assert found.centroids[:number].tobytes() == existing.centroids[kept].tobytes()
    assert found.class_ids[:number].tobytes() == existing.class_ids[kept].tobytes()
    assert inside(found, region)[number:].all()
    assert found.classes == existing.classes


def test_a_region_holds_its_counts_and_keeps_its_distance(filled):
    _, found, region = filled
    new = inside(found, region)
    assert (found.class_ids[new] == 2).sum() == 12
    core = np.zeros((3, 3))
    core[1:, 1:] = MODEL.hard_core
    core[0, 1:] = core[1:, 0] = np.diag(MODEL.hard_core)
    assert crowded(found, core) == 0


def test_a_region_without_a_layout_and_an_empty_one(filled):
    existing, _, region = filled
    found = MODEL.sample(SHAPE, 1, 0.5, "skin", region=region)
    assert len(found) and inside(found, region).all()
    none = np.zeros(SHAPE, bool)
    same = MODEL.sample(SHAPE, 1, 0.5, "skin", region=none, existing=existing)
    assert same.centroids.tobytes() == existing.centroids.tobytes()
    assert len(MODEL.sample(SHAPE, 1, 0.5, "skin", region=none)) == 0


def test_what_surrounds_a_region_grows_in_it():
    """A field of one class around a hole: the hole fills with that class."""
    grid = np.stack(np.mgrid[10:300:14, 10:300:14], -1).reshape(-1, 2).astype(np.float32)
    region = np.zeros((310, 310), bool)
    region[110:200, 110:200] = True
    counts = []
    for kind in (1, 2):
        existing = Layout(grid, np.full(len(grid), kind), region.shape, 0.5, MODEL.table)
        found = MODEL.sample(region.shape, 0, 0.5, "skin", region=region, existing=existing)
        new = found.class_ids[inside(found, region)]
        counts.append(np.bincount(new, minlength=3)[1:])
    assert counts[0][0] > 3 * counts[0][1]
    assert counts[1][1] > 3 * counts[1][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (0, 10)}, "shape: expected"),
        ({"mpp": 0.0}, "mpp: expected"),
        ({"seed": -1}, "seed: expected"),
        ({"tissue": "hair"}, "tissue: expected one of skin, bone, got 'hair'"),
        ({"counts": {"square": 3}}, "counts: expected one of round, long, got 'square'"),
        ({"counts": {"round": -3}}, "counts: round: expected 0 or more"),
        ({"counts": {"round": 900}}, "counts: round: 900 nuclei do not fit"),
        ({"region": np.ones((3, 3), bool)}, "region: expected bool"),
        ({"region": np.ones((40, 40), np.uint8)}, "region: expected bool"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"shape": (40, 40), "seed": 0, "mpp": 0.5, "tissue": "skin", **change}
    with pytest.raises(ValueError, match=message):
        MODEL.sample(**arguments)


def test_an_existing_layout_that_does_not_fit(sampled):
    region = np.ones(SHAPE, bool)
    with pytest.raises(ValueError, match="existing: expected a region"):
        MODEL.sample(SHAPE, 0, 0.5, existing=sampled)
    with pytest.raises(ValueError, match="existing: expected a canvas"):
        MODEL.sample(SHAPE, 0, 0.25, region=region, existing=sampled)
    strange = dataclasses.replace(sampled, classes=ClassTable.of("a", "b"))
    with pytest.raises(ValueError, match="unknown class 'round'"):
        MODEL.sample(SHAPE, 0, 0.5, region=region, existing=strange)


def test_a_file_there_and_back(tmp_path):
    path = save_layout_model(MODEL, tmp_path / "model.json")
    assert load_layout_model(path) == MODEL
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "extra: unknown key"),
        ({"format": "else"}, "format: "),
        ({"version": 2}, "version: "),
        ({"hard_core": [[1, 2], [3, 4]]}, "hard_core: expected distances"),
        ({"hard_core": [[1, 2]]}, "hard_core: expected 2 x 2"),
        ({"hard_core": [[1, 2], [2, 99]]}, "hard_core: expected none above"),
        ({"knots": [6, 3, 12]}, "knots: expected at least two ascending"),
        ({"potentials": []}, "potentials: expected 2 x 2 x 3"),
        ({"scales": [0.1, 40]}, "scales: expected 5"),
        ({"nodes": [1, 1]}, "nodes: expected"),
        ({"tissues": []}, "tissues: expected at least one"),
        ({"classes": ["round", "round"]}, "classes: names repeat"),
        ({"classes": ["round", "flat"]}, "tissues: skin: classes: unknown class 'long'"),
    ],
)
def test_bad_files(tmp_path, change, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**plain(MODEL), **change}))
    with pytest.raises(ValueError, match=f"^{path}: {message}"):
        load_layout_model(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("levels", [[1]], "skin: levels: expected 1 x 2"),
        ("levels", [[1, -2]], "skin: levels: expected 0 or more"),
        ("levels", [], "skin: levels: expected at least one tile"),
        ("responses", [], "skin: responses: expected 2 x 2 x 2"),
        ("classes", [], "skin: classes: expected at least one"),
        ("other", 1, "unknown key"),
    ],
)
def test_bad_tissues(tmp_path, field, value, message):
    content = plain(MODEL)
    content["tissues"][0][field] = value
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"^{path}: .*{message}"):
        load_layout_model(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="no such layout model"):
        load_layout_model(tmp_path / "absent.json")
    path = tmp_path / "no.json"
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        load_layout_model(path)
    path.write_text("[1, NaN]")
    with pytest.raises(ValueError, match=str(path)):
        load_layout_model(path)
