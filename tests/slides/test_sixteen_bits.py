"""Images of 16 bits: scaled and said, or refused with what to do; OME-Zarr stacks plane by plane."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.omezarr import OmeZarrDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import write_stack
from napari_cosynth.slides.files import eight_bits, read_rgb
from napari_cosynth.slides.slide import open_slide
from nuclei import items, record


def test_every_value_goes_to_the_nearest(tmp_path):
    values = np.arange(65536, dtype=np.uint16)
    scaled = eight_bits(values, "a", tmp_path)
    assert scaled.dtype == np.uint8
    np.testing.assert_array_equal(scaled, np.round(values / 257))
    eight = np.arange(256, dtype=np.uint16)
    np.testing.assert_array_equal(eight_bits(eight * 257, "a", tmp_path), eight)


def test_a_tiff_of_sixteen_bits_is_read_and_said_once(tmp_path, caplog):
    one = record()
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, one.image.astype(np.uint16) * 257, photometric="rgb")
    with caplog.at_level(logging.WARNING):
        for name in ("a.tif", "b.tif"):
            np.testing.assert_array_equal(read_rgb(tmp_path / name), one.image)
    assert [r.message for r in caplog.records] == [
        f"{tmp_path}: 16-bit images, read as 8 bits: values / 257"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.uint16) * 16, "16 bits, but no value above 4080: .* save as uint8"),
        (lambda a: a / np.float32(255), "expected 8 or 16 bits, got float32; scale it to 0..255"),
        (lambda a: a.astype(np.int32), "expected 8 or 16 bits, got int32"),
    ],
)
def test_what_has_no_known_white_is_refused(tmp_path, change, message):
    image = np.full((8, 8, 3), 255, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", change(image), photometric="rgb")
    with pytest.raises(ValueError, match=rf"a\.tif: {message}"):
        read_rgb(tmp_path / "a.tif")


def test_a_slide_of_sixteen_bits_is_scaled_or_says_what_to_do(tmp_path, monkeypatch):
    one = record()
    tifffile.imwrite(tmp_path / "a.tif", one.image.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(open_slide(tmp_path / "a.tif").levels[0], one.image)
    monkeypatch.setattr("napari_cosynth.slides.pyramid.SMALL", 1000)  # lazy, with an overview
    slide = open_slide(tmp_path / "a.tif")
    assert len(slide.levels) > 1 and all(level.dtype == np.uint8 for level in slide.levels)
    np.testing.assert_array_equal(slide.levels[0], one.image)
    tifffile.imwrite(tmp_path / "b.tif", one.image.astype(np.uint16), photometric="rgb")
    with pytest.raises(
        ValueError, match=r"b\.tif: 16 bits, but no value above \d+:.* save as uint8"
    ):
        open_slide(tmp_path / "b.tif")


def test_a_stack_whose_images_have_sixteen_bits(tmp_path):
    made = items(3)
    folder = write_stack(made, tmp_path / "stack")
    wide = tifffile.imread(folder / "images.tif").astype(np.uint16) * 257
    tifffile.imwrite(folder / "images.tif", wide, photometric="rgb")
    for back, item in zip(StackDataset(folder), made, strict=True):
        np.testing.assert_array_equal(back.image, item.record.image)
    tifffile.imwrite(folder / "images.tif", wide // 257, photometric="rgb")
    with pytest.raises(ValueError, match="stack: sample 0: 16 bits, but no value above 255"):
        StackDataset(folder)[0]


def omezarr(path, images, labels, axes, label_axes):
    import zarr
    from ome_zarr.format import FormatV04
    from ome_zarr.writer import write_image, write_labels

    group = zarr.open_group(path, mode="w", zarr_format=2)
    write_image(images, group, scale_factors=(), axes=axes, fmt=FormatV04())
    write_labels(
        labels, group, name="nuclei", scale_factors=(), axes=label_axes, fmt=FormatV04()
    )  # fmt: skip


@pytest.mark.parametrize("axis", ["t", "z"])
@pytest.mark.parametrize("wide", [False, True])
def test_an_omezarr_stack_is_read_plane_by_plane(tmp_path, axis, wide):
    made = [record(seed) for seed in range(3)]
    images = np.stack([np.moveaxis(one.image, -1, 0) for one in made])
    axes = f"{axis}cyx"
    if wide:
        images = images.astype(np.uint16) * 257
    if axis == "z":  # the order of axes that the standard asks for
        images, axes = np.moveaxis(images, 0, 1), "czyx"
    path = tmp_path / "tiles.ome.zarr"
    labels = np.stack([one.instances for one in made])
    omezarr(path, images, labels, axes, f"{axis}yx")
    kind, dataset = open_records(path)
    assert kind == "omezarr"
    assert dataset.names == ("tiles_00000", "tiles_00001", "tiles_00002")
    for back, one in zip(dataset, made, strict=True):
        np.testing.assert_array_equal(back.image, one.image)
        np.testing.assert_array_equal(back.instances, one.instances)
    assert len(OmeZarrDataset(path, only=["tiles_00001"])) == 1


def test_labels_of_other_planes_are_refused(tmp_path):
    one = record()
    images = np.stack([np.moveaxis(one.image, -1, 0)] * 3)
    omezarr(tmp_path / "a.zarr", images, one.instances, "tcyx", "yx")
    with pytest.raises(ValueError, match=r"labels/nuclei: axes: expected as many planes as the im"):
        OmeZarrDataset(tmp_path / "a.zarr")[0]
