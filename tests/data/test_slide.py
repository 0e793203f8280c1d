import numpy as np
import pytest
import tifffile

from napari_cosynth.data import slide
from napari_cosynth.data.slide import open_slide

IMAGE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)


def test_svs_tells_its_mpp(data_root):
    opened = open_slide(data_root / "slides" / "CMU-1-Small-Region.svs")
    assert opened.mpp == 0.499
    assert [level.shape for level in opened.levels] == [(2967, 2220, 3)]
    assert np.asarray(opened.levels[0][1000:1010, 1000:1010]).std() > 0


def test_large_levels_are_lazy_and_the_same_pixels(data_root, monkeypatch):
    path = data_root / "slides" / "CMU-1-Small-Region.svs"
    whole = open_slide(path).levels[0]
    monkeypatch.setattr(slide, "SMALL", 0)
    lazy = open_slide(path).levels[0]
    assert not isinstance(lazy, np.ndarray)
    window = np.s_[1900:1950, 1900:1940]
    np.testing.assert_array_equal(np.asarray(lazy[window]), whole[window])


def test_ome_pyramid_has_all_levels_and_its_mpp(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    with tifffile.TiffWriter(path) as writer:
        options = {"tile": (32, 32), "photometric": "rgb"}
        writer.write(IMAGE, subifds=1, metadata=metadata, **options)
        writer.write(IMAGE[::2, ::2], subfiletype=1, **options)
    opened = open_slide(path)
    assert opened.mpp == 0.25
    assert [level.shape for level in opened.levels] == [(96, 128, 3), (48, 64, 3)]
    np.testing.assert_array_equal(np.asarray(opened.levels[1]), IMAGE[::2, ::2])


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({}, None),
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),  # for print
        ({"resolution": (20000, 10000), "resolutionunit": "CENTIMETER"}, None),  # not square
        ({"resolution": (4, 4), "imagej": True, "metadata": {"unit": "um"}}, 0.25),
    ],
)
def test_mpp_of_a_plain_tiff_is_read_and_never_invented(tmp_path, options, mpp):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", **options)
    assert open_slide(path).mpp == mpp


def test_refusals_name_the_file(tmp_path):
    path = tmp_path / "broken.svs"
    path.write_bytes(b"not a slide")
    with pytest.raises(ValueError, match=r"broken\.svs: cannot be read as a TIFF"):
        open_slide(path)
    path = tmp_path / "volume.tif"
    tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint16))
    with pytest.raises(ValueError, match=r"volume\.tif: expected an 8-bit RGB or grey image"):
        open_slide(path)
