"""What a nucleus is in GeoJSON: the layout reader and the data set answer alike."""

import gzip
import json

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.datasets.geojson import GeoJsonDataset
from napari_cosynth.layouts.sources.read import read_nuclei


def ring(x, y, side=8):
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def polygon(x, y, side=8):
    return {"type": "Polygon", "coordinates": [ring(x, y, side)]}


def several(*corners):
    return {"type": "MultiPolygon", "coordinates": [[ring(*corner)] for corner in corners]}


def feature(geometry, name=None, **properties):
    if name is not None:
        properties["classification"] = {"name": name}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def detection(x, y, name="A", **more):
    return feature(polygon(x, y), name, objectType="detection", **more)


REGION = feature(polygon(0, 0, 60), "Tumor", objectType="annotation")


def older(kind, x, y, side=8):
    """As QuPath 0.2 wrote it."""
    return {**feature(polygon(x, y, side), "A"), "id": kind}


CASES = {
    "types as id": (
        [
            older("PathAnnotationObject", 0, 0, 60),
            older("PathDetectionObject", 10, 10),
            older("PathCellObject", 30, 10),
            older("TMACoreObject", 0, 0, 50),
            older("PathTileObject", 20, 20, 20),
        ],
        [(10, 10, "A"), (30, 10, "A")],
        "left out: 1 objects of the type tma core",
    ),
    "object_type": (
        [
            feature(polygon(0, 0, 60), "Tumor", object_type="annotation"),
            feature(polygon(10, 10), "A", object_type="detection"),
        ],
        [(10, 10, "A")],
        "left out: 1 annotated regions beside detections",
    ),
    "children of a region": (
        [
            {
                **REGION,
                "properties": {
                    **REGION["properties"],
                    "childObjects": [detection(10, 10), detection(40, 10)],
                },
            }
        ],
        [(10, 10, "A"), (40, 10, "A")],
        "left out: 1 annotated regions beside detections",
    ),
    "a hierarchy without detections": (
        [
            feature(None, objectType="root", childObjects=[REGION]),
            feature(polygon(0, 0, 60), "Tumor", children=[feature(polygon(10, 10), "A")]),
        ],
        [(0, 0, "Tumor", 60), (10, 10, "A")],
        "left out: 1 annotated regions that hold others",
    ),
    "spots within a cell": (
        [detection(10, 10, childObjects=[feature(polygon(12, 12, 2), objectType="detection")])],
        [(10, 10, "A")],
        "left out: 1 objects within a cell",
    ),
    "cores and a root beside annotations": (
        [
            feature(polygon(0, 0, 60), objectType="tmaCore"),
            feature(polygon(0, 0, 60), objectType="root"),
            feature(polygon(10, 10), "A", objectType="annotation"),
        ],
        [(10, 10, "A")],
        "left out: 1 objects of the type root",
    ),
    "a class called type": (
        [feature(polygon(10, 10), type="Tumor", prob=0.9), feature(polygon(40, 10), type=3)],
        [(10, 10, "Tumor"), (40, 10, "type 3")],
        None,
    ),
    "a type called type": (
        [feature(polygon(0, 0, 60), type="annotation"), feature(polygon(10, 10), type="cell")],
        [(10, 10, "")],
        "left out: 1 annotated regions beside detections",
    ),
    "all cells of a class as one object": (
        [
            feature(several((10, 10), (40, 10), (18, 10)), "A", objectType="annotation"),
            feature(several((10, 40), (40, 40)), "B", objectType="annotation"),
        ],
        [(10, 10, "A"), (40, 10, "A"), (18, 10, "A"), (10, 40, "B"), (40, 40, "B")],
        "2 objects in parts that lie apart: each part is a nucleus",
    ),
    "geometries in a collection": (
        [
            feature(
                {
                    "type": "GeometryCollection",
                    "geometries": [
                        {"type": "LineString", "coordinates": [[0, 0], [5, 5]]},
                        polygon(10, 10),
                    ],
                },
                "A",
            )
        ],
        [(10, 10, "A")],
        None,
    ),
    "damaged outlines": (
        [
            feature({"type": "Polygon", "coordinates": []}, "A"),
            feature({"type": "Polygon", "coordinates": [[[9, 9], [12, 12], [9, 9]]]}, "A"),
            feature({"type": "MultiPolygon", "coordinates": [[ring(10, 10)], [[[1, 1]]]]}, "A"),
            feature({"type": "Polygon", "coordinates": [[[0, 0], [9, float("nan")], [9, 9]]]}, "A"),
            feature(polygon(40, 10), "A"),
        ],
        [(10, 10, "A"), (40, 10, "A")],
        "left out: 4 damaged outlines (feature 0: geometry: expected rings of coordinates, got none)",
    ),
    "objects without a geometry": (
        [feature(None, "A"), detection(10, 10)],
        [(10, 10, "A")],
        "left out: 1 features without a geometry",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layouts_and_data_sets_find_the_same_nuclei(tmp_path, caplog, name):
    features, wanted, note = CASES[name]
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    imsave(tmp_path / "a.png", np.full((64, 64, 3), 200, np.uint8), check_contrast=False)
    nuclei = read_nuclei(tmp_path / "a.geojson")
    places = [(x, y, kind, *side) for x, y, kind, *side in wanted]
    middles = [
        (y + (s := (side or [8])[0]) / 2 - 0.5, x + s / 2 - 0.5) for x, y, _, *side in wanted
    ]
    np.testing.assert_allclose(nuclei.centroids, middles)
    assert nuclei.class_names == tuple(place[2] for place in places)
    assert (note in nuclei.notes) if note else not nuclei.notes

    dataset = GeoJsonDataset(tmp_path)
    parts = dataset.parts("a")
    assert parts.instances.max() == len(wanted)
    for index, (x, y, kind, *_) in enumerate(places, start=1):
        assert parts.instances[y, x] == index
        assert dataset.classes.names[parts.labels[y, x]] == (kind or "unspecified")
    assert note is None or f"a.geojson: {note}" in caplog.text


@pytest.mark.parametrize("kind", ["detection", "annotation"])
@pytest.mark.parametrize("second", [(18, 18), (18, 10), (18.3, 12)])
def test_parts_that_touch_are_one_nucleus(tmp_path, kind, second):
    both = feature(several((10, 10), second), "A", objectType=kind)
    (tmp_path / "a.geojson").write_text(json.dumps([both]))
    nuclei = read_nuclei(tmp_path / "a.geojson")
    assert len(nuclei) == 1 and not nuclei.notes
    assert set(np.unique(nuclei.instances((64, 64)))) == {0, 1}


def test_a_file_of_which_nothing_is_left_is_refused(tmp_path):
    (tmp_path / "a.geojson").write_text(json.dumps([feature(polygon(0, 0, 0), "A")]))
    with pytest.raises(ValueError, match=r"a\.geojson: feature 0: geometry: .* three or more"):
        read_nuclei(tmp_path / "a.geojson")
    (tmp_path / "a.geojson").write_text("[]")
    assert len(read_nuclei(tmp_path / "a.geojson")) == 0


@pytest.mark.parametrize("ending", ["geojson.gz", "json.gz", "GeoJSON.GZ", "geojson"])
def test_packed_files(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(json.dumps([detection(10, 10)]).encode("utf-8-sig")))
    assert read_nuclei(path).class_names == ("A",)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=rf"a\.{ending}: cannot be read as JSON"):
        read_nuclei(path)


def test_a_packed_file_is_not_unpacked_beyond_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_cosynth.foreign.files.read_json.__defaults__", (1000,))
    path = tmp_path / "a.geojson.gz"
    path.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(ValueError, match="expected at most 1000 bytes, got more once unpacked"):
        read_nuclei(path)
