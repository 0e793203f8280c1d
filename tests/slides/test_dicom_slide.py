"""DICOM whole-slide images: those that OpenSlide reads, and those that only their frames tell of."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_cosynth.io.units import LARGEST_MPP, LARGEST_STATED
from napari_cosynth.slides import dicom_slide, pyramid
from napari_cosynth.slides.openslide_slide import _mpp
from napari_cosynth.slides.slide import open_slide
from slides import dicom

RNG = np.random.default_rng(0)
IMAGE = (255 * ndi.gaussian_filter(RNG.random((70, 100, 3)), (8, 8, 0))).astype(np.uint8)
"""Smooth, as tissue is, so that tiles which are neighbours fit."""


@pytest.mark.parametrize("stated", ["TILED_FULL", ""])
def test_frames_by_rows(tmp_path, stated):
    more = {"DimensionOrganizationType": stated} if stated else {}
    opened = open_slide(dicom(tmp_path / "a.dcm", IMAGE, 16, **more))
    np.testing.assert_array_equal(opened.levels[0], IMAGE)
    assert opened.mpp is None and opened.facts.format == "DICOM"


def test_frames_by_columns_where_nothing_says_so(tmp_path, caplog):
    opened = open_slide(dicom(tmp_path / "a.dcm", IMAGE, 16, by_columns=True))
    np.testing.assert_array_equal(opened.levels[0], IMAGE)
    assert "a.dcm: the order of its frames is not stated" in caplog.text


def test_what_is_stated_goes_before_what_fits(tmp_path):
    path = dicom(
        tmp_path / "a.dcm", IMAGE, 16, by_columns=True, DimensionOrganizationType="TILED_FULL"
    )
    assert (np.asarray(open_slide(path).levels[0]) != IMAGE).any()


def test_tiles_at_places_and_glass_that_was_left_out(tmp_path):
    places = [(2, 1), (0, 0), (4, 6)]
    opened = open_slide(dicom(tmp_path / "a.dcm", IMAGE, 16, positions=places))
    wanted = np.full_like(IMAGE, 255)
    for y, x in places:
        part = np.s_[y * 16 : (y + 1) * 16, x * 16 : (x + 1) * 16]
        wanted[part] = IMAGE[part]
    np.testing.assert_array_equal(opened.levels[0], wanted)


def test_grey_and_lazy_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "SMALL", 1000)
    level = open_slide(dicom(tmp_path / "a", IMAGE[..., 0], 16)).levels[0]
    assert not isinstance(level, np.ndarray)
    np.testing.assert_array_equal(np.asarray(level[15:50, 30:97]), IMAGE[15:50, 30:97, 0])


def spacing(y, x):
    from pydicom.dataset import Dataset

    groups, measures = Dataset(), Dataset()
    measures.PixelSpacing = [y, x]
    groups.PixelMeasuresSequence = [measures]
    return {"SharedFunctionalGroupsSequence": [groups]}


@pytest.mark.parametrize(
    ("stated", "mpp"),
    [
        (spacing(0.00025, 0.00025), 0.25),
        (spacing(0.029, 0.029), 29),
        (spacing(0.00025, 0.0005), None),
        ({"ImagedVolumeWidth": 0.05, "ImagedVolumeHeight": 0.035}, 0.5),
        ({"ImagedVolumeWidth": 15.0, "ImagedVolumeHeight": 15.0}, None),
        ({}, None),
    ],
)
def test_pixel_size(tmp_path, stated, mpp):
    opened = open_slide(dicom(tmp_path / "a.dcm", IMAGE, 16, **stated))
    assert opened.mpp == (mpp if mpp is None else pytest.approx(mpp))
    assert bool(opened.facts.mpp_from) == (mpp is not None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "whole-slide image, got 'CT Image Storage'"),
        ({"SOPClassUID": "1.2\n3"}, "whole-slide image, got"),
        ({"NumberOfFrames": 34}, "NumberOfFrames: expected 35 for 70 x 100 pixels, got 34"),
        ({"NumberOfFrames": 2**31 - 1}, "NumberOfFrames: expected 1 to"),
        ({"TotalPixelMatrixRows": 2**31}, "pixels a side"),
        ({"Rows": 60_000, "Columns": 60_000}, "tiles: expected at most"),
        ({"TotalPixelMatrixRows": None}, "sizes of the image and of its frames"),
        ({"TotalPixelMatrixFocalPlanes": 3}, "one plane, got 3 samples of 8 bits, 3 planes"),
        ({"BitsAllocated": 16}, "expected an 8-bit RGB or grey image"),
    ],
)
def test_what_is_none_is_one_line(tmp_path, changes, reason):
    path = dicom(tmp_path / "a.dcm", IMAGE, 16, **changes)
    with pytest.raises(ValueError, match=rf"a\.dcm: .*{reason}") as error:
        open_slide(path)
    assert "\n" not in str(error.value)


def test_a_cut_file_and_a_missing_library_are_one_line(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", IMAGE, 16)
    whole = path.read_bytes()
    for size in (200, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.dcm: ") as error:
            open_slide(path)
        assert "\n" not in str(error.value)
    path.write_bytes(whole)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ValueError, match=r"a\.dcm: reading DICOM needs pydicom: pip install"):
        open_slide(path)


def test_of_a_folder_the_largest(tmp_path):
    dicom(tmp_path / "1", IMAGE[:16, :16], 16)
    dicom(tmp_path / "2", IMAGE, 16)
    (tmp_path / "DICOMDIR.txt").write_text("no image")
    assert open_slide(tmp_path).levels[0].shape == IMAGE.shape


def test_real_ones(data_root, monkeypatch):
    slides = data_root / "slides"
    opened = open_slide(slides / "camelyon-overview.dcm")
    assert opened.levels[0].shape == (700, 1152, 3) and opened.mpp == pytest.approx(28.97, abs=0.01)
    monkeypatch.setattr(dicom_slide, "openslide_missing", lambda: True)
    ours = open_slide(slides / "camelyon-overview.dcm")
    np.testing.assert_array_equal(ours.levels[0], opened.levels[0])
    assert ours.mpp == pytest.approx(opened.mpp, rel=1e-4)
    # Neither OpenSlide nor wsidicom reads it; its frames run down, and the glass is one piece.
    level = np.asarray(open_slide(slides / "wsi.dcm").levels[0]).astype(int)
    assert level.shape == (2638, 3236, 3)
    for axis, size in ((0, 2638), (1, 3236)):
        steps = np.abs(np.diff(level, axis=axis)).mean(axis=(1 - axis, 2))
        seams = steps[499 : size - 1 : 500]
        assert seams.max() < 3 * np.median(steps)


@pytest.mark.parametrize("vendor,largest", [("dicom", LARGEST_STATED), ("aperio", LARGEST_MPP)])
def test_large_pixels_are_an_overview_s_only_where_dicom_states_them(vendor, largest):
    def stated(x, y):
        return _mpp(
            {"openslide.mpp-x": str(x), "openslide.mpp-y": str(y), "openslide.vendor": vendor}
        )

    assert stated(0.25, 0.25) == 0.25 and stated(0.25, 0.5) is None
    assert stated(0.9 * largest, 0.9 * largest) == 0.9 * largest
    assert stated(1.1 * largest, 1.1 * largest) is None
    assert _mpp({"openslide.mpp-x": "0.25"}) is _mpp({}) is None
