"""Which states of a run are shown, on a clock that the test moves."""

from __future__ import annotations

from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.types import NO_PREVIEWS, Previews


def test_a_state_is_shown_by_its_step_or_after_so_many_seconds() -> None:
    now = 0.0
    previews = PreviewClock(Previews(every=4, after=3.0), 10, lambda: now)
    assert [step for step in range(1, 11) if previews.wanted(step)] == [4, 8, 10]
    assert not previews.wanted(4, 0.5)
    now = 2.9
    assert not previews.wanted(1, 0.5)
    now = 3.0
    assert previews.wanted(1, 0.5)
    assert not previews.wanted(1, 0.6)  # the last one is fresh again
    now = 5.9
    assert previews.wanted(4)  # by its step, and the clock begins anew
    now = 8.8
    assert not previews.wanted(5)
    now = 8.9
    assert previews.wanted(5)


def test_the_first_picture_comes_sooner_than_the_next_ones() -> None:
    now = 0.0
    previews = PreviewClock(Previews(after=3.0), 4, lambda: now)
    shown = []
    for tenths in range(1, 80):
        now = tenths / 10
        if previews.wanted(0, 0.5):
            shown.append(now)
    assert shown == [1.0, 4.0, 7.0]


def test_nothing_is_shown_where_nothing_is_asked_for() -> None:
    now = 0.0
    silent = PreviewClock(NO_PREVIEWS, 3, lambda: now)
    now = 1e6
    assert not any(silent.wanted(step) for step in (1, 2, 3))
    assert PreviewClock(Previews(after=5.0), 3, lambda: now).wanted(1) is False
