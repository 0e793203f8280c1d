"""Which versions the package works with: its tests against the oldest and the newest of what it needs.

    pip install nox uv
    nox -l                                       # the sessions
    nox -s "versions(3.11, oldest, PyQt6)"       # one of them
    nox -s "versions(3.11, oldest, PyQt6)" -- tests/export

``oldest`` are the lower bounds of pyproject.toml, ``known`` the versions of constraints.txt, ``newest``
what the package index has. Each runs the tests below, core and window, and says with what. What was
really run: docs/reference/versions.md.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["versions"]

EXTRAS = ("gui", "train", "wsi", "cluster")
QT = {"PyQt6": "6.5.1", "PySide6": "6.7.1"}
"""The oldest of each, as napari has them."""
TOOLS = ("hypothesis", "psutil", "pytest", "pytest-qt", "pytest-xdist", "pytest-xvfb")
SHOWN = ("numpy", "torch", "napari", "scipy", "scikit-image", "dask", "lightning", "transformers")
TESTS = (
    "tests/test_types.py",
    "tests/datasets/test_readers.py",
    "tests/diffusion/test_joint.py",
    "tests/export/test_stack.py",
    "tests/generate/test_cluster.py",
    "tests/geometry/test_instances.py",
    "tests/io/test_atomic.py",
    "tests/model/test_checkpoint.py",
    "tests/model/test_torch_files.py",
    "tests/slides/test_known_values_slides.py",
    "tests/slides/test_ome_zarr_metadata.py",
    "tests/slides/test_slide.py",
    "tests/synthesis/test_synthesize.py",
    "tests/training/test_run.py",
    "tests/widget/test_menu_to_stack.py",
    "tests/widget/test_quality.py",
    "tests/widget/test_live.py",
)
RUNS = (
    ("3.11", "oldest", "PyQt6"),
    ("3.11", "oldest", "PySide6"),
    ("3.12", "known", "PyQt6"),
    ("3.13", "newest", "PyQt6"),
    ("3.13", "newest", "PySide6"),
)


@nox.session
@nox.parametrize("python,versions,qt", RUNS, ids=[", ".join(run) for run in RUNS])
def versions(session: nox.Session, versions: str, qt: str) -> None:
    """Installs the package with such versions and runs the tests."""
    wanted = {"oldest": oldest(qt), "known": ["-c", "constraints.txt"], "newest": ["--upgrade"]}
    session.install("-e", f".[{','.join(EXTRAS)}]", *TOOLS, qt, *wanted[versions])
    show = (
        f"from importlib.metadata import version as v; print(*[(n, v(n)) for n in {[*SHOWN, qt]}])"
    )
    session.run("python", "-c", show)
    tests = session.posargs or TESTS
    session.run(
        "pytest", "-q", "-p", "no:cacheprovider", *tests,
        env={"QT_API": qt.lower(), "PYTEST_QT_API": qt.lower(), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def oldest(qt: str) -> list[str]:
    """The lower bounds of pyproject.toml, as the versions to install."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(d for e in EXTRAS for d in extras[e])]
    bounds = (re.fullmatch(r"([\w-]+(?:\[\w+\])?)>=([\w.]+)", line) for line in lines)
    pins = [f"{found[1]}=={found[2]}" for found in bounds if found]
    # PyQt6's own wheel would take the newest Qt.
    return [*pins, f"{qt}=={QT[qt]}", *([f"PyQt6-Qt6=={QT[qt]}"] if qt == "PyQt6" else [])]
