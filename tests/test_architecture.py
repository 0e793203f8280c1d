"""ARCHITECTURE.md shows the folders as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "architecture.py"))


def test_the_tree_is_that_of_the_folders() -> None:
    page = TOOL["PAGE"].read_text(encoding="utf-8")
    assert TOOL["page_with"](TOOL["tree"](), page) == page, "run: python tools/architecture.py"


def test_the_picture_is_that_of_the_import_contract() -> None:
    rows = TOOL["layers"]()
    assert rows[0] == ["widget", "cli"] and rows[-1] == ["io"]
    drawn = TOOL["picture"](rows)
    assert all(f">{name}</text>" in drawn for row in rows for name in row)
    written = TOOL["PICTURE"].read_text(encoding="utf-8")
    assert written == drawn, "run: python tools/architecture.py"


def test_a_folder_is_known_by_its_first_line(tmp_path: Path) -> None:
    package = tmp_path / "house"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room" / "__init__.py").write_text('"""What is slept in.\n\nMore."""\n')
    (package / "room" / "bed.py").write_text("")
    shown = TOOL["tree"](package).split("\n")
    assert shown[0] == "house/"
    assert shown[1].split() == ["room/", "What", "is", "slept", "in."]
    assert shown[2].split() == ["bed"]
    with pytest.raises(ValueError):
        TOOL["page_with"]("", "a page without a place for it")


@pytest.mark.parametrize("folder", sorted({p.parent for p in TOOL["PACKAGE"].rglob("*.py")}))
def test_no_folder_is_crowded(folder: Path) -> None:
    modules = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
    assert len(modules) <= 16, sorted(p.name for p in modules)
