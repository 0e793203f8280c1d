"""File > Save: the layers of results -> a training stack, or another format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from napari_cosynth import registry
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.result.saving import described_samples, save_layers

Writer: TypeAlias = Callable[[str, Sequence[LayerTuple]], list[str]]
"""A writer as npe2 expects it: path and layers -> the paths that were written."""


def write_training_stack(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """npe2's writer around :func:`save_layers`; returns the folder's path.

    Raises OSError with the reason in one line: napari swallows a writer's ValueError and reports
    only that nothing was saved.
    """
    try:
        return [str(save_layers(Path(path), layers))]
    except ValueError as error:
        raise OSError(str(error)) from None


def _writer(kind: str) -> Writer:
    """npe2's writer around an exporter, which makes a new folder; raises OSError as above."""

    def write(path: str, layers: Sequence[LayerTuple]) -> list[str]:
        try:
            exporter = registry.resolve("exporter", kind)
            return [str(exporter(described_samples(layers), Path(path)))]
        except ValueError as error:
            raise OSError(str(error)) from None

    return write


write_coco = _writer("coco")
write_conic = _writer("conic")
write_consep = _writer("consep")
write_folder = _writer("folder")
write_geojson = _writer("geojson")
write_hovernet = _writer("hovernet")
write_omezarr = _writer("omezarr")
write_pannuke = _writer("pannuke")
