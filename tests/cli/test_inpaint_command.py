"""``cosynth inpaint`` and ``cosynth synthesize --scratch`` as a user meets them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cosynth.cli import main
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.diffusion.scratch import RUN
from napari_cosynth.geometry import windows
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.synthesis import trajectories

POINTS = "index,axis-0,axis-1,class\n0,150,160,epithelial\n1,170.5,180,1\n2,5,300,spindle-shaped\n"


@pytest.fixture
def inpaint(tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    """Runs the command on a TIFF of 300 x 420; (exit code, stderr, output folder)."""
    pixels = np.random.default_rng(1).integers(80, 250, (300, 420, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "slide.tif", pixels, photometric="rgb")
    (tmp_path / "layout.csv").write_text(POINTS)

    def call(region: str, *extra: str) -> tuple[int, str, Path]:
        out = tmp_path / "edited"
        arguments = ["inpaint", str(tmp_path / "slide.tif"), str(tmp_path / "layout.csv")]
        arguments += ["--region", *region.split(), "--out", str(out), "--steps", "2", *extra]
        code = main([*arguments, "--checkpoint", str(tiny_checkpoint)])
        return code, capsys.readouterr().err, out

    return call


def test_all_but_the_region_is_bit_for_bit_the_image(inpaint, tmp_path: Path) -> None:
    code, error, out = inpaint("140 150 64 90", "--mpp", "0.5")
    assert code == 0, error
    before, after = (tifffile.imread(p) for p in (tmp_path / "slide.tif", out / "image.tif"))
    changed = (before != after).any(-1)
    assert changed[140:204, 150:240].mean() > 0.9
    changed[140:204, 150:240] = False
    assert not changed.any()
    record = StackDataset(out / "stack")[0]
    np.testing.assert_array_equal(record.image, after[140:204, 150:240])
    np.testing.assert_array_equal(record.layout.centroids, [[10, 10], [30.5, 30]])
    assert open_slide(out / "image.tif").mpp == pytest.approx(0.5)


def test_before_a_layout_all_but_what_is_around_its_changes_stays(
    inpaint, tmp_path: Path, caplog
) -> None:
    lines = POINTS.splitlines(keepends=True)
    (tmp_path / "before.csv").write_text("".join(lines[:2]))
    before = str(tmp_path / "before.csv")
    code, error, out = inpaint("140 150 64 90", "--mpp", "0.5", "--before", before)
    assert code == 0, error
    assert "1 of the points that differ" in caplog.text and "outside --region" in caplog.text
    old, new = (tifffile.imread(p) for p in (tmp_path / "slide.tif", out / "image.tif"))
    y, x = np.indices(old.shape[:2])
    away = np.hypot(y - 170.5, x - 180)
    changed = (old != new).any(-1)
    assert changed[away < 18].mean() > 0.9 and not changed[away > 24].any()


def test_a_region_without_points_is_said_before_it_is_sampled(inpaint, caplog) -> None:
    """A layout in the region's own pixels, which is easily taken for the image's, is such a one."""
    code, _, out = inpaint("200 20 64 90", "--mpp", "0.5")
    assert code == 0 and out.is_dir()
    assert "layout.csv: none of its 3 points lies in --region" in caplog.text


@pytest.mark.parametrize(
    "region,extra,message",
    [
        ("140 150 64 90", (), "--mpp: .*slide.tif does not tell its µm per pixel"),
        ("140 150 64 90", ("--mpp", "-1"), "--mpp: expected above 0"),
        ("280 150 64 90", ("--mpp", "0.5"), "--region: expected Y X H W inside 300 x 420"),
        ("140 150 0 90", ("--mpp", "0.5"), "--region: expected Y X H W inside"),
        ("140 150 8 90", ("--mpp", "0.5"), "slide.tif: region: expected at least 16"),
    ],
)
def test_what_is_wrong_is_one_line(inpaint, region, extra, message) -> None:
    code, error, out = inpaint(region, *extra)
    assert code == 2 and not out.exists()
    assert len(error.strip().splitlines()) == 1
    assert re.search(message, error), error


def test_a_scratch_folder_is_gone_once_the_stack_is_there(
    tmp_path: Path, tiny_checkpoint: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trajectories, "LARGEST_WHOLE", 64)
    monkeypatch.setattr(windows.Windows, "__init__", _small_windows)
    layout, out, scratch = tmp_path / "layout.csv", tmp_path / "out", tmp_path / "scratch"
    layout.write_text("index,axis-0,axis-1,class\n0,10,12,epithelial\n")
    command = ["synthesize", str(layout), "--shape", "80", "70", "--steps", "2"]
    command += ["--checkpoint", str(tiny_checkpoint)]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0

    class Killed(Exception):
        pass

    class Dies(trajectories.Canvas):
        def run(self):
            for step in super().run():
                yield step
                if step.index == 1:
                    raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(trajectories, "Canvas", Dies)
        main([*command, "--out", str(out), "--scratch", str(scratch)])
    assert not out.exists() and (scratch / "seed-7" / RUN).is_file()
    assert main([*command, "--steps", "3", "--out", str(out), "--scratch", str(scratch)]) == 2
    assert "identity: expected this very request's" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--scratch", str(scratch)]) == 0
    assert not scratch.exists()
    for name in ("images.tif", "labels.tif", "instances.tif", "distances.tif"):
        np.testing.assert_array_equal(
            tifffile.imread(out / name), tifffile.imread(tmp_path / "whole" / name)
        )
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.doc").touch()
    assert main([*command, "--out", str(tmp_path / "other"), "--scratch", str(mine)]) == 2
    assert (mine / "thesis.doc").exists()


def _small_windows(self: windows.Windows, grid: int = 16) -> None:
    for name, value in (("side", 48), ("overlap", 16), ("grid", grid)):
        object.__setattr__(self, name, value)


@pytest.mark.parametrize("extra", [(), ("--points", "region")])
def test_points_counted_from_the_regions_corner(inpaint, tmp_path, caplog, extra) -> None:
    """As ``layout detect --region`` writes them."""
    points = "index,axis-0,axis-1,class\n0,10,10,epithelial\n1,30.5,30,1\n"
    (tmp_path / "layout.csv").write_text(points)
    code, error, out = inpaint("140 150 64 90", "--mpp", "0.5", *extra)
    assert code == 0, error
    record = StackDataset(out / "stack")[0]
    np.testing.assert_array_equal(record.layout.centroids, [[10, 10], [30.5, 30]])
    assert ("counted from the region's corner" in caplog.text) == (not extra)
