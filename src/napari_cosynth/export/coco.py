"""COCO's instances JSON with run-length masks (docs/formats/coco.md)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scipy import ndimage as ndi

from napari_cosynth.export.base import Item, Sample, exporting, write_png
from napari_cosynth.geometry.rle import encode, to_string


def write_coco(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes ``annotations.json`` and ``images/NAME.png``.

    Categories are the classes with their ids, 1..K-1. Each instance is an annotation with
    ``segmentation`` as compressed run lengths, ``bbox`` (x, y, width, height) and ``area`` in pixels.
    """
    with exporting(items, path, "coco", overwrite) as (folder, samples):
        head: dict[str, Any] = {}
        target, waiting = folder / "annotations.json", folder / ".annotations"
        with target.open("w", encoding="utf-8") as out:
            # The JSON has two lists; until the first is complete the second goes to a file of its own.
            with waiting.open("w", encoding="utf-8") as later:
                count = 0
                for sample in samples:
                    if not head:
                        head = _head(sample)
                        out.write(json.dumps(head)[:-1] + ',\n"images": [\n')
                    height, width = sample.record.labels.shape
                    image = {
                        "id": sample.index + 1,
                        "file_name": f"{sample.name}.png",
                        "height": height,
                        "width": width,
                    }
                    out.write((",\n" if sample.index else "") + json.dumps(image))
                    write_png(folder / "images" / f"{sample.name}.png", sample.record.image)
                    for annotation in _annotations(sample):
                        later.write(",\n" if count else "")
                        count += 1
                        later.write(json.dumps({"id": count, **annotation}))
            out.write('\n],\n"annotations": [\n')
            with waiting.open(encoding="utf-8") as kept:
                shutil.copyfileobj(kept, out)
            out.write("\n]}\n")
        waiting.unlink()
    return Path(path)


def _head(sample: Sample) -> dict[str, Any]:
    record = sample.record
    return {
        "info": {"description": "CoSynth export", "mpp": record.mpp},
        "licenses": [],
        "categories": [
            {"id": i, "name": name, "supercategory": "nucleus"}
            for i, name in enumerate(record.classes.names)
            if i
        ],
    }


def _annotations(sample: Sample) -> Iterator[dict[str, Any]]:
    record = sample.record
    height, width = record.labels.shape
    for index, box in enumerate(ndi.find_objects(record.instances), start=1):
        if box is None:
            continue
        mask = record.instances[box] == index
        y, x = box[0].start, box[1].start
        yield {
            "image_id": sample.index + 1,
            "category_id": int(record.labels[box][mask][0]),
            "segmentation": {
                "size": [height, width],
                "counts": to_string(encode(mask, (y, x), (height, width))),
            },
            "area": int(mask.sum()),
            "bbox": [x, y, mask.shape[1], mask.shape[0]],
            "iscrowd": 0,
        }
