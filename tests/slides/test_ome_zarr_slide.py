import json
import shutil

import numpy as np
import pytest

from napari_cosynth.slides import pyramid
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr, open_ome_zarr
from napari_cosynth.slides.slide import open_slide
from slides import edit_metadata, ome_zarr
from spoil import spoiled

IMAGE = np.random.default_rng(0).integers(0, 255, (128, 192, 3), np.uint8)
PLANES = np.moveaxis(IMAGE, -1, 0)
LEVELS = [PLANES, PLANES[:, ::2, ::2]]
NUCLEI = np.zeros((128, 192), np.int32)
NUCLEI[10:20, 10:30], NUCLEI[60:70, 90:120] = 1, 2


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_rgb_with_labels(tmp_path, version):
    nuclei = {"nuclei": [NUCLEI, NUCLEI[::2, ::2]]}
    path = ome_zarr(tmp_path / "a.zarr", LEVELS, version, labels=nuclei, translation=(10, 20))
    opened = open_ome_zarr(path)
    (plane,) = opened.planes
    assert plane.mpp == 0.25 and plane.origin == (10, 20)
    np.testing.assert_array_equal(plane.levels[0], IMAGE)
    np.testing.assert_array_equal(plane.levels[1], IMAGE[::2, ::2])
    (labels,) = opened.labels
    assert (labels.name, labels.mpp) == ("nuclei", 0.25)
    assert labels.classes == {1: "inflammatory"} and labels.colors == {1: (1, 0, 0, 1)}
    np.testing.assert_array_equal(labels.levels[0], NUCLEI)
    assert open_slide(path).mpp == 0.25


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_large_levels_are_lazy(tmp_path, version, monkeypatch):
    path = ome_zarr(tmp_path / "a.zarr", LEVELS, version)
    monkeypatch.setattr(pyramid, "SMALL", 20_000)
    lazy = open_ome_zarr(path).planes[0].levels[0]
    assert not isinstance(lazy, np.ndarray)
    np.testing.assert_array_equal(np.asarray(lazy[30:70, 10:40]), IMAGE[30:70, 10:40])


def test_five_axes_of_one_plane_and_channels_with_colours(tmp_path):
    stack = np.stack([PLANES[0], PLANES[1]]).astype(np.uint16)[None, :, None]
    channels = [{"label": "DAPI", "color": "0000FF"}, {"label": "CD3", "color": "FF00FF"}]
    omero = {"omero": {"channels": channels}}
    path = ome_zarr(tmp_path / "a.zarr", [stack], axes="tczyx", extra=omero)
    opened = open_ome_zarr(path)
    assert [(p.name, p.color) for p in opened.planes] == [("a DAPI", "0000FF"), ("a CD3", "FF00FF")]
    np.testing.assert_array_equal(opened.planes[1].levels[0], PLANES[1])
    with pytest.raises(ValueError, match="expected an 8-bit RGB or grey image, got 2 channels"):
        open_slide(path)


@pytest.mark.parametrize(("unit", "mpp"), [("nanometer", 0.0005), (None, None), ("second", None)])
def test_mpp_follows_the_unit_and_is_never_invented(tmp_path, unit, mpp):
    path = ome_zarr(tmp_path / "a.zarr", LEVELS, unit=unit, scale=0.5)
    found = open_ome_zarr(path).planes[0].mpp
    assert found is None  # half a nanometre is no microscope's pixel
    path = ome_zarr(tmp_path / "b.zarr", LEVELS, unit=unit, scale=500)
    assert open_ome_zarr(path).planes[0].mpp == (0.5 if unit == "nanometer" else None)


def test_a_folder_of_several_images_opens_the_first(tmp_path):
    ome_zarr(tmp_path / "a.zarr" / "0", LEVELS)
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / "a.zarr" / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    assert is_ome_zarr(tmp_path / "a.zarr")
    assert open_slide(tmp_path / "a.zarr").levels[0].shape == (128, 192, 3)


def test_any_other_folder_is_none_of_ours(tmp_path):
    assert not is_ome_zarr(tmp_path)
    (tmp_path / ".zattrs").write_text("{}")
    assert not is_ome_zarr(tmp_path)


def multiscale(content):
    return content["multiscales"][0]


BROKEN = {
    "leads out of the folder": (
        lambda c: multiscale(c)["datasets"][0].update(path="../../secret"),
        "path: expected one below the folder",
    ),
    "absolute": (
        lambda c: multiscale(c)["datasets"][0].update(path="/etc"),
        "path: expected one below the folder",
    ),
    "a level is missing": (
        lambda c: multiscale(c)["datasets"][1].update(path="9"),
        "a level is missing",
    ),
    "scale of zero": (
        lambda c: multiscale(c)["datasets"][0]["coordinateTransformations"][0].update(
            scale=[1, 0, 0]
        ),
        "scale: expected numbers above 0",
    ),
    "scale of two numbers": (
        lambda c: multiscale(c)["datasets"][0]["coordinateTransformations"][0].update(scale=[1, 1]),
        "expected a scale or translation of 3 numbers",
    ),
    "scale not a number": (
        lambda c: multiscale(c)["datasets"][0]["coordinateTransformations"][0].update(
            scale=[1, "a", 1]
        ),
        "multiscales: datasets",
    ),
    "axes the wrong way": (
        lambda c: multiscale(c)["axes"].reverse(),
        "axes: expected some of t, c, z and then y, x",
    ),
    "no levels": (lambda c: multiscale(c).update(datasets=[]), "expected at least one level"),
    "old version": (
        lambda c: multiscale(c).update(version="0.1"),
        "version: expected 0.3, 0.4 or 0.5",
    ),
    "no axes": (lambda c: multiscale(c).pop("axes"), "multiscales: axes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_metadata_is_one_line(tmp_path, name):
    change, reason = BROKEN[name]
    path = ome_zarr(tmp_path / "a.zarr", LEVELS)
    edit_metadata(path / ".zattrs", change)
    with pytest.raises(ValueError, match=reason) as error:
        open_ome_zarr(path)
    assert "\n" not in str(error.value) and "a.zarr" in str(error.value)


ARRAYS = {
    "absurd shape": (lambda c: c.update(shape=[3, 10**12, 10**12]), "pixels a side"),
    "absurd chunks": (lambda c: c.update(chunks=[3, 10**6, 10**6]), "tiles: expected at most"),
    "pickle as filter": (lambda c: c.update(filters=[{"id": "pickle"}]), "codec: 'pickle'"),
    "pickle as compressor": (lambda c: c.update(compressor={"id": "pickle"}), "codec: 'pickle'"),
    "objects": (lambda c: c.update(dtype="|O", fill_value=None), r"cannot be opened|numbers"),
    "text": (lambda c: c.update(dtype="<U8", fill_value=""), "expected numbers"),
    "no shape": (lambda c: c.pop("shape"), "cannot be opened"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_hostile_array_is_one_line_and_nothing_of_it_runs(tmp_path, name):
    change, reason = ARRAYS[name]
    path = ome_zarr(tmp_path / "a.zarr", LEVELS)
    edit_metadata(path / "0" / ".zarray", change)
    with pytest.raises(ValueError, match=reason) as error:
        open_ome_zarr(path)
    assert "\n" not in str(error.value) and "a.zarr" in str(error.value)


def test_a_damaged_chunk_names_the_file_and_a_missing_one_is_empty(tmp_path):
    path = ome_zarr(tmp_path / "a.zarr", LEVELS)
    (path / "0" / "0" / "1" / "1").unlink() if (path / "0" / "0" / "1").is_dir() else (
        path / "0" / "0.1.1"
    ).unlink()
    assert (open_ome_zarr(path).planes[0].levels[0][32:64, 32:64, 0] == 0).all()
    chunk = next(p for p in sorted((path / "0").rglob("*")) if p.is_file() and "z" not in p.name)
    chunk.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"a\.zarr: cannot be decoded"):
        open_ome_zarr(path)


def test_metadata_that_is_no_json(tmp_path):
    path = ome_zarr(tmp_path / "a.zarr", LEVELS)
    (path / ".zattrs").write_text("{" * 100_000)
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        open_ome_zarr(path)
    shutil.rmtree(path / "0")
    (path / ".zattrs").write_text(json.dumps({"multiscales": 5}))
    with pytest.raises(ValueError, match="multiscales: missing"):
        open_ome_zarr(path)


@pytest.mark.parametrize(
    ("version", "file"),
    [
        ("0.4", ".zattrs"),
        ("0.4", "0/.zarray"),
        ("0.4", "labels/nuclei/.zattrs"),
        ("0.5", "zarr.json"),
        ("0.5", "0/zarr.json"),
    ],
)
def test_spoiled_metadata_is_read_or_refused_in_a_line_that_names_it(tmp_path, version, file):
    levels, nuclei = [level[:, :64, :64] for level in LEVELS], {"nuclei": [NUCLEI[:64, :64]]}
    path = ome_zarr(tmp_path / "a.zarr", levels, version, labels=nuclei)
    whole, rng = json.loads((path / file).read_text()), np.random.default_rng(0)
    for _ in range(40):
        (path / file).write_text(json.dumps(spoiled(whole, rng)))
        try:
            open_ome_zarr(path)
        except ValueError as error:
            assert "a.zarr" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("axes,count", [("zyx", 1), ("tyx", 1), ("cyx", 100)])
def test_one_plane_and_up_to_a_hundred_channels_are_read(tmp_path, axes, count):
    plane = PLANES[0, ::4, ::4]
    path = ome_zarr(tmp_path / "a.zarr", [np.repeat(plane[None], count, 0)], axes=axes)
    planes = open_ome_zarr(path).planes
    assert len(planes) == count
    np.testing.assert_array_equal(planes[-1].levels[0], plane)
    more = [np.repeat(plane[None, ::step, ::step], count + 1, 0) for step in (1, 2)]
    what = "1 to 100 channels, got 101" if count > 1 else f"one plane, got 2 along {axes[0]}"
    # A level that disagrees with the others is refused as well.
    for number, levels in enumerate((more, [np.repeat(plane[None], count, 0), more[1]])):
        wrong = ome_zarr(tmp_path / f"{number}.zarr", levels, axes=axes)
        with pytest.raises(ValueError, match=rf"{number}\.zarr/{number}: expected {what}"):
            open_ome_zarr(wrong)
