"""Slides beside GeoJSON: only what is annotated is read, and memory that is short is called so."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest

from napari_cosynth.checks.splits import groups_of
from napari_cosynth.datasets import geojson, slide_parts
from napari_cosynth.datasets.geojson import GeoJsonDataset
from napari_cosynth.datasets.slide_parts import annotated_parts, reaching
from napari_cosynth.io.errors import short_of_memory, unreadable
from napari_cosynth.slides.files import read_rgb
from napari_cosynth.slides.pyramid import LazyLevel
from slides import sparse_pyramid


def square(y, x, side=20):
    """A detection's feature; (y, x) is its upper left corner."""
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "detection", "classification": {"name": "A"}},
    }


def test_parts_are_what_the_nuclei_of_a_square_take_up():
    boxes = np.array(
        [[100, 50, 120, 70], [300, 400, 320, 430], [2040, 10, 2060, 30], [9e3, 0, 9e3, 9]]
    )
    found = annotated_parts(boxes.astype(float), (4100, 4100))
    assert list(found) == [(0, 0), (2048, 0)]
    assert found[0, 0].slices == (slice(84, 336), slice(34, 446))
    assert found[2048, 0].slices == (slice(2048, 2076), slice(0, 46))
    assert reaching(boxes, found[2048, 0]).tolist() == [2]
    assert annotated_parts(np.zeros((0, 4)), (10, 10)) == {}


def test_a_slides_records_are_its_annotated_parts(tmp_path, caplog, monkeypatch):
    sparse_pyramid(tmp_path / "s.tif", 30_000)
    drawn = [
        square(100, 200),
        square(1900, 250),
        square(2040, 300),
        square(29_000, 20_000),
        square(99_999, 0),
    ]
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}}
    (tmp_path / "s.geojson").write_text(json.dumps([*drawn, {**point, "properties": {}}]))
    read = []
    level_read = LazyLevel.__getitem__
    monkeypatch.setattr(
        LazyLevel,
        "__getitem__",
        lambda self, at: (read.append((self, at)), level_read(self, at))[1],
    )
    dataset = GeoJsonDataset(tmp_path)
    assert dataset.names == ("s_0_0", "s_2048_0", "s_28672_18432")
    assert caplog.text.count("points, which cover no pixels") == 1
    first, border, far = dataset
    assert len(first.layout) == 2 and first.image.shape == (1852, 102, 3)
    assert (first.image[:400] == 200).all() and first.labels.sum() == 800
    assert len(border.layout) == 1 and border.labels.sum() == 12 * 20
    assert far.labels.sum() == 400 and far.layout.centroids.tolist() == [[25.5, 25.5]]
    assert far.mpp == 0.25 and dataset.mpp_stated
    assert set(groups_of(dataset).values()) == {"s"}
    large = [at for level, at in read if level.shape[0] == 30_000]
    assert large and all(p.stop - p.start <= 2048 for at in large for p in at[:2])
    assert GeoJsonDataset(tmp_path, only=["s_2048_0"]).names == ("s_2048_0",)


def test_parts_together_are_the_whole(tmp_path, monkeypatch):
    import tifffile

    image = np.random.default_rng(0).integers(0, 255, (150, 220, 3), np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", image, photometric="rgb", tile=(32, 32))
    corners = np.random.default_rng(1).uniform(0, [130, 200], (60, 2)).round(1)
    (tmp_path / "s.geojson").write_text(json.dumps([square(y, x, 9) for y, x in corners.tolist()]))
    (whole,) = GeoJsonDataset(tmp_path)
    for module in (slide_parts, geojson):
        monkeypatch.setattr(module, "WHOLE", 1000)
    monkeypatch.setattr(slide_parts, "SIDE", 64)
    dataset = GeoJsonDataset(tmp_path)
    covered = np.zeros((150, 220), bool)
    for name in dataset.names:
        parts, box = dataset.parts(name), dataset._parts[name][1]
        np.testing.assert_array_equal(parts.image, image[box.slices])
        np.testing.assert_array_equal(parts.labels, whole.labels[box.slices])
        covered[box.slices] = True
    middles = (corners + 4.5).astype(int)
    assert len(dataset) > 5 and covered[middles[:, 0], middles[:, 1]].all()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("JPEG: Insufficient memory (case 4)"),
    ],
)
def test_memory_that_is_short_is_no_damage(tmp_path, monkeypatch, error):
    assert short_of_memory(error)
    assert "cannot" not in str(unreadable("a", "cannot be read", error)).split("(")[0]
    assert str(unreadable("a", "cannot be read", OSError("x"))) == "a: cannot be read (x)"

    def read(window):
        raise error

    with pytest.raises(ValueError, match="a: not enough memory for 8 x 8 pixels at once"):
        LazyLevel((8, 8), np.dtype(np.uint8), (8, 8), read, "a").as_array()
    monkeypatch.setattr("napari_cosynth.slides.files.picture", read)
    with pytest.raises(ValueError, match=r"a\.png: not enough memory"):
        read_rgb(tmp_path / "a.png")


READ = """
import sys
from napari_cosynth.datasets.formats import open_records
_, dataset = open_records(sys.argv[1])
print(len(dataset), sum(len(record.layout) for record in dataset))
"""


def test_a_slide_is_read_in_less_memory_than_its_pixels(tmp_path):
    """3.2 GB of pixels without a pyramid, read by a process that may have 2 GB."""
    sparse_pyramid(tmp_path / "s.tif", 33_000, smallest=40_000)
    drawn = [square(1000 * k, 1000 * k) for k in range(1, 33, 4)]
    (tmp_path / "s.geojson").write_text(json.dumps(drawn))

    def limited():
        resource.setrlimit(resource.RLIMIT_DATA, (2 * 10**9, 2 * 10**9))

    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert done.stdout.split() == ["8", "8"], done.stderr
