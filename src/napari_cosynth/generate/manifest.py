"""``manifest.json``: a data set's plan, checkpoint and versions, and the fate of every sample.

It is written when a run begins and when it ends. In between the samples are in ``listed.jsonl``: each
finished shard appends its own, so that memory and writing do not grow with the number of samples.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_cosynth.generate.plan import Plan
from napari_cosynth.generate.sample import Outcome
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.errors import shown
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain

MANIFEST = "manifest.json"
LISTED = "listed.jsonl"
FORMAT = 1


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}"


@dataclass
class Tally:
    """Counts over the samples of the finished shards."""

    finished: int = 0
    kept: int = 0
    shards: int = 0
    again: int = 0
    """Samples that were drawn again."""
    nuclei: Counter[str] = field(default_factory=Counter)
    """Nuclei of each class in the layouts of the kept samples."""

    def add(self, entry: dict[str, Any]) -> None:
        self.finished += 1
        self.kept += entry["kept"]
        self.shards += entry["index"] == 0
        self.again += max(0, len(entry["rejected"]) - (not entry["kept"]))
        self.nuclei.update(entry.get("nuclei", {}))


@dataclass
class Manifest:
    """The manifest of a data set; it holds no times, so that two runs of a plan give the same one."""

    __pydantic_config__ = FORBID_UNKNOWN

    plan: Plan
    checkpoint: dict[str, str]
    """``name`` and ``sha256`` of the weights."""
    versions: dict[str, str]
    classes: tuple[str, ...]
    balance: dict[str, dict[str, float]]
    """Shares ``before``, ``target`` and ``expected`` of all nuclei, by class."""
    layouts: dict[str, int | float]
    """The number of layouts that ``there are``, and their ``effective`` number by their weights."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Samples of the finished shards, by ``id``; empty during a run, whose :class:`Listing` has them."""

    def __post_init__(self) -> None:
        self.tally = Tally()
        for entry in self.samples:
            self.tally.add(entry)

    def entries(self, shard: int, outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
        """The entries of a shard's samples, kept and rejected ones."""
        entries, position = list[dict[str, Any]](), 0
        for outcome in outcomes:
            last, record = outcome.attempts[-1], outcome.record
            entry: dict[str, Any] = {
                "id": outcome.index,
                "kept": record is not None,
                "shard": shard_name(shard) if record is not None else None,
                "index": position if record is not None else None,
                "layout": outcome.origin,
                "tissue": outcome.recipe["tissue"],
                "seed": last["seed"],
                "report": last["report"],
                "points": outcome.points,
                "rejected": [a for a in outcome.attempts if not a["kept"]],
            }
            if record is not None:
                position += 1
                ids = Counter(record.layout.class_ids.tolist())
                entry["nuclei"] = {self.classes[i]: ids[i] for i in sorted(ids)}
            entries.append(entry)
        return entries

    @property
    def counts(self) -> dict[str, int]:
        tally = self.tally
        return {
            "asked": self.plan.samples,
            "finished": tally.finished,
            "kept": tally.kept,
            "rejected": tally.finished - tally.kept,
            "drawn again": tally.again,
        }

    def shares(self) -> dict[str, float]:
        """Share of each class among the nuclei of the layouts of all kept samples."""
        found = self.tally.nuclei
        total = found.total()
        return {name: found[name] / total for name in self.classes[1:]} if total else {}

    def write(self, folder: Path, lines: Iterable[str] = ()) -> None:
        """Writes the manifest; ``lines`` are its samples' entries, each as JSON."""
        head = {
            "format": FORMAT,
            "plan": plain(self.plan),
            "checkpoint": self.checkpoint,
            "versions": self.versions,
            "classes": list(self.classes),
            "balance": self.balance,
            "layouts": self.layouts,
            "counts": self.counts,
            "shares": self.shares(),
        }
        with replaced_file(folder / MANIFEST) as fresh, fresh.open("w", encoding="utf-8") as handle:
            handle.write(json.dumps(head, indent=1, allow_nan=False)[:-2] + ',\n "samples": [\n')
            for number, line in enumerate(lines):
                handle.write(",\n" + line if number else line)
            handle.write("\n]}\n")


class Listing:
    """The list of a run's finished samples, in ``listed.jsonl`` until the run ends."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Continues an existing list; lines of a shard that a killed run left incomplete are cut off."""
        self.folder, self.manifest, self.path = folder, manifest, folder / LISTED
        if self.path.exists():
            manifest.tally, size = Tally(), 0
            for shard in _listed(self.path, manifest.plan):
                size += sum(map(len, shard))
                for line in shard:
                    manifest.tally.add(json.loads(line))
            os.truncate(self.path, size)
        else:
            with replaced_file(self.path) as fresh:
                fresh.write_bytes(b"".join(map(_line, manifest.samples)))
        manifest.samples.clear()

    def __len__(self) -> int:
        return self.manifest.tally.finished

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Lists a shard's samples; they are on the disk when this returns."""
        with self.path.open("ab") as handle:
            handle.write(b"".join(map(_line, entries)))
            handle.flush()
            os.fsync(handle.fileno())
        for entry in entries:
            self.manifest.tally.add(entry)

    def close(self) -> None:
        """Writes the manifest with all samples, and removes the list."""
        with self.path.open(encoding="utf-8") as lines:
            self.manifest.write(self.folder, (line[:-1] for line in lines))
        self.path.unlink()


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False).encode() + b"\n"


def _listed(path: Path, plan: Plan) -> Iterator[list[bytes]]:
    """The lines of each completely listed shard. Raises ValueError naming file and line."""
    shard, number = list[bytes](), 0
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            try:
                found = json.loads(line)["id"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ValueError(f"{path}: line {number + 1}: no sample ({error})") from None
            if found != number:
                raise ValueError(
                    f"{path}: line {number + 1}: expected sample {number}, got {shown(found)}"
                )
            shard.append(line)
            number += 1
            if number % plan.shard_size == 0 or number == plan.samples:
                yield shard
                shard = []


def read_manifest(folder: Path, head: bool = False) -> Manifest:
    """The manifest of a data set folder, with the samples that an unfinished run has listed so far.

    ``head`` leaves these listed samples out. Raises ValueError naming file and field.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: no generated data set there (no {MANIFEST})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: format: expected {FORMAT}")
    content = {k: v for k, v in content.items() if k not in ("format", "counts", "shares")}
    manifest = parse(Manifest, content, str(path))
    for number, entry in enumerate(manifest.samples):
        if entry.get("id") != number:
            raise ValueError(
                f"{path}: samples: expected number {number}, got {shown(entry.get('id'))}"
            )
    if not head and (folder / LISTED).exists():
        shards = _listed(folder / LISTED, manifest.plan)
        samples = [json.loads(line) for shard in shards for line in shard]
        return replace(manifest, samples=samples)
    return manifest
