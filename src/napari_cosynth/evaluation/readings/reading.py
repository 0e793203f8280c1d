"""A blind reading: real and synthetic pairs in random order, and the scores of the readers' answers.

The paper asked pathologists (Fig. 6). A reader sees an image and the same image with its nuclei
outlined. The reader says whether it is real or synthetic, and rates from 1 to 5 how well the outlines
agree with the nuclei and whether their classes are right.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.bootstrap import (
    Estimate,
    bootstrap_weights,
    estimates,
    weighted_mean,
)
from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.text import encoding_of
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]

FORMAT = 1
REAL, SYNTHETIC = ORIGINS = ("real", "synthetic")
RATINGS = ("labels", "classes")
"""The two ratings, 1 (not at all) to 5 (everywhere): outlines agree with nuclei, classes are right."""
COLUMNS = ("reading", "reader", "item", "origin", *RATINGS)


@dataclass(frozen=True)
class Item:
    """One pair of a reading."""

    name: str
    """Its place in the order, ``001`` and so on, which does not reveal its origin."""
    record: Record
    origin: str


def draw_items(made: Sequence[Record], real: Sequence[Record], pairs: int, seed: int) -> list[Item]:
    """Equally many real and synthetic pairs, at most ``pairs`` together, in random order.

    Raises ValueError if there is not one of each, or if sizes or classes differ.
    """
    each = min(pairs // 2, len(made), len(real))
    if each < 1:
        raise ValueError(
            f"a reading needs a real and a synthetic pair: got {len(real)} and {len(made)} for {pairs}"
        )
    first = made[0]
    for record in (*made, *real):
        if record.labels.shape != first.labels.shape or record.classes != first.classes:
            raise ValueError(f"{record.source}: its shape or classes are not {first.source}'s")
    rng = np.random.default_rng(seed)
    drawn = [
        (records[i], origin)
        for records, origin in ((made, SYNTHETIC), (real, REAL))
        for i in rng.permutation(len(records))[:each]
    ]
    order = rng.permutation(len(drawn))
    return [Item(f"{n:03d}", *drawn[i]) for n, i in enumerate(order, start=1)]


def reading_id(items: Sequence[Item]) -> str:
    """The identity that links answers to their key: a digest of the images in their order."""
    sha = hashlib.sha256()
    for item in items:
        sha.update(item.record.image.tobytes())
    return sha.hexdigest()[:16]


def key_of(items: Sequence[Item], seed: int) -> dict[str, Any]:
    """The key, ready for JSON: each item's origin and source."""
    return {
        "format": FORMAT,
        "reading": reading_id(items),
        "seed": seed,
        "items": [
            {"item": i.name, "origin": i.origin, "source": Path(i.record.source).name}
            for i in items
        ],
    }


@dataclass(frozen=True)
class Key:
    """The origins of the pairs of a reading."""

    reading: str
    origins: dict[str, str]
    """Item -> ``real`` or ``synthetic``."""


def read_key(path: Path) -> Key:
    """A key file. Raises ValueError naming file and field."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: format: expected the key of a reading, format {FORMAT}")
    if not isinstance(content.get("reading"), str):
        raise ValueError(f"{path}: reading: missing or of the wrong type")
    items, origins = content.get("items"), {}
    if not isinstance(items, list) or not items:
        raise ValueError(f"{path}: items: expected a list with at least one item")
    for number, item in enumerate(items):
        name = item.get("item") if isinstance(item, dict) else None
        if not isinstance(name, str) or name in origins or item.get("origin") not in ORIGINS:
            raise ValueError(
                f"{path}: items: {number}: expected an item of its own that is real or synthetic"
            )
        origins[name] = str(item["origin"])
    return Key(content["reading"], origins)


@dataclass(frozen=True)
class Answers:
    """The answers of one reader; unanswered items are absent."""

    reader: str
    origins: dict[str, str]
    """Item -> the reader's answer, ``real`` or ``synthetic``."""
    ratings: dict[str, dict[str, int]]
    """Question -> item -> 1..5."""


def read_answers(path: Path, key: Key) -> Answers:
    """The answers in a CSV file that the page saved. Raises ValueError naming file, line and column."""
    try:
        with path.open(newline="", encoding=encoding_of(path)) as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error})") from None
    missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}: {missing[0]}: no such column")
    names: set[str] = set()
    origins: dict[str, str] = {}
    ratings: dict[str, dict[str, int]] = {question: {} for question in RATINGS}
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        values = {c: (row[c] or "").strip() for c in COLUMNS}

        def wrong(column: str, expected: str, line: int = line, values: Any = values) -> ValueError:
            found = values[column]
            return ValueError(f"{path}: line {line}: {column}: expected {expected}, got {found!r}")

        if values["reading"] != key.reading:
            raise wrong("reading", f"{key.reading}, the key's")
        item = values["item"]
        if item not in key.origins:
            raise wrong("item", f"one of the key's {len(key.origins)}")
        if item in seen:
            raise wrong("item", "each item once")
        seen.add(item)
        names.add(values["reader"])
        if values["origin"]:
            if values["origin"] not in ORIGINS:
                raise wrong("origin", "real, synthetic or nothing")
            origins[item] = values["origin"]
        for question in RATINGS:
            if values[question]:
                if values[question] not in ("1", "2", "3", "4", "5"):
                    raise wrong(question, "1 to 5 or nothing")
                ratings[question][item] = int(values[question])
    if not origins and not any(ratings.values()):
        raise ValueError(f"{path}: no answers in it")
    if len(names) != 1:
        raise ValueError(f"{path}: reader: expected one reader, got {', '.join(sorted(names))}")
    return Answers(names.pop() or path.stem, origins, ratings)


def wilson(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of the share ``hits / count`` (Wilson 1927); NaN, NaN if ``count`` is 0."""
    if not count:
        return float("nan"), float("nan")
    share, square = hits / count, z * z / count
    middle = (share + square / 2) / (1 + square)
    half = z * np.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return float(middle - half), float(middle + half)


@dataclass(frozen=True)
class Score:
    """The result of a reading for one reader, or for all together."""

    reader: str
    answered: int
    """Number of answers to the question "real or synthetic"."""
    accuracy: float
    """Share of these answers that are right."""
    interval: tuple[float, float]
    """95 % interval of the accuracy: Wilson's for one reader. For several it is a bootstrap over items,
    which keeps all answers to an item together."""
    found: float
    """Share of the synthetic pairs that were taken for synthetic."""
    doubted: float
    """Share of the real pairs that were taken for synthetic."""
    real: dict[str, Estimate]
    """Question -> mean rating of real pairs."""
    synthetic: dict[str, Estimate]
    """Question -> mean rating of synthetic pairs."""
    difference: dict[str, Estimate]
    """Question -> mean rating of synthetic pairs minus that of real pairs."""


def score(key: Key, readers: Sequence[Answers]) -> list[Score]:
    """A score for each reader, and one for all if there are several.

    Raises ValueError if two readers have the same name.
    """
    names = [r.reader for r in readers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"reader {name!r} answered twice: give each one's CSV once")
    scores = [_score(key, [r], r.reader) for r in readers]
    return [*scores, _score(key, readers, "all")] if len(readers) > 1 else scores


def _score(key: Key, readers: Sequence[Answers], name: str) -> Score:
    answers = [(i, o) for r in readers for i, o in r.origins.items()]
    truth = np.array([key.origins[i] == SYNTHETIC for i, _ in answers], bool)
    taken = np.array([o == SYNTHETIC for _, o in answers], bool)
    right = truth == taken
    accuracy = float(quotient(right.sum(), right.size))
    interval = wilson(int(right.sum()), right.size)
    if len(readers) > 1:
        weights = bootstrap_weights([i for i, _ in answers])
        interval = weighted_mean(right.astype(float), weights).interval
    real, synthetic, difference = {}, {}, {}
    for question in RATINGS:
        rated = [(i, v) for r in readers for i, v in r.ratings[question].items()]
        weights = bootstrap_weights([i for i, _ in rated])
        values = np.array([v for _, v in rated], np.float64)
        fake = np.array([key.origins[i] == SYNTHETIC for i, _ in rated], bool)
        real[question] = weighted_mean(np.where(fake, np.nan, values), weights)
        synthetic[question] = weighted_mean(np.where(fake, values, np.nan), weights)
        difference[question] = estimates(
            np.concatenate(
                [
                    [synthetic[question].value - real[question].value],
                    synthetic[question].draws - real[question].draws,
                ]
            )
        )
    return Score(
        reader=name,
        answered=len(answers),
        accuracy=accuracy,
        interval=interval,
        found=float(quotient((taken & truth).sum(), truth.sum())),
        doubted=float(quotient((taken & ~truth).sum(), (~truth).sum())),
        real=real,
        synthetic=synthetic,
        difference=difference,
    )
