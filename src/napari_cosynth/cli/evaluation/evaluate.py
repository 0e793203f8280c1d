"""``cosynth evaluate``: synthetic samples compared with real tiles, as a page and as JSON."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.distance import cdist

import napari_cosynth
from napari_cosynth.cli.datasets.named import open_samples, read_samples
from napari_cosynth.cli.synthesis.reference import (
    Reference,
    check_reference,
    open_reference,
    patches,
)
from napari_cosynth.datasets.shards import ShardsDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.datasets.survey import outlined
from napari_cosynth.evaluation.encoders.encoder import (
    SEEDS,
    TileEncoder,
    digest,
    encoder_features,
    load_encoders,
    save_encoders,
    train_encoder,
)
from napari_cosynth.evaluation.encoders.imagenet import identity, imagenet_features
from napari_cosynth.evaluation.encoders.inception import inception_features, load_inception
from napari_cosynth.evaluation.metrics.layout import follow
from napari_cosynth.evaluation.metrics.shapes import class_medians
from napari_cosynth.evaluation.reports import alignment
from napari_cosynth.evaluation.reports.figure import IMAGENET, INCEPTION, SEGMENTER, TILE_ENCODER
from napari_cosynth.evaluation.reports.figures import evaluate
from napari_cosynth.evaluation.reports.report import Picture, Plot, Report, to_html, to_json
from napari_cosynth.evaluation.reports.samples import Samples, spread
from napari_cosynth.geometry.measure import SMALLEST_FRAGMENT
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.paths import check_writable, report_files
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.weights import sha256_of
from napari_cosynth.records.spectrum import radial_power

logger = logging.getLogger(__name__)

WORST = 12
"""Number of samples in the pictures."""


def run(
    stack: Path,
    against: str,
    out: Path,
    data_root: Path | None = None,
    sets: Sequence[str] = (),
    inception: Path | None = None,
    encoder: Path | None = None,
    segmenter: Path | None = None,
    device_name: str = "auto",
) -> Path:
    """Writes ``out``.html and ``out``.json; returns the page's path.

    ``stack`` is the folder of a stack or of a generated data set. All other files are opened first, so
    that a wrong one is reported before tiles and samples are read.
    """
    page, content = report_files(out)
    device = choose_device(device_name)
    dataset = open_samples(stack)
    check_reference(against, data_root, sets)
    judge = alignment.open_judge(segmenter, dataset.classes, dataset.mpp, device)
    model = None if inception is None else load_inception(inception).to(device)
    networks = _kept_networks(encoder, dataset.mpp)
    records = read_samples(dataset, stack)
    reference = open_reference(against, data_root, sets, dataset.classes, dataset.mpp)
    if judge is not None:
        alignment.check_unseen(judge, reference.unseen, segmenter)
    shape = records[0].layout.shape
    unseen = patches(reference.unseen, shape)
    seen = patches(reference.training, shape) if reference.training else []
    made = Samples(records, [dataset.slide_of(name) or name for name in dataset.names])
    real = Samples(unseen, [r.source for r in unseen])

    networks = [n.to(device) for n in networks or _trained(encoder, reference, dataset, device)]
    for samples in (made, real):
        samples.features = encoder_features(networks, samples.images)
    training = encoder_features(networks, np.stack([r.image for r in seen])) if seen else []
    frozen, about_frozen = _imagenet((made, real), device)
    weights = None
    if inception is not None and model is not None:
        weights = sha256_of(Path(inception))
        for samples in (made, real):
            samples.inception = inception_features(model, samples.images)
    aligned = list(alignment.alignment_figures(made, real, judge)) if judge else []
    doubt = alignment.doubt(aligned)
    if doubt:
        logger.warning(doubt)

    equal = min(len(made), len(real))
    facts = {
        "stack": stack.name,
        "against": reference.name,
        "samples": len(made),
        "layouts": len(set(made.groups)),
        "real patches": len(real),
        "real tiles": len(set(real.groups)),
        "training patches": len(seen),
        "images in each distance": equal,
        "shape": list(shape),
        "mpp": dataset.mpp,
        "classes": list(dataset.classes.names[1:]),
        "version": napari_cosynth.__version__,
    }
    report = Report(
        facts,
        [
            *_notes(equal, made, bool(seen), inception is not None),
            about_frozen,
            alignment.note(segmenter),
            *([doubt] if doubt else ()),
        ],
        [*evaluate(made, real, training), *aligned],
        _plots(made, real),
        _pictures(made, real),
        {
            "real": _digest(r.image for r in unseen),
            "groups": hashlib.sha256("".join(made.groups).encode()).hexdigest(),
            TILE_ENCODER: digest(networks, dataset.classes, dataset.mpp),
            **({IMAGENET: frozen} if frozen else {}),
            **({INCEPTION: weights} if weights else {}),
            **({SEGMENTER: judge.sha256} if judge else {}),
        },
    )
    with replaced_file(content) as fresh:
        fresh.write_text(to_json(report), encoding="utf-8")
    with replaced_file(page) as fresh:
        fresh.write_text(to_html(report, f"{stack.name} against {reference.name}"), "utf-8")
    return page


def _kept_networks(path: Path | None, mpp: float) -> list[TileEncoder]:
    """The tile encoders of the file; none where there is no file yet.

    Raises ValueError where a missing file could not be written later.
    """
    if path is None:
        return []
    if path.exists():
        return load_encoders(path, mpp)
    check_writable(path)
    return []


def _trained(
    path: Path | None,
    reference: Reference,
    dataset: StackDataset | ShardsDataset,
    device: torch.device,
) -> list[TileEncoder]:
    """New tile encoders, trained on real tiles; they are saved in ``path`` if given."""
    tiles = reference.training or reference.unseen
    logger.info("training %d networks of the %s on %d tiles", len(SEEDS), TILE_ENCODER, len(tiles))
    networks = [train_encoder(tiles, seed, device=device) for seed in SEEDS]
    if path is not None:
        save_encoders(networks, dataset.classes, dataset.mpp, path)
    return networks


def _imagenet(both: Iterable[Samples], device: torch.device) -> tuple[str | None, str]:
    """Adds ImageNet features to both sets; returns the network's identity and a note for the reader.

    The identity is None where the network's package is not installed.
    """
    try:
        found = identity()
    except ValueError as error:
        left_out = f"No distances on {IMAGENET}: {error}"
        logger.warning(left_out)
        return None, left_out
    network = pretrained().to(device)
    for samples in both:
        samples.imagenet = imagenet_features(network, samples.images)
    return found, (
        f"Distances on {IMAGENET} (EfficientNet-Lite0) are no FID. They depend on no network of ours, "
        "but on the size, the µm/px and the number of the images: compare at equal ones."
    )


def _digest(arrays: Iterable[npt.NDArray[np.uint8]]) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(array.tobytes())
    return sha.hexdigest()


def _notes(equal: int, made: Samples, trained: bool, inception: bool) -> list[str]:
    layouts = len(set(made.groups))
    notes = [
        "Intervals hold the middle 95 % of what other tiles and layouts would have given: a bootstrap "
        "over them for shares and means, random halves of them for distances.",
        f"Fréchet distances are biased: small sets lie farther apart. Both sets were cut to {equal} "
        "images; read them over that between halves of the real tiles, which takes halves of the "
        "samples too. Kernel distances are unbiased, and may fall below 0.",
        f"On both sides a nucleus is one connected part of at least {SMALLEST_FRAGMENT} pixels: what is "
        "smaller is not counted, and each further part of a sample's nucleus counts as spurious.",
        "'real' under a figure is the same figure of real patches; under a distance it is that of one "
        "half of the real tiles from the other half, at half the number.",
    ]
    if equal < 100:
        notes.append(f"{equal} images are few: read the distances as an order of magnitude.")
    if not trained:
        notes.append(
            f"No training tiles were named: the {TILE_ENCODER} was trained on the tiles it compares "
            "with, and memorisation was not measured."
        )
    if not inception:
        notes.append("No Inception weights were named (--inception): no FID, KID and IS.")
    if layouts == len(made):
        notes.append("One sample a layout: intervals cover layouts and their seeds together.")
    return notes


def _plots(made: Samples, real: Samples) -> list[Plot]:
    """The mean power spectrum, and the spread of each measure of shape."""
    plots = []
    few = [s.take(spread(len(s), 100)) for s in (real, made)]
    lines = {}
    for name, samples in zip(("real", "made"), few, strict=True):
        power = np.mean([radial_power(r.image) for r in samples.records], 0)[1:]
        side = min(samples.records[0].labels.shape) * samples.records[0].mpp
        lines[name] = np.arange(1, len(power) + 1) / side, 10 * np.log10(np.maximum(power, 1e-6))
    plots.append(Plot("power spectrum, dB", "cycles/µm", lines))
    for kind, unit in (("area", "µm²"), ("eccentricity", ""), ("solidity", "")):
        values = [np.concatenate([getattr(n, kind) for n in s.nuclei]) for s in (real, made)]
        values = [v[~np.isnan(v)] for v in values]
        joint = np.concatenate(values)
        if not all(len(v) for v in values):
            continue
        edges = np.linspace(joint.min(), np.quantile(joint, 0.995) + 1e-9, 31)
        lines = {
            name: (
                (edges[1:] + edges[:-1]) / 2,
                np.histogram(v, edges)[0] / len(v),
            )
            for name, v in zip(("real", "made"), values, strict=True)
        }
        plots.append(Plot(f"{kind} of nuclei, share", unit, lines))
    return plots


def _pictures(made: Samples, real: Samples) -> list[Picture]:
    """The samples that follow their points worst, each beside the most similar real patch."""
    medians = class_medians(real.nuclei, len(real.records[0].classes))
    ours, theirs = (np.concatenate(s.features, 1) for s in (made, real))
    away = cdist(ours, theirs)  # avoids an array of (N, M, F)
    badness = []
    for record, nuclei in zip(made.records, made.nuclei, strict=True):
        counts = follow(record, nuclei, medians)
        wrong = counts.judged[0] - counts.plausible[0] + counts.spurious[0] + counts.merged[0]
        badness.append(wrong / max(1.0, counts.points[0]))
    order = np.lexsort((-away.min(1), -np.array(badness)))
    pictures = []
    for i in order[:WORST]:
        nearest = real.records[int(away[i].argmin())]
        gap = np.full((nearest.labels.shape[0], 6, 3), 255, np.uint8)
        parts = [p for r in (nearest, made.records[i]) for p in (r.image, gap, outlined(r), gap)]
        pictures.append(
            Picture(
                f"{made.records[i].source} (right) beside the real patch nearest to it (left); "
                f"{badness[i]:.0%} of its points went wrong or came unasked for",
                np.concatenate(parts, 1),
            )
        )
    return pictures
