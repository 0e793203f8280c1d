"""``cosynth generate`` and ``cosynth replay``: data sets by a plan, and samples made again."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from napari_cosynth.export.stack import Described, write_stack
from napari_cosynth.generate.manifest import MANIFEST, Manifest
from napari_cosynth.generate.plan import load_plan
from napari_cosynth.generate.replay import replay
from napari_cosynth.generate.run import generate, in_this_process
from napari_cosynth.io.paths import check_new


def generate_dataset(
    plan_path: Path,
    out: Path,
    data_root: Path | None,
    resume: bool,
    workers: int,
    scheduler: str | None,
) -> None:
    """Makes a data set, or resumes its run, and prints a summary."""
    plan = load_plan(plan_path)
    root = Path(data_root).expanduser() if data_root is not None else plan_path.absolute().parent
    if scheduler is None and workers == 1:
        opened = nullcontext(in_this_process)
    else:
        from napari_cosynth.generate.cluster import local, running

        # dask's processes import the main module again, so it has to be importable by this name.
        opened = local(workers) if scheduler is None else running(scheduler)  # type: ignore[assignment]
    if not resume:
        check_new(out, "--resume goes on with it")
    try:
        with opened as engine:
            manifest = generate(plan, out, root, resume, engine)
    except OSError as error:
        if out.exists() and error.errno is not None:
            raise OSError(
                error.errno, f"{os.strerror(error.errno)}; what is finished is kept, --resume goes on",
                error.filename,
            ) from None  # fmt: skip
        raise
    _say(out, manifest)


def _say(out: Path, manifest: Manifest) -> None:
    counts, plan = manifest.counts, manifest.plan
    print(
        f"{out}: {counts['kept']} of {counts['asked']} samples in {manifest.tally.shards} shards, "
        f"{counts['rejected']} rejected, {counts['drawn again']} drawn again"
    )
    for name, share in manifest.shares().items():
        aim = manifest.balance.get(name)
        note = f" (before {aim['before']:.1%}, target {aim['target']:.1%})" if aim else ""
        print(f"  {name}: {share:.1%} of the nuclei{note}")
    print(f"every sample's seed, layout and report: {out / MANIFEST} (plan {plan.name})")


def replay_sample(
    export: Path,
    number: int,
    out: Path | None,
    checkpoint: str | None,
    device: str,
    overwrite: bool,
) -> bool:
    """Makes a sample again and prints the differences; returns whether every pixel is the same."""
    result = replay(export, number, checkpoint, device)
    for line in result.differences:
        print(line)
    if out is not None:
        write_stack([Described(result.record, result.recipe)], out, overwrite)
        print(f"the sample, made again: {out}")
    if result.same:
        print(f"{export}: sample {number}: the same pixels again ({', '.join(result.compared)})")
    else:
        print(f"{export}: sample {number}: not the same pixels")
    return result.same
