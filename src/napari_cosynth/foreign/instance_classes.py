"""Class tables of instances: a CSV file of id and class beside an instance map."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.instances import of_instances, whole_numbers
from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.text import encoding_of

MOST_CLASSES = 255


def read_classes(path: Path) -> dict[int, str]:
    """Instance id -> class as written, a name or a number. A first line without an id is a header.

    Raises ValueError naming file and line.
    """
    try:
        with path.open(encoding=encoding_of(path), newline="") as handle:
            rows = [(n, row) for n, row in enumerate(csv.reader(handle), start=1) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise unreadable(path, "cannot be read as CSV", error) from None
    found: dict[int, str] = {}
    for place, (line, row) in enumerate(rows):
        fields = [field.strip() for field in row]
        if place == 0 and fields and not _is_id(fields[0]):
            continue
        if len(fields) != 2 or not _is_id(fields[0]) or not fields[1]:
            raise ValueError(
                f"{path}: line {line}: expected an id and a class, got {','.join(row)[:60]!r}"
            )
        if found.setdefault(int(fields[0]), fields[1]) != fields[1]:
            raise ValueError(f"{path}: line {line}: instance {fields[0]} has two classes")
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63


def class_names(tables: Iterable[dict[int, str]]) -> tuple[str, ...]:
    """The class names in tables, numbers first; the number ``1`` becomes ``class 1``.

    Raises ValueError if there are more than 255.
    """
    found = {value for table in tables for value in table.values()}
    if len(found) > MOST_CLASSES:
        raise ValueError(f"expected at most {MOST_CLASSES} classes, got {len(found)}")
    numbers = sorted((int(v), v) for v in found if v.isascii() and v.isdigit())
    return (*(f"class {v}" for _, v in numbers), *sorted(found - {v for _, v in numbers}))


def labels_by(
    table: dict[int, str],
    names: tuple[str, ...],
    instances: npt.NDArray[Any],
    where: str,
) -> npt.NDArray[np.uint8]:
    """The class of each pixel's instance, uint8 (H, W); ``names`` are the classes from 1 on.

    The table gives a name in ``names``, the number of a name ``class N``, or the index of a class.
    ``instances`` are ids as they were stored. Raises ValueError that begins with ``where`` for an
    instance without a class and for a class that is not in ``names``.
    """
    plane = whole_numbers(instances, where)
    known = {name: i for i, name in enumerate(names, start=1)}
    numbers = {str(i): i for i in known.values()}
    values = np.zeros(len(table), np.uint8)
    for place, (id_, name) in enumerate(table.items()):
        value = known.get(name) or known.get(f"class {name}") or numbers.get(name)
        if value is None:
            raise ValueError(
                f"{where}: instance {id_}: expected a class of {', '.join(names)}, got {name!r}"
            )
        values[place] = value
    labels = np.asarray(of_instances(plane, list(table), values), np.uint8)
    if (missing := plane[(plane > 0) & (labels == 0)]).size:
        raise ValueError(f"{where}: instance {missing.min():.0f} has no class")
    return labels
