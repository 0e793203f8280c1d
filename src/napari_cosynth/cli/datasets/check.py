"""``cosynth check``: a table of the faults of data sets, and of overlaps between splits."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_cosynth.checks.checks import Checked, check
from napari_cosynth.datasets.formats import open_records


def run(paths: list[Path], kind: str | None, as_json: bool, **options: Any) -> int:
    """Prints the findings; returns the exit code, 0 for none and 1 otherwise."""
    splits = [(str(path), open_records(path, kind, **options)[1]) for path in paths]
    if len({name for name, _ in splits}) < len(splits):
        raise ValueError("a folder is named twice")
    total = sum(len(dataset) for _, dataset in splits)
    with tqdm(total=total, unit="record", disable=None) as bar:
        checked = check(splits, bar.update)
    print(_json(checked) if as_json else _table(checked))
    return 1 if checked.findings else 0


def _json(checked: Checked) -> str:
    return json.dumps(dataclasses.asdict(checked), indent=1, ensure_ascii=False)


def _table(checked: Checked) -> str:
    lines = [f"{path}: {count} records" for path, count in checked.records.items()]
    lines += [f"note: {note}" for note in checked.notes]
    if not checked.findings:
        return "\n".join([*lines, "nothing found"])
    rows = [(f.kind, f.split, f.name, f.detail) for f in checked.findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    counts = Counter(f.kind for f in checked.findings)
    return "\n".join([*lines, ", ".join(f"{n} {kind}" for kind, n in counts.items())])
