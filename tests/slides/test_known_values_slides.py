"""Pixel sizes, pyramids, pictures and refusals of slides: both sides of every limit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_cosynth.slides import files, pyramid
from napari_cosynth.slides.files import eight_bits, mat_names, read_rgb, scaled
from napari_cosynth.slides.openslide_slide import mpp_by_openslide
from napari_cosynth.slides.picture import picture
from napari_cosynth.slides.pixel_size import _ome_mpp, _philips_mpp, mpp_of
from napari_cosynth.slides.pixels import Samples, _fractions, opaque
from napari_cosynth.slides.pyramid import LazyLevel, downsampling, read_region, with_overview
from napari_cosynth.slides.slide import open_image, open_slide
from nuclei import record

IMAGE = record(3, shape=(48, 40)).image


# Pixel sizes


def told(path: Path) -> tuple[float | None, str]:
    with tifffile.TiffFile(path) as tif:
        return mpp_of(tif, tif.series[0])


@pytest.mark.parametrize(
    "unit,per,mpp",
    [
        (2, 50800.0, 0.5),  # inch
        (3, 20000.0, 0.5),
        (4, 2000.0, 0.5),
        (5, 2.0, 0.5),
        (1, 20000.0, None),
        (3, 1000.0, None),  # 10 µm is a print's
        (3, 1010.0, 1e4 / 1010),
        (3, 1e6, None),
        (3, 9e5, 1e4 / 9e5),
    ],
)
def test_resolution_tags(tmp_path, unit, per, mpp):
    tifffile.imwrite(
        tmp_path / "a.tif", IMAGE, photometric="rgb", resolution=(per, per), resolutionunit=unit
    )
    found, source = told(tmp_path / "a.tif")
    assert found == (None if mpp is None else pytest.approx(mpp, rel=1e-4))
    assert source == ("" if mpp is None else "resolution tags")


@pytest.mark.parametrize("x,y,square", [(20000, 20100, True), (20000, 20500, False)])
def test_pixels_are_square_within_a_hundredth(tmp_path, x, y, square):
    tifffile.imwrite(
        tmp_path / "a.tif", IMAGE, photometric="rgb", resolution=(x, y), resolutionunit=3
    )
    assert (told(tmp_path / "a.tif")[0] is not None) == square


def test_resolutions_that_are_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="rgb", resolution=(0, 0))
    assert told(tmp_path / "a.tif") == (None, "")


@pytest.mark.parametrize(
    "unit,per,mpp", [("micron", 2.0, 0.5), ("cm", 20000.0, 0.5), ("pixel", 2.0, None)]
)
def test_imagejs_unit(tmp_path, unit, per, mpp):
    tifffile.imwrite(
        tmp_path / "a.tif",
        IMAGE[..., 0],
        imagej=True,
        resolution=(per, per),
        metadata={"unit": unit},
    )
    found = told(tmp_path / "a.tif")
    assert found == ((mpp, "ImageJ's unit and resolution tags") if mpp else (None, ""))


def ome(path: Path, *sizes: tuple[int, float | None]) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for side, size in sizes:
            about = {} if size is None else {"PhysicalSizeX": size, "PhysicalSizeY": size}
            writer.write(np.zeros((side, side), np.uint8), metadata=about)


def test_ome_xml(tmp_path):
    ome(tmp_path / "a.ome.tif", (16, 0.5), (24, 0.25))
    assert told(tmp_path / "a.ome.tif") == (0.5, "OME-XML")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert mpp_of(tif, tif.series[1])[0] == 0.25
    ome(tmp_path / "a.ome.tif", (16, None))
    assert told(tmp_path / "a.ome.tif") == (None, "")


@pytest.mark.parametrize(
    "texts,mpp",
    [
        (['"0.00025" "0.00025"'], 0.25),
        (["&quot;0.0005&quot; &quot;0.0005&quot;", '"0.00025" "0.00025"'], 0.25),
        (['"0.00025" "0.0003"'], None),
        (['"0.00025"'], None),
        (['"0.00025" "x"'], None),
        (['"0.000005" "0.000005"', '"0.001" "0.001"'], 1.0),
        ([], None),
    ],
)
def test_philips_spacings(texts, mpp):
    xml = "".join(f'<A Name="DICOM_PIXEL_SPACING" Group="1">{text}</A>' for text in texts)
    found = _philips_mpp(xml)
    assert found == (None if mpp is None else pytest.approx(mpp))


OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@pytest.mark.parametrize(
    "images,place,mpp",
    [
        ([(16, "0.5", "um"), (24, "0.25", "um")], 0, 0.5),
        ([(24, "0.25", "um"), (16, "0.5", "um")], 0, 0.5),  # by its size, not its place
        ([(16, "0.5", "um"), (16, "0.25", "um")], 1, 0.25),  # by its place where both have it
        ([(24, "1", "um"), (16, "0.5", "um"), (16, "0.5", "um")], 0, 0.5),
        ([(24, "1", "um"), (16, "0.5", "um"), (16, "0.25", "um")], 0, None),
        ([(24, "1", "um")], 0, None),
        ([(16, "500", "nm")], 5, 0.5),
        ([(16, "500", "pixel")], 0, None),
        ([(16, "x", "um")], 0, None),
        ([], 0, None),
    ],
)
def test_sizes_of_one_of_several_ome_images(images, place, mpp):
    listed = "".join(
        f'<Image><Pixels SizeX="{n}" SizeY="{n}" PhysicalSizeX="{s}" PhysicalSizeY="{s}" '
        f'PhysicalSizeXUnit="{u}" PhysicalSizeYUnit="{u}"/></Image>'
        for n, s, u in images
    )
    series = SimpleNamespace(axes="YX", shape=(16, 16))
    assert _ome_mpp(f'<OME xmlns="{OME}">{listed}</OME>', series, place) == mpp
    assert _ome_mpp("<OME", series, place) is _ome_mpp(None, series, place) is None


def test_what_openslide_cannot_read_has_no_pixel_size(tmp_path, monkeypatch):
    openslide = pytest.importorskip("openslide")
    (tmp_path / "a.svs").write_bytes(b"no slide")
    assert mpp_by_openslide(tmp_path / "a.svs") is None
    monkeypatch.setattr(openslide.OpenSlide, "detect_format", lambda path: "aperio")
    assert mpp_by_openslide(tmp_path / "a.svs") is None  # it raises errors of its own

    class Told:
        properties = MappingProxyType({"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"})
        kind = "aperio"

        def __init__(self, path: Path) -> None:
            pass

        def __enter__(self) -> Told:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        @classmethod
        def detect_format(cls, path: Path) -> str | None:
            return cls.kind

    monkeypatch.setattr(openslide, "OpenSlide", Told)
    assert mpp_by_openslide(tmp_path / "a.svs") == 0.25
    for kind in (None, "generic-tiff"):
        Told.kind = kind
        assert mpp_by_openslide(tmp_path / "a.svs") is None


# Colours


def page(**tags: object) -> SimpleNamespace:
    return SimpleNamespace(tags={name: SimpleNamespace(value=v) for name, v in tags.items()})


@pytest.mark.parametrize(
    "value,found",
    [
        ((1, 2, 3, 4, 5, 10), (0.5, 0.75, 0.5)),
        ((1, 2, 3, 0, 5, 10), (9, 9, 9)),
        ((1, 2, 3), (1, 2, 3)),
        ((1, 2), (9, 9, 9)),
        ((1, 2, 3, 4), (9, 9, 9)),
        ((), (9, 9, 9)),
    ],
)
def test_fractions_of_tags(value, found):
    assert _fractions(page(Luma=value), "Luma", (9, 9, 9)) == found
    assert _fractions(page(), "Luma", (9, 9, 9)) == (9, 9, 9)


def test_whites_that_are_their_blacks_are_damage():
    usual = (0, 255, 128, 255, 128, 255)
    good = (16, 235, 128, 240, 128, 240)
    assert _fractions(page(R=good), "R", usual) == good
    for at in (1, 3, 5):
        bad = [*good[:at], good[at - 1], *good[at + 1 :]]
        assert _fractions(page(R=bad), "R", usual) == usual


def test_luma_and_chroma_at_their_ends():
    """Against the standard's formula, blacks and whites of video and of full range."""
    codes = np.array([[[16, 128, 128], [235, 128, 128], [20, 40, 240], [255, 255, 255]]], np.uint8)
    for blacks_whites in ((16, 235, 128, 240, 128, 240), (0, 255, 128, 255, 128, 255)):
        samples = Samples(
            photometric=6, planar=False, count=3, colours=3, alpha=0, palette=None,
            luma=(0.299, 0.587, 0.114), blacks_and_whites=blacks_whites, shape=(1, 4, 3),
            dtype=np.dtype("u1"),
        )  # fmt: skip
        black, white = np.array(blacks_whites[::2]), np.array(blacks_whites[1::2])
        y, cb, cr = np.moveaxis(
            (codes - black) * np.array([255, 127, 127]) / (white - black), -1, 0
        )
        red, blue = y + cr * (2 - 2 * 0.299), y + cb * (2 - 2 * 0.114)
        green = (y - 0.299 * red - 0.114 * blue) / 0.587
        expected = np.stack([red, green, blue], -1).round().clip(0, 255)
        np.testing.assert_array_equal(samples.pixels(codes), expected)
        assert expected.max() == 255 and expected.min() == 0


# Pyramids


def lazy(side: int, itemsize: int = 1, tile: int = 64) -> LazyLevel:
    whole = np.arange(side * side, dtype=np.uint32).reshape(side, side).astype(f"u{itemsize}")
    return LazyLevel((side, side), whole.dtype, (tile, tile), lambda w: whole[w], Path("a.tif"))


def test_levels_up_to_a_limit_are_read_at_once(monkeypatch):
    level = lazy(128, 2)
    assert level.nbytes == 128 * 128 * 2 and level.ndim == 2
    monkeypatch.setattr(pyramid, "SMALL", level.nbytes)
    assert isinstance(level.as_array(), np.ndarray)
    monkeypatch.setattr(pyramid, "SMALL", level.nbytes - 1)
    monkeypatch.setattr(pyramid, "_BLOCK", 100)
    array = level.as_array()
    assert array.chunks == ((64, 64), (64, 64))
    np.testing.assert_array_equal(np.asarray(array), level[0:128, 0:128])
    monkeypatch.setattr(pyramid, "_BLOCK", 200)
    assert level.as_array().chunks == ((128,), (128,))
    assert lazy(128, 2, 300).as_array().chunks == ((128,), (128,))


def lazy_of(array: np.ndarray) -> object:
    from dask.array import from_array

    return from_array(array, chunks=64)


def test_a_coarser_level_is_made_where_the_last_is_large(monkeypatch):
    first = np.arange(101 * 90, dtype=np.uint16).reshape(101, 90)
    monkeypatch.setattr(pyramid, "SMALL", first.nbytes)
    assert len(with_overview([first], Path("a"))) == 1
    for limit, factor in (
        (first.nbytes - 1, 2),
        (first.nbytes // 4 - 1, 4),
        (first.nbytes // 17, 8),
    ):
        monkeypatch.setattr(pyramid, "SMALL", limit)
        big, coarse = with_overview([lazy_of(first)], Path("a"))
        assert big.shape == first.shape and coarse.dtype == np.uint16
        rows, columns = 101 // factor, 90 // factor
        blocks = first[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
        np.testing.assert_array_equal(coarse, blocks.mean((1, 3)).round())
    monkeypatch.setattr(pyramid, "LARGEST_FLAT", first.nbytes)
    assert len(with_overview([lazy_of(first)], Path("a"))) == 2
    monkeypatch.setattr(pyramid, "LARGEST_FLAT", first.nbytes - 1)
    with pytest.raises(ValueError, match=r"a: its smallest level has 101 x 90 pixels \(0.0 GiB\)"):
        with_overview([first], Path("a"))
    assert len(with_overview([first, lazy_of(first[::2, ::2])], Path("a"))) > 1


def test_limits_of_slides():
    assert (pyramid.SMALL, pyramid.LARGEST_FLAT) == (2**26, 2**32)
    assert (pyramid.LARGEST_TILE, pyramid.LARGEST_SIDE) == (2**28, 2**24)


@pytest.mark.parametrize(
    "error,message",
    [
        (MemoryError(), "a.tif: not enough memory for 5 x 7 pixels at once"),
        (RuntimeError("bad\nbits"), "a.tif: cannot be decoded near row 3, column 2 (bad bits)"),
        (ValueError("a.tif: bad"), "a.tif: cannot be decoded near row 3, column 2 (bad)"),
    ],
)
def test_failures_of_a_window_name_its_place(error, message):
    def fail(window):
        raise error

    level = LazyLevel((64, 64), np.dtype("u1"), (16, 16), fail, Path("a.tif"))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        level[3:8, 2:9]


@pytest.mark.parametrize(
    "level,first,wanted",
    [
        ((10, 10), (10, 10), 1.0),
        ((3, 3), (11, 11), (4.0, 4.0)),  # filled up
        ((8, 8), (11, 11), (11 / 8, 11 / 8)),
        ((5, 5), (11, 11), (2.0, 2.0)),  # cut off
        ((6, 6), (11, 11), (2.0, 2.0)),  # filled up
        ((7, 7), (11, 11), (11 / 7, 11 / 7)),
        ((5, 4), (11, 11), (11 / 5, 11 / 4)),
        ((40, 40), (10, 10), (0.25, 0.25)),
    ],
)
def test_factors_between_levels(level, first, wanted):
    assert downsampling(level, first) == ((wanted,) * 2 if isinstance(wanted, float) else wanted)


@pytest.mark.parametrize("step", [0.3, 0.5, 0.99, 1.0, 1.3, 2.0, 2.6, 5.0])
@pytest.mark.parametrize("start", [-2.3, 0.0, 4.75])
def test_weights_are_overlaps_or_linear(step, start):
    """Against loops over every pixel and sample."""
    count, size = 9, 11
    matrix, first, last = pyramid._weights(start, step, count, size)
    found = np.zeros((count, size))
    found[:, first:last] = matrix.toarray()
    expected = np.zeros((count, size))
    for k in range(count):
        centre = start + step * k
        for n in range(size):
            if step >= 1:
                low, high = max(centre - step / 2, n - 0.5), min(centre + step / 2, n + 0.5)
                expected[k, n] = max(0.0, high - low) / step
        if step < 1 and -0.5 <= centre < size - 0.5:
            at = min(max(centre, 0), size - 1)
            low = min(int(at), size - 2)
            expected[k, low], expected[k, low + 1] = 1 - (at - low), at - low
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_of_more_channels_the_first_three_and_of_one_that(monkeypatch):
    rng = np.random.default_rng(0)
    four = rng.integers(0, 255, (6, 6, 4), np.uint8)
    np.testing.assert_array_equal(read_region([four], (0, 0), 1, (6, 6)), four[..., :3])
    grey = read_region([four[..., 0]], (1, 1), 1, (5, 5))
    np.testing.assert_array_equal(grey, np.repeat(four[1:, 1:, :1], 3, 2))


# Pictures


def test_pictures_of_thirty_two_bits(tmp_path):
    values = np.array([[0, 65535], [300, 4]], np.int32)
    for bad in (65536, -1):
        values[0, 0] = bad
        Image.fromarray(values, mode="I").save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match=r"a\.tif"):
            read_rgb(tmp_path / "a.tif")
        assert picture(tmp_path / "a.tif")[0, 0] == bad
    for most in (65535, 65534, 5):
        values[:] = [[0, most], [3, 4]]
        Image.fromarray(values, mode="I").save(tmp_path / "a.tif")
        found = picture(tmp_path / "a.tif")
        assert found.dtype == np.uint16 and found.tolist() == values.tolist()


@pytest.mark.parametrize("mode", ["LAB", "F"])
def test_pictures_in_colours_that_are_not_read(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=f"colours of the mode {mode} are not read"):
        picture(tmp_path / "a.tiff")


def test_pictures_of_one_bit_grey_and_palette(tmp_path):
    for mode, shape in (("1", (4, 5)), ("L", (4, 5)), ("P", (4, 5, 3)), ("RGB", (4, 5, 3))):
        Image.new(mode, (5, 4)).save(tmp_path / "a.png")
        assert picture(tmp_path / "a.png").shape == shape


def test_grey_with_transparency_of_sixteen_bits(tmp_path):
    from imagecodecs import png_encode

    grey = np.array([[[60000, 65535], [60000, 0]], [[0, 65535], [0, 32768]]], np.uint16)
    (tmp_path / "a.png").write_bytes(png_encode(grey))
    assert picture(tmp_path / "a.png").tolist() == [[60000, 65535], [0, 32767]]


def test_blending():
    colour, alpha = np.array([100, 100, 100], np.uint8), np.array([255, 0, 51], np.uint8)
    assert opaque(colour, np.full(3, 255, np.uint8)) is colour
    assert opaque(colour, alpha).tolist() == [100, 255, 224]
    black = np.zeros(3, np.uint8)
    assert opaque(colour, alpha, black).tolist() == [100, 0, 20]
    assert opaque(colour, alpha, premultiplied=True).tolist() == [100, 255, 255]
    assert opaque(colour // 10, alpha, black, premultiplied=True).tolist() == [10, 10, 10]


@pytest.mark.parametrize("code", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("grey", [False, True])
def test_extra_samples_by_what_they_are_called(tmp_path, code, grey):
    alpha = np.full((*IMAGE.shape[:2], 1), 51, np.uint8)
    colour = IMAGE[..., :1] // 8 if grey else IMAGE // 8
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.concatenate([colour, alpha], -1),
        photometric="minisblack" if grey else "rgb",
        planarconfig="contig",
        extrasamples=[code],
    )
    shown = {"unassalpha": colour * 0.2 + 204, "assocalpha": colour + 204.0, "unspecified": colour}
    found = read_rgb(tmp_path / "a.tif")
    assert np.abs(found - shown[code]).max() <= 0.51


def test_sixteen_bits_both_sides_of_what_is_used():
    assert files.FULL_SCALE == 4096
    values = np.array([0, 4096], np.uint16)
    assert eight_bits(values, "a", Path("x")).tolist() == [0, 16]
    with pytest.raises(ValueError, match=r"^a: 16 bits, but no value above 4095"):
        eight_bits(values - (values > 0), "a", Path("x"))
    with pytest.raises(ValueError, match=r"^a: expected 8 or 16 bits, got int16"):
        eight_bits(values.astype(np.int16), "a", Path("x"))
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(scaled(every), np.floor(every / 257 + 0.5))


def test_variables_of_files_that_are_none(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"nothing")
    assert mat_names(tmp_path / "a.mat") == set()


# Opening


def test_an_image_is_a_slide_of_one_level(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.PNG", format="PNG")
    found = open_image(tmp_path / "a.PNG")
    assert found.mpp is None and (found.facts.format, found.facts.stored) == ("PNG", 1)
    np.testing.assert_array_equal(found.levels[0], IMAGE)
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="rgb")
    assert open_image(tmp_path / "a.tif").facts.format != "TIF"
    for name, message in (("none.png", "no such file"), ("", "expected a slide, got a folder")):
        with pytest.raises(ValueError, match=message):
            open_slide(tmp_path / name)
    with pytest.raises(ValueError, match=r"none\.png: no such file"):
        open_image(tmp_path / "none.png")


def test_axes_and_arrays_that_do_not_fit(tmp_path):
    import zarr

    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=np.zeros((3, 16, 16), np.uint8), chunks=(3, 16, 16))
    axes = [{"name": n, "type": "space"} for n in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    with pytest.raises(ValueError, match=r"expected 2 axes \['y', 'x'\], got shape \(3, 16, 16\)"):
        open_slide(tmp_path / "a.zarr")
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    attributes["multiscales"][0]["axes"] = [{"name": n, "type": "space"} for n in "cyx"]
    (tmp_path / "a.zarr" / ".zattrs").write_text(json.dumps(attributes))
    assert open_slide(tmp_path / "a.zarr").levels[0].shape == (16, 16, 3)
