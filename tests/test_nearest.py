"""What is said of an unknown name."""

from __future__ import annotations

import pytest

from napari_cosynth.nearest import nearest, one_of


@pytest.mark.parametrize(
    "name, hint",
    [
        ("colom", " (did you mean 'colon'?)"),
        ("Colon", " (did you mean 'colon'?)"),
        ("h&e", " (did you mean 'H&E'?)"),
        ("skin", ""),
        ("", ""),
    ],
)
def test_a_slip_is_told_from_another_word(name: str, hint: str) -> None:
    assert nearest(name, ["colon", "breast", "H&E"]) == hint


def test_the_line_names_what_is_known() -> None:
    assert one_of("fasst", ("fast", "flow")) == (
        "expected one of fast, flow, got 'fasst' (did you mean 'fast'?)"
    )
    assert one_of("x", ()) == "expected one of none, got 'x'"
