"""QuPath's GeoJSON: nuclei as detections with classes and colours (docs/formats/geojson.md)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tifffile
from scipy import ndimage as ndi

from napari_cosynth.export.base import Item, exporting
from napari_cosynth.geometry.polygons import Polygon, outlines
from napari_cosynth.types import Record

_NAMESPACE = uuid.UUID("6f5b0d38-5f0c-4b52-9a2e-0f3a3c0de5d1")


def write_geojson(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes ``NAME.geojson`` and its image ``NAME.tif``, with µm/px, to open both in QuPath.

    Coordinates are full-resolution pixels from the corner of the top left pixel. Outlines run along pixel
    borders, so no pixel changes. A nucleus in parts that touch only at corners is a MultiPolygon.
    """
    with exporting(items, path, "geojson", overwrite) as (folder, samples):
        for sample in samples:
            record = sample.record
            per_centimetre = 1e4 / record.mpp
            tifffile.imwrite(
                folder / f"{sample.name}.tif",
                record.image,
                photometric="rgb",
                compression="zlib",
                resolution=(per_centimetre, per_centimetre),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            lines = ",\n".join(json.dumps(f) for f in features(record, sample.name))
            (folder / f"{sample.name}.geojson").write_text(
                '{"type": "FeatureCollection", "features": [\n' + lines + "\n]}\n", encoding="utf-8"
            )
    return Path(path)


def features(record: Record, name: str) -> list[dict[str, Any]]:
    """One GeoJSON feature per instance of a record, as QuPath reads them."""
    found = []
    for index, box in enumerate(ndi.find_objects(record.instances), start=1):
        if box is None:
            continue
        mask = record.instances[box] == index
        label = int(record.labels[box][mask][0])
        found.append(
            {
                "type": "Feature",
                "id": str(uuid.uuid5(_NAMESPACE, f"{name}/{index}")),
                "geometry": _geometry(outlines(mask, (box[0].start, box[1].start))),
                "properties": {
                    "objectType": "detection",
                    "classification": {
                        "name": record.classes.names[label],
                        "color": record.classes.colors[label].tolist(),
                    },
                },
            }
        )
    return found


def _geometry(polygons: list[Polygon]) -> dict[str, Any]:
    closed = [[[*ring, ring[0]] for ring in rings] for rings in polygons]
    if len(closed) == 1:
        return {"type": "Polygon", "coordinates": closed[0]}
    return {"type": "MultiPolygon", "coordinates": closed}
