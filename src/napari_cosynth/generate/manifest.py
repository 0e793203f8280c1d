"""``manifest.json``: the plan of a data set, what made it, and what became of every sample."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cosynth.atomic import replaced_file
from napari_cosynth.generate.plan import Plan
from napari_cosynth.generate.sample import Outcome
from napari_cosynth.settings import FORBID_UNKNOWN, parse, plain

MANIFEST = "manifest.json"
FORMAT = 1


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}"


@dataclass
class Manifest:
    """Written anew after every shard; holds no times, so that two runs of a plan give the same."""

    __pydantic_config__ = FORBID_UNKNOWN

    plan: Plan
    checkpoint: dict[str, str]
    """``name`` and ``sha256`` of the weights."""
    versions: dict[str, str]
    classes: tuple[str, ...]
    balance: dict[str, dict[str, float]]
    """Class -> ``before``, ``target`` and ``expected`` share of all nuclei."""
    layouts: dict[str, int | float]
    """How many ``there are`` to draw from, and the ``effective`` number by their weights."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Of the finished shards, by ``id``."""

    def add(self, shard: int, outcomes: list[Outcome]) -> None:
        """Lists a shard's samples, kept and rejected ones."""
        position = 0
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
            self.samples.append(entry)

    @property
    def counts(self) -> dict[str, int]:
        kept = sum(entry["kept"] for entry in self.samples)
        return {
            "asked": self.plan.samples,
            "finished": len(self.samples),
            "kept": kept,
            "rejected": len(self.samples) - kept,
            "drawn again": sum(
                max(0, len(entry["rejected"]) - (not entry["kept"])) for entry in self.samples
            ),
        }

    def shares(self) -> dict[str, float]:
        """Share of each class among the nuclei of the layouts of all kept samples."""
        found: Counter[str] = Counter()
        for entry in self.samples:
            found.update(entry.get("nuclei", {}))
        total = sum(found.values())
        return {name: found[name] / total for name in self.classes[1:]} if total else {}

    def write(self, folder: Path) -> None:
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
        lines = ",\n".join(json.dumps(entry, allow_nan=False) for entry in self.samples)
        text = (
            json.dumps(head, indent=1, allow_nan=False)[:-2] + f',\n "samples": [\n{lines}\n]}}\n'
        )
        with replaced_file(folder / MANIFEST) as fresh:
            fresh.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a data set folder. Raises ValueError naming file and field."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: no generated data set there (no {MANIFEST})") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: format: expected {FORMAT}")
    content = {k: v for k, v in content.items() if k not in ("format", "counts", "shares")}
    manifest = parse(Manifest, content, str(path))
    for number, entry in enumerate(manifest.samples):
        if entry.get("id") != number:
            raise ValueError(f"{path}: samples: expected number {number}, got {entry.get('id')}")
    return manifest
