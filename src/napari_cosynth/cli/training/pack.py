"""``cosynth pack``: a recipe's prepared data in a few files that are easy to carry."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from napari_cosynth.datasets.packed import write_packed
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.paths import check_target
from napari_cosynth.io.settings import plain
from napari_cosynth.training.config import DataConfig, Recipe, load_recipe
from napari_cosynth.training.records import open_normaliser, prepare, split_dataset
from napari_cosynth.training.run_folder import RECIPE
from napari_cosynth.types import ClassTable, Record


def pack(recipe_name: str, data_root: Path, out: Path, shard_mib: float, overwrite: bool) -> None:
    """Writes every record to ``out``, on the recipe's grid and in its classes and colours.

    A recipe that reads these files is written next to them; training by it makes the same batches as by
    the original.
    """
    recipe = load_recipe(recipe_name)
    check_target(out, overwrite, [data_root / config.root for config in recipe.data], folder=True)
    classes = ClassTable.of(*recipe.classes)
    packed: list[DataConfig] = []

    def records() -> Iterator[tuple[str, str, Record]]:
        for number, config in enumerate(recipe.data):
            part = f"{number} {config.root}"
            normaliser = open_normaliser(config, data_root)
            training, validation = split_dataset(config, data_root)
            for dataset in (training, validation):
                for name, record in zip(dataset.names, dataset, strict=True) if dataset else ():
                    yield part, name, prepare(record, config, recipe, classes, normaliser)
            packed.append(
                DataConfig(
                    kind="packed",
                    root=".",
                    weight=config.weight,
                    validation=validation.names if validation else (),
                    options={"part": part},
                    in_memory=config.in_memory,
                )
            )

    with replaced_folder(out, overwrite) as folder:
        limit = round(shard_mib * 2**20) if shard_mib else None
        shards = write_packed(folder, records(), classes, recipe.mpp, limit)
        rewritten: Recipe = dataclasses.replace(recipe, data=tuple(packed))
        (folder / RECIPE).write_text(json.dumps(plain(rewritten), indent=1) + "\n")
        sizes = [path.stat().st_size / 2**20 for path in shards]
    print(
        f"{out}: {len(sizes)} files of at most {max(sizes):.1f} MiB, {sum(sizes):.1f} MiB in all; "
        f"train by: cosynth train {out / RECIPE} --data {out}"
    )
