"""Colours as a viewer shows them, whatever the file calls them, for tiles and slides alike."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_cosynth.slides.files import read_rgb
from napari_cosynth.slides.slide import open_slide
from nuclei import record

IMAGE = record(3, shape=(48, 40)).image


def both(path):
    """What a tile's reader and a slide's make of a file."""
    level = np.asarray(open_slide(path).levels[0])
    return read_rgb(path), np.stack([level] * 3, -1) if level.ndim == 2 else level


def close(path, expected, within=0):
    for found in both(path):
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= within


def test_grey_whose_least_is_white(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", 255 - IMAGE[..., 0], photometric="miniswhite")
    close(tmp_path / "a.tif", np.stack([IMAGE[..., 0]] * 3, -1))


def test_a_palette_of_either_depth(tmp_path):
    image = Image.fromarray(IMAGE).quantize(64)
    image.save(tmp_path / "a.tif")
    image.save(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGB"))
    close(tmp_path / "a.tif", expected)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), expected)
    table = np.zeros((3, 256), np.uint16)
    table[:, :64] = np.array(image.getpalette()[:192]).reshape(64, 3).T
    tifffile.imwrite(tmp_path / "b.tif", np.asarray(image), photometric="palette", colormap=table)
    close(tmp_path / "b.tif", expected)


def test_ink_of_four_colours(tmp_path):
    image = Image.fromarray(IMAGE).convert("CMYK")
    image.save(tmp_path / "a.tif")
    image.save(tmp_path / "a.jpg", quality=100)
    close(tmp_path / "a.tif", np.asarray(image.convert("RGB")), 1)
    found = read_rgb(tmp_path / "a.jpg").astype(int)
    assert np.abs(found.mean((0, 1)) - IMAGE.mean((0, 1))).max() < 2
    tifffile.imwrite(
        tmp_path / "b.tif",
        np.asarray(image),
        photometric="separated",
        extratags=[(332, 3, 1, 2, False)],
    )
    with pytest.raises(ValueError, match=r"b\.tif: inks other than CMYK"):
        read_rgb(tmp_path / "b.tif")


def test_luma_and_chroma(tmp_path):
    image = Image.fromarray(IMAGE).convert("YCbCr")
    image.save(tmp_path / "a.tif")  # not compressed: no decoder turns it
    close(tmp_path / "a.tif", np.asarray(image.convert("RGB")), 1)
    tifffile.imwrite(tmp_path / "b.tif", IMAGE, photometric="rgb", compression="jpeg")
    for found in both(tmp_path / "b.tif"):
        assert np.abs(found.astype(int).mean((0, 1)) - IMAGE.mean((0, 1))).max() < 2


@pytest.mark.parametrize("suffix", ["a.tif", "a.ome.tif"])
def test_samples_in_planes(tmp_path, suffix):
    planes = np.moveaxis(IMAGE, -1, 0)
    tifffile.imwrite(tmp_path / suffix, planes, photometric="rgb", planarconfig="separate")
    close(tmp_path / suffix, IMAGE)


def test_channels_in_pages(tmp_path):
    planes = np.moveaxis(IMAGE, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", planes, photometric="minisblack", metadata={"axes": "CYX"}
    )
    close(tmp_path / "a.ome.tif", IMAGE)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "16.png", "16.tif"])
def test_transparency_lies_on_white(tmp_path, name):
    alpha = np.full(IMAGE.shape[:2], 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 51
    rgba = np.dstack([IMAGE, alpha])
    rgba[:, :10, :3] = 0  # as OpenSlide gives what was not scanned
    if name.endswith("tif"):
        pixels = rgba.astype(np.uint16) * 257 if name.startswith("16") else rgba
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", extrasamples=["unassalpha"])
    elif name.startswith("16"):
        from imagecodecs import png_encode

        (tmp_path / name).write_bytes(png_encode(rgba.astype(np.uint16) * 257))
    else:
        Image.fromarray(rgba).save(tmp_path / name)
    expected = IMAGE.astype(float)
    expected[:, :10] = 255
    expected[:, 10:20] = 0.2 * IMAGE[:, 10:20] + 0.8 * 255
    found = [read_rgb(tmp_path / name)] if name.endswith("png") else both(tmp_path / name)
    for one in found:
        assert np.abs(one - expected).max() <= 0.51


def test_premultiplied_and_unspecified_fourth_samples(tmp_path):
    half = np.full(IMAGE.shape[:2], 128, np.uint8)
    shown = (IMAGE * (128 / 255)).round().astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.dstack([shown, half]),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    close(tmp_path / "a.tif", (shown + 127.0).round().clip(max=255).astype(int), 1)
    tifffile.imwrite(
        tmp_path / "b.tif",
        np.dstack([IMAGE, half]),
        photometric="rgb",
        extrasamples=["unspecified"],
    )
    close(tmp_path / "b.tif", IMAGE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(IMAGE)
    image.save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), expected)
    tag = (274, 3, 1, orientation, False)
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="rgb", extratags=[tag])
    close(tmp_path / "a.tif", expected)


def test_a_png_of_sixteen_bits_keeps_them(tmp_path):
    from imagecodecs import png_encode

    (tmp_path / "a.png").write_bytes(png_encode(IMAGE.astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), IMAGE)
    (tmp_path / "b.png").write_bytes(png_encode(IMAGE.astype(np.uint16)))
    with pytest.raises(ValueError, match=r"b\.png: 16 bits, but no value above"):
        read_rgb(tmp_path / "b.png")
    wide = Image.fromarray(IMAGE[..., 0].astype(np.uint16) * 257)
    wide.save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "c.png")[..., 1], IMAGE[..., 0])


def test_other_interpretations_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="cielab")
    for reader in (read_rgb, open_slide):
        with pytest.raises(ValueError, match=r"a\.tif: colours of .* CIELAB are not read"):
            reader(tmp_path / "a.tif")


def test_the_largest_image_of_a_file_with_its_own_pixel_size(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for image, size in ((IMAGE[:16, :16], 4.0), (IMAGE, 0.5)):
            about = {"PhysicalSizeX": size, "PhysicalSizeY": size}
            writer.write(image, photometric="rgb", metadata=about)
    close(tmp_path / "a.ome.tif", IMAGE)
    assert open_slide(tmp_path / "a.ome.tif").mpp == 0.5


@pytest.mark.parametrize("text", ["2.5e-1", "0,25", "0.25"])
def test_aperios_pixel_size_as_any_program_writes_it(tmp_path, text):
    about = f"Aperio Image Library v1\n40x48|AppMag = 40|MPP = {text}|Left = 1"
    tifffile.imwrite(tmp_path / "a.svs", IMAGE, photometric="rgb", description=about, metadata=None)
    assert open_slide(tmp_path / "a.svs").mpp == 0.25
