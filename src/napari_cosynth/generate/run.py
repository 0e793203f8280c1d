"""Generation of a plan's data set: missing samples are made and kept, and full shards written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from tqdm import tqdm

from napari_cosynth.generate.balance import effective
from napari_cosynth.generate.draw import Draws, Job
from napari_cosynth.generate.folder import LAYOUTS, DatasetFolder, locked
from napari_cosynth.generate.looks import load_looks, plan_looks, save_looks
from napari_cosynth.generate.manifest import MANIFEST, Manifest, read_manifest
from napari_cosynth.generate.plan import Plan, differing
from napari_cosynth.generate.pool import build_pool, load_pool, save_pool
from napari_cosynth.generate.sample import Settings, make, unpack
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.paths import check_new, resolved
from napari_cosynth.model.checkpoint import (
    BUNDLED,
    WEIGHTS,
    CheckpointConfig,
    locate,
    read_config,
)
from napari_cosynth.model.samplers import settle
from napari_cosynth.model.weights import sha256_of
from napari_cosynth.synthesis.provenance import package_versions

logger = logging.getLogger(__name__)

Engine: TypeAlias = Callable[[Iterable[Job], Settings], Iterator[tuple[int, bytes]]]
"""Makes the samples of jobs: yields each one's number and packed outcome, in any order."""


def in_this_process(jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
    """The engine that makes one sample after the other in this process."""
    for job in jobs:
        yield job.index, make(job, settings)


def generate(
    plan: Plan,
    out: Path,
    data_root: Path,
    resume: bool = False,
    engine: Engine = in_this_process,
    quiet: bool = False,
) -> Manifest:
    """Makes the data set of a plan in ``out``: ``shard-00000/`` ..., each a stack, and a manifest.

    ``data_root`` is the folder that the sources are relative to. The run may be stopped at any moment,
    even by SIGKILL or a full disk. The same call with ``resume`` then continues it, and gives the folder
    of a run that was never stopped. Raises ValueError where plan, layouts or checkpoint cannot be used or
    are not those of the run to resume, FileExistsError where ``out`` exists without ``resume``, and
    OSError where ``out`` cannot be written.
    """
    folder = locate(plan.checkpoint)
    config = read_config(folder)
    sampling = settle(plan.sampler, plan.steps, config)
    digest = sha256_of(folder / WEIGHTS)
    if resume and out.exists():
        manifest = _resumed(plan, out, digest)
        looks = load_looks(out)
        pool = load_pool(out / LAYOUTS, plan, config.classes, config.mpp)
        draws = Draws(plan, pool, data_root, config.classes, config.mpp)
    else:
        check_new(out, "--resume goes on with it")
        looks = plan_looks(plan, data_root, config.mpp)
        pool = build_pool(plan, data_root, config.classes, config.mpp)
        draws = Draws(plan, pool, data_root, config.classes, config.mpp)
        manifest = Manifest(
            plan,
            {"name": folder.name, "sha256": digest},
            package_versions(),
            config.class_names,
            _shares(draws),
            {"there are": len(draws.weights), "effective": effective(draws.weights)},
        )
        with replaced_folder(out) as fresh:
            save_pool(pool, fresh / LAYOUTS)
            save_looks(looks, fresh)
            manifest.write(fresh)
    draws.say()
    _say_unknown(plan, config)
    bundled = folder.parent == BUNDLED
    settings = Settings(
        plan.name,
        folder.name if bundled else str(resolved(folder)),
        *sampling,
        plan.guidance,
        plan.stain,
        plan.device,
        plan.threads,
        plan.quality,
        looks,
        plan.seed,
    )
    with locked(out):
        target = DatasetFolder(out, plan, config.classes, manifest)
        target.write_shards()
        todo = target.missing()
        with tqdm(
            total=plan.samples,
            initial=plan.samples - len(todo),
            unit="sample",
            desc=plan.name,
            smoothing=0.05,
            disable=quiet,
        ) as bar:
            rejected = 0
            for index, data in engine((draws.job(i) for i in todo), settings):
                outcome = unpack(data, config.classes, f"sample {index}")
                if outcome.index != index or outcome.recipe["plan"] != plan.name:
                    raise ValueError(f"sample {index}: a worker answered with another run's")
                _check_origin(outcome.recipe, manifest, index)
                target.put(index, data)
                target.write_shards()
                rejected += sum(not attempt["kept"] for attempt in outcome.attempts)
                bar.set_postfix(rejected=rejected, refresh=False)
                bar.update()
        target.close()
    return manifest


def _resumed(plan: Plan, out: Path, digest: str) -> Manifest:
    manifest = read_manifest(out, head=True)
    if fields := differing(manifest.plan, plan):
        raise ValueError(
            f"{out / MANIFEST}: plan: {', '.join(fields)}: not as in the plan to resume by"
        )
    if manifest.checkpoint["sha256"] != digest:
        raise ValueError(
            f"{plan.checkpoint}: its weights (sha256 {digest[:12]}...) are not those that the run "
            f"began with ({manifest.checkpoint['sha256'][:12]}...)"
        )
    now = package_versions()
    changed = [f"{k} {v} -> {now.get(k)}" for k, v in manifest.versions.items() if now.get(k) != v]
    if changed:
        logger.warning(
            "the run began with other versions (%s): its later samples may differ in their last bits "
            "from an unbroken run's",
            ", ".join(changed),
        )
    return manifest


def _check_origin(recipe: dict[str, object], manifest: Manifest, index: int) -> None:
    """Raises ValueError where a worker used another checkpoint or other versions than this process.

    Another machine may have other files at the same path.
    """
    if recipe["checkpoint_sha256"] != manifest.checkpoint["sha256"]:
        raise ValueError(
            f"sample {index}: a worker has another checkpoint: sha256 "
            f"{str(recipe['checkpoint_sha256'])[:12]}..., expected "
            f"{manifest.checkpoint['sha256'][:12]}..."
        )
    here = package_versions()
    if recipe["versions"] != here:
        raise ValueError(
            f"sample {index}: a worker has other versions: {recipe['versions']}, expected {here}"
        )


def _shares(draws: Draws) -> dict[str, dict[str, float]]:
    if draws.target is None:
        return {}
    return {
        name: {
            "before": float(draws.before[i]),
            "target": float(draws.target[i]),
            "expected": float(draws.expected[i]),
        }
        for i, name in enumerate(draws.classes.names)
        if i
    }


def _say_unknown(plan: Plan, config: CheckpointConfig) -> None:
    for organ in plan.organs:
        if organ not in config.tissues:
            logger.warning(
                "organs: %s: the checkpoint knows %s; the samples will not follow it",
                organ,
                ", ".join(config.tissues) or "none",
            )
    if plan.stain not in config.stains:
        logger.warning("stain: %s: the checkpoint knows %s", plan.stain, ", ".join(config.stains))
