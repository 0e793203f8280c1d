"""``cosynth synthesize`` and ``cosynth demo``: training stacks from layouts."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

from skimage.io import imsave
from tqdm import tqdm

from napari_cosynth import registry
from napari_cosynth.cli.synthesis.overview import overview
from napari_cosynth.diffusion.scratch import folder_of, remove_run
from napari_cosynth.export.stack import write_stack
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.errors import nearest
from napari_cosynth.layouts.drawn.patterns import BundledLayout, bundled_layouts
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.model.checkpoint import read_config
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.model.samplers import settled
from napari_cosynth.stain.stain_match import match_to_file
from napari_cosynth.synthesis.looks import look_from
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import H_AND_E, Layout, Record, Request, Synthesis

logger = logging.getLogger(__name__)

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total} steps [{elapsed}<{remaining}]"


def synthesize_layout(options: argparse.Namespace) -> None:
    """Writes ``count`` samples of one layout, as a stack or another format.

    Everything is checked before sampling.
    """
    exporter = registry.resolve("exporter", options.format)
    config = read_config(options.checkpoint)
    if options.count < 1:
        raise ValueError(f"--count: expected at least 1, got {options.count}")
    if min(options.shape) < 1:
        raise ValueError(
            f"--shape: expected H and W above 0, got {' '.join(map(str, options.shape))}"
        )
    mpp = config.mpp if options.mpp is None else options.mpp
    if not 0 < mpp < float("inf"):
        raise ValueError(f"--mpp: expected micrometres per pixel above 0, got {mpp:g}")
    layout = read_layout(options.layout, tuple(options.shape), mpp, config.classes, options.sample)
    check_known("tissue", options.tissue, config.tissues)
    check_known("stain", options.stain, config.stains)
    prompt = options.prompt or prompt_for(layout, options.tissue, options.stain)
    match = options.match_stain and match_to_file(
        options.match_method, options.match_stain, options.match_strength / 100
    )
    seeds = tuple(range(options.seed, options.seed + options.count))
    request = request_from(options, layout, prompt, seeds, options.tissue, options.stain)
    if options.scratch is not None:
        _check_scratch(options.scratch)
    summary = Summary()
    # The progress bar is closed before an error is printed, so that the error stands below it.
    with contextlib.closing(_run([request], options.scratch)) as samples:
        matched = (match.matched(x) if match else x for x in samples)
        # Memory holds one sample: the exporter asks for the next one after writing the last.
        exporter(map(summary.add, matched), options.out, options.overwrite)
    if options.scratch is not None:
        for seed in seeds:
            remove_run(folder_of(options.scratch, seed))
        with contextlib.suppress(OSError):  # not empty: it holds files of others
            options.scratch.rmdir()
    summary.say(options.out)


def demo(options: argparse.Namespace) -> None:
    """Writes samples of the bundled layouts to ``OUT/stack``, and a picture ``OUT/overview.png``."""
    requests = [
        _demo_request(options, bundled, options.seed + i)
        for i, bundled in enumerate(bundled_layouts().values())
    ]
    summary = Summary()
    samples = list(map(summary.add, _run(requests)))
    with replaced_folder(options.out, options.overwrite) as folder:
        write_stack(samples, folder / "stack")
        imsave(folder / "overview.png", overview(samples), check_contrast=False)
    summary.say(options.out / "stack")
    print(f"overview: {options.out / 'overview.png'}")


def _demo_request(options: argparse.Namespace, bundled: BundledLayout, seed: int) -> Request:
    prompt = prompt_for(bundled.layout, bundled.tissue)
    return request_from(options, bundled.layout, prompt, (seed,), bundled.tissue)


def _check_scratch(folder: Path) -> None:
    """Raises ValueError where the scratch folder holds anything but earlier runs; makes it if missing.

    Files of runs are removed in the end, so nothing else may be in it.
    """
    if folder.exists() and not (
        folder.is_dir() and all(f.match("seed-*") and f.is_dir() for f in folder.iterdir())
    ):
        raise ValueError(f"--scratch: {folder}: expected a new folder or that of an earlier run")
    folder.mkdir(parents=True, exist_ok=True)


def check_known(field: str, value: str, known: Sequence[str]) -> None:
    """Logs a warning where the checkpoint does not know the value of a field."""
    if value and value not in known:
        logger.warning(
            "%s %r%s: the checkpoint knows %s; the result will not follow it",
            field,
            value,
            nearest(value, known),
            ", ".join(known) or "none",
        )


def request_from(
    options: argparse.Namespace,
    layout: Layout,
    prompt: str,
    seeds: tuple[int, ...],
    tissue: str,
    stain: str = H_AND_E,
) -> Request:
    """The request of the options that :func:`napari_cosynth.cli.options.add_sampling` adds.

    Raises ValueError where the checkpoint does not allow its sampler or number of passes, or where the
    look's image cannot be read.
    """
    config = read_config(options.checkpoint)
    look, look_of = look_from(options.look, config.mpp, options.look_mpp)
    request = Request(
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
        look=look,
        look_of=look_of,
    )
    return settled(request, config)


def _run(
    requests: Sequence[Request], scratch: Path | None = None
) -> Generator[Synthesis, None, None]:
    """All samples of all requests, with one progress bar over all steps."""
    device = choose_device(requests[0].device)
    precision = "bfloat16" if faster_in_bf16(device) else "float32"
    total = sum(r.steps * len(r.seeds) for r in requests)
    # Every request is checked before the first one samples.
    running = [(r, synthesize(r, scratch=scratch)) for r in requests]
    before = 0
    with tqdm(total=total, desc=f"{device}, {precision}", bar_format=_BAR) as bar:
        for request, events in running:
            for event in events:
                if isinstance(event, Synthesis):
                    yield event
                else:
                    done = before + event.index * event.steps + event.step + event.part
                    bar.update(done - bar.n)
            before += request.steps * len(request.seeds)


class Summary:
    """Counts of points and of instance separation's findings, over samples as they pass."""

    def __init__(self) -> None:
        self.samples = self.points = 0
        self.last: Record | None = None
        self.found: Counter[str] = Counter()

    def add(self, sample: Synthesis) -> Synthesis:
        self.samples += 1
        self.points += len(sample.record.layout)
        self.last = sample.record
        for field in dataclasses.fields(sample.report):
            self.found[field.name] += len(getattr(sample.report, field.name))
        return sample

    def say(self, path: Path) -> None:
        """Prints a line for the stack at ``path``; samples of a stack share shape and µm/px."""
        assert self.last is not None
        height, width = self.last.labels.shape
        print(
            f"{path}: {self.samples} samples of {height} x {width} pixels at {self.last.mpp:g} µm/px, "
            f"{self.points} points: " + ", ".join(f"{n} {name}" for name, n in self.found.items())
        )
