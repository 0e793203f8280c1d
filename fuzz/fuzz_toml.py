"""Recipes of trainings and plans of data sets, TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import napari_cosynth
from harness import TEXTS, Reader, damaged, json_text, main
from napari_cosynth.generate.plan import load_plan
from napari_cosynth.training.config import load_recipe

RECIPES = sorted((Path(napari_cosynth.__file__).parent / "recipes").glob("*.toml"))
PLAN = """
name = "colon"
samples = 20
shape = [64, 64]
per_layout = 2
seed = 0
shard_size = 10
look = "seed"
[[layouts]]
source = "dataset"
kind = "consep"
root = "consep/train"
weight = 3
[layouts.classes]
other = "miscellaneous"
[organs]
colon = 1
[balance]
method = "relabel"
target = { miscellaneous = 0.05 }
[quality]
missed = 0.02
attempts = 3
"""


def text(data: st.DataObject, content: str) -> bytes:
    kind = data.draw(st.sampled_from(["bytes", "bytes", "json", "json", "line", "deep"]))
    if kind == "bytes":
        return damaged(data, content.encode())
    if kind == "json":
        return json_text(data, tomllib.loads(content))
    if kind == "deep":
        depth = data.draw(st.sampled_from([30, 900, 5000, 100_000]))
        return f"x = {'[' * depth}".encode()
    lines = content.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    word = data.draw(st.sampled_from(TEXTS[:-5]))
    value = data.draw(
        st.sampled_from(["1", "-1", "1e400", "nan", "[]", "{}", '"x"', "true", "2020-01-01"])
    )
    lines[at] = data.draw(
        st.sampled_from([f"{lines[at].split('=')[0]} = {value}", json.dumps(word), ""])
    )
    return "\n".join(lines).encode()


def write_recipe(folder: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(RECIPES)).read_text("utf-8")
    made = text(data, content)
    (folder / ("r.json" if made[:1] in (b"{", b"[") else "r.toml")).write_bytes(made)


def read_recipe_of(folder: Path) -> Any:
    (path,) = folder.iterdir()
    return load_recipe(path)


def write_plan(folder: Path, data: st.DataObject) -> None:
    made = text(data, PLAN)
    (folder / ("p.json" if made[:1] in (b"{", b"[") else "p.toml")).write_bytes(made)


def read_plan_of(folder: Path) -> Any:
    (path,) = folder.iterdir()
    return load_plan(path)


READERS = (
    Reader("recipes, TOML and JSON", write_recipe, read_recipe_of),
    Reader("plans, TOML and JSON", write_plan, read_plan_of),
)

if __name__ == "__main__":
    main(*READERS)
