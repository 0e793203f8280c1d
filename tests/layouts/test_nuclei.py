"""Nuclei of other programs: what is read, where it lies, and what is refused."""

import json

import numpy as np
import pytest
from scipy.io import savemat
from skimage.draw import polygon2mask
from skimage.io import imsave

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.geometry.outlines import outline_centroids, outline_instances
from napari_cosynth.layouts.sources.class_names import own_table, suggest
from napari_cosynth.layouts.sources.nuclei import layout_on
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.types import ClassTable
from napari_cosynth.types.classes import BUNDLED
from spoil import spoiled

TABLE = ClassTable.of("inflammatory", "epithelial")


def feature(geometry, name=None, kind="detection", **properties):
    classification = {} if name is None else {"classification": {"name": name}}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {"objectType": kind, **classification, **properties},
    }


def square(x, y, side):
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def write(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_the_pixel_corner_origin_is_shifted_by_half_a_pixel(tmp_path):
    # QuPath's square from 0 to 4 covers pixels 0..3, whose middle is 1.5; its point 0.5 is pixel 0.
    path = write(
        tmp_path / "a.geojson",
        feature(polygon(square(0, 0, 4)), "Tumor", measurements={"Area": 16, "Mean": "NaN"}),
        feature({"type": "Point", "coordinates": [10.5, 0.5]}, "Stroma", "annotation"),
    )
    nuclei = read_nuclei(path)
    np.testing.assert_allclose(nuclei.centroids, [(1.5, 1.5), (0, 10)])
    assert nuclei.class_names == ("Tumor", "Stroma")
    np.testing.assert_array_equal(nuclei.measurements["Area"], [16, np.nan])
    np.testing.assert_array_equal(nuclei.measurements["Mean"], [np.nan, np.nan])
    assert nuclei.outlines is None  # a point has none


def test_polygons_make_instances_of_the_pixels_they_cover(tmp_path):
    path = write(
        tmp_path / "a.geojson",
        feature(polygon(square(2, 3, 5)), "a"),
        feature(polygon(square(10, 10, 8), square(12, 12, 4)), "b"),
    )
    instances = read_nuclei(path).instances((20, 24))
    wanted = np.zeros((20, 24), np.int32)
    wanted[3:8, 2:7] = 1
    wanted[10:18, 10:18] = 2
    wanted[12:16, 12:16] = 0
    np.testing.assert_array_equal(instances, wanted)


def test_holes_count_against_the_area_whichever_way_they_run(tmp_path):
    outer, hole = square(0, 0, 10), square(6, 2, 3)
    for turned in (hole, hole[::-1]):
        nuclei = read_nuclei(write(tmp_path / "a.geojson", feature(polygon(outer, turned))))
        # (100 * (5, 5) - 9 * (3.5, 7.5)) / 91 in (y, x), less half a pixel
        wanted = (100 * np.array([5, 5]) - 9 * np.array([3.5, 7.5])) / 91 - 0.5
        np.testing.assert_allclose(nuclei.centroids[0], wanted)


def test_a_concave_outline_has_its_centroid_inside_as_its_pixels_have(tmp_path):
    ring = np.array([(0, 0), (20, 0), (20, 20), (0, 20), (0, 16), (16, 16), (16, 4), (0, 4)], float)
    nuclei = read_nuclei(write(tmp_path / "a.geojson", feature(polygon(ring.tolist()))))
    y, x = np.round(nuclei.centroids[0]).astype(int)
    assert nuclei.instances((24, 24))[y, x] == 1
    annulus = polygon(square(0, 0, 20), square(2, 2, 16))
    nuclei = read_nuclei(write(tmp_path / "b.geojson", feature(annulus)))
    y, x = np.round(nuclei.centroids[0]).astype(int)
    assert nuclei.instances((24, 24))[y, x] == 1


def test_centroids_and_instances_against_a_raster_of_random_polygons():
    rng = np.random.default_rng(0)
    outlines = []
    for _ in range(40):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 12))
        radius = rng.uniform(8, 16, 12)
        centre = rng.uniform(20, 80, 2) + 100_000  # far out on a slide
        ring = centre + radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
        outlines.append(((ring,),))
    centroids = outline_centroids(outlines)
    for outline, centroid in zip(outlines, centroids, strict=True):
        fine = 8 * (outline[0][0] - 100_000)
        mask = polygon2mask((800, 800), fine)
        found = np.argwhere(mask).mean(0) / 8 + 100_000
        y, x = np.round(8 * (centroid - 100_000)).astype(int)
        if mask[y, x]:
            np.testing.assert_allclose(centroid, found, atol=0.1)
    ((ring,),) = outlines[0]
    shifted = ring - 100_000
    mask = outline_instances([((shifted,),)], (100, 100))
    np.testing.assert_array_equal(mask > 0, polygon2mask((100, 100), shifted))


def test_multipoints_are_several_nuclei(tmp_path):
    points = {"type": "MultiPoint", "coordinates": [[1, 1], [5, 7]]}
    shape = feature(polygon(square(0, 0, 4)), "a")
    nuclei = read_nuclei(write(tmp_path / "a.geojson", shape, feature(points, "b", "annotation")))
    assert nuclei.class_names == ("a", "b", "b")
    np.testing.assert_allclose(nuclei.centroids, [(1.5, 1.5), (0.5, 0.5), (6.5, 4.5)])


def test_a_cell_is_the_outline_of_its_nucleus(tmp_path):
    cell = {**feature(polygon(square(0, 0, 20)), "a", "cell")}
    cell["nucleusGeometry"] = polygon(square(4, 4, 4))
    nuclei = read_nuclei(write(tmp_path / "a.geojson", cell))
    np.testing.assert_allclose(nuclei.centroids, [(5.5, 5.5)])


def test_regions_beside_detections_null_geometry_and_lines_are_left_out_and_counted(tmp_path):
    path = write(
        tmp_path / "a.geojson",
        feature(polygon(square(0, 0, 4)), "Tumor"),
        feature(polygon(square(0, 0, 400)), "Region", "annotation"),
        feature(None, "Tumor"),
        feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}),
    )
    nuclei = read_nuclei(path)
    assert len(nuclei) == 1 and nuclei.class_names == ("Tumor",)
    assert sorted(nuclei.notes) == [
        "left out: 1 annotated regions beside detections",
        "left out: 1 features of kind LineString",
        "left out: 1 features without a geometry",
    ]


def test_missing_and_empty_classes_and_older_measurements(tmp_path):
    old = [{"name": "Area", "value": 3}, {"name": "Mean", "value": None}]
    path = write(
        tmp_path / "a.geojson",
        feature(polygon(square(0, 0, 4)), None, measurements=old),
        feature(polygon(square(8, 0, 4)), ""),
        feature(polygon(square(20, 0, 4)), classification={"names": ["Tumor", "Positive"]}),
        feature(polygon(square(30, 0, 4)), classification=None),
    )
    nuclei = read_nuclei(path)
    assert nuclei.class_names == ("", "", "Tumor: Positive", "")
    assert nuclei.measurements["Area"][0] == 3
    with pytest.raises(ValueError, match=r"a\.geojson: class: \(no class\), Tumor: Positive: exp"):
        layout_on(nuclei, TABLE, {}, (40, 40), 0.5)
    mapping = {"": "", "Tumor: Positive": "epithelial"}
    layout, notes = layout_on(nuclei, TABLE, mapping, (40, 40), 0.5)
    assert layout.class_ids.tolist() == [2] and notes == (
        "left out: 3 of classes that are left out",
    )


BAD = {
    "not a number": ({"type": "Point", "coordinates": [1, "x"]}, "pairs of numbers"),
    "NaN": ({"type": "Point", "coordinates": [1, float("nan")]}, "finite numbers"),
    "infinite": ({"type": "Point", "coordinates": [1, float("inf")]}, "finite numbers"),
    "no coordinates": ({"type": "Polygon", "coordinates": []}, "rings of coordinates"),
    "an empty ring": ({"type": "Polygon", "coordinates": [[]]}, "pairs of numbers"),
    "no list": ({"type": "Polygon", "coordinates": 5}, "rings of coordinates"),
    "ragged": ({"type": "Polygon", "coordinates": [[[0, 0], [1]]]}, "pairs of numbers"),
    "unknown kind": ({"type": "Circle"}, "expected a GeoJSON geometry"),
    "text": ("here", "expected a GeoJSON geometry"),
    "text of lines": ({"type": "Point", "coordinates": "a\nb"}, "pairs of numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_geometry_names_file_and_feature(tmp_path, name):
    geometry, reason = BAD[name]
    path = write(tmp_path / "bad.geojson", feature(geometry))
    with pytest.raises(ValueError, match=rf"bad\.geojson: feature 0: .*{reason}") as error:
        read_nuclei(path)
    assert "\n" not in str(error.value)
    # Among others it is left out and counted.
    good = feature(polygon(square(0, 0, 4)))
    nuclei = read_nuclei(write(path, good, feature(geometry), feature(geometry)))
    assert len(nuclei) == 1
    (note,) = nuclei.notes
    assert note.startswith("left out: 2 damaged outlines (feature 1: ") and reason in note


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", "5", '{"type": "FeatureCollection"}', "[" * 100_000, "\0\0\0"]
)
def test_what_is_no_geojson_is_one_line(tmp_path, text):
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.geojson: ") as error:
        read_nuclei(path)
    assert "\n" not in str(error.value)


def hovernet_cell(x, y, **more):
    ring = [[x, y], [x + 4, y], [x + 4, y + 4], [x, y + 4]]
    return {"bbox": [[y, x], [y + 5, x + 5]], "centroid": [x + 2, y + 2], "contour": ring, **more}


def test_hovernet_json_has_x_before_y_and_pixel_centres(tmp_path):
    path = tmp_path / "tile.json"
    cells = {"1": hovernet_cell(10, 20, type=2, type_prob=0.9), "7": hovernet_cell(30, 0, type=1)}
    del cells["7"]["centroid"]
    path.write_text(json.dumps({"mag": 40, "nuc": cells}))
    nuclei = read_nuclei(path)
    np.testing.assert_allclose(nuclei.centroids, [(22, 12), (2, 32)])
    assert nuclei.class_names == ("type 2", "type 1")
    assert nuclei.mpp is None  # an objective's number is no pixel size
    assert nuclei.instances((40, 40))[22, 12] == 1
    np.testing.assert_array_equal(nuclei.measurements["type_prob"], [0.9, np.nan])
    path.write_text(json.dumps({"nuc": {"1": {"bbox": [[20, 10], [25, 15]]}}}))
    np.testing.assert_allclose(read_nuclei(path).centroids, [(22, 12)])


def test_cellvit_json_names_its_types_and_its_mpp(tmp_path):
    path = tmp_path / "cells.json"
    content = {
        "wsi_metadata": {"base_mpp": 0.25},
        "type_map": {"1": "Neoplastic", "2": "Inflammatory"},
        "cells": [hovernet_cell(10, 20, type=2), {"centroid": [5, 6], "type": 1}],
    }
    path.write_text(json.dumps(content))
    nuclei = read_nuclei(path)
    assert nuclei.class_names == ("Inflammatory", "Neoplastic") and nuclei.mpp == 0.25
    np.testing.assert_allclose(nuclei.centroids, [(22, 12), (6, 5)])
    assert nuclei.outlines is None  # not every cell has a contour


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "expected 'nuc'"),
        ([], "expected 'nuc'"),
        ({"nuc": {"3": None}}, "nucleus 3: expected an object"),
        ({"nuc": {"3": {}}}, "nucleus 3: expected a centroid, a contour or a bbox"),
        ({"nuc": {"3": {"centroid": [1]}}}, "nucleus 3: centroid: expected pairs"),
        ({"nuc": {"3": {"centroid": [1, float("nan")]}}}, "nucleus 3: centroid: expected finite"),
        ({"cells": [{"contour": [[1, 2], [3]]}]}, "nucleus 0: contour: expected pairs"),
    ],
)
def test_bad_hovernet_json_names_the_nucleus(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"bad\.json: {reason}"):
        read_nuclei(path)


def test_mat_of_the_real_data_set_is_its_layout(data_root):
    folder = data_root / "consep" / "train"
    record = ConsepDataset(folder, only=["train_6"])[0]
    nuclei = read_nuclei(folder / "Labels" / "train_6.mat")
    assert nuclei.extent == record.labels.shape
    names = [f"type {i}" for i in range(1, 8)]
    mapping = dict(zip(names, record.classes.names[1:], strict=True))
    layout, _ = layout_on(nuclei, record.classes, mapping, record.labels.shape, 0.25)
    # The record numbers nuclei in scan order and parts cut ones; the file has its own order.
    theirs = {
        tuple(np.round(c, 2)): i
        for c, i in zip(*(record.layout.centroids, record.layout.class_ids), strict=True)
    }
    same = sum(
        theirs.get(tuple(np.round(c, 2))) == i
        for c, i in zip(layout.centroids, layout.class_ids, strict=True)
    )
    assert same > 0.97 * len(layout)


def test_mat_by_type_map_and_by_lizards_ids(tmp_path):
    instances = np.zeros((20, 20), np.int32)
    instances[2:5, 2:5], instances[10:14, 10:14] = 4, 9
    types = np.zeros((20, 20), np.uint8)
    types[2:5, 2:5], types[10:14, 10:14] = 2, 1
    path = tmp_path / "a.mat"
    savemat(path, {"inst_map": instances, "type_map": types})
    assert read_nuclei(path).class_names == ("type 2", "type 1")
    savemat(path, {"inst_map": instances, "id": [[9], [4]], "class": [[3], [5]]})
    assert read_nuclei(path).class_names == ("type 5", "type 3")
    savemat(path, {"inst_map": instances, "inst_type": [[1]]})
    with pytest.raises(ValueError, match=r"a\.mat: inst_type: expected 2 classes"):
        read_nuclei(path)
    savemat(path, {"other": instances})
    with pytest.raises(ValueError, match=r"a\.mat: inst_map: expected"):
        read_nuclei(path)
    path.write_bytes(b"no mat")
    with pytest.raises(ValueError, match=r"a\.mat: cannot be read as a MATLAB file"):
        read_nuclei(path)


def test_label_images_and_points(tmp_path):
    labels = np.zeros((20, 20), np.uint16)
    labels[4:7, 8:11] = 300
    imsave(tmp_path / "a.png", labels, check_contrast=False)
    np.save(tmp_path / "a.npy", labels)
    for name in ("a.png", "a.npy"):
        np.testing.assert_allclose(read_nuclei(tmp_path / name).centroids, [(5, 9)])
    np.save(tmp_path / "b.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"b\.npy: cannot be read as an image"):
        read_nuclei(tmp_path / "b.npy")
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1,class\n0,5,9,mast cell\n")
    assert read_nuclei(tmp_path / "a.csv").class_names == ("mast cell",)
    with pytest.raises(ValueError, match=r"a\.xyz: expected a file with nuclei"):
        read_nuclei(tmp_path / "a.xyz")


def test_layouts_keep_one_nucleus_a_pixel_and_say_what_is_not_on_the_canvas(tmp_path):
    (tmp_path / "a.csv").write_text(
        "index,axis-0,axis-1,class\n0,5,9,inflammatory\n1,5.2,9.1,epithelial\n2,50,9,epithelial\n"
    )
    nuclei = read_nuclei(tmp_path / "a.csv")
    layout, notes = layout_on(nuclei, TABLE, {}, (20, 20), 0.5)
    assert layout.class_ids.tolist() == [1]
    assert notes == (
        "left out: 1 outside the canvas",
        "left out: 1 on a pixel that another nucleus has",
    )
    # Pixels of twice the size over the same corners: the centre of pixel 0 lies at 0.5.
    layout, _ = layout_on(nuclei, TABLE, {}, (40, 10), 1.0, origin=(0.5, 0.5), step=2)
    np.testing.assert_allclose(layout.centroids, [(2.25, 4.25), (24.75, 4.25)])


def test_class_names_of_other_programs_are_suggested():
    wanted = {
        "Tumor": "malignant epithelial",
        "Tumor: Positive": "malignant epithelial",
        "Immune cells": "inflammatory",
        "Lymphocytes": "inflammatory",
        "Stroma": "spindle-shaped",
        "Connective": "spindle-shaped",
        "Necrosis": "miscellaneous",
        "Epithelial": "healthy epithelial",
        "Non-Neoplastic Epithelial": "healthy epithelial",
        "INFLAMMATORY": "inflammatory",
        "": "unspecified",
    }
    assert suggest(wanted, BUNDLED) == wanted
    assert suggest(["type 3", "?"], BUNDLED) == {}


def test_the_files_own_classes_become_a_table():
    table, ids = own_table(["b", "", "b", "background"])
    assert table.names == ("background", "b", "no class", "background (nuclei)")
    assert ids.tolist() == [1, 2, 1, 3]
    assert own_table(["inflammatory", "2"])[0] == BUNDLED


VALID = {
    "a.geojson": {
        "type": "FeatureCollection",
        "features": [
            feature(polygon(square(0, 0, 9), square(2, 2, 3)), "a", measurements={"Area": 1.0}),
            feature({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, "b", "annotation"),
            feature(polygon(square(4, 4, 9)), measurements=[{"name": "Area", "value": 2}]),
        ],
    },
    "a.json": {
        "type_map": {"1": "a"},
        "wsi_metadata": {"base_mpp": 0.25},
        "cells": [hovernet_cell(1, 2, type=1), {"bbox": [[1, 2], [3, 4]], "type_prob": 0.5}],
    },
}


@pytest.mark.parametrize("name", VALID)
def test_spoiled_files_are_read_or_refused_in_a_line_that_names_them(tmp_path, name):
    rng = np.random.default_rng(0)
    path = tmp_path / name
    refused = 0
    for _ in range(150):
        path.write_text(json.dumps(spoiled(VALID[name], rng)))
        try:
            nuclei = read_nuclei(path)
            assert np.isfinite(nuclei.centroids).all() and len(nuclei.extent) == 2
            layout_on(nuclei, TABLE, dict.fromkeys(nuclei.names, "epithelial"), (40, 40), 0.5)
        except ValueError as error:
            assert name in str(error) and "\n" not in str(error)
            refused += 1
    assert 20 < refused < 148
