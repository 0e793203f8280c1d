"""Lengths, text, TIFF claims, names and errors: each at both sides of what is set."""

from __future__ import annotations

import codecs
import json
import logging
import os
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_cosynth.io import atomic, listing, paths, tiff
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.errors import one_line, short_of_memory, unreadable
from napari_cosynth.io.listing import (
    files_in,
    find_written,
    first_below,
    folders_in,
    name_of,
    named_below,
    without_ending,
    written_name,
    written_path,
)
from napari_cosynth.io.paths import check_target, check_writable, named, report_files
from napari_cosynth.io.settings import parse, plain, read_table
from napari_cosynth.io.stack_format import Pages, read_description, read_points
from napari_cosynth.io.text import beginning, encoding_by, encoding_of
from napari_cosynth.io.tiff import open_tiff_file, opened_series, require_whole_page, upright
from napari_cosynth.io.units import micrometres, number, plausible_mpp, stated_mpp


@pytest.mark.parametrize(
    "unit,size",
    [
        ("Å", 1e-4), ("\u212b", 1e-4), ("Ångström", 1e-4), ("angstroms", 1e-4),
        ("pm", 1e-6), ("picometres", 1e-6), ("nm", 1e-3), ("nanometer", 1e-3),
        ("µm", 1), ("\u03bcm", 1), ("um", 1), ("\\u00B5m", 1), ("\\u00b5m", 1), (" micron ", 1),
        ("microns", 1), ("Micrometre", 1), ("mm", 1e3), ("millimeters", 1e3), ("cm", 1e4),
        ("centimetre", 1e4), ("dm", 1e5), ("decimeter", 1e5), ("m", 1e6), ("metres", 1e6),
        ("in", 25400), ("inch", 25400), ('"', 25400),
        ("Mm", None), ("MM", None), ("pixel", None), ("", None), (None, None), (3, None),
    ],
)  # fmt: skip
def test_units(unit, size):
    assert micrometres(unit) == (None if size is None else pytest.approx(size))


def test_numbers_and_pixel_sizes():
    assert (number("0,25"), number("2.5e-1"), number("x"), number("")) == (0.25, 0.25, None, None)
    for value, found in ((0.01, None), (0.011, 0.011), (9.99, 9.99), (10.0, None)):
        assert plausible_mpp(value, value) == found
    assert plausible_mpp(999.0, 999.0, 1000.0) == 999 and plausible_mpp(50.0, 50.0) is None
    assert plausible_mpp(0.5, 0.504) == 0.5 and plausible_mpp(0.5, 0.51) is None
    assert (stated_mpp("0,5"), stated_mpp(0.5), stated_mpp(None), stated_mpp(0)) == (
        0.5, 0.5, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_text_of_any_mark(tmp_path, encoding):
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    marks |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}
    content = marks.get(encoding, b"") + "µ é".encode(encoding)
    (tmp_path / "a").write_bytes(content)
    assert (tmp_path / "a").read_text(encoding_of(tmp_path / "a")) == "µ é"
    assert beginning(content) == "µ é" and encoding_by(b"") == "utf-8-sig"
    assert beginning("aµ".encode()[:2]) == "a"


# Errors


def test_what_an_error_says():
    assert one_line(ValueError("a\n  b\tc")) == "a b c" and one_line(KeyError()) == "KeyError"
    assert one_line(MemoryError()) == "not enough memory (MemoryError)"
    assert one_line(MemoryError("Unable to allocate")) == "not enough memory (Unable to allocate)"
    assert one_line(ValueError("not enough memory for it")) == "not enough memory for it"
    many = MemoryError(" ".join("w" * 40))
    assert one_line(many) == "not enough memory (" + " ".join("w" * 30) + ")"
    outer = ValueError("bad")
    assert not short_of_memory(outer)
    outer.__cause__ = RuntimeError("Cannot allocate memory")
    assert short_of_memory(outer)


def test_an_error_that_names_its_file_stays():
    own = ValueError("a.tif: bad")
    assert unreadable("a.tif", "cannot be read", own) is own
    assert str(unreadable("b.tif", "cannot be read", own)) == "b.tif: cannot be read (a.tif: bad)"
    assert str(unreadable("a", "cannot", KeyError("a"))) == "a: cannot ('a')"
    short = unreadable("a", "cannot be read", MemoryError())
    assert str(short) == "a: not enough memory (MemoryError)"


# TIFF


def test_limits_of_tiff_files():
    assert (tiff.MOST_PAGES, tiff.LARGEST_SEGMENT, tiff.LARGEST_ARRAY) == (10_000, 2**28, 2**32)


def test_a_file_has_at_most_so_many_pages(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(np.zeros((8, 8), np.uint8), contiguous=False)
    open_tiff_file(path, 3).close()
    with pytest.raises(ValueError, match=r"a\.tif: expected at most 2 pages"):
        open_tiff_file(path, 2)


def page(**changes) -> SimpleNamespace:
    frame = SimpleNamespace(compression=1, jpegheader=None)
    values = {
        "dataoffsets": (8, 24),
        "databytecounts": (16, 16),
        "is_contiguous": False,
        "nbytes": 32,
        "chunked": (2, 1),
        "shape": (4, 8),
        "keyframe": frame,
    }
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    "changes,size,message",
    [
        ({}, 40, None),
        ({}, 39, "truncated: its pixels reach to byte 40, the file to 39"),
        ({"dataoffsets": (24, 8)}, 39, "reach to byte 40"),
        ({"dataoffsets": (8,)}, 99, "truncated: (4, 8) pixels need 2 tiles or strips, got 1"),
        ({"databytecounts": (16,)}, 99, "need 2 tiles or strips, got 1"),
        ({"dataoffsets": (8, 24, 1000)}, 40, None),  # more than it needs
        ({"is_contiguous": True}, 40, None),
        ({"is_contiguous": True}, 39, "reach to byte 40"),
        ({"is_contiguous": True, "dataoffsets": ()}, 1, None),
    ],
)
def test_what_a_page_claims_is_held_against_its_file(tmp_path, changes, size, message):
    path = tmp_path / "a.tif"
    path.write_bytes(bytes(size))
    if message is None:
        require_whole_page(path, page(**changes))
    else:
        with pytest.raises(tiff.DamagedTiffError, match=re.escape(message)):
            require_whole_page(path, page(**changes))


@pytest.mark.parametrize("code", [6, 7, 33007, 34892, 1, 5])
def test_jpeg_tiles_are_looked_at_before_they_are_decoded(tmp_path, monkeypatch, code):
    path = tmp_path / "a.tif"
    path.write_bytes(bytes(99))
    shape = [8, 100, 200, 3]
    monkeypatch.setattr("tifffile.tifffile.jpeg_shape", lambda data: tuple(shape))
    monkeypatch.setattr(tiff, "LARGEST_SEGMENT", 100 * 200 * 3)
    frame = SimpleNamespace(compression=code, jpegheader=None, decode=lambda data, *a: "pixels")
    require_whole_page(path, page(keyframe=frame))
    wrapped = frame.decode
    require_whole_page(path, page(keyframe=frame))  # and only once
    assert frame.decode is wrapped
    assert frame.decode(b"x") == frame.decode(None) == "pixels"
    shape[1] = 101
    if code in (6, 7, 33007, 34892):
        with pytest.raises(ValueError, match="a JPEG tile claims 101 x 200 pixels of 3 samples"):
            frame.decode(b"x")
    else:
        assert frame.decode(b"x") == "pixels"


def test_an_image_that_is_read_at_once_has_a_largest_size(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 6), np.uint16))
    monkeypatch.setattr(tiff, "LARGEST_ARRAY", 8 * 6 * 2)
    with opened_series(path) as (_, series):
        assert series.shape == (8, 6)
    monkeypatch.setattr(tiff, "LARGEST_ARRAY", 8 * 6 * 2 - 1)
    with pytest.raises(
        ValueError, match=r"expected an image of at most 0 GiB, got \(8, 6\) uint16"
    ):
        opened_series(path).__enter__()


def test_orientations_against_their_meanings():
    """Where row 0 and column 0 of what is stored lie, by TIFF 6.0."""
    image = np.arange(6).reshape(2, 3)
    wanted = {
        1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1], 5: image.T,
        6: np.rot90(image, -1), 7: image[::-1, ::-1].T, 8: np.rot90(image), 9: image, 0: image,
    }  # fmt: skip
    for orientation, expected in wanted.items():
        np.testing.assert_array_equal(upright(image, orientation), expected)


# Stacks


def test_pages_of_a_stack(tmp_path):
    path = tmp_path / "a.tif"
    values = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
    tifffile.imwrite(path, values, photometric="minisblack")
    pages = Pages(path, 5, np.uint8, 3)
    assert len(pages) == 5 and pages.shape == (5, 4, 6) and pages.dtype == np.uint8
    again = pickle.loads(pickle.dumps(pages))
    for index in range(5):
        np.testing.assert_array_equal(pages[index], values[index])
        np.testing.assert_array_equal(again[index], values[index])
    for count, dtype, dimensions in ((4, np.uint8, 3), (5, np.uint16, 3), (5, np.uint8, 4)):
        with pytest.raises(ValueError, match=r"a\.tif: expected uint.* with \d samples, got uint8"):
            Pages(path, count, dtype, dimensions)
    tifffile.imwrite(path, values[0], photometric="minisblack")
    np.testing.assert_array_equal(Pages(path, 1, np.uint8, 3)[0], values[0])
    tifffile.imwrite(path, values.astype(np.uint16), photometric="minisblack")
    assert Pages(path, 5, np.uint8, 3, wide=True).dtype == np.uint16
    with pytest.raises(ValueError, match="got uint16"):
        Pages(path, 5, np.uint8, 3)
    path.write_bytes(b"II*\0" + bytes(8))
    with pytest.raises(ValueError, match=r"a\.tif: cannot be read as a TIFF"):
        Pages(path, 5, np.uint8, 3)


def test_descriptions_name_what_is_wrong(tmp_path):
    path = tmp_path / "cosynth.json"
    good = {"classes": [], "colors": [], "mpp": 1, "samples": [{}, {}]}
    path.write_text(json.dumps(good))
    assert read_description(path) == good
    for changes in ({"format": 1}, {"names": ["a", "b"]}, {"names": None}, {"shapes": [1, 2]}):
        path.write_text(json.dumps({**good, **changes}))
        assert read_description(path) == {**good, **changes}
    for field in ("names", "shapes"):
        for bad in ([1], [1, 2, 3], "ab", {}):
            path.write_text(json.dumps({**good, field: bad}))
            with pytest.raises(ValueError, match=f"{field}: expected a list of one per sample"):
                read_description(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="classes: missing or of the wrong type"):
        read_description(path)


def test_points_go_to_their_samples_in_order(tmp_path):
    path = tmp_path / "layouts.csv"
    head = "sample,index,axis-0,axis-1,class\n"
    path.write_text(head + "1,0,1,2,a\n0,0,3,4,b\n1,1,5,6,b\n")
    assert read_points(path, 2, ("background", "a", "b")) == [
        [(3, 4, "b")],
        [(1, 2, "a"), (5, 6, "b")],
    ]
    for row, message in (
        ("2,0,1,2,a", "sample: expected 0..1, got 2"),
        ("-1,0,1,2,a", "sample: expected 0..1, got -1"),
        ("0,0,1,2,background", "class: unknown 'background'"),
        ("0,0,1", "line 2: "),
    ):
        path.write_text(head + row + "\n")
        with pytest.raises(ValueError, match=re.escape(message)):
            read_points(path, 2, ("background", "a", "b"))


# Settings


def test_tables_of_either_form(tmp_path):
    with pytest.raises(ValueError, match=r"a\.toml: no such file"):
        read_table(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("x = 1")
    (tmp_path / "a.json").write_text('{"x": 1}')
    assert read_table(tmp_path / "a.toml") == read_table(tmp_path / "a.json") == {"x": 1}
    (tmp_path / "a.toml").write_text('{"x": 1}')
    (tmp_path / "a.json").write_text("x = 1")
    for name, form in (("a.toml", "TOML"), ("a.json", "JSON")):
        with pytest.raises(ValueError, match=f"cannot be read as {form}"):
            read_table(tmp_path / name)
    with pytest.raises(ValueError, match=r"^here: Input should be"):
        parse(int, "x", "here")
    assert plain({"a": (1, [2, Path])}) == {"a": [1, [2, Path]]}


# Names


@pytest.mark.parametrize(
    "name,plain",
    [
        ("a.ome.tif", "a"), ("a.OME.TIFF", "a"), ("a.geojson.gz", "a"), ("a.json.gz", "a"),
        ("a.ome.zarr", "a"), ("a.tar.gz", "a.tar"), ("a.b.tif", "a.b"), (".ome.tif", ".ome"),
        ("a", "a"), ("e\u0301.png", "é"),
    ],
)  # fmt: skip
def test_names_without_their_endings(name, plain):
    assert name_of(Path(name)) == plain


@pytest.mark.parametrize(
    "name,plain",
    [
        ("a.svs", "a"),
        ("a.SVS", "a"),
        ("a.png", "a"),
        ("a.b", "a.b"),
        ("a.geojson", "a.geojson"),
        ("a", "a"),
    ],
)
def test_endings_of_images_and_slides_alone(name, plain):
    assert without_ending(name) == plain


def test_paths_that_other_programs_wrote(tmp_path):
    assert written_name("C:\\x\\a.ome.tif") == "a" and str(written_path("x\\a.png")) == "x/a.png"
    for bad in ("../a", "/a", "a/../b", "C:\\a", "", "."):
        with pytest.raises(ValueError, match="expected a path below the folder"):
            written_path(bad)
    (tmp_path / "X").mkdir()
    (tmp_path / "X" / "A.png").write_text("")
    assert find_written(tmp_path, written_path("x/a.PNG")) == tmp_path / "X" / "A.png"
    assert find_written(tmp_path, written_path("X/A.png")) is not None
    (tmp_path / "X" / "a.png").write_text("")
    assert find_written(tmp_path, written_path("X/a.png")).name == "a.png"
    assert find_written(tmp_path, written_path("X/A.PNG")) is None  # either of two
    for none in ("X", "Y/a.png", "X/a.png/b"):
        assert find_written(tmp_path, written_path(none)) is None


def test_files_by_ending_in_a_folder_or_below(tmp_path, caplog):
    (tmp_path / "b").mkdir()
    (tmp_path / "no").mkdir()
    (tmp_path / "c.zarr").mkdir()
    for name in ("2.PNG", "1.png", "x.txt", "b/3.png", "no/4.png", "._1.png", "__MACOSX", ".h.png"):
        (tmp_path / name).write_text("")
    with caplog.at_level(logging.WARNING):
        assert [p.name for p in files_in(tmp_path, (".png",))] == ["1.png", "2.PNG"]
    assert caplog.text == ""
    found = files_in(tmp_path, (".png",), below=True, without_folders=("no",))
    assert [p.name for p in found] == ["1.png", "2.PNG", "3.png"]
    assert len(files_in(tmp_path, (".png",), below=True)) == 4
    with pytest.raises(ValueError, match=r"no files \(\.tif\) in it or below"):
        files_in(tmp_path, (".tif",), below=True)
    with pytest.raises(ValueError, match=r"no images \(.*\) in it$"):
        files_in(tmp_path / "c.zarr", listing.IMAGE_SUFFIXES)
    with pytest.raises(ValueError, match=r"x\.txt: no such folder"):
        files_in(tmp_path / "x.txt", (".png",))
    assert first_below(tmp_path, ".png").name == "1.png" and first_below(tmp_path, ".tif") is None
    assert first_below(tmp_path / "x.txt", ".png") is None
    assert folders_in(tmp_path, ".ZARR".lower()) == [tmp_path / "c.zarr"]
    assert folders_in(tmp_path / "x.txt", ".zarr") == []
    assert named_below(tmp_path, "3.png") == [tmp_path / "b" / "3.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_named(tmp_path):
    (tmp_path / "b").mkdir(mode=0)
    with pytest.raises(ValueError, match="b: cannot be listed"):
        files_in(tmp_path, (".png",), below=True)


# Targets


def test_targets_of_another_kind_and_free_ones(tmp_path, monkeypatch):
    check_target(tmp_path / "none")
    (tmp_path / "d").mkdir()
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(FileExistsError, match="exists already; --overwrite replaces it"):
        check_target(tmp_path / "d")
    check_target(tmp_path / "d", True)
    check_target(tmp_path / "d", True, folder=True)
    with pytest.raises(IsADirectoryError, match="d: is a folder, expected a file"):
        check_target(tmp_path / "d", True, folder=False)
    with pytest.raises(NotADirectoryError, match=r"f\.txt: is a file, expected a folder"):
        check_target(tmp_path / "f.txt", True, folder=True)
    with pytest.raises(ValueError, match=r"f\.txt: is not replaced: .* is no earlier output"):
        check_target(tmp_path / "f.txt", True)
    monkeypatch.chdir(tmp_path / "d")
    with pytest.raises(ValueError, match="is or holds the folder this runs in"):
        check_target(tmp_path / "d", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"d: is or holds .*, which is read"):
        check_target(tmp_path / "d", True, [tmp_path / "d"])
    check_target(tmp_path / "d", True, [tmp_path / "d2", Path("compact")])


def test_what_a_path_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named(".") == tmp_path and named("x/..").name == tmp_path.name
    assert named("x") == Path("x") and named("~").is_absolute()
    for text in ("r", "r.html", "r.json"):
        assert report_files(Path(text)) == (Path("r.html"), Path("r.json"))
    assert report_files(Path("r.b"))[0] == Path("r.b.html")


def test_a_place_where_nothing_can_be_written_is_named(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b")

    def refuse(**options) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paths.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"b: cannot write in .*: No space left on device"):
        check_writable(tmp_path / "a" / "b")


def test_what_was_there_comes_back_where_the_last_rename_fails(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.mkdir()
    rename, calls = Path.rename, []

    def failing(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == 2:
            raise OSError("full")
        return rename(self, to)

    # As on a system that cannot exchange two names in one step.
    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="full"), replaced_folder(target, overwrite=True) as fresh:
        (fresh / "x").write_text("1")
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and not any(target.iterdir())
