"""Slides that tests write: sparse pyramids, OME-Zarr images with labels, a MIRAX slide."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile
import zarr


def sparse_pyramid(path: Path, side: int, tile: int = 512, smallest: int = 2048) -> Path:
    """A BigTIFF pyramid, RGB at 0.25 µm/px, whose first tile of each level is there and no other."""
    filled = np.full((tile, tile, 3), 200, np.uint8)

    def tiles(size: int) -> Iterator[np.ndarray | None]:
        yield filled
        for _ in range((-(-size // tile)) ** 2 - 1):
            yield None

    options: dict[str, Any] = {
        "tile": (tile, tile),
        "photometric": "rgb",
        "compression": "zlib",
        "dtype": np.uint8,
        "resolutionunit": "CENTIMETER",
    }
    sizes = [side]
    while sizes[-1] > smallest:
        sizes.append(sizes[-1] // 2)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, size in enumerate(sizes):
            writer.write(
                tiles(size),
                shape=(size, size, 3),
                subifds=len(sizes) - 1 if number == 0 else None,
                subfiletype=1 if number else 0,
                resolution=(40000 / 2**number, 40000 / 2**number),
                metadata=None,
                **options,
            )
    return path


def ome_zarr(
    path: Path,
    levels: list[np.ndarray],
    version: str = "0.4",
    axes: str = "cyx",
    scale: float = 0.25,
    unit: str | None = "micrometer",
    translation: tuple[float, float] | None = None,
    labels: dict[str, list[np.ndarray]] | None = None,
    extra: dict[str, Any] | None = None,
    chunk: int = 32,
) -> Path:
    """An OME-Zarr image; the levels have the axes ``axes`` and halve from one to the next."""
    kind = 2 if version == "0.4" else 3
    group = zarr.open_group(str(path), mode="w", zarr_format=kind)
    _write_image(group, levels, version, axes, scale, unit, translation, extra or {}, chunk)
    if labels:
        within = group.create_group("labels")
        names = {"labels": list(labels)}
        within.attrs.update(names if kind == 2 else {"ome": {"version": version, **names}})
        for name, label_levels in labels.items():
            about = {
                "image-label": {
                    "version": version,
                    "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}],
                    "properties": [{"label-value": 1, "class": "inflammatory"}],
                }
            }
            _write_image(
                within.create_group(name),
                label_levels,
                version,
                axes[-2:],
                scale,
                unit,
                translation,
                about,
                chunk,
            )
    return path


def _write_image(
    group: Any,
    levels: list[np.ndarray],
    version: str,
    axes: str,
    scale: float,
    unit: str | None,
    translation: tuple[float, float] | None,
    extra: dict[str, Any],
    chunk: int,
) -> None:
    kinds = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
    described = [{"name": name, "type": kinds[name]} for name in axes]
    for axis in described[-2:]:
        if unit is not None:
            axis["unit"] = unit
    datasets = []
    for number, level in enumerate(levels):
        chunks = tuple(1 if name in "tcz" else chunk for name in axes)
        array = group.create_array(str(number), shape=level.shape, chunks=chunks, dtype=level.dtype)
        array[...] = level
        size = scale * 2**number
        transforms = [
            {"type": "scale", "scale": [*(1.0 for _ in axes[:-2]), size, size]},
        ]
        if translation is not None:
            shift = (size - scale) / 2
            moved = [translation[0] + shift, translation[1] + shift]
            transforms.append(
                {"type": "translation", "translation": [*(0.0 for _ in axes[:-2]), *moved]}
            )
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    multiscales = [{"axes": described, "datasets": datasets, "name": "image"}]
    if version == "0.4":
        multiscales[0]["version"] = version
        group.attrs.update({"multiscales": multiscales, **extra})
    else:
        ome = {"version": version, "multiscales": multiscales, **extra}
        group.attrs.update({"ome": ome})


def edit_metadata(path: Path, change: Any) -> None:
    """Changes the JSON of one metadata file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def mirax(folder: Path, image: np.ndarray, tile: int, mpp: float) -> Path:
    """A MIRAX slide of one level without overlap, its tiles as PNG.

    The format as OpenSlide reads it: https://openslide.org/formats/mirax/.
    """
    rows, columns = image.shape[0] // tile, image.shape[1] // tile
    name, slide_id = "slide", "0" * 32
    inside = folder / name
    inside.mkdir(parents=True)
    data = bytearray(b"MIRAX DATA ")
    entries = []
    for y in range(rows):
        for x in range(columns):
            part = image[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
            encoded = io.BytesIO()
            iio.imwrite(encoded, part, extension=".png")
            entries.append((y * columns + x, len(data), encoded.tell(), 0))
            data += encoded.getvalue()
    (inside / "Data0000.dat").write_bytes(bytes(data))
    head = b"01.02" + slide_id.encode()
    # The roots of two hierarchies; then level -> first, empty page -> page of tiles.
    at = len(head) + 8
    page = at + 12
    index = struct.pack("<ii", at, page + 8 + 16 * len(entries))
    index += struct.pack("<iii", at + 4, 0, page)
    index += struct.pack("<ii", len(entries), 0)
    index += b"".join(struct.pack("<iiii", *entry) for entry in entries)
    index += struct.pack("<i", 0)
    (inside / "Index.dat").write_bytes(head + index)
    (inside / "Slidedat.ini").write_text(
        "\r\n".join(
            [
                "[GENERAL]",
                "SLIDE_VERSION = 01.02",
                f"SLIDE_ID = {slide_id}",
                f"IMAGENUMBER_X = {columns}",
                f"IMAGENUMBER_Y = {rows}",
                "OBJECTIVE_MAGNIFICATION = 20",
                "CameraImageDivisionsPerSide = 1",
                "[HIERARCHICAL]",
                "HIER_COUNT = 1",
                "HIER_0_NAME = Slide zoom level",
                "HIER_0_COUNT = 1",
                "HIER_0_VAL_0_SECTION = LAYER_0_LEVEL_0_SECTION",
                "NONHIER_COUNT = 0",
                "INDEXFILE = Index.dat",
                "[DATAFILE]",
                "FILE_COUNT = 1",
                "FILE_0 = Data0000.dat",
                "[LAYER_0_LEVEL_0_SECTION]",
                "OVERLAP_X = 0",
                "OVERLAP_Y = 0",
                f"MICROMETER_PER_PIXEL_X = {mpp}",
                f"MICROMETER_PER_PIXEL_Y = {mpp}",
                "IMAGE_FORMAT = PNG",
                "IMAGE_FILL_COLOR_BGR = 16777215",
                f"DIGITIZER_WIDTH = {tile}",
                f"DIGITIZER_HEIGHT = {tile}",
                "IMAGE_CONCAT_FACTOR = 0",
                "",
            ]
        )
    )
    path = folder / f"{name}.mrxs"
    path.write_bytes(b"")
    return path


def dicom(
    path: Path,
    image: np.ndarray,
    tile: int,
    by_columns: bool = False,
    positions: list[tuple[int, int]] | None = None,
    **changes: Any,
) -> Path:
    """A DICOM whole-slide image of one level, its frames not compressed, as few attributes as it needs.

    ``positions``: (row, column) in the grid of tiles of those that there are, which the file then states.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    height, width = image.shape[:2]
    grid = (-(-height // tile), -(-width // tile))
    places = positions or [(y, x) for y in range(grid[0]) for x in range(grid[1])]
    if by_columns:
        places = sorted(places, key=lambda place: place[::-1])
    content = Dataset()
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    content.SOPInstanceUID = generate_uid(entropy_srcs=["tests"])
    content.SamplesPerPixel = 3 if image.ndim == 3 else 1
    content.PhotometricInterpretation = "RGB" if image.ndim == 3 else "MONOCHROME2"
    content.PlanarConfiguration = 0
    content.BitsAllocated, content.BitsStored, content.HighBit = 8, 8, 7
    content.PixelRepresentation = 0
    content.Rows = content.Columns = tile
    content.TotalPixelMatrixRows, content.TotalPixelMatrixColumns = height, width
    content.NumberOfFrames = len(places)
    frames = []
    for y, x in places:
        frame = np.zeros((tile, tile, *image.shape[2:]), np.uint8)
        part = image[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
        frame[: part.shape[0], : part.shape[1]] = part
        frames.append(frame.tobytes())
    content.PixelData = b"".join(frames)
    if positions:
        content.PerFrameFunctionalGroupsSequence = [_placed(y, x, tile) for y, x in places]
    for name, value in changes.items():
        setattr(content, name, value)
    content.save_as(path, enforce_file_format=True)
    return path


def _placed(y: int, x: int, tile: int) -> Any:
    from pydicom.dataset import Dataset

    groups, position = Dataset(), Dataset()
    position.RowPositionInTotalImagePixelMatrix = y * tile + 1
    position.ColumnPositionInTotalImagePixelMatrix = x * tile + 1
    groups.PlanePositionSlideSequence = [position]
    return groups


def bare_tiff(path: Path, tags: dict[int, tuple[int, int, int]], chain: int | None = 0) -> Path:
    """A little-endian TIFF of one directory; ``tags``: code -> (type, count, value or offset).

    ``chain`` is the offset of the next directory; None leads back to the first, which never ends.
    """
    entries = b"".join(struct.pack("<HHII", code, *tags[code]) for code in sorted(tags))
    following = 8 if chain is None else chain
    body = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + body + bytes(64))
    return path


def ring_of_directories(path: Path, before: int, ring: int) -> Path:
    """A TIFF of ``before`` small directories, then ``ring`` more whose last leads back to the first of
    those."""
    tags = rgb_tags(16, 16)
    entries = b"".join(struct.pack("<HHII", code, *tags[code]) for code in sorted(tags))
    size = 2 + len(entries) + 4
    body = b"II*\0" + struct.pack("<I", 8)
    for number in range(before + ring):
        following = number + 1 if number + 1 < before + ring else before
        body += struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8 + following * size)
    path.write_bytes(body)
    return path


def rgb_tags(width: int, height: int, **changes: tuple[int, int, int]) -> dict[int, Any]:
    """The tags of a tiled 8-bit RGB image with one tile that is not there."""
    tags = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 2),
        277: (3, 1, 3),
        322: (4, 1, 256),
        323: (4, 1, 256),
        324: (4, 1, 8),
        325: (4, 1, 196608),
    }
    names = {
        "compression": 259,
        "tile_width": 322,
        "tile_height": 323,
        "offsets": 324,
        "sizes": 325,
    }
    return {**tags, **{names[key]: value for key, value in changes.items()}}


def ndpi(path: Path, pages: list[tuple[np.ndarray, int, float]]) -> Path:
    """An NDPI file: (pixels, pixels per cm, magnification) of each page.

    It is no TIFF as the standard has it: offsets of directories take 8 bytes, and the upper halves of
    the tags' values follow after each directory.
    """
    body = bytearray(b"II*\0" + bytes(8))
    link = 4
    for pixels, density, magnification in pages:
        places = {}
        for name, data in (
            ("pixels", pixels.tobytes()),
            ("bits", struct.pack("<HHH", 8, 8, 8)),
            ("make", b"Hamamatsu\0"),
            ("density", struct.pack("<II", density, 1)),
        ):
            places[name] = len(body)
            body += data + bytes(-len(data) % 8)
        height, width = pixels.shape[:2]
        tags = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, places["bits"]),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (271, 2, 10, places["make"]),
            (273, 4, 1, places["pixels"]),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, pixels.nbytes),
            (282, 5, 1, places["density"]),
            (283, 5, 1, places["density"]),
            (296, 3, 1, 3),
            (65420, 4, 1, 1),
            (65421, 11, 1, struct.unpack("<I", struct.pack("<f", magnification))[0]),
        ]
        body[link : link + 8] = struct.pack("<Q", len(body))
        body += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        link = len(body)
        body += bytes(8) + bytes(4 * len(tags))
        body += bytes(-len(body) % 8)
    path.write_bytes(bytes(body))
    return path
