"""Draws docs/formats/images/FORMAT.webp: what the arrays of each format look like.

    python tools/format_pictures.py

The sample is the bundled pair, so nothing of another's data is shown. What an export holds is read back
with plain numpy, tifffile, zarr and json; formats that are only read are drawn as their files would be.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
from PIL import Image
from skimage.draw import line
from skimage.segmentation import find_boundaries

from napari_cosynth import registry
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.packed import write_packed
from napari_cosynth.export.stack import ARRAYS, write_stack
from napari_cosynth.geometry.rle import decode, from_string
from napari_cosynth.records.base import crop
from napari_cosynth.types import Record

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "formats" / "images"
SIDE, SCALE, GAP = 96, 2, 6


def sample(row: int = 0) -> Record:
    (record,) = open_records(ROOT / "src" / "napari_cosynth" / "samples" / "pair")[1]
    return crop(record, row, 96, SIDE, SIDE)


def ids(instances: np.ndarray) -> np.ndarray:
    """Instance ids in colours that tell neighbours apart."""
    colors = np.random.default_rng(4).integers(60, 256, (int(instances.max()) + 1, 3), np.uint8)
    colors[0] = 0
    return colors[instances.astype(int)]


def row(name: str, *panels: np.ndarray) -> None:
    """Panels side by side, uint8 (H, W, 3) each, enlarged."""
    large = [np.kron(p, np.ones((SCALE, SCALE, 1), np.uint8)) for p in panels]
    height = max(p.shape[0] for p in large)
    out = np.full((height, sum(p.shape[1] + GAP for p in large) - GAP, 3), 255, np.uint8)
    x = 0
    for panel in large:
        out[: panel.shape[0], x : x + panel.shape[1]] = panel
        x += panel.shape[1] + GAP
    OUT.mkdir(parents=True, exist_ok=True)
    Image.fromarray(out).save(OUT / f"{name}.webp", lossless=True, quality=100, method=6)


def outlined(record: Record, color: tuple[int, int, int]) -> np.ndarray:
    image = record.image.copy()
    image[find_boundaries(record.instances, mode="inner")] = color
    return image


def draw(image: np.ndarray, corners: list[tuple[int, int]], color: object) -> None:
    """The closed line through (x, y) corners."""
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        image[line(y0, x0, y1, x1)] = color


def main() -> None:
    record = sample()
    classes = record.classes.colors
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            kind: registry.resolve("exporter", kind)([record], Path(folder) / kind)
            for kind in registry.names("exporter")
        }
        name = "sample_00000"

        image = np.load(paths["pannuke"] / "images.npy")[0].astype(np.uint8)
        masks = np.load(paths["pannuke"] / "masks.npy")[0]
        held = [c for c in range(masks.shape[-1]) if masks[..., c].any()]
        row("pannuke", image, *(ids(masks[..., c]) for c in held[:-1]), ids(masks[..., -1]))

        both = np.load(paths["conic"] / "labels.npy")[0]
        row(
            "conic",
            np.load(paths["conic"] / "images.npy")[0],
            ids(both[..., 0]),
            classes[both[..., 1]],
        )

        patch = np.load(paths["hovernet"] / f"{name}.npy")
        row("hovernet", patch[..., :3].astype(np.uint8), ids(patch[..., 3]), classes[patch[..., 4]])

        maps = [iio.imread(paths["folder"] / k / f"{name}.png") for k in ("instances", "labels")]
        row(
            "folder",
            iio.imread(paths["folder"] / "images" / f"{name}.png"),
            ids(maps[0]),
            classes[maps[1]],
        )

        content = json.loads((paths["coco"] / "annotations.json").read_text())
        masked, boxes = record.image // 2 + 100, record.image.copy()
        for annotation in content["annotations"]:
            runs = from_string(annotation["segmentation"]["counts"])
            masked[decode(runs, (SIDE, SIDE))] = classes[annotation["category_id"]]
            x, y, w, h = annotation["bbox"]
            right, low = x + w - 1, y + h - 1
            corners = [(x, y), (right, y), (right, low), (x, low)]
            draw(boxes, corners, classes[annotation["category_id"]])
        row("coco", record.image, masked, boxes)

        features = json.loads((paths["geojson"] / f"{name}.geojson").read_text())["features"]
        drawn = np.kron(record.image, np.ones((4, 4, 1), np.uint8))
        for feature in features:
            geometry = feature["geometry"]
            single = geometry["type"] == "Polygon"
            for rings in [geometry["coordinates"]] if single else geometry["coordinates"]:
                for ring in rings:
                    points = [(min(4 * x, 383), min(4 * y, 383)) for x, y in ring]
                    draw(drawn, points, feature["properties"]["classification"]["color"])
        row("geojson", np.kron(record.image, np.ones((2, 2, 1), np.uint8)), drawn[80:272, 80:272])

        import zarr

        group = zarr.open_group(paths["omezarr"], mode="r")["0"]
        planes = np.moveaxis(np.asarray(group["0"]), 0, -1)
        labels = [np.asarray(group[f"labels/{k}/0"]) for k in ("instances", "classes")]
        red, green, blue = (np.stack([planes[..., c]] * 3, -1) for c in range(3))
        row("omezarr", red, green, blue, ids(labels[0]), classes[labels[1]])

        grey = np.stack([(record.distance * 255).astype(np.uint8)] * 3, -1)
        row("stack", record.image, classes[record.labels], ids(record.instances), grey)

        shard = write_stack([record, sample(row=96)], Path(folder) / "shard-00000")
        pages = {n: tifffile.imread(shard / f"{n}.tif") for n in ARRAYS}
        drawn = {
            "images": pages["images"],
            "labels": classes[pages["labels"]],
            "instances": ids(pages["instances"]),
            "distances": np.stack([(pages["distances"] * 255).astype(np.uint8)] * 3, -1),
        }
        row("shards", *(panels[i] for i in range(2) for panels in drawn.values()))

        (packed,) = write_packed(
            Path(folder), [("part", "a", record)], record.classes, record.mpp, None
        )
        with zipfile.ZipFile(packed) as archive:
            layers = [
                iio.imread(archive.read(f"0/{n}.png")) for n in ("image", "instances", "labels")
            ]
        row("packed", layers[0], ids(layers[1]), classes[layers[2]])

    row("monuseg", record.image, outlined(record, (60, 255, 60)))
    row("nuinsseg", record.image, ids(record.instances))
    row("lizard", record.image, ids(record.instances), classes[record.labels])
    points, mask = record.image.copy(), (record.instances > 0).astype(np.uint8) * 255
    for (y, x), kind in zip(record.layout.centroids, record.layout.class_ids, strict=True):
        top, left = max(0, round(float(y)) - 1), max(0, round(float(x)) - 1)
        points[top : top + 3, left : left + 3] = classes[kind]
    row("endonuke", points, np.stack([mask] * 3, -1))


if __name__ == "__main__":
    main()
