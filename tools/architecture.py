"""Writes the tree of ARCHITECTURE.md from the folders themselves: python tools/architecture.py

A folder's line is the first one of its docstring; below it are its modules. A test compares the two.
"""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_cosynth"
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- tree: tools/architecture.py -->\n```\n", "```\n<!-- end of tree -->\n"
WIDTH = 100


def tree(package: Path = PACKAGE) -> str:
    """Every folder of modules, depth first, with its docstring's first line and its modules."""
    lines = [f"{package.name}/"]
    for init in [package / "__init__.py", *sorted(package.rglob("*/__init__.py"))]:
        folder = init.parent
        depth = len(folder.relative_to(package).parts)
        if depth:
            doc = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            lines.append(f"{'  ' * depth}{folder.name}/".ljust(18) + doc.split("\n")[0])
        modules = sorted(p.stem for p in folder.glob("*.py") if p.name != "__init__.py")
        indent = " " * (18 + 2 * bool(depth))
        lines += textwrap.wrap(
            " ".join(modules), WIDTH, initial_indent=indent, subsequent_indent=indent
        )
    return "\n".join(lines) + "\n"


def page_with(tree: str, page: str) -> str:
    """The page with this tree. Raises ValueError where it has no place for one."""
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return page[:begin] + tree + page[end:]


if __name__ == "__main__":
    PAGE.write_text(page_with(tree(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
