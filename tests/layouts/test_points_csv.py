"""Points of one sample, and of several in one file."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.cli import main
from napari_cosynth.export.stack import write_stack
from napari_cosynth.layouts.sources.points_csv import read_layout, read_points
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.types import ClassTable
from nuclei import items

STACK = """index,axis-0,axis-1,axis-2,class
0,0.0,10,20,inflammatory
1,0.0,30,40,epithelial
2,1.0,50,60,inflammatory
"""
CLASSES = ClassTable.of("inflammatory", "epithelial")


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(STACK)
    return path


def test_points_of_a_stack_are_never_taken_for_sample_and_y(stack, tmp_path, capsys):
    for text in (STACK, "".join(STACK.splitlines(True)[:3])):
        stack.write_text(text)
        for read in (read_points, lambda p: read_layout(p, (64, 64), 0.5, CLASSES)):
            with pytest.raises(ValueError, match=r"axis-0 is the sample .* axis-1 and axis-2"):
                read(stack)
    out = tmp_path / "l.csv"
    assert main(["layout", "convert", str(stack), str(out), "--mpp", ".5"]) == 2
    assert "--sample names the one to read" in capsys.readouterr().err and not out.exists()


def test_the_sample_that_is_named_is_read_as_y_and_x(stack, tmp_path):
    layout = read_layout(stack, (64, 64), 0.5, CLASSES, sample=0)
    assert layout.centroids.tolist() == [[10, 20], [30, 40]]
    assert layout.class_ids.tolist() == [1, 2]
    assert read_points(stack, 1).centroids.tolist() == [[50, 60]]
    with pytest.raises(ValueError, match="no points of a sample 2; it holds 0, 1"):
        read_points(stack, 2)
    out = tmp_path / "l.csv"
    assert main(["layout", "convert", str(stack), str(out), "--mpp", ".5", "--sample", "1"]) == 0
    assert out.read_text().splitlines()[1:] == ["0,50.0,60.0,inflammatory"]


def test_the_layouts_of_a_stack_are_not_merged(tmp_path):
    made = items(2)
    path = write_stack(made, tmp_path / "s") / "layouts.csv"
    with pytest.raises(ValueError, match=r"sample is the sample of a stack .*--sample names"):
        read_points(path)
    for number, item in enumerate(made):
        assert np.allclose(read_points(path, number).centroids, item.record.layout.centroids)
    one = write_stack(made[:1], tmp_path / "one") / "layouts.csv"
    assert len(read_points(one)) == len(made[0].record.layout)


def test_what_is_no_sample_is_said(stack, tmp_path):
    stack.write_text(STACK.replace("1.0,50", "1.5,50"))
    with pytest.raises(ValueError, match="line 4: axis-0: expected a whole number"):
        read_points(stack, 1)
    stack.write_text(STACK.replace("axis-2,", "axis-2,axis-3,").replace("0,60", "0,60,1"))
    with pytest.raises(ValueError, match="axis-3: expected points in a plane"):
        read_points(stack, 1)
    (tmp_path / "cells.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(ValueError, match="only a CSV file of points"):
        read_nuclei(tmp_path / "cells.geojson", sample=0)
