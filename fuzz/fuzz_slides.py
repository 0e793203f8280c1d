"""Slides beside TIFF: DICOM, the vendors' formats that OpenSlide reads, OME-Zarr."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from harness import Reader, damaged, json_text, main
from napari_cosynth.slides.openslide_slide import mpp_by_openslide, open_with_openslide
from napari_cosynth.slides.slide import open_image, open_slide

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from fuzz_tiff import files as tiffs
from slides import dicom, mirax, ndpi, ome_zarr

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
_FIELDS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "NumberOfFrames",
           "TotalPixelMatrixRows", "TotalPixelMatrixColumns", "TotalPixelMatrixFocalPlanes",
           "NumberOfOpticalPaths", "ImagedVolumeWidth", "ImagedVolumeHeight", "SOPClassUID",
           "PhotometricInterpretation", "PlanarConfiguration", "PixelRepresentation", "PixelData",
           "DimensionOrganizationType", "Manufacturer", "PerFrameFunctionalGroupsSequence")  # fmt: skip
_VALUES: tuple[Any, ...] = (0, 1, 2, 3, 4, 16, 255, 65535, 2**31 - 1, 2**32 - 1, -1, 1e-300, 1e300, "x",
                            "", None, "1.2.3", "a\\b", "YBR_FULL", "RGB", "TILED_FULL", b"", b"x" * 40,
                            [], "1" * 70, "a\nb")  # fmt: skip


def _changed(content: Any, name: str, value: Any) -> bytes | None:
    """A DICOM file of other values, where pydicom agrees to write it."""
    import io
    import warnings

    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setattr(content, name, value)
            content.save_as(buffer, enforce_file_format=True)
    except Exception:
        return None
    return buffer.getvalue()


@cache
def dicoms() -> tuple[bytes, ...]:
    """DICOM files as they are, compressed, and with one value that is another."""
    import pydicom
    from pydicom.uid import RLELossless

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        made = []
        for changes in ({}, {"by_columns": True}, {"positions": [(0, 0), (2, 3)]},
                        {"DimensionOrganizationType": "TILED_FULL"}):  # fmt: skip
            made.append(dicom(path, IMAGE, 16, **changes).read_bytes())
        made.append(dicom(path, IMAGE[..., 0], 16).read_bytes())
        packed = pydicom.dcmread(dicom(path, IMAGE, 16))
        packed.compress(RLELossless)
        packed.save_as(path)
        made.append(path.read_bytes())
        for _ in range(2):  # once without OpenSlide's warning of what it lacks
            open_image(path)
        for name in _FIELDS:
            for value in _VALUES:
                dicom(path, IMAGE, 16)
                if (other := _changed(pydicom.dcmread(path), name, value)) is not None:
                    made.append(other)
    return tuple(made)


def write_dicom(folder: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(dicoms()))
    content = damaged(data, content) if data.draw(st.integers(0, 3)) else content
    (folder / data.draw(st.sampled_from(["a.dcm", "a.dcm", "a", "a.png", "a.tif"]))).write_bytes(
        content
    )


def read_levels(path: Path) -> None:
    for level in open_slide(path).levels:
        np.asarray(level)


def read_dicom(folder: Path) -> None:
    (path,) = folder.iterdir()
    read_levels(path if path.suffix else folder)


@cache
def vendors() -> dict[str, dict[str, bytes]]:
    """Slides of vendors: their files by path."""
    with tempfile.TemporaryDirectory() as root:
        made = {
            "aperio": {"a.svs": tiffs()["slide.svs"]},
            "generic": {"a.tif": tiffs()["tiles.tif"]},
        }
        folder = Path(root) / "mirax"
        mirax(folder, IMAGE, 16, 0.25)
        made["mirax"] = {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }
        path = Path(root) / "a.ndpi"
        ndpi(path, [(IMAGE, 40_000, 20.0), (IMAGE[::2, ::2].copy(), 20_000, 10.0)])
        made["hamamatsu"] = {"a.ndpi": path.read_bytes()}
    return made


def write_vendor(folder: Path, data: st.DataObject) -> None:
    files = data.draw(st.sampled_from(sorted(vendors().items())))[1]
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    name = data.draw(st.sampled_from(sorted(files)))
    what = data.draw(st.sampled_from(["bytes"] * 9 + ["gone", "link", "text"]))
    if what == "bytes":
        (folder / name).write_bytes(damaged(data, files[name]))
    elif what == "text":  # numbers of an .ini file, or of a description
        old, new = (
            data.draw(st.sampled_from([b"0", b"1", b"16", b"=", b"25"])),
            data.draw(st.sampled_from([b"-1", b"99999999", b"", b"2147483648", b"nan", b"../x"])),
        )
        (folder / name).write_bytes(files[name].replace(old, new, data.draw(st.integers(1, 9))))
    else:
        (folder / name).unlink()
        if what == "link":
            (folder / name).symlink_to(
                data.draw(st.sampled_from(["/dev/zero", "..", name, "/etc/passwd"]))
            )


def read_vendor(folder: Path) -> None:
    path = next((p for p in folder.iterdir() if p.suffix), folder / "a.svs")
    mpp_by_openslide(path)
    for level in open_with_openslide(path).levels:
        np.asarray(level)


def read_any(folder: Path) -> None:
    read_levels(next((p for p in folder.iterdir() if p.suffix), folder / "a.svs"))


@cache
def zarrs() -> tuple[dict[str, bytes], ...]:
    """OME-Zarr images of two versions, their files by path."""
    made = []
    levels = [np.moveaxis(IMAGE, -1, 0), np.moveaxis(IMAGE[::2, ::2], -1, 0)]
    labels = {"nuclei": [IMAGE[..., 0].astype(np.int32), IMAGE[::2, ::2, 0].astype(np.int32)]}
    for version in ("0.4", "0.5"):
        with tempfile.TemporaryDirectory() as root:
            path = ome_zarr(Path(root) / "a.zarr", levels, version, labels=labels)
            read_levels(path)
            made.append(
                {str(p.relative_to(root)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
            )
    return tuple(made)


def write_zarr(folder: Path, data: st.DataObject) -> None:
    import json

    files = data.draw(st.sampled_from(zarrs()))
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    own = [n for n in sorted(files) if "labels" not in n]
    name = data.draw(st.sampled_from(own))
    if data.draw(st.integers(0, 2)):
        name = data.draw(st.sampled_from([n for n in own if files[n][:1] == b"{"]))
    content = files[name]
    what = data.draw(st.sampled_from(["bytes"] * 7 + ["gone", "link", "climb", "chunks"]))
    text = content.decode("utf-8", "replace")
    if what == "gone":
        (folder / name).unlink()
    elif what == "link":
        (folder / name).unlink()
        (folder / name).symlink_to(data.draw(st.sampled_from(["/etc/passwd", "..", "/dev/null"])))
    elif what == "climb":
        where = data.draw(st.sampled_from(["../../../etc", "/etc", "..", "", ".", "a/../.."]))
        made = text.replace('"path": "0"', f'"path": {json.dumps(where)}')
        (folder / name).write_text(made)
    elif what == "chunks":
        old = data.draw(st.sampled_from(["32", "48", "64", "3,", "3\n", "4"]))
        new = data.draw(st.sampled_from(["0", "-1", "2147483648", "9999999999999", "1.5", "[]"]))
        (folder / name).write_text(text.replace(old, new + old[2:]))
    elif content[:1] == b"{":
        (folder / name).write_bytes(json_text(data, json.loads(content)))
    else:
        (folder / name).write_bytes(damaged(data, content))


def read_zarr(folder: Path) -> None:
    read_levels(folder / "a.zarr")


READERS = (
    Reader("slides: DICOM", write_dicom, read_dicom),
    Reader("slides: vendors, by OpenSlide", write_vendor, read_vendor),
    Reader("slides: vendors, any reader", write_vendor, read_any),
    Reader("slides: OME-Zarr", write_zarr, read_zarr),
)

if __name__ == "__main__":
    main(*READERS)
