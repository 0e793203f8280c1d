"""Zarr groups and arrays in folders: attributes as they are written, and arrays of numbers.

An array is opened only if its metadata name codecs that decode numbers; zarr would also run others, such
as ``pickle``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.errors import unreadable

_CODECS = {
    *("bytes", "endian", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd"),
    *("zlib", "lz4", "lzma", "bz2", "delta", "shuffle", "bitround", "packbits", "fixedscaleoffset"),
    *("imagecodecs_jpeg", "imagecodecs_jpeg2k", "imagecodecs_jpegxl", "imagecodecs_png"),
}
_LARGEST_METADATA = 2**24


def is_group(path: Path) -> bool:
    """Whether a folder has the metadata of a Zarr group; its content is not checked."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs"))


def attributes_of(path: Path) -> dict[str, Any]:
    """The OME part of a group's attributes: at the top in 0.4, below ``ome`` in 0.5.

    Raises ValueError naming the file.
    """
    for name in ("zarr.json", ".zattrs"):
        if (file := path / name).is_file():
            content = _read_object(file)
            if name == "zarr.json":
                content = content.get("attributes", {})
                content = content.get("ome", content) if isinstance(content, dict) else {}
            return content if isinstance(content, dict) else {}
    raise ValueError(f"{path}: no zarr.json and no .zattrs: not an OME-Zarr group")


def _read_object(file: Path) -> dict[str, Any]:
    content = read_json(file, _LARGEST_METADATA)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected an object, got {type(content).__name__}")
    return content


def inside(folder: Path, name: str) -> Path:
    """The path for a name in the metadata. Raises ValueError if it leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise ValueError(f"{folder}: path: expected one below the folder, got {name!r}")
    return folder.joinpath(*parts)


def open_array(path: Path) -> Any:
    """An open zarr array of numbers. Raises ValueError naming the file and what is wrong."""
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
        raise unreadable(file, "cannot be opened", error) from None
    if array.dtype.kind not in "uif":
        raise ValueError(f"{file}: expected numbers, got {array.dtype}")
    return array


def _named(codecs: Any) -> list[str]:
    """Names of the codecs in a zarr array's metadata, with those inside shards."""
    found = []
    for codec in codecs if isinstance(codecs, list) else ():
        if isinstance(codec, dict):
            found.append(str(codec.get("name", codec.get("id"))))
            inner = codec.get("configuration", {})
            if isinstance(inner, dict):
                found += _named(inner.get("codecs")) + _named(inner.get("index_codecs"))
    return found
