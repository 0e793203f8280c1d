"""The documentation: every command on it parses, those marked run do so in order, and the site builds.

In the Markdown, a comment before a fenced block says what becomes of it: ``<!-- run -->`` runs its
commands, ``<!-- file: NAME -->`` writes it to a file. ``<!-- test: A => B -->`` makes it smaller, and
``<!-- needs: COMMAND -->`` says which command the page's run takes.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from skimage.io import imsave

from napari_cosynth import known
from napari_cosynth.cli import _parser, main

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(```+)\{?(\w*)\}?[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


def commands_of(block: str) -> Iterator[list[str]]:
    """The arguments of each call of cosynth in a block of shell lines."""
    for line in block.replace("\\\n", " ").splitlines():
        line = re.sub(r"\$\([^)]*\)|\s#.*$|\s>.*$", "", line.strip())
        found = re.match(
            r"^(?:\$ )?(?:srun |torchrun .* -m )?(?:cosynth|napari_cosynth\.cli) (.*)", line
        )
        if found:
            yield shlex.split(found[1])


def known_commands() -> set[str]:
    (subparsers,) = (a for a in _parser()._actions if a.dest == "command")
    return set(subparsers.choices or ())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_parses(page, capsys):
    text = page.read_text(encoding="utf-8")
    needed = set(re.findall(r"<!-- needs: (\w+) -->", text))
    if missing := needed - known_commands():
        pytest.skip(f"the page needs the command {', '.join(missing)}")
    for _, language, block in FENCE.findall(text):
        if language not in ("", "console", "sh", "bash"):
            if language == "python":
                compile(block, str(page), "exec")
            continue
        for arguments in commands_of(block):
            if "..." in arguments or arguments[0].startswith("-"):
                continue
            try:
                _parser().parse_args(arguments)
            except SystemExit:
                pytest.fail(
                    f"{page.name}: cosynth {shlex.join(arguments)}: {capsys.readouterr().err}"
                )


@pytest.fixture
def world(tmp_path, tiny_checkpoint, monkeypatch):
    """What the pages speak of, small: data sets, tiles, a layout, and a tiny ``default``."""
    from napari_cosynth.model.checkpoint import build, load, read_config, save

    classes = read_config("default")
    tiny = load(tiny_checkpoint).config
    words = [*tiny.text["vocabulary"], "malignant", "healthy", "miscellaneous", "unspecified"]
    config = dataclasses.replace(
        tiny,
        network=dataclasses.replace(tiny.network, classes=len(classes.class_names)),
        class_names=classes.class_names,
        class_colors=classes.class_colors,
        text={**tiny.text, "vocabulary": list(dict.fromkeys(words))},
    )
    save(build(config), config, tmp_path / "bundled" / "default", "# tiny\n")
    folder = tmp_path / "work"
    consep = folder / "nuclei" / "consep" / "train"
    rng = np.random.default_rng(0)
    for place in (consep / "Images", consep / "Labels", folder / "nuclei" / "layouts",
                  folder / "tiles" / "images", folder / "tiles" / "instances"):  # fmt: skip
        place.mkdir(parents=True)
    for name in ("a", "b"):
        ids = np.zeros((160, 160), np.int32)
        corners = np.argwhere(rng.random((8, 8)) < 0.5) * 20
        kinds = rng.choice([2, 2, 4, 5], len(corners))
        types = np.zeros_like(ids)
        for i, (y, x) in enumerate(corners, start=1):
            ids[y + 3 : y + 14, x + 3 : x + 14] = i
            types[ids == i] = kinds[i - 1]
        image = (np.where(ids[..., None] > 0, 80, 200) + rng.integers(-9, 9, (160, 160, 3))).astype(
            np.uint8
        )
        imsave(consep / "Images" / f"{name}.png", image, check_contrast=False)
        savemat(consep / "Labels" / f"{name}.mat",
                {"inst_map": ids, "type_map": types, "inst_type": kinds[:, None]})  # fmt: skip
        imsave(folder / "tiles" / "images" / f"{name}.png", image, check_contrast=False)
        imsave(
            folder / "tiles" / "instances" / f"{name}.png",
            ids.astype(np.uint16),
            check_contrast=False,
        )
    points = "index,axis-0,axis-1,class\n0,10,12,inflammatory\n1,40,30,unspecified\n"
    (folder / "nuclei" / "layouts" / "00.csv").write_text(points)
    (folder / "points.csv").write_text(points.replace("inflammatory", "unspecified"))
    monkeypatch.chdir(folder)
    for variable in ("COSYNTH_CHECKPOINTS", "COSYNTH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(known, "BUNDLED", tmp_path / "bundled")
    import napari_cosynth.generate.replay
    import napari_cosynth.generate.run

    monkeypatch.setattr(napari_cosynth.generate.run, "BUNDLED", tmp_path / "bundled")
    monkeypatch.setattr(napari_cosynth.generate.replay, "BUNDLED", tmp_path / "bundled")
    yield folder


def qupath_project(folder: Path) -> None:
    """Two images with squares of three of QuPath's classes, as QuPath writes them."""
    import json

    import tifffile

    (folder / "qupath").mkdir()
    rng = np.random.default_rng(1)
    for name in ("one", "two"):
        features = []
        for y, x in np.argwhere(rng.random((6, 6)) < 0.6) * 25:
            ring = [
                [x + 3, y + 3],
                [x + 17, y + 3],
                [x + 17, y + 17],
                [x + 3, y + 17],
                [x + 3, y + 3],
            ]
            kind = ("Tumor", "Stroma", "Immune cells")[int(rng.choice(3, p=[0.6, 0.35, 0.05]))]
            features.append({
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[[int(a), int(b)] for a, b in ring]]},
                "properties": {"objectType": "detection", "classification": {"name": kind}},
            })  # fmt: skip
        (folder / "qupath" / f"{name}.geojson").write_text(
            json.dumps({"type": "FeatureCollection", "features": features})
        )
        tifffile.imwrite(
            folder / "qupath" / f"{name}.tif", np.full((160, 160, 3), 200, np.uint8),
            photometric="rgb", resolution=(40000, 40000), resolutionunit="CENTIMETER",
        )  # fmt: skip


RUN = [p for p in PAGES if "<!-- run -->" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", RUN, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page_run_in_order(page, world, capsys):
    text = page.read_text(encoding="utf-8")
    if missing := set(re.findall(r"<!-- needs: (\w+) -->", text)) - known_commands():
        pytest.skip(f"the page needs the command {', '.join(missing)}")
    if "qupath" in page.name:
        qupath_project(world)
    smaller = [
        pair.replace("\\n", "\n").split(" => ", 1)
        for pair in re.findall(r"<!-- test: (.*?) -->", text)
    ]
    ran = 0
    for found in re.finditer(
        r"<!-- (run|file: (\S+)) -->\n```\w*\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL
    ):
        block = found[3]
        for long, short in smaller:
            block = block.replace(long, short)
        if found[2]:
            Path(found[2]).write_text(block, encoding="utf-8")
            continue
        for arguments in commands_of(block):
            assert main(arguments) == 0, (
                f"cosynth {shlex.join(arguments)}: {capsys.readouterr().err}"
            )
            ran += 1
    for long, _ in smaller:
        assert text.count(long) >= 2, f"{page.name}: nothing to make smaller: {long}"
    assert ran


def test_the_site_builds_without_warnings(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html",
         str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "A whole data set by one command" in index
    api = (tmp_path / "site" / "reference" / "api.html").read_text(encoding="utf-8")
    assert "napari_cosynth.synthesize" in api and "per_layout" in api
