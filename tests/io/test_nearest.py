"""What is said of an unknown name."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from napari_cosynth.io.errors import nearest, one_of
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse


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


@dataclass(frozen=True)
class Stage:
    __pydantic_config__ = FORBID_UNKNOWN
    steps: int = 1


@dataclass(frozen=True)
class Recipe:
    __pydantic_config__ = FORBID_UNKNOWN
    name: str = ""
    stages: tuple[Stage, ...] = ()
    named: dict[str, Stage] = field(default_factory=dict)


@pytest.mark.parametrize(
    "table, line",
    [
        ({"nmae": "x"}, "x.toml: nmae: unknown key (did you mean 'name'?)"),
        ({"stages": [{"stpes": 2}]}, "x.toml: stages.0.stpes: unknown key (did you mean 'steps'?)"),
        (
            {"named": {"a": {"stepz": 2}}},
            "x.toml: named.a.stepz: unknown key (did you mean 'steps'?)",
        ),
        ({"surprise": 1}, "x.toml: surprise: unknown key"),
    ],
)
def test_an_unknown_key_of_a_file_too(table: dict[str, object], line: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(Recipe, table, "x.toml")
    assert str(error.value) == line
