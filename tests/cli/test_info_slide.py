"""``cosynth info SLIDE``: what is said, and the thumbnail."""

import numpy as np
import pytest
import tifffile
from skimage.io import imread, imsave

from napari_cosynth.cli import main
from slides import dicom, ome_zarr

IMAGE = np.full((120, 80, 3), 200, np.uint8)
IMAGE[:60, :40] = (255, 0, 0)


def said(capsys, *arguments):
    assert main(["info", *map(str, arguments)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return dict((part.strip() for part in line.split(":", 1)) for line in lines)


def svs(path, mpp="0.25"):
    text = f"Aperio Image Library\r\n80x120|AppMag = 40|MPP = {mpp}"
    with tifffile.TiffWriter(path) as file:
        tile = {"tile": (16, 16), "photometric": "rgb", "metadata": None, "compression": "deflate"}
        file.write(IMAGE, description=text, **tile)
        file.write(IMAGE[::4, ::4], photometric="rgb", metadata=None)  # the thumbnail
        file.write(IMAGE[::2, ::2], description=text, **tile)
    return path


def test_a_slide_of_a_scanner(tmp_path, capsys):
    facts = said(capsys, svs(tmp_path / "a.svs"), "--picture", tmp_path / "small.png")
    assert facts["size"] == "120 x 80 pixels, RGB, uint8, 0.03 x 0.02 mm"
    assert facts["µm/px"] == "0.25 (Aperio's text)"
    assert facts["vendor"] == "Aperio" and facts["compression"] == "Deflate"
    assert facts["levels"] == "2: 120 x 80, 60 x 40 (1/2)"
    np.testing.assert_array_equal(imread(tmp_path / "small.png"), IMAGE)


def test_a_number_in_scientific_notation(tmp_path, capsys):
    assert said(capsys, svs(tmp_path / "a.svs", "5.0e-1"))["µm/px"] == "0.5 (Aperio's text)"


def test_other_kinds(tmp_path, capsys):
    imsave(tmp_path / "a.PNG", IMAGE, check_contrast=False)
    facts = said(capsys, tmp_path / "a.PNG")
    assert facts["format"] == "PNG" and facts["µm/px"] == "not stated"
    facts = said(capsys, dicom(tmp_path / "b", IMAGE, 16, Manufacturer="Maker"))
    assert facts["format"] == "DICOM" and facts["vendor"] == "Maker"
    path = ome_zarr(tmp_path / "c.zarr", [np.moveaxis(IMAGE, -1, 0)])
    facts = said(capsys, path)
    assert facts["format"] == "OME-Zarr" and facts["µm/px"].startswith("0.25 (")
    (tmp_path / "d.svs").write_bytes(b"none")
    assert main(["info", str(tmp_path / "d.svs")]) == 2
    assert "d.svs: cannot be read as a TIFF" in capsys.readouterr().err
    (tmp_path / "e.txt").write_bytes(b"none")
    assert main(["info", str(tmp_path / "e.txt")]) == 2
    assert "in none of the known formats" in capsys.readouterr().err


def test_an_image_with_labels_is_a_data_set(tmp_path, capsys):
    labels = {"instances": [np.eye(120, 80, dtype=np.int32)]}
    path = ome_zarr(tmp_path / "c.zarr", [np.moveaxis(IMAGE, -1, 0)], labels=labels)
    assert said(capsys, path)["format"] == "omezarr"


def test_a_large_one_is_drawn_small(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 500, 3), np.uint8), photometric="rgb")
    said(capsys, tmp_path / "a.tif", "--picture", tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape == (1024, 171, 3)


@pytest.mark.parametrize("name", ["jpeg2000.svs", "wsi.dcm", "camelyon-overview.dcm"])
def test_nuclei_of_real_slides(data_root, tmp_path, capsys, name):
    region = ["--region", "500", "600", "128", "128"]
    out = str(tmp_path / "l.csv")
    slide = str(data_root / "slides" / name)
    assert main(["layout", "detect", slide, *region, "--mpp", "0.5", "--out", out]) == 0
    assert "on 128 x 128 pixels at 0.5 µm/px" in capsys.readouterr().out
