"""``cosynth separation`` on tiles whose separation is known, and on the real ones."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.cli import main
from napari_cosynth.evaluation.metrics.separation import touching


@pytest.fixture
def pairs(tmp_path):
    """Two tiles of two nuclei that touch and one that does not, as a folder of images."""
    for name in ("one", "two"):
        instances = np.zeros((64, 64), np.uint16)
        instances[10:20, 10:20], instances[10:20, 20:30], instances[40:50, 40:50] = 1, 2, 3
        for folder, array in (
            ("images", np.full((64, 64, 3), 200, np.uint8)),
            ("instances", instances),
        ):
            path = tmp_path / "pairs" / folder
            path.mkdir(parents=True, exist_ok=True)
            imsave(path / f"{name}.png", array, check_contrast=False)
    return tmp_path / "pairs"


def test_neighbours_by_side_and_by_corner():
    instances = np.zeros((6, 6), np.int32)
    instances[0, 0], instances[1, 1], instances[3, 3], instances[4, 2] = 1, 2, 3, 4
    instances[0, 5], instances[5, 5], instances[5, 0] = 5, 6, 8
    assert touching(instances).tolist() == [True, True, True, True, False, False, False, False]


def test_touching_nuclei_are_one_component_and_two_points(pairs, tmp_path, capsys):
    out = tmp_path / "report"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert main(["separation", f"folder:{pairs}", "--mpp", "0.25", "--out", str(out)]) == 0
    rows = json.loads(out.with_suffix(".json").read_text())["figures"]
    found = {(f["name"], f["of"]): f["value"] for f in rows}
    assert found["points (ours)", "all"] == 1
    # Of a pair, one shares 100 of its 100 pixels with a component of 200, and so does the other.
    assert found["connected components", "touching"] == pytest.approx(2 / 3)
    assert found["connected components", "all"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    text = capsys.readouterr().out
    assert re.search(r"\| pairs, 2 tiles \| 6 \| 0.778", text)
    assert "| pairs, touching | 4 |" in text
    page = out.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg") == 2


def test_what_is_no_data_set_is_one_line(tmp_path, capsys):
    assert main(["separation", "consep", "--out", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert "consep: expected a stack folder, or KIND:FOLDER" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_patches_of_pannuke(data_root, tmp_path, capsys):
    spec = f"pannuke:{data_root / 'pannuke_sample'}"
    assert main(["separation", spec, "--out", str(tmp_path / "r")]) == 0
    figures = json.loads((tmp_path / "r.json").read_text())["figures"]
    ours, naive = (
        next(f["value"] for f in figures if (f["name"], f["of"]) == (name, "touching"))
        for name in ("points (ours)", "connected components")
    )
    assert ours > naive
