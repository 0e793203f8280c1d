"""Names -> implementations, as ``"module:attribute"``: adding one is a file and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

ENTRIES: dict[str, dict[str, str]] = {
    "dataset": {
        "consep": "napari_cosynth.data.consep:ConsepDataset",
        "endonuke": "napari_cosynth.data.endonuke:EndoNukeDataset",
        "folder": "napari_cosynth.data.folder:FolderDataset",
        "lizard": "napari_cosynth.data.lizard:LizardDataset",
        "packed": "napari_cosynth.data.packed:PackedDataset",
        "pannuke": "napari_cosynth.data.pannuke:PanNukeDataset",
        "shards": "napari_cosynth.data.shards:ShardsDataset",
        "stack": "napari_cosynth.data.stack:StackDataset",
    },
    "exporter": {
        "stack": "napari_cosynth.export.stack:write_stack",
    },
    "normaliser": {
        "macenko": "napari_cosynth.data.normalise:Macenko",
        "reinhard": "napari_cosynth.data.normalise:Reinhard",
        "vahadane": "napari_cosynth.data.normalise:Vahadane",
    },
    "sampler": {
        "ancestral": "napari_cosynth.diffusion.sampler:AncestralSampler",
        "fast": "napari_cosynth.diffusion.sampler:FastSampler",
        "flow": "napari_cosynth.diffusion.sampler:FlowSampler",
    },
    "text-encoder": {
        "clip": "napari_cosynth.model.clip_text:ClipTextEncoder",
        "compact": "napari_cosynth.model.text:CompactTextEncoder",
    },
}


def names(kind: str) -> tuple[str, ...]:
    """The registered names of a kind, sorted."""
    return tuple(sorted(ENTRIES[kind]))


def resolve(kind: str, name: str) -> Any:
    """Imports and returns the implementation. Raises ValueError that lists the known names."""
    try:
        target = ENTRIES[kind][name]
    except KeyError:
        raise ValueError(
            f"{kind}: expected one of {', '.join(names(kind))}, got {name!r}"
        ) from None
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
