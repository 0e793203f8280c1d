"""The exporter protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from napari_cosynth.types import Record, Synthesis


class Exporter(Protocol):
    """(records, path) -> path, written whole or not at all."""

    def __call__(
        self, items: Sequence[Record | Synthesis], path: Path, overwrite: bool = False
    ) -> Path: ...
