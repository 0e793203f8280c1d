"""Every export read by a program that is not ours, and its recipes by the one function for it."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
import shapely
import tifffile
from scipy.io import loadmat
from skimage.io import imread

from napari_cosynth import registry
from napari_cosynth.datasets.recipes import read_count, read_sample
from napari_cosynth.export import stack as stack_module
from napari_cosynth.export.conic import write_conic
from napari_cosynth.export.stack import write_stack
from napari_cosynth.types import ClassTable
from nuclei import CLASSES, items, record

FORMATS = registry.names("exporter")


@pytest.fixture(params=FORMATS)
def exporter(request):
    return registry.resolve("exporter", request.param)


def test_recipes_and_layouts_are_found_again(exporter, tmp_path):
    made = items()
    folder = exporter(iter(made), tmp_path / "out")
    assert read_count(folder) == 3
    for index, item in enumerate(made):
        layout, recipe = read_sample(folder, index)
        assert recipe == item.description
        np.testing.assert_array_equal(layout.centroids, item.record.layout.centroids)
        np.testing.assert_array_equal(layout.class_ids, item.record.layout.class_ids)
        assert layout.shape == item.record.layout.shape


def test_an_export_is_whole_or_not_there(exporter, tmp_path):
    def failing():
        yield from items(2)
        yield dataclasses.replace(items(1)[0], record=record(0, mpp=0.25))

    with pytest.raises(ValueError, match=r"sample 2: mpp 0\.25 is not sample 0's 0\.5"):
        exporter(failing(), tmp_path / "out")
    with pytest.raises(ValueError, match="nothing to save"):
        exporter([], tmp_path / "out")
    assert not list(tmp_path.iterdir())
    kept = exporter(items(1), tmp_path / "out")
    with pytest.raises(FileExistsError):
        exporter(items(2), kept)
    assert read_count(kept) == 1
    exporter(items(2), kept, overwrite=True)
    assert read_count(kept) == 2


def test_one_record_is_held_at_a_time(exporter, tmp_path):
    """An exporter that keeps its records would keep every one that this generator made alive."""
    import gc
    import weakref

    alive: list[weakref.ref] = []

    def counted():
        for i in range(6):
            item = items(1)[0]
            one = dataclasses.replace(item, name=f"n{i}")
            alive.append(weakref.ref(one.record))
            del item
            yield one
            del one
            gc.collect()
            assert sum(r() is not None for r in alive) <= 3

    exporter(counted(), tmp_path / "out")
    assert len(alive) == 6


@pytest.mark.parametrize("compression", ["zlib", "none", "lzw", "zstd"])
def test_the_stack_is_ome_tiff(tmp_path, compression):
    import ome_types

    made = items()
    folder = write_stack(made, tmp_path / "out", compression=compression)
    for name, field in stack_module.ARRAYS.items():
        path = folder / f"{name}.tif"
        with tifffile.TiffFile(path) as tif:
            assert tif.is_ome
            assert tif.series[0].axes == ("TYXS" if name == "images" else "TYX")
            xml = tif.ome_metadata
            array = tif.asarray()
        np.testing.assert_array_equal(array, [getattr(i.record, field) for i in made])
        ome_types.validate_xml(xml)  # against OME-2016-06's XSD
        with pytest.raises(Exception, match="SizeQ"):
            ome_types.validate_xml(xml.replace("SizeT=", "SizeQ="))
        pixels = ome_types.from_xml(xml).images[0].pixels
        assert (pixels.physical_size_x, pixels.physical_size_y_unit.value) == (0.5, "µm")
        assert (pixels.size_t, pixels.size_y, pixels.size_x) == (3, 40, 56)
    with pytest.raises(ValueError, match="compression: expected one of zlib"):
        write_stack(made, tmp_path / "other", compression="jpeg")


def test_a_large_stack_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_module, "LARGEST_CLASSIC", 3 * 40 * 56)
    folder = write_stack(items(), tmp_path / "out")
    big = {}
    for path in folder.glob("*.tif"):
        with tifffile.TiffFile(path) as tif:
            big[path.stem] = tif.is_bigtiff
    assert big == {"images": True, "labels": False, "instances": True, "distances": True}


def test_pannuke_as_published(tmp_path):
    classes = ClassTable.of("neoplastic", "inflammatory", "connective", "dead", "epithelial")
    made = items(4, shape=(64, 64), classes=classes)
    folder = registry.resolve("exporter", "pannuke")(made, tmp_path / "out")
    images, masks, types = (np.load(folder / f"{n}.npy") for n in ("images", "masks", "types"))
    assert (images.dtype, images.shape) == (np.float64, (4, 64, 64, 3))
    assert (masks.dtype, masks.shape) == (np.float64, (4, 64, 64, 6))
    assert types.tolist() == ["colon"] * 4
    for image, mask, item in zip(images, masks, made, strict=True):
        one = item.record
        np.testing.assert_array_equal(image, one.image)
        np.testing.assert_array_equal(mask[..., :5].max(-1), one.instances)
        np.testing.assert_array_equal(mask[..., 5], one.instances == 0)
        for channel in range(5):
            np.testing.assert_array_equal(mask[..., channel] > 0, one.labels == channel + 1)


def test_the_stain_of_pannuke_patches_of_our_own_is_kept(tmp_path):
    classes = ClassTable.of("neoplastic", "inflammatory", "connective", "dead", "epithelial")
    made = [
        dataclasses.replace(item, description={**item.description, "stain": "IHC"})
        for item in items(2, shape=(64, 64), classes=classes)
    ]
    folder = registry.resolve("exporter", "pannuke")(made, tmp_path / "out")
    assert [r.stain for r in registry.resolve("dataset", "pannuke")(folder)] == ["IHC"] * 2


def test_samples_of_one_name_are_all_kept(tmp_path):
    """Also where another is called as the second of a name would be."""
    names = ("tile", "tile_00002", "tile")
    made = [dataclasses.replace(i, name=n) for i, n in zip(items(3), names, strict=True)]
    folder = registry.resolve("exporter", "folder")(made, tmp_path / "out")
    read = list(registry.resolve("dataset", "folder")(folder))
    for item, back in zip(made, read, strict=True):
        np.testing.assert_array_equal(back.image, item.record.image)


def test_conic_as_published(tmp_path):
    made = items(3, shape=(64, 72))
    folder = write_conic(made, tmp_path / "out")
    images, labels = np.load(folder / "images.npy"), np.load(folder / "labels.npy")
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint16)
    with (folder / "counts.csv").open(newline="") as handle:
        header, *rows = csv.reader(handle)
    assert tuple(header) == CLASSES.names[1:]
    for image, label, row, item in zip(images, labels, rows, made, strict=True):
        np.testing.assert_array_equal(image, item.record.image)
        np.testing.assert_array_equal(label[..., 0], item.record.instances)
        np.testing.assert_array_equal(label[..., 1], item.record.labels)
        counted = [0, 0, 0]
        for nucleus in range(1, label[..., 0].max() + 1):
            y, x = np.nonzero(label[..., 0] == nucleus)
            if ((y >= 16) & (y < 48) & (x >= 16) & (x < 56)).any():
                counted[label[y[0], x[0], 1] - 1] += 1
        assert [int(n) for n in row] == counted


def test_too_many_ids_for_sixteen_bits(tmp_path):
    item = items(1)[0]
    one = dataclasses.replace(item.record, instances=item.record.instances * 60000)
    with pytest.raises(ValueError, match="instances: expected ids up to 65535"):
        write_conic([one], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_hovernet_patches(tmp_path):
    made = items()
    folder = registry.resolve("exporter", "hovernet")(made, tmp_path / "out")
    assert sorted(p.name for p in folder.glob("*.npy")) == [f"tile_{i}.npy" for i in range(3)]
    for item in made:
        patch = np.load(folder / f"{item.name}.npy")
        assert (patch.dtype, patch.shape) == (np.int32, (40, 56, 5))
        # As HoVer-Net's loader takes them apart (dataloader/train_loader.py).
        np.testing.assert_array_equal(patch[..., :3].astype("uint8"), item.record.image)
        np.testing.assert_array_equal(patch[..., 3], item.record.instances)
        np.testing.assert_array_equal(patch[..., 4], item.record.labels)


def test_hovernet_tiles(tmp_path):
    made = items()
    folder = registry.resolve("exporter", "consep")(made, tmp_path / "out")
    for item in made:
        one = item.record
        np.testing.assert_array_equal(imread(folder / "Images" / f"{item.name}.png"), one.image)
        mat = loadmat(folder / "Labels" / f"{item.name}.mat")
        np.testing.assert_array_equal(mat["inst_map"], one.instances)
        np.testing.assert_array_equal(mat["type_map"], one.labels)
        ids = np.unique(one.instances)[1:]
        assert mat["inst_type"].shape == (len(ids), 1)
        assert mat["inst_centroid"].shape == (len(ids), 2)
        for index, kind, (x, y) in zip(ids, mat["inst_type"], mat["inst_centroid"], strict=True):
            where = np.nonzero(one.instances == index)
            assert one.labels[where][0] == kind
            np.testing.assert_allclose((y, x), [axis.mean() for axis in where])


def test_the_same_tiles_are_the_same_bytes_whenever_they_are_written(tmp_path, monkeypatch):
    import time

    written = []
    for moment in ("Mon Nov 30 12:00:00 2026", "Tue Dec  1 12:00:00 2026"):
        monkeypatch.setattr(time, "asctime", lambda *_, moment=moment: moment)
        folder = registry.resolve("exporter", "consep")(items(2), tmp_path / moment[:3])
        written.append([p.read_bytes() for p in sorted(folder.rglob("*.mat"))])
    assert written[0] == written[1] and len(written[0]) == 2


def test_png_folders(tmp_path):
    made = items()
    folder = registry.resolve("exporter", "folder")(made, tmp_path / "out")
    for item in made:
        one = item.record
        for kind, array in (
            ("images", one.image),
            ("instances", one.instances),
            ("labels", one.labels),
        ):
            np.testing.assert_array_equal(imread(folder / kind / f"{item.name}.png"), array)


def test_coco_read_by_pycocotools(tmp_path):
    from pycocotools.coco import COCO

    made = items()
    folder = registry.resolve("exporter", "coco")(made, tmp_path / "out")
    coco = COCO(folder / "annotations.json")
    assert {c["id"]: c["name"] for c in coco.cats.values()} == dict(enumerate(CLASSES.names[1:], 1))
    for info in coco.loadImgs(coco.getImgIds()):
        item = made[info["id"] - 1]
        assert info["file_name"] == f"{item.name}.png"
        one = item.record
        np.testing.assert_array_equal(imread(folder / "images" / info["file_name"]), one.image)
        found = coco.loadAnns(coco.getAnnIds(info["id"]))
        assert len(found) == one.instances.max()
        for index, annotation in enumerate(found, start=1):
            mask = coco.annToMask(annotation) > 0
            np.testing.assert_array_equal(mask, one.instances == index)
            y, x = np.nonzero(mask)
            box = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert annotation["bbox"] == box
            assert annotation["area"] == mask.sum()
            assert annotation["category_id"] == one.labels[mask][0]


def test_geojson_read_by_shapely(tmp_path):
    made = items()
    folder = registry.resolve("exporter", "geojson")(made, tmp_path / "out")
    for item in made:
        one = item.record
        with tifffile.TiffFile(folder / f"{item.name}.tif") as tif:
            np.testing.assert_array_equal(tif.asarray(), one.image)
            per_cm = tif.pages[0].tags["XResolution"].value
            assert 1e4 / (per_cm[0] / per_cm[1]) == pytest.approx(0.5)
        content = json.loads((folder / f"{item.name}.geojson").read_text())
        assert content["type"] == "FeatureCollection"
        assert len({f["id"] for f in content["features"]}) == one.instances.max()
        y, x = np.indices(one.labels.shape)
        for index, feature in enumerate(content["features"], start=1):
            shape = shapely.from_geojson(json.dumps(feature["geometry"]))
            assert shape.is_valid
            inside = shapely.contains_xy(shape, x + 0.5, y + 0.5)
            np.testing.assert_array_equal(inside, one.instances == index)
            kind = feature["properties"]["classification"]
            class_id = CLASSES.index(kind["name"])
            assert class_id == one.labels[inside][0]
            assert kind["color"] == CLASSES.colors[class_id].tolist()
            assert feature["properties"]["objectType"] == "detection"


def test_omezarr_read_by_ome_zarr(tmp_path):
    import zarr
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    from ome_zarr_models.v04.bioformats2raw import BioFormats2RawAttrs
    from ome_zarr_models.v04.image import ImageAttrs
    from ome_zarr_models.v04.image_label import ImageLabelAttrs

    made = items(3, shape=(40, 1100))
    folder = registry.resolve("exporter", "omezarr")(made, tmp_path / "out.ome.zarr")
    BioFormats2RawAttrs.model_validate(zarr.open_group(folder, mode="r").attrs.asdict())
    for index, item in enumerate(made):
        one = item.record
        image, *rest = Reader(parse_url(folder / str(index)))()
        assert image.metadata["name"] == [item.name] or image.metadata["name"] == item.name
        np.testing.assert_array_equal(np.asarray(image.data[0]), np.moveaxis(one.image, -1, 0))
        assert len(image.data) == 3  # 1100, 550, 275
        scale = image.metadata["coordinateTransformations"][1][0]["scale"]
        assert scale == [1, 1.0, 1.0]
        shift = image.metadata["coordinateTransformations"][1][1]["translation"]
        assert shift == [0, 0.25, 0.25]
        labels = {node.zarr.basename(): node for node in rest if node.data}
        np.testing.assert_array_equal(np.asarray(labels["instances"].data[0]), one.instances)
        np.testing.assert_array_equal(np.asarray(labels["classes"].data[0]), one.labels)
        properties = labels["instances"].metadata["properties"]
        for nucleus in range(1, one.instances.max() + 1):
            kind = one.labels[one.instances == nucleus][0]
            assert properties[nucleus]["class"] == CLASSES.names[kind]
        group = zarr.open_group(folder / str(index), mode="r")
        ImageAttrs.model_validate(group.attrs.asdict())
        for name in ("instances", "classes"):
            ImageLabelAttrs.model_validate(group[f"labels/{name}"].attrs.asdict())
