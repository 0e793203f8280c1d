import resource
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cosynth.io.stack_format import Pages
from napari_cosynth.layouts.sources.labels import read_labels
from napari_cosynth.slides import pyramid
from napari_cosynth.slides.files import read_rgb
from napari_cosynth.slides.openslide_slide import open_with_openslide
from napari_cosynth.slides.slide import open_slide
from slides import bare_tiff, mirax, ndpi, rgb_tags, ring_of_directories, sparse_pyramid
from spoil import with_changed_bytes

IMAGE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
TESTS = Path(__file__).parents[1]


def test_svs_tells_its_mpp(data_root):
    opened = open_slide(data_root / "slides" / "CMU-1-Small-Region.svs")
    assert opened.mpp == 0.499
    assert [level.shape for level in opened.levels] == [(2967, 2220, 3)]
    assert np.asarray(opened.levels[0][1000:1010, 1000:1010]).std() > 0


def test_openslide_reads_the_real_slide_alike(data_root):
    pytest.importorskip("openslide")
    path = data_root / "slides" / "CMU-1-Small-Region.svs"
    ours, theirs = open_slide(path), open_with_openslide(path)
    assert ours.mpp == theirs.mpp
    np.testing.assert_array_equal(ours.levels[0], theirs.levels[0])


def test_openslide_makes_up_no_pixels_that_the_file_cannot_hold(tmp_path):
    """OpenSlide takes any width for granted, and reads what is not there for minutes."""
    pytest.importorskip("openslide")
    path = tmp_path / "wide.tif"
    tifffile.imwrite(path, IMAGE[:48, :64], tile=(16, 16), photometric="rgb")
    with tifffile.TiffFile(path, mode="r+") as opened:
        opened.pages[0].tags["ImageWidth"].overwrite(2**22)
    with pytest.raises(
        ValueError, match=r"wide\.tif: truncated: its smallest level has 48 x 4194304"
    ):
        open_with_openslide(path)
    assert open_with_openslide(path, overview=False).levels[0].shape == (48, 2**22, 3)


def test_large_levels_are_lazy_and_the_same_pixels(data_root, monkeypatch):
    path = data_root / "slides" / "CMU-1-Small-Region.svs"
    whole = open_slide(path).levels[0]
    monkeypatch.setattr(pyramid, "SMALL", 2**20)
    lazy, coarse = open_slide(path).levels
    assert not isinstance(lazy, np.ndarray)
    window = np.s_[1900:1950, 1900:1940]
    np.testing.assert_array_equal(np.asarray(lazy[window]), whole[window])
    # A slide without levels gets one that a viewer can show whole: means of blocks of pixels.
    assert coarse.shape == (2967 // 8, 2220 // 8, 3)
    np.testing.assert_allclose(coarse[10, 20], whole[80:88, 160:168].mean((0, 1)), atol=0.51)


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


def test_ndpi_takes_the_slide_and_not_its_macro(tmp_path):
    half, macro = np.ascontiguousarray(IMAGE[::2, ::2]), np.ascontiguousarray(IMAGE[:40, :40])
    pages = [(IMAGE, 20000, 20.0), (half, 10000, 10.0), (macro, 500, -1.0)]
    opened = open_slide(ndpi(tmp_path / "scan.ndpi", pages))
    assert opened.mpp == 0.5
    assert [level.shape for level in opened.levels] == [(96, 128, 3), (48, 64, 3)]
    np.testing.assert_array_equal(np.asarray(opened.levels[0]), IMAGE)


def test_scn_takes_the_slide_and_not_its_macro(tmp_path):
    path = tmp_path / "scan.scn"

    def image(name, dimensions):
        lines = "".join(
            f'<dimension sizeX="{w}" sizeY="{h}" r="{r}" ifd="{ifd}"/>'
            for r, (ifd, w, h) in enumerate(dimensions)
        )
        return f'<image name="{name}"><pixels sizeX="1" sizeY="1">{lines}</pixels></image>'

    description = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        '<collection name="c">'
        + image("macro", [(0, 40, 40)])
        + image("slide", [(1, 128, 96), (2, 64, 48)])
        + "</collection></scn>"
    )
    options = {"photometric": "rgb", "metadata": None, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        pages = ((IMAGE[:40, :40], 500), (IMAGE, 40000), (IMAGE[::2, ::2], 20000))
        for data, density in pages:
            first = description if density == 500 else None
            writer.write(data, resolution=(density, density), description=first, **options)
    opened = open_slide(path)
    assert opened.mpp == 0.25
    assert [level.shape for level in opened.levels] == [(96, 128, 3), (48, 64, 3)]
    np.testing.assert_array_equal(np.asarray(opened.levels[0]), IMAGE)


def test_mirax_needs_openslide_and_is_read_by_it(tmp_path, monkeypatch):
    path = mirax(tmp_path, IMAGE, 32, 0.25)
    if pytest.importorskip("openslide"):
        opened = open_slide(path)
        assert opened.mpp == 0.25
        np.testing.assert_array_equal(opened.levels[0], IMAGE)
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(ValueError, match=r"slide\.mrxs: .*pip install 'napari-cosynth\[wsi\]'"):
        open_slide(path)


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({}, None),
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),  # for print
        ({"resolution": (20000, 10000), "resolutionunit": "CENTIMETER"}, None),  # not square
        ({"resolution": (2000, 2000), "resolutionunit": "MILLIMETER"}, 0.5),
        ({"resolution": (4, 4), "imagej": True, "metadata": {"unit": "um"}}, 0.25),
        ({"resolution": (4, 4), "imagej": True, "metadata": {"unit": "\\u00b5m"}}, 0.25),
        ({"resolution": (4, 4), "imagej": True, "metadata": {"unit": "pixel"}}, None),
    ],
)
def test_mpp_of_a_plain_tiff_is_read_and_never_invented(tmp_path, options, mpp):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", **options)
    assert open_slide(path).mpp == mpp


def test_a_damaged_aperio_text_invents_no_mpp(tmp_path):
    path = tmp_path / "odd.svs"
    text = "Aperio Image Library\n128x96|AppMag = 20|MPP = 0.2.5.1|"
    tifffile.imwrite(path, IMAGE, photometric="rgb", description=text, metadata=None)
    assert open_slide(path).mpp in (None, 0.2)


def test_refusals_name_the_file(tmp_path):
    path = tmp_path / "broken.svs"
    path.write_bytes(b"not a slide")
    with pytest.raises(ValueError, match=r"broken\.svs: cannot be read as a TIFF"):
        open_slide(path)
    path = tmp_path / "volume.tif"
    tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint16))
    with pytest.raises(ValueError, match=r"volume\.tif: expected an 8-bit RGB or grey image"):
        open_slide(path)
    with pytest.raises(ValueError, match=r"gone\.svs: no such file"):
        open_slide(tmp_path / "gone.svs")
    with pytest.raises(ValueError, match=r"expected a slide, got a folder"):
        open_slide(tmp_path)


@pytest.fixture
def little_memory():
    """What reserves 400 MB fails here, and does not merely succeed slowly."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**27, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


HOSTILE = {
    "absurd dimensions": (rgb_tags(2**31 - 1, 2**31 - 1), 0),
    "wide beyond reason": (rgb_tags(2**25, 100), 0),
    "enormous tiles": (
        rgb_tags(60000, 60000, tile_width=(4, 1, 60000), tile_height=(4, 1, 60000)),
        0,
    ),
    "one level of 10 GB": (rgb_tags(60000, 60000), 0),
    "a million tile offsets": (rgb_tags(256, 256, offsets=(4, 2**30, 8), sizes=(4, 2**30, 8)), 0),
    "a tile beyond the end": (rgb_tags(256, 256, offsets=(4, 1, 2**31)), 0),
    # 3.8 GB of tiles that are not there, each of which was looked for.
    "rows by a changed byte": (rgb_tags(256, 256 + (75 << 16)), 0),
    "rows by a changed byte, zlib": (
        rgb_tags(256, 256 + (75 << 16), compression=(3, 1, 8), sizes=(4, 1, 64)),
        0,
    ),
    "directories in a circle": (rgb_tags(256, 256), None),
    "next directory beyond the end": (rgb_tags(256, 256), 2**31),
    "no size": (rgb_tags(0, 0), 0),
    "unknown compression": (rgb_tags(256, 256, compression=(3, 1, 61234)), 0),
    "tiles that are no zlib": (rgb_tags(256, 256, compression=(3, 1, 8)), 0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tiff_is_one_line_and_no_memory_bomb(tmp_path, name, little_memory):
    tags, chain = HOSTILE[name]
    path = bare_tiff(tmp_path / "hostile.tif", tags, chain)
    try:
        opened = open_slide(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:  # tifffile mends some damage; then what it gives has the size that it says
        assert opened.levels[0].shape == (256, 256, 3), name
        assert sum(level.nbytes for level in opened.levels) < 2**20
        assert name in ("directories in a circle", "next directory beyond the end")


@pytest.mark.parametrize("read", [read_rgb, read_labels])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tiff_is_no_memory_bomb_to_those_who_read_it_whole(
    tmp_path, name, read, little_memory
):
    path = bare_tiff(tmp_path / "hostile.tif", *HOSTILE[name])
    try:
        assert read(path).shape == (256, 256, 3)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("ring", [1, 2, 7])
def test_a_ring_of_directories_behind_a_long_chain_has_an_end(tmp_path, ring, little_memory):
    """tifffile looks for rings among the first hundred directories only."""
    path = ring_of_directories(tmp_path / "ring.tif", 150, ring)
    for read in (open_slide, read_rgb, read_labels):
        with pytest.raises(ValueError, match=r"ring\.tif: expected at most 10000 pages"):
            read(path)


def test_a_jpeg_tile_that_claims_more_than_a_tile_is_not_decoded(tmp_path, little_memory):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, IMAGE, tile=(32, 32), photometric="rgb", compression="jpeg")
    data = bytearray(path.read_bytes())
    frame = data.find(b"\xff\xc0")  # its size follows: length, bits, rows, columns
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"^[^:]*bomb\.tif: .*a JPEG tile claims 65000 x 65000"):
        open_slide(path)
    with pytest.raises(ValueError, match=r"bomb\.tif: a JPEG tile claims 65000 x 65000"):
        read_rgb(path)


def test_a_page_of_a_stack_that_claims_more_than_the_stack_is_not_decoded(tmp_path, little_memory):
    path = tmp_path / "labels.tif"
    labels = np.zeros((3, 96, 128), np.uint8)
    tifffile.imwrite(path, labels, photometric="minisblack", compression="zlib", metadata=None)
    np.testing.assert_array_equal(Pages(path, 3, np.uint8, 3)[2], labels[2])
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        at = [tif.pages[page].tags["ImageLength"].valueoffset for page in range(3)]
    for where in at:
        data[where : where + 2] = struct.pack("<H", 60000)
    path.write_bytes(bytes(data))
    pages = Pages(path, 3, np.uint8, 3)
    assert pages.shape == (3, 60000, 128)
    with pytest.raises(ValueError, match=r"labels\.tif: truncated"):
        pages[1]


def test_changed_bytes_are_read_or_refused_in_a_line_that_names_the_file(tmp_path):
    """The first case of the generator has 15 million rows: its tiles were looked for one by one."""
    half = np.ascontiguousarray(IMAGE[::2, ::2])
    options = {"photometric": "rgb", "tile": (32, 32)}
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, compression="zlib", **options)
    ndpi(tmp_path / "b.ndpi", [(IMAGE, 20000, 20.0), (half, 10000, 10.0)])
    tifffile.imwrite(tmp_path / "c.tif", IMAGE, compression="jpeg", **options)
    rng = np.random.default_rng(1)
    for name in ("a.tif", "b.ndpi", "c.tif"):
        whole = (tmp_path / name).read_bytes()
        for _ in range(40):
            (tmp_path / name).write_bytes(with_changed_bytes(whole, rng))
            for read in (open_slide, read_rgb) if name.endswith(".tif") else (open_slide,):
                try:
                    read(tmp_path / name)
                except ValueError as error:
                    assert name in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("compression", [None, "zlib", "jpeg"])
def test_a_truncated_slide_says_so(tmp_path, keep, compression):
    whole = tmp_path / "whole.tif"
    options = {"tile": (32, 32), "photometric": "rgb", "compression": compression}
    tifffile.imwrite(whole, IMAGE, **options)
    path = tmp_path / "cut.tif"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep)])
    with pytest.raises(ValueError, match=r"cut\.tif: ") as error:
        open_slide(path)
    assert "\n" not in str(error.value)


def test_a_tile_that_expands_without_end_takes_no_more_than_its_size(tmp_path, little_memory):
    """Some zlib that would become 512 MB, in a tile of 32 pixels a side."""
    path = tmp_path / "bomb.tif"
    packer = zlib.compressobj(1)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()
    with tifffile.TiffWriter(path) as writer:
        options = {"tile": (32, 32), "photometric": "rgb", "compression": "zlib"}
        writer.write(iter([bomb]), shape=(32, 32, 3), dtype=np.uint8, **options)
    assert open_slide(path).levels[0].shape == (32, 32, 3)


def test_a_damaged_tile_of_a_lazy_level_names_its_place(tmp_path, monkeypatch):
    path = tmp_path / "damaged.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(IMAGE, tile=(32, 32), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        offset, size = page.dataoffsets[5], page.databytecounts[5]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    monkeypatch.setattr(pyramid, "SMALL", 0)
    monkeypatch.setattr(pyramid, "with_overview", lambda levels, path: tuple(levels))
    monkeypatch.setattr("napari_cosynth.slides.tiff_slide.with_overview", lambda levels, _: levels)
    level = open_slide(path).levels[0]
    np.testing.assert_array_equal(np.asarray(level[:32, :32]), IMAGE[:32, :32])
    with pytest.raises(ValueError, match=r"damaged\.tif: cannot be decoded near row"):
        np.asarray(level[32:64, 32:64])


def test_opening_a_hundred_thousand_pixels_a_side_reads_next_to_nothing(tmp_path):
    """Opened, added to a viewer's layers and looked at, in a process of its own."""
    path = sparse_pyramid(tmp_path / "large.tif", 100_000)
    code = f"""
        import re
        from pathlib import Path
        import numpy as np
        from napari.components import ViewerModel
        from napari_cosynth.widget.files.readers import slide_reader

        def peak():
            # What getrusage says would include the process that began this one.
            return re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]

        before = peak()
        viewer = ViewerModel()
        path = {str(path)!r}
        for tuple_ in slide_reader(path)(path):
            viewer._add_layer_from_data(*tuple_)
        (layer,) = viewer.layers
        assert [level.shape[0] for level in layer.data][:2] == [100_000, 50_000]
        assert (np.asarray(layer.data[0][:4, :4]) == 200).all()
        assert (np.asarray(layer.data[0][-4:, -4:]) == 0).all()
        np.testing.assert_allclose(layer.scale, 0.25)
        print(before, peak())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    before, after = (int(kib) / 1024 for kib in done.stdout.split())
    assert after < 1024, f"{after:.0f} MiB in all"
    assert after - before < 300, f"{after - before:.0f} MiB for the slide"


def test_of_an_ome_tiff_the_slide_and_its_own_pixel_size(tmp_path):
    macro, slide = np.zeros((40, 40, 3), np.uint8), np.ones((64, 48, 3), np.uint8)
    path = tmp_path / "a.ome.tif"
    for order in ((macro, slide), (slide, macro)):
        with tifffile.TiffWriter(path, ome=True) as file:
            for image in order:
                size = 0.5 if image is slide else 4.0
                about = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": size}
                file.write(image, photometric="rgb", metadata=about)
        opened = open_slide(path)
        assert opened.levels[0].shape == slide.shape and opened.mpp == 0.5


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("cm", 5e-5),
        ("m", 5e-7),
        ("Å", 5000),
        ("in", 0.5 / 25400),
        ("nm", 500),
        ("µm", 0.5),
        ("\N{GREEK SMALL LETTER MU}m", 0.5),
    ],
)
def test_units_of_ome_tiff(tmp_path, unit, size):
    about = {"axes": "YXS"}
    for axis in "XY":
        about |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", np.zeros((32, 32, 3), np.uint8), photometric="rgb", metadata=about
    )
    assert open_slide(tmp_path / "a.ome.tif").mpp == pytest.approx(0.5)
    about |= {"PhysicalSizeXUnit": "pixel", "PhysicalSizeYUnit": "pixel"}
    tifffile.imwrite(
        tmp_path / "b.ome.tif", np.zeros((32, 32, 3), np.uint8), photometric="rgb", metadata=about
    )
    assert open_slide(tmp_path / "b.ome.tif").mpp is None


def test_the_least_spacing_of_a_philips_tiff(tmp_path):
    def spacing(value):
        pair = f"&quot;{value}&quot; &quot;{value}&quot;"
        return f'<Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028">{pair}</Attribute>'

    text = (
        f'<DataObject ObjectType="DPUfsImport">{spacing("0.0005")}{spacing("2.5e-4")}</DataObject>'
    )
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((64, 64, 3), np.uint8),
        photometric="rgb",
        tile=(16, 16),
        description=text,
        software="Philips DP v1.0",
        metadata=None,
    )
    assert open_slide(tmp_path / "a.tif").mpp == 0.25
