"""The sessions that a killed program left: found, and then recovered into the gallery or deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_cosynth.widget.gallery.item import Item
from napari_cosynth.widget.gallery.session import Orphan, Session, orphans
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.run.background import Background


class UnfinishedSessions:
    """Sessions whose program is gone. They are read, moved and deleted off the GUI thread."""

    found = Signal(int, int)
    """Numbers of results and of waiting runs that can be recovered."""
    runs_found = Signal(object)
    """Runs that were recovered, in their order."""

    def __init__(
        self,
        session: Session,
        work: Background,
        names_taken: Callable[[], Collection[str]],
        append: Callable[[Sequence[Item]], None],
    ) -> None:
        """``session`` takes the samples over, and ``append`` their rows.

        ``names_taken`` returns the names of groups that a recovered sample must not get.
        """
        self._session, self._work = session, work
        self._names_taken, self._append = names_taken, append
        self._orphans: list[Orphan] = []

    def look(self) -> None:
        """Looks for unfinished sessions; emits ``found`` if there are some."""

        def tell(sessions: list[Orphan]) -> None:
            self._orphans = sessions
            if sessions:
                samples = sum(len(orphan.samples) for orphan in sessions)
                self.found.emit(samples, sum(len(orphan.runs) for orphan in sessions))

        self._work.do(lambda: orphans(self._session.root), tell)

    def recover(self) -> None:
        """Takes over the sessions that were found; one warning counts the damaged samples."""
        sessions, self._orphans = self._orphans, []
        names = self._names_taken()

        def work() -> tuple[list[Item], list[str]]:
            items: list[Item] = []
            damaged: list[str] = []
            for orphan in sessions:
                taken, broken = self._session.take_over(orphan)
                damaged += broken
                for number in taken:
                    entry = self._session.entries[number]
                    group = results.group_name(entry.layout, entry.seed)
                    taken_names = [*names, *(item.group for item in items)]
                    while group in taken_names:
                        group += "′"
                    image = self._session.read(number).record.image
                    items.append(Item.of(number, entry, image, group))
            return items, damaged

        def show(found: tuple[list[Item], list[str]]) -> None:
            items, damaged = found
            if items:
                self._append(items)
            if runs := [run for orphan in sessions for run in orphan.runs]:
                self.runs_found.emit(runs)
            if damaged:
                show_warning(f"{len(damaged)} could not be recovered; the first: {damaged[0]}")

        self._work.do(work, show)

    def forget(self) -> None:
        """Deletes the sessions that were found."""
        sessions, self._orphans = self._orphans, []

        def work() -> None:
            for orphan in sessions:
                orphan.remove()

        self._work.do(work)
