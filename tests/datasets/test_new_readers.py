"""Readers of published formats on files made in exactly their layouts."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import shapely
import tifffile
from shapely.geometry import Polygon
from skimage.io import imsave

from napari_cosynth.datasets.coco import CocoDataset
from napari_cosynth.datasets.formats import formats_of, open_records
from napari_cosynth.datasets.geojson import GeoJsonDataset
from napari_cosynth.datasets.omezarr import OmeZarrDataset
from napari_cosynth.datasets.published.conic import ConicDataset
from napari_cosynth.datasets.published.hovernet import HoverNetDataset
from napari_cosynth.datasets.published.monuseg import MonusegDataset
from napari_cosynth.datasets.published.nuinsseg import NuInsSegDataset
from nuclei import CLASSES, record


def image(shape=(40, 56), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


# CoNIC


@pytest.fixture
def conic(tmp_path):
    images = np.stack([image((256, 256), s) for s in range(3)])
    labels = np.zeros((3, 256, 256, 2), np.uint16)
    for patch in range(3):
        labels[patch, 20:30, 20:30] = 7, 1 + patch
        labels[patch, 40:50, 40:50] = 3, 6
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    (tmp_path / "counts.csv").write_text(
        "neutrophil,epithelial,lymphocyte,plasma,eosinophil,connective\n" + "1,0,0,0,0,1\n" * 3
    )
    return tmp_path


def test_conic_as_published(conic):
    assert formats_of(conic) == ("conic",)
    dataset = ConicDataset(conic)
    assert dataset.names == ("00000", "00001", "00002")
    one = dataset[1]
    assert one.mpp == 0.5
    assert [one.classes.names[c] for c in one.layout.class_ids] == ["epithelial", "connective"]
    assert one.labels[25, 25] == 2
    assert dataset.slide_of("00001") is None
    (conic / "patch_info.csv").write_text("patch_info\nconsep_1-0000\nconsep_1-0001\nglas_2-0000\n")
    named = ConicDataset(conic, only=["consep_1-0001"])
    np.testing.assert_array_equal(named[0].labels, one.labels)
    assert named.slide_of("consep_1-0001") == "consep_1"


def test_conic_refuses_what_does_not_fit(conic):
    (conic / "counts.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"counts\.csv: expected 3 rows"):
        ConicDataset(conic)
    (conic / "counts.csv").unlink()
    np.save(conic / "labels.npy", np.zeros((3, 256, 256), np.uint16))
    with pytest.raises(ValueError, match=r"labels\.npy: expected integers"):
        ConicDataset(conic)
    np.save(conic / "labels.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"labels\.npy: cannot be read as a plain \.npy"):
        ConicDataset(conic)


READ = """
import sys
from pathlib import Path
from napari_cosynth.datasets.formats import open_records
_, dataset = open_records(Path(sys.argv[1]))
for index in range(0, len(dataset), int(sys.argv[2])):
    assert dataset[index].labels.shape == (256, 256)
status = Path("/proc/self/status").read_text()
print(len(dataset), int(status.split("VmHWM:")[1].split()[0]) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_ten_gigabytes_of_pannuke_in_less_than_one(tmp_path):
    count = 6400
    shapes = {"images": (count, 256, 256, 3), "masks": (count, 256, 256, 6)}
    for name, shape in shapes.items():
        with (tmp_path / f"{name}.npy").open("wb") as handle:
            header = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            handle.truncate(handle.tell() + 8 * int(np.prod(shape)))  # holes take no room
    np.save(tmp_path / "types.npy", np.array(["Breast"] * count))
    assert (tmp_path / "images.npy").stat().st_size > 10e9
    command = [sys.executable, "-c", READ, str(tmp_path), "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, peak = done.stdout.split()
    assert int(read) == count
    assert float(peak) < 0.6, peak  # GiB; the 128 patches that were read are 0.56


# HoVer-Net


def test_hovernet_patches_without_classes(tmp_path):
    one = record()
    patch = np.concatenate([one.image, one.instances[..., None]], -1).astype(np.int32)
    np.save(tmp_path / "TCGA-AR-A1AS-01Z_003.npy", patch)
    assert formats_of(tmp_path) == ("hovernet",)
    dataset = HoverNetDataset(tmp_path)
    assert dataset.classes.names == ("background", "unspecified")
    assert dataset.slide_of(dataset.names[0]) == "TCGA-AR-A1AS"
    assert not dataset.mpp_stated
    np.testing.assert_array_equal(dataset[0].labels, one.instances > 0)


# MoNuSeg


def aperio(path, outlines):
    regions = "".join(
        f'<Region Id="{i}"><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
        + "</Vertices></Region>"
        for i, points in enumerate(outlines, 1)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<Annotations MicronsPerPixel="0.252000"><Annotation Id="1"><Attributes/>'
        f"<Regions><RegionAttributeHeaders/>{regions}</Regions><Plots/></Annotation></Annotations>"
    )


def test_monuseg_as_published(tmp_path, caplog):
    name = "TCGA-18-5592-01Z-00-DX1"
    (tmp_path / "Tissue Images").mkdir()
    tifffile.imwrite(tmp_path / "Tissue Images" / f"{name}.tif", image((60, 60)), photometric="rgb")
    rng = np.random.default_rng(0)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 15))
    blob = 30.3 + rng.uniform(8, 14, 15)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    over = [(2, 2), (7, 2), (7, 7), (2, 7)]
    slip = [(50, 50), (51, 50)]
    aperio(tmp_path / "Annotations" / f"{name}.xml", [square, blob, over, slip])
    assert formats_of(tmp_path) == ("monuseg",)
    dataset = MonusegDataset(tmp_path)
    assert dataset.slide_of(name) == "TCGA-18-5592"
    parts = dataset.parts(name)
    y, x = np.indices((60, 60))
    expected = np.zeros((60, 60), int)
    for index, points in ((3, over), (2, blob), (1, square)):  # the first holds
        expected[shapely.contains_xy(Polygon(points), x + 0.5, y + 0.5)] = index
    np.testing.assert_array_equal(parts.instances, expected)
    assert len(dataset[0].layout) == 3
    assert "left out: 1 regions of fewer than three vertices" in caplog.text
    assert dataset.classes.names == ("background", "unspecified")
    assert dataset.mpp_stated and dataset[0].mpp == 0.25


def region(*points, negative=0):
    vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in points)
    return f'<Region NegativeROA="{negative}"><Vertices>{vertices}</Vertices></Region>'


def square_at(x, y, side):
    return (x, y), (x + side, y), (x + side, y + side), (x, y + side)


def test_monusac_has_classes_a_pixel_size_holes_and_what_is_no_nucleus(tmp_path, caplog):
    imsave(tmp_path / "a.png", image((40, 60)), check_contrast=False)
    layers = {
        "Epithelial": region(*square_at(4, 4, 12)) + region(*square_at(8, 8, 4), negative=1),
        "Lymphocyte": region(*square_at(30, 6, 8)),
        "Ambiguous": region(*square_at(40, 20, 10)),
    }
    annotations = "".join(
        f'<Annotation><Attributes><Attribute Name="{name}" Value=""/></Attributes>'
        f"<Regions>{regions}</Regions></Annotation>"
        for name, regions in layers.items()
    )
    text = f'<Annotations MicronsPerPixel="0.502">{annotations}</Annotations>'
    (tmp_path / "a.xml").write_text(text, encoding="utf-8-sig")
    dataset = MonusegDataset(tmp_path)
    assert dataset.classes.names == ("background", "Epithelial", "Lymphocyte")
    expected = np.zeros((40, 60), int)
    expected[4:16, 4:16], expected[8:12, 8:12], expected[6:14, 30:38] = 1, 0, 2
    parts = dataset.parts("a")
    np.testing.assert_array_equal(parts.instances, expected)
    np.testing.assert_array_equal(parts.labels, expected)
    assert "a.xml: left out: 1 ambiguous regions" in caplog.text
    assert dataset.mpp_stated and dataset[0].mpp == 0.502
    (tmp_path / "a.xml").write_text(text.replace(' MicronsPerPixel="0.502"', ""))
    assert not MonusegDataset(tmp_path).mpp_stated


def test_asaps_xml(tmp_path, caplog):
    imsave(tmp_path / "a.png", image((40, 60)), check_contrast=False)

    def annotation(kind, group, points):
        corners = "".join(
            f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(points)
        )
        return (
            f'<Annotation Name="A" Type="{kind}" PartOfGroup="{group}">'
            f"<Coordinates>{corners}</Coordinates></Annotation>"
        )

    annotations = annotation("Polygon", "Tumor", square_at(4, 4, 8))
    annotations += annotation("Polygon", "None", square_at(30, 4, 8))
    annotations += annotation("Dot", "Tumor", [(50, 30)])
    (tmp_path / "a.xml").write_text(
        f"<ASAP_Annotations><Annotations>{annotations}</Annotations></ASAP_Annotations>"
    )
    assert formats_of(tmp_path) == ("monuseg",)
    dataset = MonusegDataset(tmp_path)
    assert dataset.classes.names == ("background", "Tumor", "unspecified")
    assert dataset[0].layout.class_ids.tolist() == [1, 2]
    assert "left out: 1 points and lines" in caplog.text


def test_monuseg_names_what_is_damaged(tmp_path):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    aperio(tmp_path / "a.xml", [[(0, 0), (1, 0), ("x", 3)]])
    with pytest.raises(ValueError, match=r"a\.xml: region 1: expected vertices"):
        MonusegDataset(tmp_path)[0]
    (tmp_path / "a.xml").write_text("<Annotations>")
    with pytest.raises(ValueError, match=r"a\.xml: cannot be read as XML"):
        MonusegDataset(tmp_path)[0]
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    with pytest.raises(ValueError, match="no image is called 'a'"):
        MonusegDataset(tmp_path)


@pytest.mark.parametrize("encoding", ["shift_jis", "x-unknown", "idna"])
def test_xml_in_an_encoding_that_is_not_read(tmp_path, encoding):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    text = f'<?xml version="1.0" encoding="{encoding}"?><Annotations></Annotations>'
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=r"a\.xml: cannot be read as XML"):
        MonusegDataset(tmp_path)


def test_a_vertex_of_a_long_text_is_a_short_line(tmp_path):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    aperio(tmp_path / "a.xml", [[(0, 0), (1, 0), ("x" * 5000, 3)]])
    with pytest.raises(ValueError, match=r"a\.xml: region 1: expected vertices") as error:
        MonusegDataset(tmp_path)
    assert len(str(error.value).replace(str(tmp_path), "")) < 600


def test_holes_are_cut_once_for_all_regions_of_an_annotation(tmp_path, monkeypatch):
    """2,000 regions with 2,000 holes took as many times longer."""
    import napari_cosynth.datasets.published.monuseg as monuseg

    imsave(tmp_path / "a.png", image((40, 60)), check_contrast=False)
    regions = [region(*square_at(4 + 10 * i, 4, 8)) for i in range(4)]
    regions += [region(*square_at(6 + 10 * i, 6, 2), negative=1) for i in range(5)]
    (tmp_path / "a.xml").write_text(
        f"<Annotations><Annotation>{''.join(regions)}</Annotation></Annotations>"
    )
    seen = []
    draw = monuseg.filled
    monkeypatch.setattr(monuseg, "filled", lambda *a: (seen.append(1), draw(*a))[1])
    parts = MonusegDataset(tmp_path).parts("a")
    expected = np.zeros((40, 60), int)
    for i in range(4):
        expected[4:12, 4 + 10 * i : 12 + 10 * i] = i + 1
        expected[6:8, 6 + 10 * i : 8 + 10 * i] = 0
    np.testing.assert_array_equal(parts.instances, expected)
    assert len(seen) == 4 + 5


# NuInsSeg


def test_nuinsseg_as_published(tmp_path):
    one = record(1)
    for organ in ("human bladder", "mouse fat_subscapula"):
        stem = organ.replace(" ", "_") + "_01"
        for kind in ("tissue images", "label masks", "mask binary"):
            (tmp_path / organ / kind).mkdir(parents=True)
        imsave(tmp_path / organ / "tissue images" / f"{stem}.png", one.image, check_contrast=False)
        mask = one.instances.astype(np.float32)
        tifffile.imwrite(tmp_path / organ / "label masks" / f"{stem}.tif", mask)
    assert formats_of(tmp_path) == ("nuinsseg",)
    dataset = NuInsSegDataset(tmp_path)
    assert dataset.names[0] == "human bladder/human_bladder_01"
    assert dataset.tissues == ("bladder", "fat subscapula")
    assert dataset.slide_of(dataset.names[1]) == "mouse fat_subscapula"
    np.testing.assert_array_equal(dataset[1].instances, one.instances)
    (tmp_path / "human bladder" / "label masks" / "human_bladder_01.tif").rename(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="no images"):
        NuInsSegDataset(tmp_path)


# QuPath


def feature(geometry, kind="detection", **properties):
    return {
        "type": "Feature",
        "id": "x",
        "geometry": geometry,
        "properties": {"objectType": kind, **properties},
    }


def square(x, y, side):
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def test_geojson_as_qupath_writes_it(tmp_path, caplog):
    tumour = {"classification": {"name": "Tumor", "color": [200, 0, 0]}}
    immune = {"classification": {"name": "Immune cells", "colorRGB": -6895466}}
    cell = feature(
        {"type": "Polygon", "coordinates": [square(0, 20, 12)]},
        "cell",
        **immune,
    )
    cell["nucleusGeometry"] = {"type": "Polygon", "coordinates": [square(2, 22, 5)]}
    features = [
        # (2.5, 3.5) is the centre of the pixel in row 3, column 2.
        feature({"type": "Polygon", "coordinates": [square(2, 3, 6), square(4, 5, 2)]}, **tumour),
        feature(
            {"type": "MultiPolygon", "coordinates": [[square(20, 3, 4)], [square(24, 7, 4)]]},
        ),
        cell,
        feature({"type": "Point", "coordinates": [1, 1]}, **tumour),
        feature({"type": "Polygon", "coordinates": [square(0, 0, 40)]}, "annotation", **tumour),
    ]
    for content in ({"type": "FeatureCollection", "features": features}, features):
        (tmp_path / "a.geojson").write_text(json.dumps(content))
        tifffile.imwrite(
            tmp_path / "a.tif",
            image(),
            photometric="rgb",
            resolution=(4e4, 4e4),
            resolutionunit="CENTIMETER",
        )
        assert formats_of(tmp_path) == ("geojson",)
        dataset = GeoJsonDataset(tmp_path)
        assert dataset.classes.names == ("background", "Immune cells", "Tumor", "unspecified")
        assert dataset.classes.colors[2].tolist() == [200, 0, 0]
        assert dataset.classes.colors[1].tolist() == [150, 200, 150]
        assert dataset.mpp_stated
        parts = dataset.parts("a")
        assert parts.mpp == pytest.approx(0.25)
        expected = np.zeros((40, 56), int)
        expected[3:9, 2:8] = 2
        expected[5:7, 4:6] = 0
        expected[3:7, 20:24] = expected[7:11, 24:28] = 3
        expected[22:27, 2:7] = 1
        np.testing.assert_array_equal(parts.labels, expected)
        assert (parts.instances[parts.labels == 3] == 2).all()
    assert "left out: 1 points, which cover no pixels" in caplog.text
    assert len(GeoJsonDataset(tmp_path / "a.geojson", mpp=0.5)) == 1


def test_annotations_are_nuclei_where_there_is_nothing_else(tmp_path):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    drawn = [feature({"type": "Polygon", "coordinates": [square(2, 3, 6)]}, "annotation")]
    (tmp_path / "a.geojson").write_text(json.dumps(drawn))
    dataset = GeoJsonDataset(tmp_path)
    assert (dataset.parts("a").instances > 0).sum() == 36
    assert not dataset.mpp_stated


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"type": "Topology"}, "features: expected a FeatureCollection"),
        ([feature("here")], "feature 0: geometry"),
        ([feature({"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]})], "three or more"),
        (
            [feature({"type": "Polygon", "coordinates": [["a"]]})],
            "feature 0: geometry: expected pairs of numbers",
        ),
        (
            [feature({"type": "Polygon", "coordinates": [square(0, 0, 2)]}, classification={})],
            "feature 0: classification: expected a name",
        ),
    ],
)
def test_geojson_names_what_is_damaged(tmp_path, features, message):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    with pytest.raises(ValueError, match=message):
        GeoJsonDataset(tmp_path)


def test_geojson_of_a_class_without_a_name(tmp_path):
    geometry = {"type": "Polygon", "coordinates": [square(0, 0, 9)]}
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    drawn = [feature(geometry, classification={"name": None})]
    (tmp_path / "a.geojson").write_text(json.dumps(drawn))
    assert GeoJsonDataset(tmp_path)[0].classes.names[1:] == ("unspecified",)


# COCO


def coco_file(folder, annotations, **changes):
    content = {
        "images": [{"id": 4, "file_name": "a.png", "height": 40, "width": 56}],
        "categories": [{"id": 7, "name": "epithelial"}, {"id": 2, "name": "immune"}],
        "annotations": [
            {"id": i, "image_id": 4, "iscrowd": 0, **a} for i, a in enumerate(annotations)
        ],
        **changes,
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    imsave(folder / "images" / "a.png", image(), check_contrast=False)
    path = folder / "annotations" / "instances_train.json"
    path.write_text(json.dumps(content))
    return path


def test_coco_polygons_and_runs_as_its_api_reads_them(tmp_path):
    from pycocotools import mask as masks
    from pycocotools.coco import COCO

    crowd = np.zeros((40, 56), np.uint8, order="F")
    crowd[30:38, 30:50] = 1
    packed = masks.encode(crowd)
    packed["counts"] = packed["counts"].decode()
    loose = {"size": [40, 56], "counts": [3, 5, 35, 4, 40 * 56 - 47]}
    annotations = [
        {"category_id": 7, "segmentation": [[3.2, 4.1, 15.7, 6.3, 9.9, 17.5]]},
        {"category_id": 2, "segmentation": [[20, 3, 26, 3, 26, 9, 20, 9], [30, 3, 33, 3, 33, 8]]},
        {"category_id": 7, "segmentation": packed},
        {"category_id": 2, "segmentation": loose},
        {"category_id": 2, "segmentation": packed, "iscrowd": 1},
    ]
    path = coco_file(tmp_path, annotations)
    assert formats_of(tmp_path) == formats_of(path) == ("coco",)
    dataset = CocoDataset(tmp_path)
    assert dataset.classes.names == ("background", "immune", "epithelial")
    parts = dataset.parts("a")
    api = COCO(path)
    expected = np.zeros((40, 56), int)
    for index, annotation in enumerate(api.loadAnns(api.getAnnIds(iscrowd=False)), start=1):
        expected[api.annToMask(annotation) > 0] = index
    np.testing.assert_array_equal(parts.instances, expected)
    np.testing.assert_array_equal(parts.labels, np.array([0, 2, 1, 2, 1])[expected])
    assert not dataset.mpp_stated
    assert CocoDataset(path, mpp=0.5)[0].mpp == 0.5


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 9, "segmentation": []}, "annotation 0: category_id: 9 is no category"),
        ({"category_id": 7, "segmentation": [[1, 2, 3]]}, "three or more"),
        ({"category_id": 7, "segmentation": {"size": [4, 4], "counts": "04"}}, "size: expected"),
        ({"category_id": 7, "segmentation": {"size": [40, 56], "counts": [3]}}, "add up to"),
        ({"category_id": 7, "segmentation": {"size": [40, 56], "counts": "\x7f"}}, "character"),
        ({"category_id": 7, "segmentation": "x"}, "annotation 0: segmentation"),
        ({"category_id": 7, "segmentation": [1, 2, 3, 4, 5, 6]}, "annotation 0: segmentation"),
        ({"category_id": 7, "segmentation": [[1, 2, 3, 4, 5, "6"]]}, "annotation 0: segmentation"),
        (
            {"category_id": 7, "segmentation": [[1, 2], [3, 4], [5, 6]]},
            "annotation 0: segmentation",
        ),
        ({"category_id": 7, "segmentation": [], "image_id": 5}, "no image has id 5"),
        ({"category_id": 7, "segmentation": [], "image_id": [4]}, r"no image has id \[4\]"),
        ({"category_id": [7], "segmentation": []}, r"category_id: \[7\] is no category"),
    ],
)
def test_coco_names_what_is_damaged(tmp_path, annotation, message):
    coco_file(tmp_path, [annotation])
    with pytest.raises(ValueError, match=message):
        list(CocoDataset(tmp_path))


@pytest.mark.parametrize("spelt", [float, str, "tile-{}".format])
def test_coco_ids_as_other_programs_write_them(tmp_path, spelt):
    square = [[4, 4, 10, 4, 10, 10, 4, 10]]
    annotations = [{"category_id": spelt(7), "image_id": spelt(4), "segmentation": square}]
    images = [{"id": spelt(4), "file_name": "a.png", "height": 40.0, "width": 56.0}]
    categories = [{"id": spelt(7), "name": "a"}, {"id": spelt(2), "name": "b"}]
    path = coco_file(tmp_path, annotations, images=images, categories=categories)
    (record,) = CocoDataset(path)
    assert record.classes.names[1:] == ("b", "a") and record.layout.class_ids.tolist() == [2]


def test_coco_categories_of_the_background_and_of_one_name(tmp_path, caplog):
    names = [(0, "_background_"), (1, "nuclei"), (2, "immune"), (5, "nuclei"), (6, "Background")]
    square = [[4, 4, 10, 4, 10, 10, 4, 10]]
    annotations = [
        {"category_id": 5, "segmentation": square},
        {"category_id": 1, "segmentation": [[20, 4, 26, 4, 26, 10]]},
        {"category_id": 6, "segmentation": [[30, 4, 36, 4, 36, 10]]},
    ]
    categories = [{"id": key, "name": name} for key, name in names]
    dataset = CocoDataset(coco_file(tmp_path, annotations, categories=categories))
    assert dataset.classes.names == ("background", "nuclei", "immune")
    assert dataset[0].layout.class_ids.tolist() == [1, 1]
    assert "left out: 1 annotations of the background" in caplog.text


def test_many_coco_annotations_take_no_mask_each(tmp_path):
    corners = np.array([[1, 1], [5, 1], [5, 5], [1, 5]])
    shape = (400, 400)
    annotations = [
        {
            "category_id": 7,
            "segmentation": [(corners + 8 * np.array([i % 50, i // 50])).ravel().tolist()],
        }
        for i in range(2500)
    ]
    images = [{"id": 4, "file_name": "a.png", "height": 400, "width": 400}]
    path = coco_file(tmp_path, annotations, images=images)
    imsave(tmp_path / "images" / "a.png", image(shape), check_contrast=False)
    dataset = CocoDataset(path)
    tracemalloc.start()
    instances = dataset.parts("a").instances
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()
    y, x = np.indices(shape)
    inside = (y % 8 >= 1) & (y % 8 < 5) & (x % 8 >= 1) & (x % 8 < 5)
    np.testing.assert_array_equal(instances, np.where(inside, y // 8 * 50 + x // 8 + 1, 0))


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "missing.png"])
def test_coco_stays_in_its_folder(tmp_path, name):
    images = [{"id": 4, "file_name": name, "height": 40, "width": 56}]
    coco_file(tmp_path, [], images=images)
    with pytest.raises(ValueError, match=r"file_name|no file"):
        CocoDataset(tmp_path)


# OME-Zarr


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_omezarr_as_ome_zarr_writes_it(tmp_path, version):
    import zarr
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import write_image, write_labels

    made = record(2)
    fmt = FormatV04() if version == "0.4" else FormatV05()
    path = tmp_path / "tile.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    units = {"y": "micrometer", "x": "micrometer"}
    write_image(
        np.moveaxis(made.image, -1, 0),
        group,
        scale_factors=(2,),
        axes="cyx",
        scale={"c": 1.0, "y": 0.5, "x": 0.5},
        axes_units=units,
        fmt=fmt,
    )
    ids = range(1, made.instances.max() + 1)
    kinds = {i: CLASSES.names[made.labels[made.instances == i][0]] for i in ids}
    properties = [{"label-value": i, "class": kind} for i, kind in kinds.items()]
    write_labels(
        made.instances,
        group,
        name="nuclei",
        scale_factors=(2,),
        axes="yx",
        scale={"y": 0.5, "x": 0.5},
        axes_units=units,
        label_metadata={"properties": properties},
        fmt=fmt,
    )
    for where in (path, tmp_path):
        assert formats_of(where) == ("omezarr",)
        dataset = OmeZarrDataset(where)
        assert dataset.names == ("tile",)
        back = dataset[0]
        assert back.mpp == 0.5 and dataset.mpp_stated
        np.testing.assert_array_equal(back.image, made.image)
        np.testing.assert_array_equal(back.instances, made.instances)
        names = np.array(back.classes.names)[back.labels]
        np.testing.assert_array_equal(names, np.array(made.classes.names)[made.labels])
    with pytest.raises(ValueError, match="labels: expected cells, got nuclei"):
        OmeZarrDataset(path, instances="cells")


def test_unknown_options_and_tables(tmp_path):
    imsave(tmp_path / "a.png", image(), check_contrast=False)
    (tmp_path / "a.geojson").write_text("[]")
    assert len(open_records(tmp_path)[1][0].layout) == 0
