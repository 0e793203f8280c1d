"""What a reader refuses, beside the nearest thing that it takes: a check that is turned round shows."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy.io import savemat
from skimage.io import imsave

from napari_cosynth import registry
from napari_cosynth.datasets.coco import CocoDataset
from napari_cosynth.datasets.coco_shapes import CocoShapes
from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.datasets.formats import formats_of, open_records
from napari_cosynth.datasets.geojson import GeoJsonDataset
from napari_cosynth.datasets.omezarr import OmeZarrDataset
from napari_cosynth.datasets.packed import PackedDataset, write_packed
from napari_cosynth.datasets.published.conic import ConicDataset
from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.datasets.published.endonuke_masks import read_masks
from napari_cosynth.datasets.published.hovernet import HoverNetDataset
from napari_cosynth.datasets.published.monuseg import MonusegDataset
from napari_cosynth.datasets.published.nuinsseg import NuInsSegDataset
from napari_cosynth.datasets.published.pannuke import PanNukeDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.records.base import make_record
from napari_cosynth.slides.files import from_0_to_255, load_npy, read_tissues, select
from nuclei import CLASSES, items, record

SIDES = (24, 32)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        imsave(path, array, check_contrast=False)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIDES, 3)).astype(np.uint8)


def ids() -> np.ndarray:
    """Two nuclei, 1 and 2."""
    found = np.zeros(SIDES, np.int32)
    found[2:8, 2:8], found[12:20, 12:20] = 1, 2
    return found


# COCO


def coco(folder: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 32}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 8, 2, 8, 8]]}
        ],
    }
    save(folder / "a.png", image())
    path = folder / "coco.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"images": [1]}, "images: expected a list of objects"),
        ({"annotations": {}}, "annotations: expected a list of objects"),
        ({"categories": [{"id": 1.5, "name": "a"}]}, "categories: expected id and name"),
        ({"categories": [{"id": True, "name": "a"}]}, "categories: expected id and name"),
        ({"categories": [{"id": 1, "name": 2}]}, "categories: expected id and name"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1.0, "name": "b"}]}, "id is there twice"),
        ({"categories": [{"id": k, "name": f"c{k}"} for k in range(300)]}, "categories: "),
        ({"images": [{"id": None, "file_name": "a.png"}]}, "images: 0: expected id and file_name"),
        ({"images": [{"id": 1, "file_name": 3}]}, "images: 0: expected id and file_name"),
        ({"images": [{"id": 1, "file_name": "../a.png"}]}, "images: 0: file_name: expected a path"),
        (
            {"images": [{"id": 1, "file_name": "a.png", "height": 0, "width": 32}]},
            "expected height and width, got 0 and 32",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.png", "height": 24, "width": "32"}]},
            "expected height and width, got 24 and '32'",
        ),
        (
            {"images": [{"id": 1, "file_name": "b.png", "height": 24, "width": 32}]},
            r"images: no file 'b.png' beside it or in images/",
        ),
        (
            {
                "images": [
                    {"id": k, "file_name": name, "height": 24, "width": 32}
                    for k, name in ((1, "a.png"), (2, "./a.png"))
                ]
            },
            "images: 'a' is there twice",
        ),
    ],
)
def test_coco(tmp_path, changes, message):
    assert len(CocoDataset(coco(tmp_path))[0].layout) == 1
    with pytest.raises(ValueError, match=re.escape(message).replace("\\ ", " ")) as error:
        CocoDataset(coco(tmp_path, **changes))
    assert str(error.value).startswith(str(tmp_path / "coco.json"))


def test_coco_of_an_image_of_another_size(tmp_path):
    path = coco(tmp_path)
    save(tmp_path / "a.png", image()[:, :31])
    with pytest.raises(ValueError, match=r"a\.png: expected \(24, 32\) as coco\.json has it"):
        CocoDataset(path)[0]


def test_coco_wants_one_file(tmp_path):
    coco(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "other.json").write_text((tmp_path / "coco.json").read_text())
    assert not CocoDataset.recognises(tmp_path)
    with pytest.raises(ValueError, match=r"got 2: coco\.json, other\.json; name one"):
        CocoDataset(tmp_path)
    assert CocoDataset.recognises(tmp_path / "coco.json")
    assert not CocoDataset.recognises(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: no COCO JSON"):
        CocoDataset(tmp_path / "a.png")


@pytest.mark.parametrize("counts", [None, 5, {"a": 1}])
def test_coco_runs_of_another_type(counts):
    shapes = CocoShapes((3, 4))
    shapes.add(1, {"size": [3, 4], "counts": [12]}, "here")
    with pytest.raises(ValueError, match=r"^here: segmentation: counts: expected run lengths, got"):
        shapes.add(1, {"size": [3, 4], "counts": counts}, "here")


def test_coco_counts_what_covers_no_pixel_and_later_ones_hold():
    shapes = CocoShapes((4, 4))
    shapes.add(3, {"size": [4, 4], "counts": [0, 8, 8]}, "a")
    shapes.add(7, [[-9, -9, -8, -9, -8, -8]], "b")
    shapes.add(5, {"size": [4, 4], "counts": [6, 4, 6]}, "c")
    shapes.add(9, {"size": [4, 4], "counts": [16]}, "d")
    flat = np.zeros(16, np.int32)
    assert shapes.paint_on(flat) == 2
    assert flat.tolist() == [3] * 6 + [5] * 4 + [0] * 6


@pytest.mark.parametrize("bad", [[[1, 2], [3]], [1, 2, 3, 4, 5], [0, 0, 1, 0, 1, float("inf")]])
def test_coco_polygons_that_are_none(bad):
    shapes = CocoShapes((4, 4))
    shapes.add(1, [[0, 0, 1, 0, 1, 1]], "good")
    shapes.add(2, [bad], "bad")
    with pytest.raises(ValueError, match=r"^bad: segmentation: expected polygons of three or more"):
        shapes.paint_on(np.zeros(16, np.int32))


# Folders


def folder(root: Path) -> Path:
    save(root / "images" / "a.png", image())
    save(root / "instances" / "a.tif", ids())
    return root


def test_folders(tmp_path):
    root = folder(tmp_path)
    assert len(FolderDataset(root)[0].layout) == 2
    assert not FolderDataset(root).mpp_stated and FolderDataset(root).mpp == 0.25
    assert FolderDataset(root, mpp=0.5).mpp_stated and FolderDataset(root, mpp=0.5).mpp == 0.5
    save(root / "labels" / "a.tif", (2 * (ids() > 0)).astype(np.uint8))
    with pytest.raises(ValueError, match="labels: name the classes of its ids: class_names"):
        FolderDataset(root)
    named = FolderDataset(root, class_names=("x", "y"))
    assert named[0].layout.class_ids.tolist() == [2, 2]
    save(root / "labels" / "a.tif", (2 * (ids() > 0)).astype(np.uint8)[1:])
    with pytest.raises(ValueError, match=r"labels.a\.tif: expected \(24, 32\) as the ids"):
        FolderDataset(root, class_names=("x", "y"))[0]
    (root / "instances" / "a.tif").rename(root / "instances" / "b.tif")
    with pytest.raises(ValueError, match="instances: no map for 'a'"):
        FolderDataset(root)


def test_what_a_folder_of_ours_is_told_by(tmp_path):
    root = folder(tmp_path)
    assert FolderDataset.recognises(root) and not FolderDataset.recognises(root / "images")
    assert formats_of(root) == ("folder",)
    kind, dataset = open_records(root, mpp=None, class_name="x")
    assert (kind, dataset.classes.names) == ("folder", ("background", "x"))
    with pytest.raises(ValueError, match="the format folder takes no part"):
        open_records(root, part="x")
    with pytest.raises(ValueError, match="no such file or folder"):
        open_records(root / "none")
    with pytest.raises(ValueError, match="in none of the known formats"):
        open_records(root / "images")


def test_a_broken_option_is_no_unknown_one(tmp_path):
    with pytest.raises(TypeError, match="not iterable"):
        open_records(folder(tmp_path), only=5)


def test_a_reader_of_another_package_that_is_broken_leaves_ours(tmp_path, monkeypatch, caplog):
    resolve = registry.resolve

    def broken(group: str, name: str) -> Any:
        if name == "geojson":
            raise ValueError("geojson: cannot be loaded")
        return resolve(group, name)

    monkeypatch.setattr(registry, "resolve", broken)
    assert formats_of(folder(tmp_path)) == ("folder",)
    assert "geojson: cannot be loaded" in caplog.text


@pytest.mark.parametrize("kind", registry.names("exporter"))
def test_the_description_names_its_folder_and_its_format(tmp_path, kind):
    out = registry.resolve("exporter", kind)(items(2, shape=(32, 40)), tmp_path / "out")
    found, dataset = open_records(out / "cosynth.json")
    assert found == kind and len(dataset) == 2
    content = json.loads((out / "cosynth.json").read_text())
    for spoilt, message in (
        ({"samples": [1, {}]}, "samples: expected objects, got '1'"),
        ({"colors": [[0, 0]]}, "classes: "),
        ({"names": ["a"]}, "names: expected a list of one per sample"),
        ({"format": 2}, "format: expected 1, got 2"),
        ({"mpp": "1"}, "mpp: missing or of the wrong type"),
        ({"samples": None}, "samples: missing or of the wrong type"),
    ):
        (out / "cosynth.json").write_text(json.dumps({**content, **spoilt}))
        with pytest.raises(ValueError, match=re.escape(f"cosynth.json: {message}")):
            open_records(out)
    (out / "cosynth.json").write_text("{")
    with pytest.raises(ValueError, match=r"cosynth\.json: cannot be read as JSON"):
        open_records(out)


# GeoJSON


def square(x: float, y: float, side: float = 6, **properties: Any) -> dict[str, Any]:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "detection", **properties},
    }


def geojson(root: Path, *features: dict[str, Any]) -> Path:
    save(root / "a.png", image())
    (root / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return root


def test_geojson(tmp_path, caplog):
    named = square(2, 2, classification={"name": "x", "color": [1, 2, 3]})
    root = geojson(tmp_path, named, square(12, 12))
    dataset = GeoJsonDataset(root)
    assert dataset.classes.names == ("background", "unspecified", "x")
    assert dataset.classes.colors[2].tolist() == [1, 2, 3]
    assert dataset[0].layout.class_ids.tolist() == [2, 1] and not dataset.mpp_stated
    assert "cover no pixel" not in caplog.text
    chosen = GeoJsonDataset(root, class_names=("x", "unspecified"))
    assert chosen[0].layout.class_ids.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"a\.geojson: .*classification: .*'x'"):
        GeoJsonDataset(root, class_names=("y", "unspecified"))[0]
    assert len(GeoJsonDataset(geojson(root, square(2, 2), square(99, 2)))[0].layout) == 1
    assert "1 objects cover no pixel" in caplog.text
    (root / "b.geojson").write_text("[]")
    with pytest.raises(ValueError, match=r"b\.geojson: no image is called 'b'"):
        GeoJsonDataset(root)
    assert GeoJsonDataset(root, only=["a"]).names == GeoJsonDataset(root, without=["b"]).names
    many = [square(2, 2, classification={"name": f"c{k}"}) for k in range(300)]
    with pytest.raises(ValueError, match=f"^{re.escape(str(root))}: "):
        GeoJsonDataset(geojson(root, *many), only=["a"])


def test_geojson_of_a_grey_image_and_of_one_file(tmp_path):
    root = geojson(tmp_path, square(2, 2))
    save(root / "a.png", image()[..., 0])
    (one,) = GeoJsonDataset(root / "a.geojson", mpp=0.5)
    assert (one.image == image()[..., :1]).all() and one.mpp == 0.5
    assert GeoJsonDataset(root, mpp=0.5).mpp_stated
    assert GeoJsonDataset.recognises(root / "a.geojson")
    assert not GeoJsonDataset.recognises(root / "a.png")


# OME-Zarr


def zarr(root: Path, pixels: np.ndarray, labels: dict[str, np.ndarray], axes: str = "cyx") -> Path:
    import zarr as library

    group = library.open_group(root, mode="w", zarr_format=2)
    named = [{"name": a, "type": {"c": "channel", "t": "time"}.get(a, "space")} for a in axes]

    def described(where: Any, array: np.ndarray, own: list[dict[str, str]]) -> None:
        where.create_array("0", data=array, chunks=array.shape)
        where.attrs["multiscales"] = [{"version": "0.4", "axes": own, "datasets": [{"path": "0"}]}]

    described(group, pixels, named)
    if labels:
        listing = group.create_group("labels")
        listing.attrs["labels"] = list(labels)
        for name, array in labels.items():
            described(listing.create_group(name), array, named[-array.ndim :])
    return root


def test_omezarr(tmp_path):
    pixels = np.moveaxis(image(), -1, 0)
    good = OmeZarrDataset(zarr(tmp_path / "a.zarr", pixels, {"cells": ids()}))
    assert len(good[0].layout) == 2 and not good.mpp_stated and good[0].mpp == 0.25
    grey = OmeZarrDataset(zarr(tmp_path / "a.zarr", pixels[0], {"cells": ids()}, "yx"))
    assert (grey[0].image == image()[..., :1]).all()
    one = OmeZarrDataset(zarr(tmp_path / "a.zarr", pixels[:1], {"cells": ids()}))
    assert (one[0].image == image()[..., :1]).all()
    for count in (2, 4):
        many = np.concatenate([pixels, pixels])[:count]
        with pytest.raises(ValueError, match=f"expected 3 channels, got uint8 .{count}, 24, 32"):
            OmeZarrDataset(zarr(tmp_path / "a.zarr", many, {"cells": ids()}))[0]
    short = OmeZarrDataset(zarr(tmp_path / "a.zarr", pixels, {"cells": ids()[1:]}))
    with pytest.raises(ValueError, match=r"cells: expected \(24, 32\) as its image has"):
        short[0]
    several = {"cells": ids(), "nuclei": ids()}
    with pytest.raises(ValueError, match="labels: expected one image, got cells, nuclei"):
        OmeZarrDataset(zarr(tmp_path / "a.zarr", pixels, several))
    two = np.stack([pixels, pixels])
    planes = OmeZarrDataset(
        zarr(tmp_path / "a.zarr", two, {"cells": np.stack([ids(), ids()])[:, None]}, "tcyx")
    )
    assert planes.names == ("a_00000", "a_00001")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none: no OME-Zarr image in it"):
        OmeZarrDataset(tmp_path / "none")


def test_variables_of_endless_names_are_a_short_line(tmp_path):
    savemat(tmp_path / "a.mat", {f"{'v' * 30}{i}": 1 for i in range(100)})
    with pytest.raises(ValueError, match="expected ids") as error:
        read_nuclei(tmp_path / "a.mat")
    assert len(str(error.value)) < len(str(tmp_path)) + 200


def test_omezarr_of_fewer_images_than_its_own_list_names(tmp_path):
    root = Path(registry.resolve("exporter", "omezarr")(items(2), tmp_path / "out"))
    description = json.loads((root / "cosynth.json").read_text())
    listed = ("names", "samples", "shapes")
    fewer = description | {name: description[name][:1] for name in listed}
    (root / "cosynth.json").write_text(json.dumps(fewer))
    with pytest.raises(ValueError, match=r"out: expected the 1 images of its cosynth\.json, got 2"):
        OmeZarrDataset(root)


def test_omezarr_of_several_images(tmp_path):
    pixels = np.moveaxis(image(), -1, 0)
    for name in ("a", "b"):
        zarr(tmp_path / f"{name}.zarr", pixels, {})
    with pytest.raises(ValueError, match="labels: none of its 2 images has any"):
        OmeZarrDataset(tmp_path)
    zarr(tmp_path / "a.zarr", pixels, {"cells": ids()})
    assert OmeZarrDataset(tmp_path).names == ("a",)
    zarr(tmp_path / "a.ome.zarr", pixels, {"cells": ids()})
    with pytest.raises(ValueError, match="another image is called 'a' too"):
        OmeZarrDataset(tmp_path)


# Packed


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def packed(root: Path, *parts: str, mpp: float = 0.5) -> Path:
    records = [(part, "a", record(0, SIDES)) for part in parts]
    (path,) = write_packed(root, records, CLASSES, mpp, None)
    return path


def test_packed(tmp_path):
    path = packed(tmp_path, "one", "two")
    assert PackedDataset(tmp_path, part="two").names == ("a",)
    with pytest.raises(ValueError, match="'a' is there twice; name one part of it"):
        PackedDataset(tmp_path)
    with pytest.raises(ValueError, match="part: no records of 'three'"):
        PackedDataset(tmp_path, part="three")
    packed(tmp_path, "one")

    def index(**changes: Any) -> None:
        def change(members: dict[str, bytes]) -> None:
            old = json.loads(members["index.json"])
            members["index.json"] = json.dumps({**old, **changes}).encode()

        rewritten(path, change)

    index(format=2)
    with pytest.raises(ValueError, match=r"index\.json: format: expected 1, got 2"):
        PackedDataset(tmp_path)
    packed(tmp_path, "one")
    index(classes=["background", "a"], colors=[[0, 0, 0], [1, 1, 1]])
    with pytest.raises(ValueError, match=r"0/labels\.png: a class beyond 1"):
        PackedDataset(tmp_path)[0]
    path = packed(tmp_path, "one")
    other = packed(tmp_path / ".", "two", mpp=0.25)
    other.replace(tmp_path / "records-001.zip")
    packed(tmp_path, "one")
    with pytest.raises(
        ValueError, match=r"records-001\.zip: its classes or µm/px are not those of"
    ):
        PackedDataset(tmp_path)
    (tmp_path / "records-001.zip").unlink()
    entry = {"part": "one", "name": "a", "tissue": "", "stain": "", "shape": [24, 31]}
    index(records=[entry])
    with pytest.raises(ValueError, match=r"0/image\.png: expected \(24, 31\), got \(24, 32\)"):
        PackedDataset(tmp_path)[0]


def test_packed_holds_65535_instances(tmp_path):
    fits = np.zeros((512, 512), np.int32)
    fits[::2, ::2] = np.arange(1, 65537).reshape(256, 256)
    fits[-2, -2] = 0
    for last, refused in ((0, False), (65536, True)):
        fits[-2, -2] = last
        whole = make_record(
            np.zeros((512, 512, 3), np.uint8), fits, (fits > 0).astype(np.uint8), CLASSES, 0.5
        )
        if refused:
            with pytest.raises(ValueError, match="more than 65535 instances"):
                write_packed(tmp_path, [("p", "a", whole)], CLASSES, 0.5, None)
        else:
            write_packed(tmp_path, [("p", "a", whole)], CLASSES, 0.5, None)
            np.testing.assert_array_equal(PackedDataset(tmp_path).parts("a").instances, fits)


# Published arrays


def conic(root: Path) -> Path:
    np.save(root / "images.npy", np.stack([image(k) for k in range(2)]))
    labels = np.stack([ids(), 3 * (ids() > 0)], -1)
    np.save(root / "labels.npy", np.stack([labels] * 2))
    return root


def test_conic(tmp_path):
    root = conic(tmp_path)
    assert ConicDataset(root)[1].layout.class_ids.tolist() == [3, 3]
    assert ConicDataset(root).mpp == 0.5 and ConicDataset(root, mpp=0.25).mpp == 0.25
    images = np.load(root / "images.npy")
    for bad in (images[0], images[..., :2], images.astype(np.int16)):
        np.save(root / "images.npy", bad)
        with pytest.raises(ValueError, match=r"images\.npy: expected uint8 \(N, H, W, 3\), got"):
            ConicDataset(root)
    conic(root)
    np.save(root / "labels.npy", np.load(root / "labels.npy") > 0)
    with pytest.raises(ValueError, match=r"labels\.npy: expected integers"):
        ConicDataset(root)
    conic(root)
    listing = root / "patch_info.csv"
    for text, message in (
        ("patch_info\na\n", "expected 2 names, each once"),
        ("patch_info\na\na\n", "expected 2 names, each once"),
        ("patch_info\na\nb\nc\n", "expected 2 names, each once"),
        ("x,y\n0,a\n1,b\n", "expected a column 'patch_info', got x, y"),
        (",patch_info\n0,a\n1\n", "line 3: no 'patch_info'"),
    ):
        listing.write_text(text)
        with pytest.raises(ValueError, match=re.escape(f"patch_info.csv: {message}")):
            ConicDataset(root)
    listing.write_bytes(b"patch_info\n\xff\xff\n")
    with pytest.raises(ValueError, match=r"patch_info\.csv: cannot be read as CSV"):
        ConicDataset(root)
    listing.write_text(",patch_info\n0,a-0001\n\n1,b\n")
    named = ConicDataset(root)
    assert named.names == ("a-0001", "b")
    assert [named.slide_of(n) for n in named.names] == ["a", "b"]


def consep(root: Path, **content: Any) -> Path:
    save(root / "Images" / "a.png", image())
    (root / "Labels").mkdir(exist_ok=True)
    savemat(root / "Labels" / "a.mat", content)
    return root


def test_consep(tmp_path):
    kinds = np.array([0, 3, 7])[ids()]
    typed = consep(tmp_path, inst_map=ids(), type_map=kinds.astype(float))
    assert ConsepDataset(typed)[0].layout.class_ids.tolist() == [3, 7]
    assert ConsepDataset.recognises(typed) and ConsepDataset(typed).mpp == 0.25
    assert not ConsepDataset.recognises(typed / "Images")
    for bad in (kinds + (kinds == 7), kinds - (kinds == 0)):
        with pytest.raises(ValueError, match=r"a\.mat: (classes: expected 0..7|type_map)"):
            ConsepDataset(consep(tmp_path, inst_map=ids(), type_map=bad))[0]
    with pytest.raises(ValueError, match=r"a\.mat: inst_map: expected ids .*, got \['type_map'\]"):
        ConsepDataset(consep(tmp_path, type_map=kinds))[0]
    assert not ConsepDataset.recognises(consep(tmp_path, type_map=kinds))
    with pytest.raises(ValueError, match=r"a\.mat: expected 'inst_type', 'class' or 'type_map'"):
        ConsepDataset(consep(tmp_path, inst_map=ids()))[0]
    assert not ConsepDataset.recognises(consep(tmp_path, inst_map=ids()))
    (tmp_path / "Labels" / "a.mat").rename(tmp_path / "Labels" / "b.mat")
    with pytest.raises(ValueError, match=r"Labels: no a\.mat"):
        ConsepDataset(tmp_path)
    (tmp_path / "Labels" / "b.mat").write_bytes(b"no mat")
    assert not ConsepDataset.recognises(tmp_path)


def test_hovernet(tmp_path):
    patch = np.concatenate([image(), ids()[..., None], 2 * (ids() > 0)[..., None]], -1)
    np.save(tmp_path / "a.npy", patch)
    assert HoverNetDataset(tmp_path)[0].layout.class_ids.tolist() == [2, 2]
    assert HoverNetDataset.recognises(tmp_path)
    for bad in (patch[..., :4], patch[0], patch > 0):
        np.save(tmp_path / "b.npy", bad)
        with pytest.raises(ValueError, match=r"b\.npy: expected integers \(H, W, 5\), got"):
            HoverNetDataset(tmp_path)[1]
    for channels, known in ((3, False), (4, True), (5, True), (6, False)):
        np.save(tmp_path / "a.npy", np.zeros((8, 8, channels), np.int32))
        assert HoverNetDataset.recognises(tmp_path) == known
    assert not HoverNetDataset.recognises(tmp_path / "none")


def test_masks_of_keypoints(tmp_path):
    path, classes = tmp_path / "a.npz", np.array([0, 2])
    masks = np.stack([ids() == 1, ids() == 2])

    def said(**arrays: Any) -> str:
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=r"a\.npz: ") as error:
            read_masks(path, SIDES, classes)
        return str(error.value)

    np.savez(path, masks=masks, classes=classes)
    np.testing.assert_array_equal(read_masks(path, SIDES, classes), masks)
    assert "masks: expected (2, 24, 32) as keypoints and image, got (2, 24, 31)" in said(
        masks=masks[..., 1:], classes=classes
    )
    assert "expected those of the 2 keypoints, got (2,)" in said(masks=masks, classes=[0, 1])
    assert "expected those of the 2 keypoints, got (3,)" in said(masks=masks, classes=[0, 2, 2])
    assert "holds no array" in said(classes=classes)
    np.savez(path, masks=masks, classes=[])
    assert read_masks(path, SIDES, classes[:0]).shape == (0, *SIDES)
    np.savez(path, masks=masks, classes=classes)
    with pytest.raises(ValueError, match=r"masks: .* are too many pixels"):
        read_masks(path, (2**15, 2**15), classes)


def test_nuinsseg(tmp_path):
    def organ(name: str) -> Path:
        save(tmp_path / name / "tissue images" / "a.png", image())
        save(tmp_path / name / "label masks" / "a.tif", ids())
        return tmp_path / name

    with pytest.raises(ValueError, match="no folder in it or below has 'tissue images'"):
        NuInsSegDataset(tmp_path)
    first = organ("human liver")
    assert NuInsSegDataset(tmp_path).tissues == ("liver",)
    assert NuInsSegDataset(tmp_path)[0].mpp == 0.25 and len(NuInsSegDataset(first)) == 1
    organ("below/human liver")
    with pytest.raises(ValueError, match="another folder is called 'human liver' too"):
        NuInsSegDataset(tmp_path)
    (first / "label masks" / "a.tif").rename(first / "label masks" / "b.tif")
    with pytest.raises(ValueError, match="label masks: no label mask for 'a'"):
        NuInsSegDataset(first)


def test_monuseg(tmp_path):
    save(tmp_path / "a.png", image())
    (tmp_path / "b.xml").write_text("<other/>")
    assert not MonusegDataset.recognises(tmp_path)
    with pytest.raises(ValueError, match=r"no \.xml file in it or below has Annotations"):
        MonusegDataset(tmp_path)
    vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((2, 2), (9, 2), (9, 9)))
    region = f"<Regions><Region><Vertices>{vertices}</Vertices></Region></Regions>"
    for stated, mpp in (("0.2549", 0.25), ("0.2551", 0.2551), ("0.2451", 0.25), ("0.5", 0.5)):
        (tmp_path / "a.xml").write_text(
            f'<Annotations MicronsPerPixel="{stated}"><Annotation>{region}</Annotation></Annotations>'
        )
        dataset = MonusegDataset(tmp_path, tissue="colon")
        assert dataset[0].mpp == pytest.approx(mpp) and dataset.mpp_stated
        assert dataset[0].tissue == "colon" and MonusegDataset(tmp_path, mpp=1.0)[0].mpp == 1
    (tmp_path / "organs.json").write_text('{"a": "liver"}')
    assert MonusegDataset(tmp_path, tissues="organs.json").tissues == ("liver",)
    with pytest.raises(ValueError, match=r"organs\.json: no tissue for 'b'"):
        read_tissues(tmp_path / "organs.json", ["a", "b"])
    for text in ("[]", '{"a": 1}'):
        (tmp_path / "organs.json").write_text(text)
        with pytest.raises(ValueError, match=r"organs\.json: no tissue for 'a'"):
            read_tissues(tmp_path / "organs.json", ["a"])


def pannuke(root: Path) -> Path:
    save(root / "images" / "a.png", image())
    (root / "labels").mkdir(exist_ok=True)
    np.save(root / "labels" / "a.npy", np.stack([ids(), 5 * (ids() > 0)]))
    (root / "types.csv").write_text("image,tissue_type\na.png,Bile-duct\n")
    return root


def test_pannuke_as_files(tmp_path):
    root = pannuke(tmp_path)
    assert PanNukeDataset(root)[0].layout.class_ids.tolist() == [5, 5]
    assert PanNukeDataset(root).slide_of("a") is None and PanNukeDataset.recognises(root)
    assert PanNukeDataset(root).mpp == 0.25 and PanNukeDataset(root, mpp=0.5).mpp == 0.5
    assert not PanNukeDataset.recognises(root / "types.csv")
    for bad in (ids(), np.stack([ids()] * 3), np.stack([ids()] * 2) > 0):
        np.save(root / "labels" / "a.npy", bad)
        with pytest.raises(ValueError, match=r"a\.npy: expected integers \(2, H, W\), got"):
            PanNukeDataset(root)[0]
    (root / "types.csv").write_bytes(b"image,tissue_type\n\xff")
    with pytest.raises(ValueError, match=r"types\.csv: cannot be read as CSV"):
        PanNukeDataset(root)
    (root / "labels" / "a.npy").rename(root / "labels" / "b.npy")
    with pytest.raises(ValueError, match=r"labels: no a\.npy"):
        PanNukeDataset(root)
    assert not PanNukeDataset.recognises(root / "none")
    with pytest.raises(ValueError, match="none: no such folder"):
        PanNukeDataset(root / "none")


def test_two_folds_of_one_name(tmp_path):
    for place in ("x/fold1", "y/fold1"):
        (tmp_path / place).mkdir(parents=True)
        np.save(tmp_path / place / "images.npy", image()[None])
        np.save(tmp_path / place / "masks.npy", np.zeros((1, *SIDES, 6)))
        np.save(tmp_path / place / "types.npy", np.array(["Liver"]))
    assert PanNukeDataset(tmp_path / "x").names == ("fold1_00000",)
    with pytest.raises(ValueError, match="another fold is called 'fold1' too"):
        PanNukeDataset(tmp_path)


# Stacks


def test_stacks(tmp_path):
    with pytest.raises(ValueError, match="none: no such folder"):
        StackDataset(tmp_path / "none")
    with pytest.raises(ValueError, match=r"is no training stack \(cosynth\.json does not say so\)"):
        StackDataset(tmp_path)
    out = registry.resolve("exporter", "stack")(items(3, shape=(32, 40)), tmp_path / "out")
    dataset = StackDataset(out)
    assert len(dataset[2].layout) == len(items(3, shape=(32, 40))[2].record.layout)
    lines = (out / "layouts.csv").read_text().splitlines()
    for bad, message in (
        ("2,31.6,1,epithelial", "sample 2: "),
        ("3,1,1,epithelial", f"line {len(lines) + 1}: sample: expected 0..2, got 3"),
        ("-1,1,1,epithelial", f"line {len(lines) + 1}: sample: expected 0..2, got -1"),
        ("2,1,1,background", f"line {len(lines) + 1}: class: unknown 'background'"),
        ("2,x,1,epithelial", f"line {len(lines) + 1}: could not convert"),
    ):
        cells = bad.split(",")
        row = {"sample": cells[0], "index": "0", "axis-0": cells[1], "axis-1": cells[2]}
        row["class"] = cells[3]
        added = ",".join(row[name] for name in lines[0].split(","))
        (out / "layouts.csv").write_text("\n".join([*lines, added]) + "\n")
        with pytest.raises(ValueError, match=re.escape(message)):
            StackDataset(out)[2]
    (out / "layouts.csv").write_bytes(b"sample,axis-0\n\xff")
    with pytest.raises(ValueError, match=r"layouts\.csv: cannot be read as CSV"):
        StackDataset(out)


# What they share


@pytest.mark.parametrize(
    "values,message",
    [
        (np.array([0.0, 0.5, 1.0]), "no value above 1 in floats"),
        (np.array([-1, 5]), "expected values in 0..255, got other values"),
        (np.array([0.0, np.nan]), "expected values in 0..255, got other values"),
        (np.array([0, 256]), "expected values in 0..255, got 256"),
        (np.array([255.5]), "expected values in 0..255, got 255.5"),
    ],
)
def test_values_that_are_no_grey_levels(values, message):
    with pytest.raises(ValueError, match=f"^here: {re.escape(message)}"):
        from_0_to_255(values, "here")


@pytest.mark.parametrize(
    "values,expected",
    [
        (np.array([0.0, 0.4, 254.6, 255.0]), [0, 0, 255, 255]),
        (np.array([0.0, 1.5]), [0, 2]),
        (np.array([0.0, 0.0]), [0, 0]),
        (np.array([0, 1]), [0, 1]),
        (np.array([], float), []),
        (np.array([0, 255], np.uint16), [0, 255]),
    ],
)
def test_values_that_are_grey_levels(values, expected):
    found = from_0_to_255(values, "here")
    assert found.dtype == np.uint8 and found.tolist() == expected


def test_arrays_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"a\.npy: no such file"):
        load_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy: expected one array"):
        load_npy(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.arange(3))
    assert isinstance(load_npy(tmp_path / "a.npy", mapped=True), np.memmap)
    assert not isinstance(load_npy(tmp_path / "a.npy"), np.memmap)


def test_names_are_chosen_or_left_out(tmp_path):
    def chosen(only: list[str], without: list[str]) -> list[str]:
        return select(["a", "b", "é"], only, without, tmp_path)

    assert chosen([], []) == ["a", "b", "é"] and chosen(["b", "a"], []) == ["a", "b"]
    assert chosen([], ["a"]) == ["b", "é"] and chosen(["a", "b"], ["b"]) == ["a"]
    assert chosen(["e\u0301"], []) == ["é"]
    for only, without, message in (
        (["x"], [], "no tile named 'x'"),
        ([], ["x"], "no tile named 'x'"),
        (["a"], ["a"], "no tiles left after selection"),
    ):
        with pytest.raises(ValueError, match=message):
            chosen(only, without)
