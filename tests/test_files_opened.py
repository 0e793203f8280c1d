"""docs/reference/files.md names every module that opens files, and tests that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_cosynth"
PAGE = ROOT / "docs" / "reference" / "files.md"

METHODS = {"read_text", "read_bytes", "dcmread", "from_pretrained", "fromfile", "memmap"}
METHODS |= {"open_array", "safe_open", "load_file", "loadmat", "whosmat", "imread", "OpenSlide"}
METHODS |= {"TiffFile", "ZipFile"}
"""Calls that read a file whatever they are called on."""
OF_MODULES = {("np", "load"), ("torch", "load"), ("ElementTree", "parse"), ("zarr", "open")}


def opens(call: ast.Call) -> bool:
    """Whether a call may open an existing file for reading."""
    function, owner = call.func, ""
    if isinstance(function, ast.Attribute):
        name = function.attr
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
    elif isinstance(function, ast.Name):
        name = function.id
    else:
        return False
    if name in METHODS or (owner, name) in OF_MODULES:
        written = [a.value for a in call.args if isinstance(a, ast.Constant)]
        # An archive being written, or bytes that were read before.
        return "w" not in written and not any(k.arg == "extension" for k in call.keywords)
    if name == "open" and owner not in ("os", "zarr", "webbrowser"):
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
        modes = [a.value for a in given if isinstance(a, ast.Constant)]
        return not any(re.match(r"[wax]", str(mode)) for mode in modes)
    return False


def opening(package: Path) -> Iterator[str]:
    """Modules, dotted below the package, with such a call."""
    for path in sorted(package.rglob("*.py")):
        calls = (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call))
        if any(map(opens, calls)):
            yield ".".join(path.relative_to(package).with_suffix("").parts)


EXEMPT = {
    "io.atomic": "opens folders and what it has just written, to bring them to the disk",
    "widget.qt.thumbnails": "a buffer in memory",
    "widget.training.dock": "a run's folder, by training.run_folder",
}


def test_every_module_that_opens_files_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    named = {m for row in rows for m in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)*)`", row[2])}
    found = set(opening(PACKAGE)) - EXEMPT.keys()
    assert found - named == set(), "modules that open files, of which the page says nothing"
    assert named - found == set(), "modules on the page that open no file"


def test_what_feeds_them_exists() -> None:
    named = set(re.findall(r"`((?:fuzz|tests)/[\w/]+\.py)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_search_sees_each_way_to_open_a_file() -> None:
    seen = """
np.load(path) ; torch.load(path) ; path.open() ; path.open("rb") ; open(path, "r+") ; path.read_text()
zipfile.ZipFile(path) ; Image.open(path) ; safe_open(path, framework="pt") ; zarr.open(path, mode="r")
"""
    unseen = """
path.open("w") ; path.open(mode="ab") ; os.open(path, 0) ; zipfile.ZipFile(path, "w") ; json.load(f)
"""
    for source, wanted in ((seen, True), (unseen, False)):
        for part in re.split(r";|\n", source.strip()):
            call = ast.parse(part.strip(), mode="eval").body
            assert isinstance(call, ast.Call)
            assert opens(call) is wanted, part
