"""Writes the tree and the picture of ARCHITECTURE.md: python tools/architecture.py

The tree is that of the folders: a folder's line is the first one of its docstring, below it are its
modules. The picture is that of the import contract "Layers": who may import whom. A test compares both
with what is written.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_cosynth"
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- tree: tools/architecture.py -->\n```\n", "```\n<!-- end of tree -->\n"
WIDTH = 100
PICTURE = ROOT / "docs" / "images" / "layers.svg"
BOX, ROW, GAP, PICTURE_WIDTH = 30, 46, 10, 760
"""Pixels of the picture: a box's height, a layer's, between boxes, and across."""


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


def layers() -> list[list[str]]:
    """The folders and modules of each layer of the contract, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (whole,) = (c for c in contracts if c["name"] == "Layers")
    return [
        [name.strip().rpartition(".")[2] for name in layer.split("|")] for layer in whole["layers"]
    ]


def picture(rows: list[list[str]]) -> str:
    """An SVG of the layers; one may import those below it, never those beside or above."""
    height = ROW * len(rows) + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PICTURE_WIDTH} {height}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle">',
        "<title>Each layer imports only layers below it</title>",
        f'<rect width="{PICTURE_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for row, names in enumerate(rows):
        top = GAP + row * ROW
        width = (PICTURE_WIDTH - GAP) / len(names) - GAP
        for column, name in enumerate(names):
            left = GAP + column * (width + GAP)
            lines += [
                f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX}" rx="4" '
                'fill="#f3e3ee" stroke="#7a3b69"/>',
                f'<text x="{left + width / 2:.0f}" y="{top + 20}" fill="#3b1730">{name}</text>',
            ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(layers()), encoding="utf-8")
    PAGE.write_text(page_with(tree(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
