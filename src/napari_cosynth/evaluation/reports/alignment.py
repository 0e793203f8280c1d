"""Image-label alignment: whether images show the nuclei of their labels, by a segmenter of real tiles.

The segmenter is run on the synthetic images and on real ones that it never saw. If it agrees better with
the synthetic labels than with the real ones (a ratio above 1), the synthetic images are too easy: their
nuclei stand out more than real nuclei do. If the ratio is far below 1, images and labels do not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from napari_cosynth.evaluation.metrics.bootstrap import bootstrap_weights, estimates, weighted_sum
from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.reports.figure import ALL, Figure
from napari_cosynth.evaluation.reports.samples import Samples
from napari_cosynth.evaluation.reports.scores import Scores, measures, score
from napari_cosynth.segmenter.checkpoint import Segmenter, load_segmenter, pixels_digest
from napari_cosynth.segmenter.predict import segment
from napari_cosynth.types import ClassTable, Record

SECTION = "Image-label alignment (a segmenter of real tiles)"
SHOWN = ("AJI", "PQ", "recall")
POOR = 0.3
"""AJI on real tiles below which a segmenter is a poor judge. Of all pixels that it or the labels call a
nucleus, it then has less than a third right. HoVer-Net's authors report 0.571 on CoNSeP (2019), and 0.482
for a U-Net; 600 steps of ``cosynth train-segmenter`` reach 0.388 (docs/downstream.md)."""


def check_segmenter(segmenter: Segmenter, classes: ClassTable, mpp: float) -> None:
    """Raises ValueError if the segmenter has other classes or µm/px than the stack."""
    description = segmenter.description
    if description.class_names != classes.names:
        raise ValueError(
            f"class_names: expected the stack's {list(classes.names[1:])}, "
            f"got {list(description.class_names[1:])}"
        )
    if abs(description.mpp / mpp - 1) > 1e-6:
        raise ValueError(f"mpp: expected the stack's {mpp:g} µm/px, got {description.mpp:g}")


def check_unseen(segmenter: Segmenter, held_out: Sequence[Record], path: Path | None) -> None:
    """Raises ValueError naming ``path`` if the segmenter was trained on a tile it would judge."""
    seen = {digest: name for name, digest in segmenter.description.tiles.items()}
    for record in held_out:
        if (name := seen.get(pixels_digest(record.image))) is not None:
            raise ValueError(
                f"{path}: tiles: it was trained on {name}, which is one of the real tiles to compare with"
            )


def open_judge(
    path: Path | None, classes: ClassTable, mpp: float, device: torch.device
) -> Segmenter | None:
    """The segmenter in a folder, None if ``path`` is None.

    Raises ValueError naming the folder if its classes or µm/px are not the stack's.
    """
    if path is None:
        return None
    judge = load_segmenter(path, device)
    try:
        check_segmenter(judge, classes, mpp)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return judge


def found_scores(segmenter: Segmenter, records: Iterable[Record]) -> list[Scores]:
    """The scores of the segmenter's nuclei in each record's image, against the record's own nuclei."""
    mpp = segmenter.description.mpp
    return [score(r, *segment(segmenter.network, r.image, mpp)) for r in records]


def alignment_figures(made: Samples, real: Samples, segmenter: Segmenter) -> Iterable[Figure]:
    """AJI, PQ and each class' recall on synthetic and on real images, and their ratios.

    Synthetic images are bootstrapped over layouts, real ones over tiles, independently.
    """
    names = real.records[0].classes.names
    values = []
    for seed, samples in enumerate((made, real)):
        drawn = weighted_sum(
            found_scores(segmenter, samples.records), bootstrap_weights(samples.groups, seed)
        )
        values.append(measures(drawn, names))
    ours, theirs = values
    for measure in SHOWN:
        for of in (ALL, *(names[1:] if measure == "recall" else ())):
            a, b = ours[measure, of], theirs[measure, of]
            ratio = quotient(a, b)
            yield Figure(SECTION, f"{measure}, synthetic", of, estimates(a), float(b[0]), "real")
            yield Figure(SECTION, f"{measure}, real tiles", of, estimates(b))
            yield Figure(SECTION, f"{measure}, ratio", of, estimates(ratio), 1.0, "real")


def note(path: Path | None) -> str:
    """The note in the report on how to read these figures."""
    if path is None:
        return "No segmenter was named (--segmenter): image-label alignment was not measured."
    return (
        "Image-label alignment: a segmenter trained on real tiles alone. A ratio above 1 says that "
        "synthetic nuclei are easier to find than real ones, far below 1 that labels do not fit."
    )


def doubt(figures: Iterable[Figure]) -> str | None:
    """The warning in the report if the segmenter is poor on the real tiles themselves; else None."""
    real = next((f.estimate.value for f in figures if f.name == "AJI, real tiles"), POOR)
    if not real < POOR:
        return None
    return (
        f"The segmenter is a poor judge: on the real tiles its AJI is {real:.2f}, below {POOR:g}. It "
        "misses real nuclei too, so what it says of synthetic ones means little: train it for longer, "
        "or on more tiles (cosynth train-segmenter)."
    )
