"""OME-Zarr images of versions 0.4 and 0.5 with their labels, by zarr, read lazily.

The format: https://ngff.openmicroscopy.org/0.5/. A folder is opened only where its metadata name
codecs that decode numbers; zarr would also run others, ``pickle`` among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_cosynth.data.pyramid import LazyLevel, Slide, plausible_mpp, with_overview
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
_RGB = ("FF0000", "00FF00", "0000FF")
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


@dataclass(frozen=True)
class Plane:
    """One channel, or RGB: what a viewer shows as one layer."""

    name: str
    levels: tuple[Any, ...]
    """Array-likes (H, W, 3) uint8, or (H, W) of any number type, largest first."""
    mpp: float | None
    origin: tuple[float, float]
    """(y, x) of the centre of pixel (0, 0), in µm where ``mpp`` is known, else in pixels."""
    color: str | None = None
    """RRGGBB of a channel, where the file tells."""


@dataclass(frozen=True)
class LabelPlane(Plane):
    """One image of the ``labels`` group: (H, W) of integers."""

    classes: Mapping[int, str] = field(default_factory=dict)
    """Label -> class, where the file tells."""
    colors: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Label -> RGBA in 0..1."""


@dataclass(frozen=True)
class OmeZarr:
    """An opened image."""

    path: Path
    planes: tuple[Plane, ...]
    labels: tuple[LabelPlane, ...]

    def slide(self) -> Slide:
        """Raises ValueError where it is no 8-bit RGB or grey image."""
        first = self.planes[0]
        if len(self.planes) > 1 or first.levels[0].dtype != np.uint8:
            raise ValueError(
                f"{self.path}: expected an 8-bit RGB or grey image, got {len(self.planes)} "
                f"channels of {first.levels[0].dtype}"
            )
        return Slide(first.levels, first.mpp, self.path)


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder says that it is an OME-Zarr image; its content is not checked."""
    try:
        return bool({"multiscales", "bioformats2raw.layout"} & set(_attributes(path)))
    except ValueError:
        return (path / "zarr.json").is_file() or (path / ".zattrs").is_file()


def open_ome_zarr(path: Path) -> OmeZarr:
    """Opens an image and its labels; of a folder of several images (bioformats2raw) the first.

    Raises ValueError naming file and field where something is missing, damaged or not supported.
    """
    attributes = _attributes(path)
    if "multiscales" not in attributes and "bioformats2raw.layout" in attributes:
        path = path / "0"
        attributes = _attributes(path)
    planes = _planes(path, attributes)
    labels = []
    if (folder := path / "labels").is_dir():
        names = parse(tuple[str, ...], _attributes(folder).get("labels", ()), f"{folder}: labels")
        labels = [_label_plane(_inside(folder, name), name) for name in names]
    return OmeZarr(path, planes, tuple(labels))


def _planes(path: Path, attributes: Mapping[str, Any]) -> tuple[Plane, ...]:
    multiscale = _multiscale(path, attributes)
    mpp, origin = _grid(path, multiscale)
    stores = [_open_array(_inside(path, level.path)) for level in multiscale.datasets]
    names = [axis.name for axis in multiscale.axes]
    for name, store in zip((level.path for level in multiscale.datasets), stores, strict=True):
        _require_one_plane(path / name, names, store.shape)
    count = stores[0].shape[names.index("c")] if "c" in names else 1
    omero = attributes.get("omero", {})
    channels = omero.get("channels") if isinstance(omero, dict) else None
    known = [c if isinstance(c, dict) else {} for c in channels or ()]
    colors = [str(c.get("color", "")).upper() for c in known]
    if count == 3 and stores[0].dtype == np.uint8 and tuple(colors[:3]) in ((), _RGB):
        levels = [_lazy(store, names, slice(0, 3), path).as_array() for store in stores]
        return (Plane(path.stem, with_overview(levels, path), mpp, origin),)
    planes = []
    for channel in range(count):
        levels = [_lazy(store, names, channel, path).as_array() for store in stores]
        label = str(known[channel].get("label", "")) if channel < len(known) else ""
        name = path.stem if count == 1 else f"{path.stem} {label or channel}"
        color = colors[channel] if channel < len(colors) and len(colors[channel]) == 6 else None
        planes.append(Plane(name, with_overview(levels, path), mpp, origin, color))
    return tuple(planes)


def _label_plane(path: Path, name: str) -> LabelPlane:
    attributes = _attributes(path)
    planes = _planes(path, attributes)
    if len(planes) != 1 or planes[0].levels[0].dtype.kind not in "ui":
        raise ValueError(f"{path}: expected one channel of integers")
    (plane,) = planes
    about = attributes.get("image-label", {})
    classes: dict[int, str] = {}
    colors: dict[int, tuple[float, ...]] = {}
    try:
        for entry in about.get("properties", ()):
            if "class" in entry:
                classes[int(entry["label-value"])] = str(entry["class"])
        for entry in about.get("colors", ()):
            if "rgba" in entry:
                colors[int(entry["label-value"])] = tuple(float(v) / 255 for v in entry["rgba"])
        if any(len(color) != 4 for color in colors.values()):
            raise ValueError("a colour of other than four numbers")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: image-label: {error}") from None
    return LabelPlane(name, plane.levels, plane.mpp, plane.origin, None, classes, colors)


def _attributes(path: Path) -> dict[str, Any]:
    """The OME part of a group's attributes. Raises ValueError naming the file."""
    for name in ("zarr.json", ".zattrs"):
        if (file := path / name).is_file():
            content = _read_json(file)
            if name == "zarr.json":
                content = content.get("attributes", {})
                content = content.get("ome", {}) if isinstance(content, dict) else {}
            return content if isinstance(content, dict) else {}
    raise ValueError(f"{path}: no zarr.json and no .zattrs: not an OME-Zarr group")


def _read_json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LARGEST_METADATA:
        raise ValueError(f"{file}: expected at most {_LARGEST_METADATA // 2**20} MiB of metadata")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected an object, got {type(content).__name__}")
    return content


def _inside(folder: Path, name: str) -> Path:
    """A path that the metadata name. Raises ValueError where it leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise ValueError(f"{folder}: path: expected one below the folder, got {name!r}")
    return folder.joinpath(*parts)


def _multiscale(path: Path, attributes: Mapping[str, Any]) -> Multiscale:
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


def _grid(path: Path, multiscale: Multiscale) -> tuple[float | None, tuple[float, float]]:
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


def _open_array(path: Path) -> Any:
    """A zarr array that holds numbers. Raises ValueError naming the file and what is wrong."""
    file = next((f for f in (path / "zarr.json", path / ".zarray") if f.is_file()), None)
    if file is None:
        raise ValueError(f"{path}: no zarr.json and no .zarray: a level is missing")
    content = _read_json(file)
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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{file}: cannot be opened ({reason})") from None
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


def _require_one_plane(path: Path, names: Sequence[str], shape: tuple[int, ...]) -> None:
    if len(shape) != len(names):
        raise ValueError(f"{path}: expected {len(names)} axes {names}, got shape {shape}")
    for name, size in zip(names, shape, strict=True):
        if name in "tz" and size != 1:
            raise ValueError(f"{path}: expected one plane, got {size} along {name}")
        if name == "c" and not 1 <= size <= 100:
            raise ValueError(f"{path}: expected 1 to 100 channels, got {size}")


def _lazy(store: Any, names: Sequence[str], channel: int | slice, path: Path) -> LazyLevel:
    """A level as (H, W), or (H, W, 3) for a slice of channels."""
    rgb = isinstance(channel, slice)
    lead = tuple(channel if name == "c" else 0 for name in names[:-2])

    def read(window: tuple[slice, ...]) -> Any:
        part = np.asarray(store[(*lead, *window[:2])])
        return np.moveaxis(part, 0, -1)[..., window[2]] if rgb else part

    height, width = store.shape[-2:]
    rows, columns = store.chunks[-2:]
    depth = int(np.prod(store.chunks[:-2], dtype=object))
    shape = (height, width, 3) if rgb else (height, width)
    tile = (rows, columns, max(depth, 3)) if rgb else (rows, columns, depth)
    return LazyLevel(shape, store.dtype, tile, read, path)
