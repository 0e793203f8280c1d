"""What the package is built from and installed with: the lock, licences, the wheel."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_cosynth"
LOCKS = sorted((ROOT / "tools" / "locks").glob("*.txt"))
LICENCES = runpy.run_path(str(ROOT / "tools" / "licences.py"))


def locked(path: Path) -> dict[str, str]:
    """Package -> version; every line names a file's SHA-256."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(("#", "--only-binary")):
            match = re.fullmatch(r"([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
            assert match, line
            found[str(canonicalize_name(match[1]))] = match[2]
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda p: p.stem)
def test_a_lock_is_of_the_versions_that_are_asked_for(path):
    versions = locked(path)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert versions[canonicalize_name(name)].split("+")[0] == version, "tools/lock.py"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["test"], *extras["gui"], *extras["train"]]:
        wanted = Requirement(line)
        if wanted.name != project["name"]:
            version = versions.get(canonicalize_name(wanted.name))
            assert version and wanted.specifier.contains(version), f"{line}: run tools/lock.py"


def test_every_installed_package_is_listed_with_a_licence_that_goes_with_ours():
    needed = LICENCES["needed"]()
    assert {"numpy", "torch", "napari", "distributed", "openslide-python"} <= needed.keys()
    page = LICENCES["PAGE"].read_text(encoding="utf-8")
    for name in needed:
        licence = LICENCES["licence_of"](distribution(name))
        assert name in LICENCES["APART"] or LICENCES["agrees"](licence), f"{name}: {licence}"
        assert f"\n| {name} | " in page, f"{name}: run python tools/licences.py"
    assert "| NO |" not in page


@pytest.mark.parametrize(
    "expression,goes",
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-2.0-only OR GPL-3.0-only", False),
        ("(BSD-3-Clause OR GPL-2.0-only) AND Zlib", True),
        ("Zlib AND (AGPL-3.0-only OR GPL-2.0-only)", False),
        ("GPL-3.0-only OR MIT AND Apache-2.0 WITH LLVM-exception", True),
        ("CC-BY-NC-4.0", False),
    ],
)
def test_licences_joined_by_and_and_or(expression, goes):
    assert LICENCES["agrees"](expression) is goes


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    """Built as pip builds it; the weights' bytes take no part, so they are not packed here."""
    tree = tmp_path / "tree"
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = tree / "src" / "napari_cosynth" / path.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.stat().st_size > 2**20:
                copy.write_bytes(b"")
            else:
                shutil.copy(path, copy)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, tree / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        capture_output=True, text=True, cwd=tree, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("napari_cosynth/")}
    wanted = {
        str(path.relative_to(tree / "src")) for path in tree.joinpath("src").rglob("*")
        if path.is_file() and ".egg-info" not in str(path)
    }  # fmt: skip
    assert held == wanted
    recipes = {Path(name).stem for name in held if name.endswith(".toml")}
    assert {"default", "few", "paper-pannuke"} <= recipes
