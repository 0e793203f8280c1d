"""``cosynth layout detect`` and ``convert``."""

import csv
import json

import numpy as np
import pytest
import tifffile
from skimage.draw import disk
from skimage.io import imsave

from napari_cosynth.cli import main
from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.types.classes import BUNDLED

CENTRES = np.array([(40, 50), (40, 110), (100, 60), (150, 150), (20, 170)])


@pytest.fixture
def picture():
    """Nuclei of 3 µm's radius at 0.5 µm/px, haematoxylin on eosin."""
    image = np.full((200, 200, 3), (230, 190, 215), np.uint8)
    for centre in CENTRES:
        image[disk(centre, 6)] = (90, 70, 140)
    return image


def points(path):
    with path.open() as file:
        return np.array([[float(r["axis-0"]), float(r["axis-1"])] for r in csv.DictReader(file)])


def nearest(found, wanted):
    return np.linalg.norm(found[:, None] - wanted[None], axis=2).min(0)


def test_detect_writes_the_nuclei_of_an_image(tmp_path, picture, capsys):
    imsave(tmp_path / "tile.png", picture)
    out = tmp_path / "layout.csv"
    assert (
        main(["layout", "detect", str(tmp_path / "tile.png"), "--mpp", "0.5", "--out", str(out)])
        == 0
    )
    layout = read_layout(out, (200, 200), 0.5, BUNDLED)
    assert len(layout) == len(CENTRES)
    assert nearest(layout.centroids, CENTRES).max() < 1
    assert {BUNDLED.names[i] for i in layout.class_ids} == {"unspecified"}
    assert "5 points on 200 x 200 pixels at 0.5 µm/px" in capsys.readouterr().out


def test_detect_in_a_region_on_another_grid(tmp_path, picture):
    path = tmp_path / "slide.tif"
    known = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, picture, photometric="rgb", **known)
    out = tmp_path / "layout.csv"
    arguments = ["layout", "detect", str(path), "--region", "10", "20", "120", "100"]
    arguments += ["--to-mpp", "0.25", "--class", "inflammatory", "--out", str(out)]
    assert main(arguments) == 0
    wanted = ((CENTRES[[0, 1, 2]] - (10, 20)) + 0.5) * 2 - 0.5
    found = points(out)
    assert len(found) == 3 and nearest(found, wanted).max() < 1.5


def test_detect_never_guesses_and_never_replaces(tmp_path, picture, capsys):
    imsave(tmp_path / "tile.png", picture)
    out = tmp_path / "layout.csv"
    arguments = ["layout", "detect", str(tmp_path / "tile.png"), "--out", str(out)]
    assert main(arguments) == 2
    assert "tile.png: its µm per pixel is not known: name it by --mpp" in capsys.readouterr().err
    assert not out.exists()
    out.write_text("mine")
    assert main([*arguments, "--mpp", "0.5"]) == 2
    assert "exists already" in capsys.readouterr().err and out.read_text() == "mine"
    assert main([*arguments, "--mpp", "0.5", "--overwrite"]) == 2
    assert "no earlier output" in capsys.readouterr().err and out.read_text() == "mine"
    out.write_text("index,axis-0,axis-1,class\n")
    assert main([*arguments, "--mpp", "0.5", "--class", "x", "--overwrite"]) == 2
    assert "unknown class 'x'" in capsys.readouterr().err
    assert main([*arguments, "--mpp", "9", "--overwrite"]) == 2
    assert "expected 0.05 to 2 µm/px" in capsys.readouterr().err and out.read_text()[:5] == "index"


def square(x, y, name):
    ring = [[x, y], [x + 8, y], [x + 8, y + 8], [x, y + 8], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "detection", "classification": {"name": name}},
    }


def test_convert_geojson_maps_classes_and_scales(tmp_path, capsys):
    source = tmp_path / "cells.geojson"
    features = [square(8, 16, "Tumor"), square(40, 24, "Immune cells"), square(60, 60, "Ignore*")]
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    out, instances = tmp_path / "layout.csv", tmp_path / "instances.tif"
    arguments = ["layout", "convert", str(source), str(out), "--mpp", "0.25"]
    assert main(arguments) == 2
    assert "class: Tumor, Immune cells, Ignore*: expected one of" in capsys.readouterr().err
    arguments += ["--map", "Tumor=malignant epithelial", "Immune cells=inflammatory", "Ignore*="]
    assert main([*arguments, "--to-mpp", "0.5", "--instances", str(instances)]) == 0
    # The middle of the first square lies 12 and 20 of its pixels from the corner: 6 and 10 of ours.
    np.testing.assert_allclose(points(out), [(10 - 0.5, 6 - 0.5), (14 - 0.5, 22 - 0.5)])
    with out.open() as file:
        assert [r["class"] for r in csv.DictReader(file)] == [
            "malignant epithelial",
            "inflammatory",
        ]
    drawn = tifffile.imread(instances)
    assert (drawn[16:24, 8:16] == 1).all() and np.bincount(drawn.ravel())[1:].tolist() == [64] * 3
    assert "left out: 1 of classes that are left out" in capsys.readouterr().out
    assert main([*arguments, "--map", "x", "--overwrite"]) == 2
    assert "--map: expected THEIRS=OURS" in capsys.readouterr().err


def test_convert_a_real_data_set(data_root, tmp_path, capsys):
    source = tmp_path / "few"
    for part, ending in (("Images", "png"), ("Labels", "mat")):
        (source / part).mkdir(parents=True)
        file = f"train_6.{ending}"
        (source / part / file).symlink_to(data_root / "consep" / "train" / part / file)
    names = ["other=miscellaneous", "fibroblast=spindle-shaped", "muscle=spindle-shaped"]
    names.append("endothelial=spindle-shaped")
    out = tmp_path / "layouts"
    arguments = ["layout", "convert", f"consep:{source}", str(out), "--to-mpp", "0.5"]
    assert main([*arguments, "--map", *names]) == 0
    record = ConsepDataset(source)[0]
    layout = read_layout(out / "train_6.csv", (500, 500), 0.5, BUNDLED)
    np.testing.assert_allclose(layout.centroids, record.layout.scaled_to(0.5).centroids, atol=1e-4)
    fewer = [name.replace("spindle-shaped", "") for name in names]
    assert main([*arguments, "--overwrite", "--map", *fewer]) == 0
    left = read_layout(out / "train_6.csv", (500, 500), 0.5, BUNDLED)
    assert len(left) == (layout.class_ids != BUNDLED.index("spindle-shaped")).sum() < len(layout)
    assert main([*arguments, "--overwrite"]) == 2
    assert "is mapped to unknown" in capsys.readouterr().err
    assert (out / "train_6.csv").is_file()


def test_convert_names_a_file_that_it_cannot_read(tmp_path, capsys):
    out = str(tmp_path / "layout.csv")
    assert main(["layout", "convert", str(tmp_path / "gone.geojson"), out, "--mpp", "1"]) == 2
    assert "gone.geojson: no such file" in capsys.readouterr().err
    assert main(["layout", "convert", "consep:gone", out]) == 2
    assert "gone" in capsys.readouterr().err


def test_points_at_the_far_border_of_a_pixel_are_on_the_canvas_made_for_them(tmp_path, capsys):
    points = [(20, 10), (43, 7), (5, 13)]  # QuPath's, at whole coordinates
    feature = {
        "type": "Feature",
        "geometry": {"type": "MultiPoint", "coordinates": points},
        "properties": {"classification": {"name": "A"}},
    }
    (tmp_path / "p.geojson").write_text(json.dumps([feature]))
    command = ["layout", "convert", str(tmp_path / "p.geojson"), "--mpp", "0.25"]
    for grid in ("0.25", "0.5", "0.6"):
        out = tmp_path / f"{grid}.csv"
        given = [str(out), "--map", "A=inflammatory", "--to-mpp", grid]
        assert main([*command[:3], given[0], *command[3:], *given[1:]]) == 0
        assert len(out.read_text().splitlines()) == 1 + 3, capsys.readouterr().out
