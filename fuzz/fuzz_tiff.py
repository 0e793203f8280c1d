"""TIFF, OME-TIFF and SVS as slides and as images of a data set; PNG and JPEG too."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

from harness import Reader, damaged, main
from napari_cosynth.slides.files import read_rgb
from napari_cosynth.slides.slide import open_image

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
KINDS = ("strips.tif", "tiles.tif", "jpeg.tif", "deflate.tif", "pages.ome.tif", "slide.svs", "big.tif",
         "palette.tif", "planes.tif", "a.png", "a.jpg", "a.bmp")  # fmt: skip


@cache
def files() -> dict[str, bytes]:
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in KINDS[:9]:
            path = Path(folder) / name
            options: dict[str, object] = {"photometric": "rgb"}
            if name in ("tiles.tif", "jpeg.tif", "slide.svs", "pages.ome.tif"):
                options["tile"] = (16, 16)
            if name in ("jpeg.tif", "slide.svs"):
                options["compression"] = "jpeg"
            if name in ("deflate.tif", "pages.ome.tif"):
                options["compression"] = "zlib"
            if name == "slide.svs":
                about = "Aperio Image Library v1\n64x48|AppMag = 40|MPP = 0.25"
                options |= {"description": about, "metadata": None}
            if name == "planes.tif":
                options["planarconfig"] = "separate"
            image = np.moveaxis(IMAGE, -1, 0) if name == "planes.tif" else IMAGE
            if name == "palette.tif":
                options = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}
                image = IMAGE[..., 0]
            tifffile.imwrite(path, image, bigtiff=name == "big.tif", **options)
            open_image(path)
            read_rgb(path)
            made[name] = path.read_bytes()
    for name in KINDS[9:]:
        buffer = io.BytesIO()
        Image.fromarray(IMAGE).save(buffer, {"a.png": "PNG", "a.jpg": "JPEG", "a.bmp": "BMP"}[name])
        made[name] = buffer.getvalue()
    return made


def write(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(KINDS))
    content = files()[name]
    if data.draw(st.integers(0, 9)) == 0:  # called something else
        name = data.draw(st.sampled_from(KINDS))
    (folder / name).write_bytes(damaged(data, content))


def read_slide(folder: Path) -> None:
    (path,) = folder.iterdir()
    for level in open_image(path).levels:
        np.asarray(level)


def read_image(folder: Path) -> None:
    (path,) = folder.iterdir()
    read_rgb(path)


READERS = (
    Reader("slides: TIFF, SVS", write, read_slide),
    Reader("images of tiles", write, read_image),
)

if __name__ == "__main__":
    main(*READERS)
