"""Tables written as TOML are read as what they were."""

from __future__ import annotations

import tomllib

import pytest

from napari_cosynth.io.settings import parse, read_table, toml_text
from napari_cosynth.training.config import Recipe

AWKWARD = 'tile "a"\\b\n\t\x7f\x01 µm – 木'


@pytest.mark.parametrize(
    "table",
    [
        {"a": 1, "b": -0.5, "c": 1e-07, "d": True, "e": "x", "f": [1, [2.5, "y"]], "g": []},
        {"text": AWKWARD, AWKWARD: {"in": AWKWARD}, "": 0},
        {"rows": [{"x": 1, "deep": {"y": 2}}, {"x": 3}], "after": {"z": {"w": [{"v": 1}]}}},
        {"mixed": [1, {"a": 2, "b c": [3]}], "empty": {}, "last": 5},
    ],
)
def test_a_table_is_read_as_it_was_written(table: dict) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_what_is_none_is_left_out(tmp_path) -> None:
    assert tomllib.loads(toml_text({"a": None, "b": {"c": None, "d": 1}})) == {"b": {"d": 1}}
    file = tmp_path / "r.toml"
    file.write_text(toml_text({"name": "x", "mpp": None}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"r\.toml: mpp: "):
        parse(Recipe, read_table(file), str(file))
