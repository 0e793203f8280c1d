"""``cosynth downstream``: segmenters trained with and without samples, compared on unseen real tiles."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import napari_cosynth
from napari_cosynth.cli.evaluation.downstream_sets import (
    check_checkpoint,
    check_recipe,
    checkpoint_path,
    synthetic_set,
)
from napari_cosynth.cli.synthesis.reference import patches
from napari_cosynth.evaluation.reports.downstream import (
    TABLE,
    Results,
    synthetic_plots,
    table_figures,
)
from napari_cosynth.evaluation.reports.report import Report, number, to_html, to_json
from napari_cosynth.evaluation.reports.scores import Scores, score
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.settings import plain
from napari_cosynth.model.precision import choose_device
from napari_cosynth.records.base import remap
from napari_cosynth.records.resample import resample
from napari_cosynth.segmenter.checkpoint import Segmenter, load_segmenter, pixels_digest
from napari_cosynth.segmenter.predict import segment
from napari_cosynth.training.config import DataConfig
from napari_cosynth.training.downstream import Arm, DownstreamRecipe, load_downstream
from napari_cosynth.training.records import open_dataset
from napari_cosynth.training.run_folder import RECIPE
from napari_cosynth.training.segmenter import train_segmenter
from napari_cosynth.types import ClassTable, Record

RESULT = 1
"""Format of a run's result."""


@dataclasses.dataclass
class Downstream:
    """The comparison of one recipe in one folder: ``recipe.json``, ``sets/``, ``runs/``, ``results/``."""

    recipe: DownstreamRecipe
    data_root: Path
    out: Path
    device: str = "auto"
    progress: bool = True

    def __post_init__(self) -> None:
        self.classes = ClassTable.of(*self.recipe.classes)
        check_recipe(self.recipe, self.out)

    @property
    def runs(self) -> list[tuple[Arm, int]]:
        """Every arm with every seed; one seed of all arms comes before the next seed."""
        return [(arm, seed) for seed in self.recipe.seeds for arm in self.recipe.arms]

    def result_path(self, arm: Arm, seed: int) -> Path:
        return self.out / "results" / f"{arm.name}-{seed}.json"

    def missing(self) -> list[tuple[Arm, int]]:
        return [run for run in self.runs if not self.result_path(*run).is_file()]

    def _open(self, names: Sequence[str]) -> list[Record]:
        data = self.recipe.data
        config = DataConfig(data.kind, data.root, options=data.options)
        dataset = open_dataset(config, self.data_root, only=names)
        return [remap(resample(r, self.recipe.mpp), self.classes, data.classes) for r in dataset]

    @cached_property
    def tiles(self) -> list[Record]:
        """The segmenters' real training tiles."""
        return self._open(self.recipe.split.segmenter)

    @cached_property
    def patches(self) -> list[Record]:
        """The real patches that the synthetic sets are made from."""
        return patches(self.tiles, (self.recipe.sampling.shape,) * 2)

    @cached_property
    def test(self) -> dict[str, Record]:
        names = self.recipe.split.test
        return dict(zip(names, self._open(names), strict=True))

    def check(self, arms: Iterable[Arm]) -> None:
        """Raises ValueError where tiles, their classes or a diffusion model do not fit these arms.

        A diffusion model's grid, classes and training tiles are checked. This comes before anything is
        written or trained.
        """
        assert self.tiles and self.test
        for source in dict.fromkeys(arm.source for arm in arms):
            if source is not None:
                model = checkpoint_path(self.recipe, source, self.out)
                check_checkpoint(self.recipe, model, self.data_root)

    def run(self, arm: Arm, seed: int, max_hours: float | None = None) -> bool:
        """Trains and tests one segmenter, resuming a stopped run; False where the time ran out first."""
        path = self.result_path(arm, seed)
        if path.is_file():
            return True
        begun = time.monotonic()
        self.check([arm])
        with replaced_file(self.out / RECIPE) as fresh:
            fresh.write_text(json.dumps(plain(self.recipe), indent=1) + "\n", encoding="utf-8")
        sources: list[tuple[Sequence[Record], float]] = []
        if arm.real:
            sources.append((self.tiles, 1.0))
        if arm.source is not None:
            for copy in range(arm.copies):
                made = synthetic_set(
                    self.recipe,
                    arm.source,
                    copy,
                    self.patches,
                    self.out,
                    self.device,
                    self.progress,
                )
                sources.append((made, 1.0))
        if max_hours is not None:
            max_hours = max(0.0, max_hours - (time.monotonic() - begun) / 3600)
        folder = train_segmenter(
            sources,
            self.recipe.segmenter,
            self.out / "runs" / f"{arm.name}-{seed}",
            seed,
            arm.augmented,
            self.device,
            max_hours,
            progress=self.progress,
            tiles={Path(t.source).name: pixels_digest(t.image) for t in self.tiles},
        )
        if folder is None:
            return False
        segmenter = load_segmenter(folder, choose_device(self.device))
        result = {
            "format": RESULT,
            "arm": plain(arm),
            "seed": seed,
            "classes": list(self.recipe.classes),
            "steps": self.recipe.segmenter.steps,
            "segmenter": segmenter.sha256,
            "version": napari_cosynth.__version__,
            "tiles": {name: _scored(segmenter, t).to_json() for name, t in self.test.items()},
        }
        with replaced_file(path) as fresh:
            fresh.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return True

    def results(self) -> dict[str, Results]:
        """Results by seed of each arm that has all its seeds."""
        missing = {arm.name for arm, _ in self.missing()}
        return {
            arm.name: {s: self._read(arm, s) for s in self.recipe.seeds}
            for arm in self.recipe.arms
            if arm.name not in missing
        }

    def _read(self, arm: Arm, seed: int) -> dict[str, Scores]:
        path = self.result_path(arm, seed)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            tiles = content["tiles"]
            made = content["arm"], content["seed"], content["format"], content["classes"]
            if set(tiles) != set(self.recipe.split.test):
                raise ValueError(f"tiles: expected {', '.join(self.recipe.split.test)}")
            if made != (
                json.loads(json.dumps(plain(arm))),
                seed,
                RESULT,
                list(self.recipe.classes),
            ):
                raise ValueError("arm, seed, classes: not those of the recipe")
            return {n: Scores.from_json(v, len(self.classes)) for n, v in tiles.items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a result of this recipe ({error})") from None

    def report(self) -> Path:
        """Writes ``report.html`` and ``report.json`` of the finished arms; returns the page's path.

        Raises ValueError where no arm is finished.
        """
        arms = self.results()
        if not arms:
            raise ValueError(f"{self.out}: no arm has all its seeds yet")
        recipe, names = self.recipe, self.classes.names
        alone: dict[str, dict[int, str]] = {}
        for arm in recipe.arms:
            if not arm.real and arm.source is not None:
                alone.setdefault(arm.source, {})[arm.copies] = arm.name
        facts = {
            "recipe": recipe.name,
            "arms": [a.name for a in recipe.arms if a.name in arms],
            "seeds": list(recipe.seeds),
            "test tiles": list(recipe.split.test),
            "segmenter's tiles": list(recipe.split.segmenter),
            "optimiser steps of every arm": recipe.segmenter.steps,
            "classes": list(recipe.classes),
            "mpp": recipe.mpp,
            "diffusion model": recipe.sampling.checkpoint,
            "version": napari_cosynth.__version__,
        }
        report = Report(
            facts,
            _notes(recipe, [f"{a.name}:{s}" for a, s in self.missing()]),
            list(table_figures(arms, names, recipe.baseline)),
            synthetic_plots(arms, alone, names),
        )
        page, content = self.out / "report.html", self.out / "report.json"
        with replaced_file(content) as fresh:
            fresh.write_text(to_json(report), encoding="utf-8")
        with replaced_file(page) as fresh:
            fresh.write_text(to_html(report, f"{recipe.name}: segmenters"), encoding="utf-8")
        return page


def _scored(segmenter: Segmenter, tile: Record) -> Scores:
    return score(tile, *segment(segmenter.network, tile.image, tile.mpp))


def _notes(recipe: DownstreamRecipe, missing: Sequence[str]) -> list[str]:
    notes = [
        "HoVer-Net by arm, every arm with the same optimiser steps. Counts are pooled over test tiles "
        "and seeds; intervals hold the middle 95 % of what other tiles and other seeds would have "
        "given. 'networks' under a figure are its seeds.",
        f"Differences are from {recipe.baseline}, draw by draw: one whose interval leaves 0 out holds.",
    ]
    if recipe.notes:
        notes.append(recipe.notes)
    if missing:
        notes.append(f"Not done yet, and left out with their arms: {', '.join(missing)}.")
    return notes


def downstream(
    recipe_name: str,
    data_root: Path,
    out: Path,
    chosen: Sequence[str] = (),
    only_report: bool = False,
    hours: float | None = None,
    device: str = "auto",
    progress: bool = True,
) -> None:
    """Runs ``chosen`` ("ARM:SEED"), by default all missing runs; reports once no run is missing."""
    recipe = load_downstream(recipe_name)
    wanted = [_parsed(recipe, text) for text in chosen]
    bench = Downstream(recipe, data_root, out.absolute(), device, progress)
    begun = time.monotonic()
    if not only_report:
        bench.check(arm for arm, _ in wanted or bench.missing())
    for arm, seed in () if only_report else (wanted or bench.missing()):
        left = None if hours is None else hours - (time.monotonic() - begun) / 3600
        if (left is not None and left <= 0) or not bench.run(arm, seed, left):
            print(f"{arm.name}:{seed}: stopped; the same command goes on")
            break
        print(f"{arm.name}:{seed}: {bench.result_path(arm, seed)}")
    missing = bench.missing()
    done = len(bench.runs) - len(missing)
    print(f"{done} of {len(bench.runs)} runs are done")
    if only_report or not missing:
        page = bench.report()
        print("\n".join(table_lines(json.loads(page.with_suffix(".json").read_text("utf-8")))))
        print(f"{page}: open it in a browser; the figures are in report.json")


def _parsed(recipe: DownstreamRecipe, text: str) -> tuple[Arm, int]:
    name, _, seed = text.rpartition(":")
    if not name or not seed.isdecimal() or int(seed) not in recipe.seeds:
        raise ValueError(
            f"--run: expected ARM:SEED with a seed of {', '.join(map(str, recipe.seeds))}, got {text!r}"
        )
    try:
        return recipe.arm(name), int(seed)
    except ValueError as error:
        raise ValueError(f"--run: {error}") from None


def table_lines(report: dict[str, Any]) -> list[str]:
    """The report's Table 4 as lines of text, without intervals."""
    rows: dict[str, dict[str, float | None]] = {}
    for figure in report["figures"]:
        if figure["section"] == TABLE:
            rows.setdefault(figure["name"], {})[figure["of"]] = figure["value"]
    columns = list(next(iter(rows.values())))
    width = max(map(len, rows))
    lines = [" ".join([f"{'':{width}}", *(f"{c[:12]:>12}" for c in columns)])]
    for arm, values in rows.items():
        lines.append(" ".join([f"{arm:{width}}", *(f"{number(values[c]):>12}" for c in columns)]))
    return lines
