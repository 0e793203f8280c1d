"""Another package registers its own, as docs/extending.md says; a broken one spoils nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cosynth.export.stack import write_stack
from nuclei import items
from test_docs import FENCE, ROOT


def installed(folder: Path, module: str, code: str, points: dict[str, dict[str, str]]) -> None:
    """What an installer leaves of a package: its module, and its entry points."""
    (folder / f"{module}.py").write_text(code)
    facts = folder / f"{module}-0.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 0.1\n")
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")


def cosynth(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(where)!r})\n"
        "from napari_cosynth.cli import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def example() -> tuple[str, dict[str, dict[str, str]]]:
    """The page's module, and the entry points of its pyproject.toml."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = {language: block for _, language, block in FENCE.findall(text)}
    return blocks["python"], tomllib.loads(blocks["toml"])["project"]["entry-points"]


def test_the_page_s_exporter_is_one_of_ours(tmp_path: Path, example: tuple[str, dict]) -> None:
    (tmp_path / "site").mkdir()
    installed(tmp_path / "site", "thumbnails", *example)
    stack = write_stack(items(2), tmp_path / "stack")
    done = cosynth(
        tmp_path / "site", "convert", str(stack), str(tmp_path / "made"), "--to", "thumbnails"
    )
    assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "made").glob("*.jpg"))
    assert len(pictures) == 2 and (tmp_path / "made" / "cosynth.json").is_file()
    assert np.asarray(Image.open(pictures[0])).ndim == 3


def test_a_broken_package_is_named_and_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    points = {
        "napari_cosynth.dataset": {"broken": "torn:Reader", "stack": "torn:Other"},
        "napari_cosynth.exporter": {"torn": "torn:write"},
    }
    installed(tmp_path / "site", "torn", "raise RuntimeError('no licence')", points)
    stack = write_stack(items(1), tmp_path / "stack")
    done = cosynth(tmp_path / "site", "convert", str(stack), str(tmp_path / "a"), "--to", "torn")
    assert done.returncode != 0
    assert "exporter torn: torn:write of the package torn cannot be imported" in done.stderr
    assert "no licence" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "a").exists()
    (tmp_path / "stack" / "cosynth.json").rename(tmp_path / "kept.json")  # so that all are asked
    assert "Traceback" not in cosynth(tmp_path / "site", "info", str(stack)).stderr
    (tmp_path / "kept.json").rename(tmp_path / "stack" / "cosynth.json")
    done = cosynth(tmp_path / "site", "convert", str(stack), str(tmp_path / "b"), "--to", "folder")
    assert done.returncode == 0, done.stderr  # and "stack" is ours


def test_the_first_change_is_one_file_and_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "first-change.md").read_text(encoding="utf-8")
    blocks = [(language, block) for _, language, block in FENCE.findall(text)]
    code, check = (block for language, block in blocks if language == "python")
    (line,) = (block for language, block in blocks if language == "text")
    name = "napari_cosynth.export.pages"
    module = ModuleType(name)
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, name, module)
    assert eval("{" + line + "}") == {"pages": f"{name}:write_pages"}
    scope: dict[str, Any] = {}
    exec(check, scope)
    scope["test_every_sample_has_its_page"](tmp_path)
    assert (tmp_path / "pages" / "cosynth.json").is_file()
