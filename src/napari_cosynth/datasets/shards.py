"""Generated data sets: their shards, read as one data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.io.stack_format import DESCRIPTION, read_description
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import Sidecar
from napari_cosynth.slides.files import select
from napari_cosynth.types import Record

PATTERN = "shard-*"


class ShardsDataset(NamedRecords):
    """``shard-00000/`` and so on, as ``cosynth generate`` writes them; one shard is open at a time.

    A record's name is the shard's name and the number in the shard: ``shard-00002-17``. Raises ValueError
    naming the folder if there is no shard, or one differs from the first in classes or µm/px.
    """

    def __init__(
        self, root: str | Path, only: Sequence[str] = (), without: Sequence[str] = ()
    ) -> None:
        self.root = Path(root)
        shards = sorted(p for p in self.root.glob(PATTERN) if (p / DESCRIPTION).is_file())
        if not shards:
            raise ValueError(f"{self.root}: no {PATTERN} folders of a generated data set")
        self._tissues: dict[str, str] = {}
        first = None
        for shard in shards:
            description = read_description(shard / DESCRIPTION)
            kind = description["classes"], description["mpp"]
            first = first or kind
            if kind != first:
                raise ValueError(f"{shard}: its classes or µm/px are not those of {shards[0].name}")
            for number, sample in enumerate(description["samples"]):
                self._tissues[f"{shard.name}-{number}"] = str(sample.get("tissue", ""))
        self._open = StackDataset(shards[0])
        self.classes, self.mpp = self._open.classes, self._open.mpp
        self.names = tuple(select(self._tissues, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any((p / DESCRIPTION).is_file() for p in root.glob(PATTERN))

    def tissue_of(self, name: str) -> str:
        return self._tissues[name]

    def own_of(self, name: str) -> tuple[Sidecar, int]:
        """The sidecar of the record's shard, and the record's number in it."""
        stack, number = self._stack(name)
        return stack.own, int(number)

    def parts(self, name: str) -> Parts:
        stack, number = self._stack(name)
        return stack.parts(number)

    def made(self, name: str, parts: Parts) -> Record:
        stack, number = self._stack(name)
        return stack.made(number, parts)

    def _stack(self, name: str) -> tuple[StackDataset, str]:
        shard, _, number = name.rpartition("-")
        if self._open.root.name != shard:
            self._open = StackDataset(self.root / shard)
        return self._open, number
