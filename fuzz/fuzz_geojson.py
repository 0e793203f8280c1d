"""GeoJSON as layouts and as data sets."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from skimage.io import imsave

from harness import Reader, json_text, main
from napari_cosynth.datasets.geojson import GeoJsonDataset
from napari_cosynth.layouts.sources.read import read_nuclei

RING = [[2, 2], [9, 2], [9, 9], [2, 9], [2, 2]]
HOLE = [[4, 4], [5, 4], [5, 5], [4, 4]]


def feature(geometry: object, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


def content() -> dict[str, object]:
    polygon = {"type": "Polygon", "coordinates": [RING, HOLE]}
    many = {
        "type": "MultiPolygon",
        "coordinates": [[RING], [[[20, 20], [25, 20], [25, 25], [20, 20]]]],
    }
    named = {"classification": {"name": "Tumor", "color": [200, 0, 0]}, "objectType": "detection"}
    features = [
        feature(polygon, **named),
        feature(many, objectType="cell", measurements=[{"name": "area", "value": 3.5}]),
        feature({"type": "Point", "coordinates": [3, 4]}, type="a"),
        feature({"type": "GeometryCollection", "geometries": [polygon]}, objectType="detection"),
        feature(polygon, objectType="annotation", childObjects=[feature(polygon, **named)]),
    ]
    return {"type": "FeatureCollection", "features": features}


def write(folder: Path, data: st.DataObject) -> None:
    imsave(folder / "a.png", np.full((32, 32, 3), 200, np.uint8), check_contrast=False)
    text = json_text(data, content())
    if data.draw(st.integers(0, 9)) == 0:
        text = gzip.compress(text)[: data.draw(st.sampled_from([None, 20, -4]))]
    (folder / "a.geojson").write_bytes(text)


def read_layout(folder: Path) -> None:
    read_nuclei(folder / "a.geojson")


def read_set(folder: Path) -> None:
    list(GeoJsonDataset(folder))


LAYOUT = Reader("GeoJSON, layouts", write, read_layout)
DATA = Reader("GeoJSON, data sets", write, read_set)
READERS = (LAYOUT, DATA)

if __name__ == "__main__":
    main(*READERS)
