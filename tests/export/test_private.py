"""What an export says of the person, the machine and the slide it was made from: nothing."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cosynth import registry
from napari_cosynth.cli import main
from napari_cosynth.datasets.recipes import read_sample
from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.generate.run import generate
from napari_cosynth.layouts.sources.points_csv import write_layout
from napari_cosynth.synthesis.looks import look_from
from napari_cosynth.synthesis.repaint import repaint_around
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Request, Synthesis
from nuclei import record

PERSON, PATIENT = "ida.quellmann", "Meier 12-4711"
"""The user's name, in every path, and what the label of a slide says."""
LABEL = (3, 251, 7)
"""The colour of a slide's label and macro pictures, which no tissue has."""


@pytest.fixture
def home(tmp_path, monkeypatch, few_checkpoint) -> Path:
    """A home folder with a checkpoint of the user's own in it."""
    home = tmp_path / "home" / PERSON
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "mine").symlink_to(few_checkpoint)
    for name, value in {"HOME": str(home), "USER": PERSON, "LOGNAME": PERSON}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    return home


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder, and every member of its archives."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path.name}/{n}", archive.read(n)) for n in archive.namelist())


def telling(folder: Path, *words: str) -> list[str]:
    """What of the words stands in which file, in the two ways in which text is written."""
    return [
        f"{name}: {word}"
        for name, content in contents(folder)
        for word in words
        for form in (word.encode(), word.encode("utf-16-le"))
        if form in content
    ]


@pytest.fixture
def samples(home, layout) -> list[Synthesis]:
    """One sampled in the look of an image at home, one painted anew around its edited labels."""
    import imageio.v3 as iio

    reference = home / "scans" / "reference.png"
    reference.parent.mkdir()
    iio.imwrite(reference, record(3, (64, 64)).image)
    look, whose = look_from(str(reference), 0.5)
    request = Request(
        layout,
        "colon tissue",
        str(home / "weights" / "mine"),
        tissue="colon",
        look=look,
        look_of=whose,
    )
    (one,) = [e for e in synthesize(request) if isinstance(e, Synthesis)]
    changed = np.zeros(one.record.labels.shape, bool)
    changed[20:24, 20:24] = True
    edited = dataclasses.replace(one.record, source=str(home / "scans" / "tile.png"))
    again = dataclasses.replace(request, look="seed", look_of="")
    (two,) = [e for e in repaint_around(again, edited, changed) if isinstance(e, Synthesis)]
    assert "tile.png" in two.recipe["look_of"]
    return [one, two]


@pytest.mark.parametrize("kind", registry.names("exporter"))
def test_no_format_carries_paths_or_names_of_users(kind, samples, home, tmp_path):
    real = dataclasses.replace(record(5, (64, 64)), source=str(home / "scans" / "real.png"))
    out = registry.resolve("exporter", kind)([*samples, real], tmp_path / "out")
    assert telling(out, PERSON, str(tmp_path)) == []
    assert read_sample(out, 0)[1]["look_of"] == "reference.png"
    # And what is converted from it, by the command.
    assert main(["convert", str(out), str(tmp_path / "coco"), "--to", "coco"]) == 0
    assert telling(tmp_path / "coco", PERSON, str(tmp_path)) == []


def test_what_a_plan_says_by_absolute_paths_stays_in_its_manifest(home, layout, tmp_path):
    """The plan is kept as it was asked for; samples name its folders by their last names."""
    (home / "layouts").mkdir()
    write_layout(layout, home / "layouts" / "a.csv")
    plan = Plan(
        name="tiny", samples=1, shape=layout.shape, steps=2,
        layouts=(FolderLayouts("folder", str(home / "layouts"), tissue="colon"),),
        checkpoint=str(home / "weights" / "mine"), sampler="fast",
    )  # fmt: skip
    generate(plan, tmp_path / "set", home, quiet=True)
    (shard,) = (tmp_path / "set").glob("shard-*")
    assert telling(shard, PERSON, str(tmp_path)) == []
    assert read_sample(shard, 0)[1]["layout"] == "layouts a.csv"
    assert {line.split(":")[0] for line in telling(tmp_path / "set", PERSON)} == {"manifest.json"}


def aperio(path: Path, side: int = 320) -> Path:
    """As a scanner writes it: the slide, then label and macro pictures, and whose it is in the text."""
    pixels = np.random.default_rng(1).integers(80, 250, (side, side, 3)).astype(np.uint8)
    picture = np.full((96, 64, 3), LABEL, np.uint8)
    text = f"Aperio Image Library v12\n{side}x{side} [0,0 {side}x{side}] (256x256) |AppMag = 20|"
    text += f"MPP = 0.5|User = {PERSON}|Filename = {PATIENT}|Barcode = {PATIENT}|Title = {PATIENT}"
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, photometric="rgb", tile=(64, 64), description=text, metadata=None)
        for name in ("label", "macro"):
            said = f"Aperio Image Library v12\n{name} 64x96 {PATIENT}"
            file.write(picture, photometric="rgb", description=said, metadata=None, subfiletype=1)
    return path


def test_a_slide_s_label_and_macro_pictures_are_never_copied(home, layout, tmp_path):
    slide = aperio(home / "slide.svs")
    assert telling(home, PATIENT), "the slide itself does tell"
    write_layout(layout, home / "layout.csv")
    out = tmp_path / "out"
    call = ["inpaint", str(slide), str(home / "layout.csv"), "--region", "100", "120", "64", "64"]
    call += ["--steps", "2", "--sampler", "fast", "--checkpoint", str(home / "weights" / "mine")]
    assert main([*call, "--out", str(out)]) == 0
    assert telling(out, PERSON, PATIENT, str(tmp_path)) == []
    for path in out.rglob("*.tif"):
        with tifffile.TiffFile(path) as file:
            for page in file.pages:
                values = page.asarray()
                if values.shape[-1:] == (3,):
                    assert not (values == LABEL).all(-1).any(), path
    (recipe,) = json.loads((out / "stack" / "cosynth.json").read_text())["samples"]
    assert recipe["inpainted"]["image"] == "slide.svs"
