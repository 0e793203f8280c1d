"""Names -> implementations, as ``"module:attribute"``: a new one takes a file and a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from napari_cosynth.io.errors import one_line, one_of

ENTRIES: dict[str, dict[str, str]] = {
    "dataset": {
        "coco": "napari_cosynth.datasets.coco:CocoDataset",
        "conic": "napari_cosynth.datasets.published.conic:ConicDataset",
        "consep": "napari_cosynth.datasets.published.consep:ConsepDataset",
        "endonuke": "napari_cosynth.datasets.published.endonuke:EndoNukeDataset",
        "folder": "napari_cosynth.datasets.folder:FolderDataset",
        "geojson": "napari_cosynth.datasets.geojson:GeoJsonDataset",
        "hovernet": "napari_cosynth.datasets.published.hovernet:HoverNetDataset",
        "lizard": "napari_cosynth.datasets.published.lizard:LizardDataset",
        "monuseg": "napari_cosynth.datasets.published.monuseg:MonusegDataset",
        "nuinsseg": "napari_cosynth.datasets.published.nuinsseg:NuInsSegDataset",
        "omezarr": "napari_cosynth.datasets.omezarr:OmeZarrDataset",
        "packed": "napari_cosynth.datasets.packed:PackedDataset",
        "pannuke": "napari_cosynth.datasets.published.pannuke:PanNukeDataset",
        "shards": "napari_cosynth.datasets.shards:ShardsDataset",
        "stack": "napari_cosynth.datasets.stack:StackDataset",
    },
    "exporter": {
        "coco": "napari_cosynth.export.coco:write_coco",
        "conic": "napari_cosynth.export.conic:write_conic",
        "consep": "napari_cosynth.export.hovernet:write_tiles",
        "folder": "napari_cosynth.export.folder:write_folder",
        "geojson": "napari_cosynth.export.geojson:write_geojson",
        "hovernet": "napari_cosynth.export.hovernet:write_patches",
        "omezarr": "napari_cosynth.export.omezarr:write_omezarr",
        "pannuke": "napari_cosynth.export.pannuke:write_pannuke",
        "stack": "napari_cosynth.export.stack:write_stack",
    },
    "layout": {
        "csv": "napari_cosynth.layouts.sources.points_csv:read_points",
        "geojson": "napari_cosynth.layouts.sources.geojson:read_geojson",
        "hovernet-json": "napari_cosynth.layouts.sources.hovernet:read_hovernet_json",
        "hovernet-mat": "napari_cosynth.layouts.sources.hovernet:read_hovernet_mat",
        "labels": "napari_cosynth.layouts.sources.labels:read_labels",
    },
    "normaliser": {
        "macenko": "napari_cosynth.stain.normalise:Macenko",
        "reinhard": "napari_cosynth.stain.normalise:Reinhard",
        "vahadane": "napari_cosynth.stain.normalise:Vahadane",
    },
    "sampler": {
        "ancestral": "napari_cosynth.diffusion.sampler:AncestralSampler",
        "few": "napari_cosynth.diffusion.sampler:FewSampler",
        "fast": "napari_cosynth.diffusion.sampler:SdeDpmSolver",
        "flow": "napari_cosynth.diffusion.sampler:DpmSolver",
    },
    "text-encoder": {
        "clip": "napari_cosynth.model.clip_text:ClipTextEncoder",
        "compact": "napari_cosynth.model.text:CompactTextEncoder",
    },
}


ALIASES: dict[str, dict[str, str]] = {
    "sampler": {"sde-dpm-solver++": "fast", "dpm-solver++": "flow"},
}
"""Names used in the field -> the names that recipes store."""
GROUP = "napari_cosynth"
"""Prefix of the entry-point groups in which other installed packages register implementations.

The group is ``napari_cosynth.KIND``, such as ``napari_cosynth.exporter``; an entry is
``name = "module:attribute"`` (docs/extending.md).
"""


@cache
def _others(kind: str) -> dict[str, EntryPoint]:
    """Entry points of other packages for a kind, by name. Our own names win."""
    group = f"{GROUP}.{kind.replace('-', '_')}"
    return {p.name: p for p in entry_points(group=group) if p.name not in ENTRIES[kind]}


def names(kind: str) -> tuple[str, ...]:
    """The registered names of a kind, sorted: ours and those of other packages."""
    return tuple(sorted([*ENTRIES[kind], *_others(kind)]))


def canonical(kind: str, name: str) -> str:
    """The registered name: an alias is replaced by what it stands for, other names stay."""
    return ALIASES.get(kind, {}).get(name, name)


def check(kind: str, name: str) -> None:
    """Raises ValueError, listing the known names, if ``name`` is unknown. Imports nothing."""
    if canonical(kind, name) not in names(kind):
        raise ValueError(f"{kind}: {one_of(name, names(kind))}")


def resolve(kind: str, name: str) -> Any:
    """Imports and returns the implementation.

    Raises ValueError for an unknown name, listing the known ones. Raises ValueError, naming the
    package, if another package's implementation cannot be imported.
    """
    check(kind, name)
    name = canonical(kind, name)
    if (other := _others(kind).get(name)) is not None:
        try:
            return other.load()
        except Exception as error:  # code of another package may raise anything
            package = other.dist.name if other.dist else other.module
            raise ValueError(
                f"{kind} {name}: {other.value} of the package {package} cannot be imported "
                f"({one_line(error)})"
            ) from error
    module, attribute = ENTRIES[kind][name].split(":")
    return getattr(import_module(module), attribute)
