"""``cosynth layout fit`` and ``sample``: layout models, and layouts drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.datasets.named import named_dataset
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.errors import nearest
from napari_cosynth.known import no_dataset
from napari_cosynth.layouts.gibbs.calibrate import fit_layout_model
from napari_cosynth.layouts.gibbs.model import load_layout_model, save_layout_model
from napari_cosynth.layouts.sources.points_csv import write_layout
from napari_cosynth.records.base import Dataset
from napari_cosynth.types import ClassTable, Layout

Tiles = list[tuple[str, str, Layout]]
"""Name, tissue and layout of each tile."""


def open_tiles(
    name: str, data_root: Path | None, without: Sequence[str] = ()
) -> tuple[ClassTable, Tiles, Tiles, str]:
    """Classes, tiles to fit to, held-out tiles and licence of the data set ``name``.

    ``name`` is a stack folder, KIND:FOLDER, or a recipe, whose validation tiles are held out. Raises
    ValueError where it is none of these.
    """
    if (dataset := named_dataset(name)) is not None:
        return _plain(dataset, without)
    from napari_cosynth.training.config import bundled_recipes, load_recipe
    from napari_cosynth.training.records import prepare, split_dataset

    if name not in bundled_recipes() and not Path(name).is_file():
        raise ValueError(no_dataset(name, registry.names("dataset"), bundled_recipes()))
    if data_root is None:
        raise ValueError("--data: name the folder of the recipe's data sets, or set COSYNTH_DATA")
    recipe = load_recipe(name)
    classes = ClassTable.of(*recipe.classes)
    seen: Tiles = []
    held: Tiles = []
    for config in recipe.data:
        for part, tiles in zip(split_dataset(config, data_root), (seen, held), strict=True):
            for tile, record in zip(part.names, part, strict=True) if part else ():
                ready = prepare(record, config, recipe, classes)
                tiles.append((tile, ready.tissue, ready.layout))
    _check_without(without, [name for name, _, _ in seen])
    return classes, _left(seen, without), held, recipe.licence


def _plain(dataset: Dataset, without: Sequence[str]) -> tuple[ClassTable, Tiles, Tiles, str]:
    _check_without(without, dataset.names)
    tiles = [
        (name, record.tissue, record.layout)
        for name, record in zip(dataset.names, dataset, strict=True)
    ]
    return dataset.classes, _left(tiles, without), [], ""


def _check_without(without: Sequence[str], names: Sequence[str]) -> None:
    for name in without:
        if name not in names:
            raise ValueError(f"--without: no tile named {name!r}{nearest(name, names)}")


def _left(tiles: Tiles, without: Sequence[str]) -> Tiles:
    return [tile for tile in tiles if tile[0] not in without]


def fit(
    dataset: str,
    out: Path,
    data_root: Path | None,
    without: Sequence[str],
    rounds: int,
) -> None:
    """Fits a layout model to a data set's tiles and writes it to ``out``."""
    if rounds < 0:
        raise ValueError(f"--rounds: expected 0 or more, got {rounds}")
    classes, tiles, _, licence = open_tiles(dataset, data_root, without)
    chosen, left = _one_annotation(tiles)
    for name, tissue in left:
        print(f"{name}: left out: other tiles of {tissue} are annotated with other classes")
    about = {
        "data": dataset,
        "tiles": [name for name, _, _ in chosen],
        "licence": licence,
        "notes": "Fitted to annotated tiles; the licence of their data applies." if licence else "",
    }
    model = fit_layout_model(
        [(tissue, layout) for _, tissue, layout in chosen], classes, about, rounds, print
    )
    save_layout_model(model, out)
    tissues = ", ".join(tissue.name or "unnamed" for tissue in model.tissues)
    print(f"{out}: tissues {tissues}; draw from it with: cosynth layout sample {out} ...")


def _one_annotation(tiles: Tiles) -> tuple[Tiles, list[tuple[str, str]]]:
    """The tiles to fit to, and the name and tissue of those left out.

    Tiles of a tissue that share no class with most of its nuclei are left out: a tissue that is annotated
    by class in one data set and without classes in another cannot be one model.
    """
    groups: dict[str, list[tuple[set[int], Tiles]]] = {}
    for tile in tiles:
        present = set(tile[2].class_ids.tolist())
        own = groups.setdefault(tile[1], [])
        for classes, members in own:
            if classes & present or not present:
                classes |= present
                members.append(tile)
                break
        else:
            own.append((present, [tile]))
    chosen: Tiles = []
    left: list[tuple[str, str]] = []
    for tissue, own in groups.items():
        merged: list[tuple[set[int], Tiles]] = []
        for classes, members in own:  # a later tile may have connected two groups
            for known, others in merged:
                if known & classes:
                    known |= classes
                    others += members
                    break
            else:
                merged.append((classes, members))
        merged.sort(key=lambda group: -sum(len(layout) for _, _, layout in group[1]))
        chosen += merged[0][1]
        left += [(name, tissue) for _, members in merged[1:] for name, _, _ in members]
    return chosen, left


def sample(
    model_name: str,
    shape: tuple[int, int],
    out: Path,
    seed: int,
    count: int,
    mpp: float,
    tissue: str,
    counts: dict[str, int],
    overwrite: bool,
) -> None:
    """Draws layouts from a model: one to a CSV file, several to ``SEED.csv`` in a folder."""
    if count < 1:
        raise ValueError(f"--count: expected at least 1, got {count}")
    model = load_layout_model(model_name)

    def drawn() -> Iterator[tuple[int, Layout]]:
        for number in range(seed, seed + count):
            yield number, model.sample(shape, number, mpp, tissue, counts)

    if count == 1:
        for _, layout in drawn():
            write_layout(layout, out)
            print(f"{out}: {len(layout)} nuclei")
        return
    with replaced_folder(out, overwrite) as folder:
        for number, layout in drawn():
            write_layout(layout, folder / f"{number}.csv")
    print(f"{out}: {count} layouts")
