"""Bytes for one reader, changed so that they reach lines none has reached: by atheris, where it installs.

    pip install atheris
    python fuzz/by_coverage.py xml -max_total_time=60

The script's first argument is a reader below; what follows is libFuzzer's. The bounds are those of
``harness``; what a reader does wrong ends the run with the input.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
from skimage.io import imsave

with atheris.instrument_imports(include=["napari_cosynth"]):
    from fuzz_coco import COCO, whole
    from fuzz_csv import read_points
    from fuzz_exports import files as exported
    from fuzz_geojson import content as geojson
    from fuzz_geojson import read_layout
    from fuzz_npy import ids, plain, read_hovernet
    from fuzz_slides import dicoms, read_dicom, read_vendor, vendors
    from fuzz_tiff import files as tiffs
    from fuzz_tiff import read_slide
    from fuzz_toml import PLAN, read_plan_of
    from fuzz_torch import ENCODERS, STATES, contents, encoder
    from fuzz_xml import CONTENTS, XML
    from harness import Read, Reader, Seen, check


def _seeds() -> dict[str, tuple[str, list[bytes], Read]]:
    """Reader -> the name of its file, valid files to begin with, and how it is read."""
    patch = np.concatenate([np.full((12, 12, 3), 200), ids()[..., None], ids()[..., None]], -1)
    mat = next(v for k, v in exported("consep").items() if k.endswith(".mat"))
    return {
        "coco": ("coco.json", [json.dumps(whole()).encode()], COCO.read),
        "csv": ("points.csv", [b"index,axis-0,axis-1,class\n0,1.5,2,a\n"], read_points),
        "dicom": ("a.dcm", list(dicoms()[:6]), read_dicom),
        "encoders": ("t.safetensors", [encoder()], ENCODERS.read),
        "geojson": ("a.geojson", [json.dumps(geojson()).encode()], read_layout),
        "mat": ("a.mat", [mat], read_mat_of),
        "npy": ("a.npy", [plain(patch)], read_hovernet),
        "openslide": ("a.svs", [vendors()["aperio"]["a.svs"]], read_vendor),
        "pth": ("w.pth", list(contents()), STATES.read),
        "tiff": ("a.tif", [tiffs()["tiles.tif"], tiffs()["slide.svs"]], read_slide),
        "toml": ("p.toml", [PLAN.encode()], read_plan_of),
        "xml": ("a.xml", [text.encode() for text in CONTENTS], XML.read),
    }


def read_mat_of(folder: Path) -> object:
    from napari_cosynth.layouts.sources.read import read_nuclei

    return read_nuclei(folder / "a.mat")


def feeding(reader: Reader, name: str, folder: Path, seen: Seen) -> Callable[[bytes], None]:
    def feed(content: bytes) -> None:
        (folder / name).write_bytes(content)
        check(reader, folder, seen)

    return feed


def main() -> None:
    kind = sys.argv.pop(1)
    name, seeds, read = _seeds()[kind]
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder, corpus = root / "input", root / "corpus"
    for place in (folder, corpus):
        place.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)
    if kind in ("xml", "coco"):
        imsave(folder / "a.png", np.full((24, 32, 3), 200, np.uint8), check_contrast=False)
    logging.disable(logging.CRITICAL)
    seen, begun = Seen(), time.perf_counter()

    def say() -> None:
        print(
            f"| {kind} | {seen.examples:,} | {seen.read:,} | {sum(seen.refused.values()):,} | "
            f"{seen.slowest:.2f} | {time.perf_counter() - begun:.0f} |",
            flush=True,
        )
        shutil.rmtree(root, ignore_errors=True)

    feed = feeding(Reader(kind, lambda *_: None, read), name, folder, seen)
    limit = next((int(a.rpartition("=")[2]) for a in sys.argv if "max_total_time" in a), None)

    def timed(content: bytes) -> None:
        feed(content)
        if limit is not None and time.perf_counter() - begun > limit:
            say()
            os._exit(0)  # libFuzzer ends the process itself, and says nothing of what we counted

    atheris.Setup([*sys.argv, str(corpus)], timed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
