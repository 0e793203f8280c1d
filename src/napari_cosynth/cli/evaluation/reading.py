"""``cosynth evaluate --reading`` and ``cosynth score``: making and scoring a blind reading."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cosynth.cli.datasets.named import open_samples, read_samples
from napari_cosynth.cli.synthesis.reference import check_reference, open_reference, patches
from napari_cosynth.evaluation.metrics.bootstrap import Estimate
from napari_cosynth.evaluation.metrics.quotients import json_ready
from napari_cosynth.evaluation.readings.reading import (
    RATINGS,
    Score,
    draw_items,
    key_of,
    read_answers,
    read_key,
    score,
)
from napari_cosynth.evaluation.readings.reading_page import reading_page
from napari_cosynth.evaluation.reports.report import number
from napari_cosynth.io.atomic import replaced_file, replaced_folder

PAGE, KEY = "reading.html", "key.json"
_QUESTIONS = {"labels": "outlines agree", "classes": "classes are right"}


def make(
    stack: Path,
    against: str,
    out: Path,
    data_root: Path | None = None,
    sets: Sequence[str] = (),
    pairs: int = 40,
    seed: int | None = None,
    overwrite: bool = False,
) -> int:
    """Writes the folder ``out`` with a reading's page and key; returns the number of pairs."""
    if pairs < 2:
        raise ValueError(f"--pairs: expected 2 or more, got {pairs}")
    dataset = open_samples(stack)
    check_reference(against, data_root, sets)
    records = read_samples(dataset, stack)
    reference = open_reference(against, data_root, sets, dataset.classes, dataset.mpp)
    real = patches(reference.unseen, records[0].labels.shape)
    # Readers who guess the seed could draw the same order, so the default seed is random.
    seed = secrets.randbits(32) if seed is None else seed
    items = draw_items(records, real, pairs, seed)
    with replaced_folder(out, overwrite) as folder:
        (folder / PAGE).write_text(reading_page(items), encoding="utf-8")
        (folder / KEY).write_text(json.dumps(key_of(items, seed), indent=1) + "\n", "utf-8")
    return len(items)


def print_scores(reading: Path, answers: Sequence[Path], out: Path | None) -> None:
    """Prints the readers' scores, and writes them to ``out`` as JSON if given."""
    key = read_key(reading / KEY if reading.is_dir() else reading)
    scores = score(key, [read_answers(path, key) for path in answers])
    if out is not None:
        content = {"reading": key.reading, "pairs": len(key.origins), "scores": _rows(scores)}
        with replaced_file(out) as fresh:
            fresh.write_text(json.dumps(json_ready(content), indent=1, allow_nan=False) + "\n")
    print(f"{len(key.origins)} pairs; 0.5 is what guessing gives")
    for row in scores:
        low, high = row.interval
        print(
            f"{row.reader}: right {number(row.accuracy)} ({number(low)} to {number(high)}) of "
            f"{row.answered} answers; taken for synthetic: {number(row.found)} of synthetic, "
            f"{number(row.doubted)} of real"
        )
        for question in RATINGS:
            low, high = row.difference[question].interval
            print(
                f"  {_QUESTIONS[question]}: real {number(row.real[question].value)}, synthetic "
                f"{number(row.synthetic[question].value)}, difference "
                f"{number(row.difference[question].value)} ({number(low)} to {number(high)})"
            )


def _rows(scores: Sequence[Score]) -> list[dict[str, Any]]:
    def cell(estimate: Estimate) -> dict[str, float]:
        low, high = estimate.interval
        return {"value": estimate.value, "low": low, "high": high}

    return [
        {
            "reader": s.reader,
            "answered": s.answered,
            "accuracy": {"value": s.accuracy, "low": s.interval[0], "high": s.interval[1]},
            "synthetic taken for synthetic": s.found,
            "real taken for synthetic": s.doubted,
            "ratings": {
                q: {
                    "real": cell(s.real[q]),
                    "synthetic": cell(s.synthetic[q]),
                    "difference": cell(s.difference[q]),
                }
                for q in RATINGS
            },
        }
        for s in scores
    ]
