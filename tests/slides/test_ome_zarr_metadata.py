"""What OME-Zarr's metadata leave out, null or name wrongly: slides and data sets answer alike."""

import numpy as np
import pytest

from napari_cosynth.cli import main
from napari_cosynth.datasets.omezarr import OmeZarrDataset
from napari_cosynth.io.units import micrometres
from napari_cosynth.slides.ome_zarr_metadata import image_groups
from napari_cosynth.slides.ome_zarr_slide import open_ome_zarr
from slides import edit_metadata, ome_zarr

IMAGE = np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8)
NUCLEI = np.zeros((64, 64), np.int32)
NUCLEI[10:20, 10:30] = 1


def made(path, labels=("instances",), size=64, **more):
    found = {name: [NUCLEI[:size, :size]] for name in labels}
    return ome_zarr(path, [IMAGE[:, :size, :size]], labels=found, **more)


def edited(path, change, file=".zattrs"):
    edit_metadata(path / file, change)
    return path


def level(content):
    return content["multiscales"][0]["datasets"][0]


def both(path, **options):
    """The slide and the data set of a path."""
    return open_ome_zarr(path), OmeZarrDataset(path, **options)


NO_SCALE = {
    "no transformations": lambda c: level(c).pop("coordinateTransformations"),
    "null": lambda c: level(c).update(coordinateTransformations=None),
    "none": lambda c: level(c).update(coordinateTransformations=[]),
    "identity": lambda c: level(c).update(coordinateTransformations=[{"type": "identity"}]),
    "a shift alone": lambda c: level(c)["coordinateTransformations"].pop(0),
    "axes without units": lambda c: [a.pop("unit", 0) for a in c["multiscales"][0]["axes"]],
    "rows without a unit": lambda c: c["multiscales"][0]["axes"][-2].pop("unit"),
    "columns without a unit": lambda c: c["multiscales"][0]["axes"][-1].pop("unit"),
    "axes that are names": lambda c: c["multiscales"][0].update(axes=["c", "y", "x"]),
    "a unit of no length": lambda c: [
        a.update(unit="pixel") for a in c["multiscales"][0]["axes"][1:]
    ],
    "pixels that are not square": lambda c: level(c)["coordinateTransformations"][0].update(
        scale=[1, 0.25, 0.5]
    ),
}


@pytest.mark.parametrize("name", NO_SCALE)
def test_no_pixel_size_is_invented(tmp_path, name):
    path = edited(made(tmp_path / "a.zarr", translation=(0, 0)), NO_SCALE[name])
    slide, dataset = both(path)
    assert slide.planes[0].mpp is None
    assert not dataset.mpp_stated and dataset.parts("a").mpp == 0.25


def test_unlisted_images_of_a_folder_are_those_with_numbers_in_their_order(tmp_path):
    for name in ("10", "2", "0", "extra"):
        made(tmp_path / name)
    (tmp_path / "3").mkdir()  # no image
    (tmp_path / "file").touch()
    assert [path.name for path in image_groups(tmp_path)] == ["0", "2", "10"]


def test_null_at_the_top_leaves_the_scale_of_the_level(tmp_path):
    path = made(tmp_path / "a.zarr", scale=0.5)
    edited(path, lambda c: c["multiscales"][0].update(coordinateTransformations=None, name=None))
    slide, dataset = both(path)
    assert slide.planes[0].mpp == dataset.parts("a").mpp == 0.5 and dataset.mpp_stated


def test_scales_of_a_level_and_of_the_whole_multiply(tmp_path):
    path = made(tmp_path / "a.zarr", scale=0.5)
    whole = [{"type": "scale", "scale": [1, 0.5, 0.5]}]
    edited(path, lambda c: c["multiscales"][0].update(coordinateTransformations=whole))
    slide, dataset = both(path)
    assert slide.planes[0].mpp == dataset.parts("a").mpp == 0.25


def test_a_scale_may_be_an_array_of_its_own(tmp_path):
    import zarr

    path = made(tmp_path / "a.zarr")
    zarr.open_group(path, mode="a").create_array("scale", data=np.array([1, 0.4, 0.4]))
    edited(
        path,
        lambda c: level(c).update(coordinateTransformations=[{"type": "scale", "path": "scale"}]),
    )
    slide, dataset = both(path)
    assert slide.planes[0].mpp == dataset.parts("a").mpp == 0.4


@pytest.mark.parametrize(
    ("unit", "size"),
    [("meter", 5e-7), ("centimeter", 5e-5), ("millimeter", 5e-4), ("angstrom", 5000), ("um", 0.5)],
)
def test_units_of_length(tmp_path, unit, size):
    slide, dataset = both(made(tmp_path / "a.zarr", scale=size, unit=unit))
    assert slide.planes[0].mpp == pytest.approx(0.5)
    assert dataset.parts("a").mpp == pytest.approx(0.5) and dataset.mpp_stated


def test_names_of_units():
    for unit in ("µm", "μm", "um", "Micron", "microns", "micrometre", "\\u00B5m"):
        assert micrometres(unit) == 1
    assert micrometres("Å") == micrometres("\u212b") == 1e-4
    assert micrometres("inch") == 25400 and micrometres("mm") == 1000
    for unit in ("Mm", "pixel", "", None, "second", "reference frame", 5):
        assert micrometres(unit) is None


LISTINGS = {
    "absent": lambda c: c.pop("labels"),
    "null": lambda c: c.update(labels=None),
    "empty": lambda c: c.update(labels=[]),
    "no list": lambda c: c.update(labels="instances"),
    "stale": lambda c: c.update(labels=["old"]),
    "stale in part": lambda c: c.update(labels=["old", "instances"]),
}


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("label", ["instances", "cells"])
def test_labels_are_found_whatever_is_listed(tmp_path, caplog, name, label):
    path = made(tmp_path / "a.zarr", labels=(label,))
    edited(path, LISTINGS[name], "labels/.zattrs")
    slide, dataset = both(path)
    said = caplog.text.count("'old' is listed, and not there")
    assert said == (2 if "stale" in name else 0)  # by each reader
    if label == "cells" and name == "stale in part":
        assert "'instances' is listed" in caplog.text
    assert [plane.name for plane in slide.labels] == [label]
    np.testing.assert_array_equal(dataset.parts("a").instances, NUCLEI)
    assert dataset.classes.names[1:] == ("inflammatory",)


def test_a_label_image_that_is_gone_is_named_once_by_a_command(tmp_path, caplog):
    path = edited(made(tmp_path / "a.zarr"), LISTINGS["stale"], "labels/.zattrs")
    assert main(["info", str(path)]) == 0
    assert caplog.text.count("'old' is listed, and not there") == 1


def test_labels_without_any_listing(tmp_path):
    path = made(tmp_path / "a.zarr")
    for file in ("labels/.zattrs", "labels/.zgroup"):
        (path / file).unlink()
    slide, dataset = both(path)
    assert len(slide.labels) == 1 and dataset.parts("a").instances.max() == 1


def test_a_label_that_leads_out_of_the_folder_is_refused(tmp_path):
    path = edited(
        made(tmp_path / "a.zarr"), lambda c: c.update(labels=["../../b"]), "labels/.zattrs"
    )
    for read in (open_ome_zarr, OmeZarrDataset):
        with pytest.raises(ValueError, match="path: expected one below the folder"):
            read(path)


def test_one_of_several_label_images_is_chosen_by_an_option(tmp_path, capsys):
    path = made(tmp_path / "a.zarr", labels=("cells", "nuclei"))
    with pytest.raises(ValueError, match=r"expected one image, got cells, nuclei; --instances"):
        OmeZarrDataset(path)
    assert main(["info", str(path)]) == 2 and "--instances" in capsys.readouterr().err
    assert main(["info", str(path), "--instances", "nuclei"]) == 0
    assert "nuclei:  1" in capsys.readouterr().out
    assert main(["check", str(path), "--instances", "cells"]) == 0
    out = str(tmp_path / "out")
    assert main(["convert", str(path), out, "--to", "folder", "--instances", "nuclei"]) == 0
    assert main(["convert", out, f"{out}2", "--to", "coco", "--instances", "nuclei"]) == 2
    assert "the format folder takes no instances" in capsys.readouterr().err


def series(path, *sizes, listed=True):
    """bioformats2raw's folder of several square images; the last has labels."""
    for number, size in enumerate(sizes):
        last = number == len(sizes) - 1
        made(path / str(number), ("instances",) if last else (), size, scale=32 / size)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    if listed:
        (path / "OME").mkdir()
        (path / "OME" / ".zgroup").write_text('{"zarr_format": 2}')
        names = ", ".join(f'"{number}"' for number in range(len(sizes)))
        (path / "OME" / ".zattrs").write_text(f'{{"series": [{names}]}}')
    return path


@pytest.mark.parametrize("listed", [True, False])
def test_of_several_images_the_largest_is_the_slide(tmp_path, caplog, listed):
    slide, dataset = both(series(tmp_path / "a.zarr", 32, 64, listed=listed))
    assert slide.planes[0].levels[0].shape == (64, 64, 3) and slide.planes[0].mpp == 0.5
    # The macro has no labels: it is no record.
    assert len(dataset) == 1 and dataset[0].image.shape == (64, 64, 3)
    assert "no labels: left out" in caplog.text
    assert len(open_ome_zarr(series(tmp_path / "b.zarr", 64, 32)).planes[0].levels[0]) == 64


def test_a_data_set_runs_nothing_in_a_file_either(tmp_path):
    path = made(tmp_path / "a.zarr")
    edited(path, lambda c: c.update(filters=[{"id": "pickle"}]), "labels/instances/0/.zarray")
    with pytest.raises(ValueError, match="codec: 'pickle'"):
        OmeZarrDataset(path).parts("a")


def test_a_plate_is_no_image(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / "a.zarr" / ".zattrs").write_text('{"plate": {}}')
    with pytest.raises(ValueError, match=r"a\.zarr: multiscales: missing; .* got a plate"):
        OmeZarrDataset(tmp_path / "a.zarr")


def test_classes_come_from_an_image_of_their_own_where_instances_have_none(tmp_path):
    instances, classes = np.zeros((2, 64, 64), np.int32)
    instances[4:9, 4:9], instances[20:30, 8:20], instances[40:50, 40:60] = 1, 2, 3
    classes[4:9, 4:9], classes[20:30, 8:20], classes[40:50, 40:60] = 7, 5, 7
    path = ome_zarr(
        tmp_path / "a.zarr", [IMAGE], labels={"instances": [instances], "classes": [classes]}
    )
    edited(path, lambda c: c["image-label"].pop("properties"), "labels/instances/.zattrs")
    named = [{"label-value": 5, "class": "a"}, {"label-value": 7, "class": "b"}]
    about = "labels/classes/.zattrs"
    edited(path, lambda c: c["image-label"].update(properties=named), about)
    dataset = OmeZarrDataset(path)
    assert dataset.classes.names[1:] == ("a", "b")
    parts = dataset.parts("a")
    np.testing.assert_array_equal(parts.instances, instances)
    np.testing.assert_array_equal(parts.labels, np.array([0, 2, 1, 2])[instances])
    edited(path, lambda c: c["image-label"].update(properties=named[:1]), about)
    # A nucleus of a value without a class is refused with its id, as in every format.
    with pytest.raises(ValueError, match="instance 1 has no class"):
        OmeZarrDataset(path)[0]
