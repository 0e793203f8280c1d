"""Splits by slide or patient, never by patch, because neighbouring patches of one slide leak."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from napari_cosynth.io.listing import composed, written_name
from napari_cosynth.io.text import encoding_of
from napari_cosynth.records.base import NamedRecords, patient_of


def split_by_group(
    groups: Mapping[str, str], shares: Mapping[str, float], seed: int = 0
) -> dict[str, tuple[str, ...]]:
    """Part -> names, such that each group lies in one part and the parts have about their shares.

    ``groups``: name -> slide or patient. ``shares``: part -> a positive number; they are scaled to add
    up to 1. Groups are assigned in the order of a hash of seed and group, each to the part that lacks
    most, so the result depends on nothing but names, groups, shares and seed. Raises ValueError if a
    share is not positive or a part would stay empty.
    """
    if not shares or any(not share > 0 for share in shares.values()):
        raise ValueError(f"shares: expected positive numbers, got {dict(shares)}")
    sizes: dict[str, int] = {}
    for group in groups.values():
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < len(shares):
        raise ValueError(
            f"{len(sizes)} slides or patients cannot fill {len(shares)} parts: {', '.join(shares)}"
        )
    total = sum(shares.values())
    wanted = {part: len(groups) * share / total for part, share in shares.items()}
    parts: dict[str, str] = {}
    filled = dict.fromkeys(shares, 0)

    def order(group: str) -> bytes:
        return hashlib.sha256(f"{seed}:{group}".encode()).digest()

    waiting = sorted(sizes, key=order)
    for left, group in enumerate(waiting):
        empty = [part for part in shares if not filled[part]]
        # The last groups go to parts that would stay empty otherwise.
        candidates = empty if empty and len(sizes) - left <= len(empty) else list(shares)
        part = max(candidates, key=lambda p: wanted[p] - filled[p])
        parts[group] = part
        filled[part] += sizes[group]
    return {part: tuple(n for n, g in groups.items() if parts[g] == part) for part in shares}


def groups_of(dataset: NamedRecords) -> dict[str, str]:
    """Name -> slide or patient, from the data set's own files.

    Raises ValueError naming a record for which they do not state it: a split by patch would leak.
    """
    found = {}
    for name in dataset.names:
        slide = dataset.slide_of(name)
        if slide is None:
            raise ValueError(
                f"{name}: nothing says which slide or patient it is from, and a split by patch would "
                "leak: --groups names a CSV that does"
            )
        found[name] = slide
    return found


def read_groups(path: Path, column: str, names: tuple[str, ...]) -> dict[str, str]:
    """Name -> value of ``column``, from a CSV whose first column (or ``name``) holds the names.

    Names match with or without a file's ending. TCGA barcodes are cut to the patient. Raises ValueError
    naming the file if a column or a record is missing.
    """
    try:
        with path.open(newline="", encoding=encoding_of(path)) as handle:
            reader = csv.DictReader(handle)
            header = list(reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error})") from None
    if column not in header:
        raise ValueError(f"{path}: no column {column!r}; it has {', '.join(header) or 'none'}")
    key = "name" if "name" in header else header[0]
    table: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        name, value = composed((row[key] or "").strip()), (row[column] or "").strip()
        if not name or not value:
            raise ValueError(f"{path}: line {line}: expected {key} and {column}")
        if table.setdefault(name, value) != value:
            raise ValueError(f"{path}: line {line}: {name!r} has two values of {column}")
    found = {}
    by_stem = {written_name(name): value for name, value in table.items()}
    for name in names:
        value = table.get(name) or by_stem.get(Path(name).name)
        if value is None:
            raise ValueError(f"{path}: no row for {name!r}")
        found[name] = patient_of(value)
    return found
