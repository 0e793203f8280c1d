"""Which files are a data set's and which belong together, whatever machine they come from."""

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth import registry
from napari_cosynth.checks.splits import read_groups
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.io.listing import (
    IMAGE_SUFFIXES,
    by_name,
    files_in,
    find_written,
    name_of,
    partners,
    written_name,
    written_path,
)
from nuclei import items

NFC, NFD = (unicodedata.normalize(form, "Präparat") for form in ("NFC", "NFD"))


def touched(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return [root / name for name in names]


def exported(kind, folder):
    return registry.resolve("exporter", kind)(items(2), folder)


def as_read(path):
    kind, dataset = open_records(path)
    return kind, [(name, dataset.read(name).instances.sum()) for name in dataset.names]


KINDS = ["folder", "geojson", "coco", "pannuke", "conic", "hovernet", "consep", "omezarr", "stack"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_mac_or_a_disk_adds_changes_nothing(tmp_path, kind):
    folder = exported(kind, tmp_path / "out")
    if kind not in ("folder", "pannuke", "stack"):  # these alone tell their classes without it
        (folder / "cosynth.json").unlink()
    wanted = as_read(folder)
    mirror = tmp_path / "mirror"
    shutil.copytree(folder, mirror)
    for path in [p for p in mirror.rglob("*") if p.is_file()]:
        path.rename(path.with_name(f"._{path.name}"))
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    shutil.copytree(mirror, folder / "__MACOSX" / "out")
    shutil.copytree(mirror, folder / "@eaDir")
    (folder / ".DS_Store").write_bytes(b"x")
    assert as_read(folder) == wanted


@pytest.mark.parametrize("kind", ["folder", "geojson", "coco", "pannuke", "hovernet", "consep"])
def test_linked_files_and_folders_are_read_and_circles_end(tmp_path, kind):
    folder = exported(kind, tmp_path / "disk")
    wanted = as_read(folder)
    linked = tmp_path / "linked" / "disk"
    linked.mkdir(parents=True)
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    (linked / "circle").symlink_to(linked)
    (linked / "again").symlink_to(linked / "circle")
    assert as_read(linked) == wanted


def test_linked_folders_below_are_followed(tmp_path):
    touched(tmp_path / "disk", "a.xml", "deep/b.XML")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "inner").symlink_to(tmp_path / "disk")
    found = files_in(tmp_path / "set", (".xml",), below=True)
    assert [name_of(p) for p in found] == ["a", "b"]


def test_a_link_to_nothing_is_said_and_a_folder_is_no_file(tmp_path, caplog):
    touched(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone")
    (tmp_path / "c.png").mkdir()
    assert [*by_name(files_in(tmp_path, (".png",)))] == ["a"]
    assert "1 links lead to nothing (b.png" in caplog.text


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.ome.tif", "a.tif"),
        ("a.tif", "a.ome.tif"),
        ("a.PNG", "a.TIF"),
        ("A.png", "a.tif"),
        ("a.svs", "a.svs.tif"),
        (f"{NFC}.png", f"{NFD}.tif"),
        (f"{NFD}.png", f"{NFC}.tif"),
        ("a.v1.png", "a.v1.tif"),
    ],
)
def test_one_thing_under_two_names(tmp_path, image, mask):
    (one,) = touched(tmp_path / "images", image)
    other, *_ = touched(tmp_path / "masks", mask, "a.v2.tif", "b.tif")
    assert partners({"x": one}, files_in(tmp_path / "masks", IMAGE_SUFFIXES)) == {"x": other}
    assert partners({"x": other}, [one]) == {"x": one}


def test_other_things_are_no_partners(tmp_path):
    one, *others = touched(tmp_path, "a.v1.png", "a.v2.tif", "a.tif", "v1.tif", "a.v1.2.tif")
    assert partners({"x": one}, others) == {}


def test_names_of_ours_in_either_form_choose_records(tmp_path):
    folder = exported("folder", tmp_path / "out")
    for path in list(folder.rglob("tile_0.*")):
        path.rename(path.with_name(f"{NFD}{path.suffix}"))
    (folder / "cosynth.json").unlink()
    shutil.rmtree(folder / "labels")
    for spelt in (NFC, NFD):
        _, dataset = open_records(folder, only=[spelt])
        assert dataset.names == (NFC,) and len(dataset[0].layout)


def test_two_files_of_one_name_matter_only_where_one_is_asked_for(tmp_path):
    asked, *images = touched(tmp_path, "a.xml", "x/b.png", "y/b.png", "images/a.png")
    assert partners({"a": asked}, images) == {"a": images[-1]}
    beside, *more = touched(tmp_path, "z/a.xml", "z/a.png")
    assert partners({"a": beside}, [*images, *more]) == {"a": more[0]}
    drawn, thumb = touched(tmp_path, "overlays/a.png", "data/1/thumbnails/a.jpg")
    assert partners({"a": asked}, [drawn, thumb, *images]) == {"a": images[-1]}
    other = touched(tmp_path, "other images/a.tif")
    with pytest.raises(ValueError, match=r"a\.xml: both .* and .* could belong to it"):
        partners({"a": asked}, [*images, *other])
    with pytest.raises(ValueError, match=r"y/b\.png: .*x/b\.png has the same name"):
        by_name(images)


def test_a_link_beside_its_file_is_the_same_file(tmp_path):
    (one,) = touched(tmp_path, "a.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.png").symlink_to(one)
    assert len(by_name(files_in(tmp_path, (".png",), below=True))) == 1


def features(path):
    ring = [[4, 4], [9, 4], [9, 9], [4, 9], [4, 4]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"type": "Feature", "geometry": shape, "properties": {}}]))


def picture(path, size=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, np.full((size, size, 3), 200, np.uint8), check_contrast=False)


@pytest.mark.parametrize(
    ("file", "image", "name"),
    [
        ("a.png.geojson", "a.png", "a"),
        ("a.svs.geojson", "a.png", "a"),
        ("a.PNG - 20x.geojson", "a.png", "a.PNG - 20x"),
        ("A.GeoJSON", "a.PNG", "A"),
    ],
)
def test_geojson_named_as_qupath_names_images(tmp_path, file, image, name):
    features(tmp_path / "export" / file)
    picture(tmp_path / image)
    picture(tmp_path / "data" / "1" / "thumbnail.png", 8)
    picture(tmp_path / "data" / "2" / "thumbnail.png", 8)
    for root in (tmp_path, tmp_path / "export" / file):
        if root.is_file():
            picture(root.parent / image)
        kind, dataset = open_records(root)
        assert kind == "geojson" and dataset.names == (name,)
        assert dataset[0].instances.sum() == 25


def test_geojson_beside_the_image_that_it_names(tmp_path):
    features(tmp_path / "a.png.geojson")
    features(tmp_path / "a.tif.geojson")
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.tif", 20)
    _, dataset = open_records(tmp_path)
    assert [(n, dataset.read(n).image.shape[0]) for n in dataset.names] == [
        ("a.png", 16),
        ("a.tif", 20),
    ]


def test_monuseg_beside_drawings_and_other_xml(tmp_path):
    vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((4, 4), (9, 4), (9, 9), (4, 9)))
    text = f"<Annotations><Region><Vertices>{vertices}</Vertices></Region></Annotations>"
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(text)
    (tmp_path / "a.aux.xml").write_text("<PAMDataset/>")
    picture(tmp_path / "Tissue Images" / "a.tif")
    picture(tmp_path / "overlays" / "a.png")
    kind, dataset = open_records(tmp_path)
    assert kind == "monuseg" and dataset.names == ("a",) and len(dataset[0].layout) == 1


def test_paths_that_windows_wrote(tmp_path):
    folder = exported("coco", tmp_path / "coco")
    (path,) = (p for p in folder.glob("*.json") if p.name != "cosynth.json")
    content = json.loads(path.read_text())
    for entry in content["images"]:
        entry["file_name"] = f"images\\{Path(entry['file_name']).name}"
    path.write_text(json.dumps(content))
    (folder / "cosynth.json").unlink()
    _, dataset = open_records(folder)
    assert len(dataset) == 2 and len(dataset[0].layout)

    touched(tmp_path, f"deep/{NFD}.png")
    assert find_written(tmp_path, written_path(f"Deep\\{NFC}.PNG")).parent == tmp_path / "deep"
    assert find_written(tmp_path, written_path("deep/other.png")) is None
    for bad in ("..\\a.png", "C:\\a.png", "/a.png", "", "a/../../b"):
        with pytest.raises(ValueError, match="expected a path below the folder"):
            written_path(bad)
    assert written_name("C:\\data\\a.ome.tif") == written_name("/x/a.png") == "a"
    groups = tmp_path / "groups.csv"
    groups.write_text(f"file,patient\nD:\\set\\a.png,p1\n{NFD}.png,p2\n")
    assert read_groups(groups, "patient", ["a", NFC]) == {"a": "p1", NFC: "p2"}
