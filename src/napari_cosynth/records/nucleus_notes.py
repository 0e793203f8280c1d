"""Notes on nuclei that a data set changes as it reads: those without a class, those in several parts."""

from __future__ import annotations

from functools import cached_property

from napari_cosynth.types import ClassTable

PARTED = "nuclei in several parts that do not touch: each part is a nucleus of its own"
UNCLASSIFIED = "nuclei without a class"
DROP = "drop"


class NucleusNotes:
    """A data set's choice for nuclei without a class, and counts of the nuclei it changed."""

    classes: ClassTable
    unclassified: int | None = None
    """What to do with nuclei without a class: None refuses them, 0 drops them, else it is their class."""

    @cached_property
    def noted(self) -> dict[str, dict[str, int]]:
        """Changes to nuclei, as description -> record -> number of nuclei."""
        return {}

    @property
    def notes(self) -> list[str]:
        """The changes of :attr:`noted`, one line each."""
        return [
            f"{sum(counts.values()):,} {what} (in {len(counts):,} records, first {next(iter(counts))})"
            for what, counts in self.noted.items()
        ]

    def note(self, name: str, what: str, count: int) -> None:
        """Notes a change to ``count`` nuclei of a record; reading the record again adds nothing."""
        if count:
            self.noted.setdefault(what, {})[name] = count

    def classify_rest(self, wanted: str) -> None:
        """Gives nuclei without a class the class ``wanted``, which may be new; ``drop`` drops them."""
        if wanted == DROP:
            self.unclassified = 0
            return
        if wanted not in self.classes.names:
            self.classes = ClassTable.of(*self.classes.names[1:], wanted)
        self.unclassified = self.classes.index(wanted)
