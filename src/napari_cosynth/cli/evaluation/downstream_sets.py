"""Inputs of ``cosynth downstream``: its folder, its checkpoints, its synthetic sets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import Described, write_stack
from napari_cosynth.geometry.instances import separate_baseline
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.io.settings import plain
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.model.checkpoint import CONFIG, locate, read_config
from napari_cosynth.records.base import remade, remap
from napari_cosynth.records.perturb import perturbed
from napari_cosynth.synthesis.repaint import repaint
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.downstream import DownstreamRecipe, Source
from napari_cosynth.training.records import open_dataset
from napari_cosynth.training.run_folder import RECIPE
from napari_cosynth.types import Layout, Progress, Record, Request, Synthesis

logger = logging.getLogger(__name__)

OUTPUTS = ("sets", "runs", "results", "report.html", "report.json")
"""Files and folders of a finished comparison."""


def checkpoint_path(recipe: DownstreamRecipe, source: Source, out: Path) -> Path:
    """The folder of the diffusion model that a source samples from, inside ``out`` or by name.

    Raises ValueError where there is no such model.
    """
    sampling = recipe.sampling
    name = sampling.checkpoint
    if source == "no points":
        name = sampling.checkpoint_without_points or name
    if (out / name).is_dir():
        return out / name
    try:
        return locate(name)
    except ValueError as error:
        raise ValueError(f"sampling.checkpoint: neither in {out} nor by name: {error}") from None


def check_recipe(recipe: DownstreamRecipe, out: Path) -> None:
    """Raises ValueError where the folder holds runs of another recipe.

    Arms and seeds may be added; settings of existing runs may not change.
    """
    path = out / RECIPE
    if out.exists() and not path.is_file():
        for entry in sorted(out.iterdir()):
            # Diffusion models may be put into the folder before the first run.
            model = entry.is_dir() and next(entry.rglob(CONFIG), None) is not None
            if entry.name in OUTPUTS or not (model or entry.name.startswith(".")):
                raise ValueError(f"{entry}: is there without a {RECIPE}: name another folder")
    now = json.loads(json.dumps(plain(recipe)))
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            arms = {arm["name"]: arm for arm in before["arms"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: cannot be read as a recipe ({error})") from None
        free = ("arms", "seeds", "notes", "baseline")
        changed = [k for k in now if k not in free and now[k] != before.get(k)]
        changed += [a["name"] for a in now["arms"] if arms.get(a["name"], a) != a]
        if changed:
            raise ValueError(f"{out}: {changed[0]}: not what its runs were started with")


def check_checkpoint(recipe: DownstreamRecipe, path: Path, data_root: Path) -> None:
    """Raises ValueError where the diffusion model has another grid or other classes, or has seen tiles of
    the segmenters or of the test.

    Its training tiles are known from its configuration, and from its run's recipe next to it. Without
    either a warning is logged.
    """
    config = read_config(path)
    if abs(config.mpp / recipe.mpp - 1) > 1e-6:
        raise ValueError(f"{path}: mpp: expected {recipe.mpp:g} µm/px, got {config.mpp:g}")
    # A model with more classes could paint nuclei of a class that has no name here.
    if set(config.class_names[1:]) != set(recipe.classes):
        raise ValueError(
            f"{path}: class_names: expected {list(recipe.classes)}, got {list(config.class_names[1:])}"
        )
    seen: set[str] = set()
    for key, names in config.tiles.items():
        # The folder may have been another then. Packed tiles keep their names but not their kind.
        if key.partition(" ")[0] in (recipe.data.kind, "packed"):
            seen.update(names)
    kept = path.parent / RECIPE
    for data in load_recipe(kept).data if kept.is_file() else ():
        if (data.kind, data.root) == (recipe.data.kind, recipe.data.root):
            seen.update(open_dataset(data, data_root, without=data.excluded).names)
    if leaked := sorted(seen.intersection((*recipe.split.segmenter, *recipe.split.test))):
        raise ValueError(
            f"{path}: it was trained on {', '.join(leaked)}, which the split keeps from it"
        )
    if not config.tiles and not kept.is_file():
        logger.warning(
            "%s: an earlier version wrote it, and nothing says which tiles it was trained on: whether "
            "it saw those of the test is not known",
            path,
        )


def synthetic_set(
    recipe: DownstreamRecipe,
    source: Source,
    copy: int,
    patches: Sequence[Record],
    out: Path,
    device: str = "auto",
    progress: bool = True,
) -> list[Record]:
    """The records of synthetic set number ``copy`` (from 0) of a source, one per patch.

    A set that is not in ``out`` yet is made there. Sets differ in their seeds only, so that an arm with
    more copies includes the sets of arms with fewer. Raises ValueError where the set does not fit.
    """
    path = out / "sets" / f"{source.replace(' ', '-')}-{copy + 1}"
    if not (path / DESCRIPTION).is_file():
        model = checkpoint_path(recipe, source, out)
        made = _made(recipe, source, copy, patches, model, device)
        bar = tqdm(made, path.name, len(patches), unit="sample", disable=not progress)
        write_stack(list(bar), path, overwrite=True)
    dataset = StackDataset(path)
    if len(dataset) != len(patches) or dataset.classes.names[1:] != recipe.classes:
        raise ValueError(f"{path}: expected {len(patches)} samples of {list(recipe.classes)}")
    return list(dataset)


def _made(
    recipe: DownstreamRecipe,
    source: Source,
    copy: int,
    patches: Sequence[Record],
    model: Path,
    device: str,
) -> Iterator[Described]:
    first = recipe.sampling.seed + copy * len(patches)
    for number, patch in enumerate(patches):
        seed = first + number
        if source == "perturbed":
            patch = perturbed(patch, np.random.default_rng([recipe.sampling.seed, copy, number]))
        layout = patch.layout
        if source == "no points":
            layout = Layout(
                np.zeros((0, 2), np.float32),
                np.zeros(0, np.uint8),
                layout.shape,
                layout.mpp,
                layout.classes,
            )
        request = Request(
            layout=layout,
            prompt=prompt_for(patch.layout, patch.tissue, patch.stain),
            checkpoint=str(model),
            sampler=recipe.sampling.sampler,
            steps=recipe.sampling.steps,
            guidance=recipe.sampling.guidance,
            seeds=(seed,),
            tissue=patch.tissue,
            stain=patch.stain,
            device=device,
        )
        given = source in ("labels", "perturbed")
        sample = _last(repaint(request, patch) if given else synthesize(request))
        record = without_points(sample) if source == "no points" else sample.record
        yield Described(remap(record, patch.classes, {}), {**sample.recipe, "source": source})


def _last(events: Iterator[Progress | Synthesis]) -> Synthesis:
    for event in events:
        if isinstance(event, Synthesis):
            return event
    raise AssertionError("a sampler ended without a sample")


def without_points(sample: Synthesis) -> Record:
    """The record of a sample without points, with nuclei separated by the maxima of its distance map."""
    record = sample.record
    instances = separate_baseline(sample.raw_labels, record.distance, "distance maxima")
    labels = np.where(instances > 0, sample.raw_labels, 0).astype(np.uint8)
    return remade(record, record.image, instances, labels)
