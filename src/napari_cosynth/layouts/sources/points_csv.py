"""Layouts as napari's Points CSV: ``index,axis-0,axis-1,class``.

Two kinds of file hold points of several samples. In napari's CSV of a stack ``axis-0`` is the sample,
and ``axis-1`` and ``axis-2`` are y and x. An exported stack's ``layouts.csv`` begins with a column
``sample``. The caller names the sample to read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.errors import one_line, shown
from napari_cosynth.io.text import encoding_of
from napari_cosynth.layouts.sources.nuclei import Nuclei
from napari_cosynth.types import ClassTable, Layout

COLUMNS = ("axis-0", "axis-1", "class")


def read_layout(
    path: str | Path,
    shape: tuple[int, int],
    mpp: float,
    classes: ClassTable,
    sample: int | None = None,
) -> Layout:
    """A layout from a CSV file, whose ``class`` holds names of ``classes`` or ids 1..K-1.

    ``sample`` is the number of the sample to read; it is required for a file with several. A header
    without rows is an empty layout. Raises ValueError naming file, line and column.
    """
    path = Path(path)
    points: list[tuple[float, float]] = []
    ids: list[int] = []
    for where, point, name in _rows(path, sample):
        points.append(point)
        ids.append(_class_id(name, classes, where))
    try:
        return Layout(
            np.array(points, np.float32).reshape(-1, 2),
            np.array(ids, np.uint8),
            shape,
            mpp,
            classes,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_points(path: str | Path, sample: int | None = None) -> Nuclei:
    """The points of a CSV file with its own class names. Raises as :func:`read_layout` does."""
    path = Path(path)
    points, names = [], []
    for _, point, name in _rows(path, sample):
        points.append(point)
        names.append((name or "").strip())
    return Nuclei(np.array(points, np.float64).reshape(-1, 2), tuple(names), str(path))


def _rows(path: Path, sample: int | None) -> Iterator[tuple[str, tuple[float, float], str | None]]:
    """Each row's place in the file, (y, x) and class. Raises ValueError naming file, line and column."""
    try:
        text = path.read_text(encoding=encoding_of(path))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: expected a CSV file, got a folder") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeError as error:
        raise ValueError(f"{path}: not a text file ({error})") from None
    if "\0" in text:
        raise ValueError(f"{path}: not a text file (it holds zero bytes)")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise ValueError(f"{path}: line 1: {error}") from None
    for column in COLUMNS:
        if column not in header:
            raise ValueError(
                f"{path}: no column {column!r}; expected index,axis-0,axis-1,class"
                + (f", got {shown(','.join(header))}" if header else " in an empty file")
            )
    reader.fieldnames = header
    columns = _columns(header, path)
    found: set[int] = set()
    try:
        for row in reader:
            where = f"{path}: line {reader.line_num}"
            *which, y, x = (_number(row[column], f"{where}: {column}") for column in columns)
            if which:
                if not which[0].is_integer():
                    raise ValueError(
                        f"{where}: {columns[0]}: expected a whole number, got {which[0]}"
                    )
                found.add(int(which[0]))
                if sample is not None and which[0] != sample:
                    continue
            if sample is None and which and (len(found) > 1 or columns[0] == "axis-0"):
                raise ValueError(
                    f"{path}: {columns[0]} is the sample of a stack (y and x are {columns[1]} and "
                    f"{columns[2]}): --sample names the one to read"
                )
            yield where, (y, x), row["class"]
        if sample is not None and sample not in found:
            raise ValueError(
                f"{path}: --sample: no points of a sample {sample}"
                + (f"; it holds {', '.join(map(str, sorted(found)))}" if found else "")
            )
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: {error}") from None


def _columns(header: Sequence[str], path: Path) -> tuple[str, ...]:
    """The names of the columns of y and x, preceded by that of the sample if the file has one."""
    if "axis-3" in header:
        raise ValueError(f"{path}: axis-3: expected points in a plane, or in a stack of planes")
    if "axis-2" in header:
        return ("axis-0", "axis-1", "axis-2")
    return ("sample", *COLUMNS[:2]) if header[0] == "sample" else COLUMNS[:2]


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{where}: expected a number, got {shown(text)}") from None
    if not np.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, got {value}")
    return value


def _class_id(value: str | None, classes: ClassTable, where: str) -> int:
    name = (value or "").strip()
    try:
        number = float(name)
    except ValueError:
        try:
            index = classes.index(name)
        except ValueError as error:
            raise ValueError(f"{where}: class: {one_line(error)}") from None
    else:
        index = int(number) if number.is_integer() else -1
    if not 1 <= index < len(classes):
        raise ValueError(
            f"{where}: class: expected a name or an id in 1..{len(classes) - 1}, got {shown(name)}"
        )
    return index


def write_layout(layout: Layout, path: str | Path) -> Path:
    """Writes a layout with class names, whole or not at all."""
    lines = ["index,axis-0,axis-1,class"]
    for row, ((y, x), class_id) in enumerate(zip(layout.centroids, layout.class_ids, strict=True)):
        lines.append(f"{row},{float(y)!r},{float(x)!r},{layout.classes.names[class_id]}")
    with replaced_file(Path(path)) as fresh:
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)
