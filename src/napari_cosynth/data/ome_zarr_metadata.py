"""OME-Zarr's metadata, checked: where its levels lie, how large their pixels are, what is in them.

The format: https://ngff.openmicroscopy.org/0.5/. Arrays are opened only where their metadata name
codecs that decode numbers; zarr would also run others, ``pickle`` among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_cosynth.data.pyramid import plausible_mpp
from napari_cosynth.errors import one_line
from napari_cosynth.foreign.files import read_json
from napari_cosynth.settings import parse

VERSIONS = ("0.4", "0.5")
MICROMETRES = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
"""Units of an axis, in micrometres; pixels of any other unit have no known size."""
_CODECS = {
    *("bytes", "endian", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd"),
    *("zlib", "lz4", "lzma", "bz2", "delta", "shuffle", "bitround", "packbits", "fixedscaleoffset"),
    *("imagecodecs_jpeg", "imagecodecs_jpeg2k", "imagecodecs_jpegxl", "imagecodecs_png"),
}
_LARGEST_METADATA = 2**24


@dataclass(frozen=True)
class Axis:
    name: str
    type: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Transformation:
    type: str
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None
    path: str | None = None


@dataclass(frozen=True)
class Level:
    path: str
    coordinateTransformations: tuple[Transformation, ...]


@dataclass(frozen=True)
class Multiscale:
    """One entry of ``multiscales``."""

    axes: tuple[Axis, ...]
    datasets: tuple[Level, ...]
    coordinateTransformations: tuple[Transformation, ...] = ()


def attributes_of(path: Path) -> dict[str, Any]:
    """The OME part of a group's attributes. Raises ValueError naming the file."""
    for name in ("zarr.json", ".zattrs"):
        if (file := path / name).is_file():
            content = _read_object(file)
            if name == "zarr.json":
                content = content.get("attributes", {})
                content = content.get("ome", {}) if isinstance(content, dict) else {}
            return content if isinstance(content, dict) else {}
    raise ValueError(f"{path}: no zarr.json and no .zattrs: not an OME-Zarr group")


def _read_object(file: Path) -> dict[str, Any]:
    content = read_json(file, _LARGEST_METADATA)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected an object, got {type(content).__name__}")
    return content


def inside(folder: Path, name: str) -> Path:
    """A path that the metadata name. Raises ValueError where it leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise ValueError(f"{folder}: path: expected one below the folder, got {name!r}")
    return folder.joinpath(*parts)


def multiscale_of(path: Path, attributes: Mapping[str, Any]) -> Multiscale:
    entries = attributes.get("multiscales")
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise ValueError(f"{path}: multiscales: missing; expected an OME-Zarr image")
    version = attributes.get("version", entries[0].get("version", VERSIONS[0]))
    if str(version) not in VERSIONS:
        raise ValueError(f"{path}: version: expected {' or '.join(VERSIONS)}, got {version!r}")
    multiscale = parse(Multiscale, entries[0], f"{path}: multiscales")
    names = [axis.name for axis in multiscale.axes]
    if names[-2:] != ["y", "x"] or not set(names) <= set("tczyx") or len(set(names)) < len(names):
        raise ValueError(f"{path}: axes: expected some of t, c, z and then y, x, got {names}")
    if not multiscale.datasets:
        raise ValueError(f"{path}: datasets: expected at least one level")
    return multiscale


def grid_of(path: Path, multiscale: Multiscale) -> tuple[float | None, tuple[float, float]]:
    """µm/px of the first level, and the centre of its pixel (0, 0)."""
    scale, shift = np.ones(2), np.zeros(2)
    whole = (
        *multiscale.datasets[0].coordinateTransformations,
        *multiscale.coordinateTransformations,
    )
    for part in whole:
        values = {"scale": part.scale, "translation": part.translation}.get(part.type)
        if part.type == "identity":
            continue
        if values is None or len(values) != len(multiscale.axes) or not np.isfinite(values).all():
            raise ValueError(
                f"{path}: coordinateTransformations: expected a scale or translation of "
                f"{len(multiscale.axes)} numbers, got {part.type} {values}"
            )
        last = np.array(values[-2:])
        if part.type == "scale":
            if (last <= 0).any():
                raise ValueError(f"{path}: scale: expected numbers above 0, got {values}")
            scale, shift = scale * last, shift * last
        else:
            shift = shift + last
    units = [MICROMETRES.get(axis.unit or "") for axis in multiscale.axes[-2:]]
    if units[0] is not None and units[1] is not None:
        mpp = plausible_mpp(scale[1] * units[1], scale[0] * units[0])
        if mpp is not None:
            return mpp, (float(shift[0] * units[0]), float(shift[1] * units[1]))
    return None, (float(shift[0] / scale[0]), float(shift[1] / scale[1]))


def open_array(path: Path) -> Any:
    """A zarr array that holds numbers. Raises ValueError naming the file and what is wrong."""
    file = next((f for f in (path / "zarr.json", path / ".zarray") if f.is_file()), None)
    if file is None:
        raise ValueError(f"{path}: no zarr.json and no .zarray: a level is missing")
    content = _read_object(file)
    codecs = [*_named(content.get("codecs")), *_named(content.get("filters"))]
    codecs += _named([content.get("compressor")])
    for codec in codecs:
        if codec.removeprefix("numcodecs.") not in _CODECS:
            raise ValueError(f"{file}: codec: {codec!r} is not among those that are read")
    try:
        import zarr
    except ImportError:
        raise ValueError(f"{path}: needs zarr: pip install 'napari-cosynth[gui]'") from None
    try:
        array = zarr.open_array(str(path), mode="r")
    except Exception as error:  # zarr raises what it likes on damaged metadata
        raise ValueError(f"{file}: cannot be opened ({one_line(error)})") from None
    if array.dtype.kind not in "uif":
        raise ValueError(f"{file}: expected numbers, got {array.dtype}")
    return array


def _named(codecs: Any) -> list[str]:
    """Names of codecs of a zarr array's metadata, those inside a shard too."""
    found = []
    for codec in codecs if isinstance(codecs, list) else ():
        if isinstance(codec, dict):
            found.append(str(codec.get("name", codec.get("id"))))
            inner = codec.get("configuration", {})
            if isinstance(inner, dict):
                found += _named(inner.get("codecs")) + _named(inner.get("index_codecs"))
    return found
