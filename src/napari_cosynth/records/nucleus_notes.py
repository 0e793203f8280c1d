"""What becomes of nuclei without a class and of nuclei in parts as records are read: counted and said."""

from __future__ import annotations

from functools import cached_property

from napari_cosynth.types import ClassTable

PARTED = "nuclei in several parts that do not touch: each part is a nucleus of its own"
UNCLASSIFIED = "nuclei without a class"
DROP = "drop"


class NucleusNotes:
    """Of a data set: what to do with nuclei without a class, and what was done."""

    classes: ClassTable
    unclassified: int | None = None
    """What becomes of nuclei without a class: None refuses them, 0 drops them, else their class."""

    @cached_property
    def noted(self) -> dict[str, dict[str, int]]:
        """What was done to nuclei as their records were read: in words -> record -> how many."""
        return {}

    @property
    def notes(self) -> list[str]:
        """The same, a line each."""
        return [
            f"{sum(counts.values()):,} {what} (in {len(counts):,} records, first {next(iter(counts))})"
            for what, counts in self.noted.items()
        ]

    def note(self, name: str, what: str, count: int) -> None:
        """Counts what was done to nuclei of a record, once however often it is read."""
        if count:
            self.noted.setdefault(what, {})[name] = count

    def classify_rest(self, wanted: str) -> None:
        """Gives nuclei without a class that class, one of the table's or a new one, or drops them."""
        if wanted == DROP:
            self.unclassified = 0
            return
        if wanted not in self.classes.names:
            self.classes = ClassTable.of(*self.classes.names[1:], wanted)
        self.unclassified = self.classes.index(wanted)
