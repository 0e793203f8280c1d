"""``cosynth synthesize`` and ``cosynth demo``: layouts -> a training stack."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from skimage.io import imsave
from tqdm import tqdm

from napari_cosynth import registry
from napari_cosynth.atomic import replaced_folder
from napari_cosynth.export.stack import write_stack
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.patterns import BundledLayout, bundled_layouts
from napari_cosynth.layouts.points_csv import read_layout
from napari_cosynth.model.checkpoint import read_config
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.shell.overview import overview
from napari_cosynth.synthesize import synthesize
from napari_cosynth.types import Layout, Request, Synthesis

logger = logging.getLogger(__name__)


def synthesize_layout(options: argparse.Namespace) -> None:
    """One layout, ``count`` seeds -> a stack or another format. All is checked before sampling."""
    _check_target(options.out, options.overwrite)
    exporter = registry.resolve("exporter", options.format)
    config = read_config(options.checkpoint)
    if options.count < 1:
        raise ValueError(f"--count: expected at least 1, got {options.count}")
    mpp = config.mpp if options.mpp is None else options.mpp
    layout = read_layout(options.layout, tuple(options.shape), mpp, config.classes)
    _check_known("tissue", options.tissue, config.tissues)
    _check_known("stain", options.stain, config.stains)
    prompt = options.prompt or prompt_for(layout, options.tissue, options.stain)
    seeds = tuple(range(options.seed, options.seed + options.count))
    request = _request(options, layout, prompt, seeds, options.tissue, options.stain)
    samples = list(_run([request]))
    exporter(samples, options.out, options.overwrite)
    _say(options.out, samples)


def demo(options: argparse.Namespace) -> None:
    """The bundled layouts -> ``OUT/stack`` and ``OUT/overview.png``."""
    _check_target(options.out, options.overwrite)
    requests = [
        _demo_request(options, bundled, options.seed + i)
        for i, bundled in enumerate(bundled_layouts().values())
    ]
    samples = list(_run(requests))
    with replaced_folder(options.out, options.overwrite) as folder:
        write_stack(samples, folder / "stack")
        imsave(folder / "overview.png", overview(samples), check_contrast=False)
    _say(options.out / "stack", samples)
    print(f"overview: {options.out / 'overview.png'}")


def _demo_request(options: argparse.Namespace, bundled: BundledLayout, seed: int) -> Request:
    prompt = prompt_for(bundled.layout, bundled.tissue)
    return _request(options, bundled.layout, prompt, (seed,), bundled.tissue)


def _check_target(out: Path, overwrite: bool) -> None:
    """Before minutes of sampling: may we write there, and can we?"""
    if out.exists() and not overwrite:
        raise ValueError(f"--out: {out}: exists already; --overwrite replaces it")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {out}: is a file, expected a folder")
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    with tempfile.TemporaryFile(dir=parent):
        pass


def _check_known(field: str, value: str, known: Sequence[str]) -> None:
    if value and value not in known:
        logger.warning(
            "%s %r: the checkpoint knows %s; the result will not follow it",
            field,
            value,
            ", ".join(known) or "none",
        )


def _request(
    options: argparse.Namespace,
    layout: Layout,
    prompt: str,
    seeds: tuple[int, ...],
    tissue: str,
    stain: str = "H&E",
) -> Request:
    return Request(
        layout=layout,
        prompt=prompt,
        checkpoint=options.checkpoint,
        sampler=options.sampler,
        steps=options.steps,
        guidance=options.guidance,
        seeds=seeds,
        tissue=tissue,
        stain=stain,
        device=options.device,
    )


def _run(requests: Sequence[Request]) -> Iterator[Synthesis]:
    """Every sample of every request, with one progress bar over all steps."""
    device = choose_device(requests[0].device)
    precision = "bfloat16" if faster_in_bf16(device) else "float32"
    total = sum(r.steps * len(r.seeds) for r in requests)
    # Every request is checked before the first one samples.
    running: Iterable[tuple[Request, Iterator[object]]] = [(r, synthesize(r)) for r in requests]
    with tqdm(total=total, unit="step", desc=f"{device}, {precision}") as bar:
        for _, events in running:
            for event in events:
                if isinstance(event, Synthesis):
                    yield event
                else:
                    bar.update()


def _say(path: Path, samples: Sequence[Synthesis]) -> None:
    first = samples[0].record
    height, width = first.labels.shape
    counts = {
        field.name: sum(len(getattr(s.report, field.name)) for s in samples)
        for field in dataclasses.fields(samples[0].report)
    }
    print(
        f"{path}: {len(samples)} samples of {height} x {width} pixels at {first.mpp:g} µm/px, "
        f"{sum(len(s.record.layout) for s in samples)} points: "
        + ", ".join(f"{n} {name}" for name, n in counts.items())
    )
