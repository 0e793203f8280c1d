"""Text that Notepad and Excel saved, and consoles that lack a letter."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from napari_cosynth import registry
from napari_cosynth.checks.splits import read_groups
from napari_cosynth.cli import main
from napari_cosynth.datasets.formats import formats_of, open_records
from napari_cosynth.datasets.published.conic import ConicDataset
from napari_cosynth.datasets.published.endonuke import read_keypoints
from napari_cosynth.datasets.published.pannuke import PanNukeDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.pannuke import write_pannuke
from napari_cosynth.export.stack import write_stack
from napari_cosynth.foreign.files import read_json
from napari_cosynth.foreign.outline_xml import is_outline_xml
from napari_cosynth.io.settings import read_table
from napari_cosynth.layouts.sources.points_csv import read_points
from napari_cosynth.layouts.sources.read import kind_of
from nuclei import items

MARKED = ["utf-8-sig", "utf-16", "utf-32"]


@pytest.mark.parametrize("encoding", MARKED)
def test_a_byte_order_mark_is_no_content(tmp_path, encoding):
    keypoints = tmp_path / "a.txt"
    keypoints.write_text("50 40 1\n", encoding=encoding)
    assert read_keypoints(keypoints, (100, 100))[0].tolist() == [[40, 50]]
    table = tmp_path / "a.toml"
    table.write_text("a = 1\n", encoding=encoding)
    assert read_table(table) == {"a": 1}
    folder = write_stack(items(2), tmp_path / "stack")
    for name in ("cosynth.json", "layouts.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding=encoding)
    assert len(StackDataset(folder)[1].layout) == len(items(2)[1].record.layout)
    (tmp_path / "points.csv").write_text("axis-0,axis-1,class\n4,5,a\n", encoding=encoding)
    assert read_points(tmp_path / "points.csv").centroids.tolist() == [[4, 5]]
    (tmp_path / "groups.csv").write_text("name,slide\nx,s\n", encoding=encoding)
    assert read_groups(tmp_path / "groups.csv", "slide", ("x",)) == {"x": "s"}
    (tmp_path / "a.json").write_text('{"a": 1}', encoding=encoding)
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("encoding", MARKED)
def test_formats_are_told_by_their_words_in_any_encoding(tmp_path, encoding):
    def rewritten(path):
        path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
        return path

    coco = registry.resolve("exporter", "coco")(items(1), tmp_path / "coco")
    (coco / "cosynth.json").unlink()
    file = rewritten(coco / "annotations.json")
    assert formats_of(coco) == formats_of(file) == ("coco",)
    assert len(open_records(coco)[1][0].layout)
    collection = tmp_path / "a.json"
    collection.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    assert kind_of(rewritten(collection)) == "geojson"
    collection.write_text('{"nuc": {}}', encoding="utf-8")
    assert kind_of(rewritten(collection)) == "hovernet-json"
    for root, tag in (("Annotations", "b"), ("ASAP_Annotations", "c")):
        head = f'<?xml version="1.0"?><{root}/>'.encode(encoding)
        assert is_outline_xml(head) and not is_outline_xml(f"<{tag}/>".encode(encoding))


@pytest.mark.parametrize("encoding", MARKED)
def test_tissues_of_patches_as_excel_saves_them(tmp_path, encoding):
    ids = np.zeros((2, 8, 8), np.int32)
    ids[:, 2:5, 2:5] = 1
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    np.save(tmp_path / "labels" / "a.npy", ids)
    from PIL import Image

    Image.new("RGB", (8, 8), "white").save(tmp_path / "images" / "a.png")
    (tmp_path / "types.csv").write_text("image,tissue_type\na.png,Breast\n", encoding=encoding)
    assert PanNukeDataset(tmp_path)[0].tissue == "breast"
    assert write_pannuke(items(1), tmp_path / "out").is_dir()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",patch_info\n0,a-0001\n1,a-0002\n", ("a-0001", "a-0002")),
        ("\ufeffpatch_info\na-0001\n\nb-0002\n", ("a-0001", "b-0002")),
        ("name\na-0001\nb-0002\n", ("a-0001", "b-0002")),
    ],
)
def test_patches_are_named_by_their_column_and_not_by_an_index(tmp_path, text, names):
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros((2, 8, 8, 2), np.int32))
    (tmp_path / "patch_info.csv").write_text(text, encoding="utf-8")
    dataset = ConicDataset(tmp_path)
    assert dataset.names == names
    assert dataset.slide_of(names[0]) == "a"
    (tmp_path / "patch_info.csv").write_text("index,tile\n0,a\n1,b\n")
    with pytest.raises(
        ValueError, match=r"patch_info\.csv: expected a column 'patch_info', got index"
    ):
        ConicDataset(tmp_path)


@pytest.mark.parametrize("encoding", ["gbk", "cp932", "ascii", "utf-8"])
def test_a_console_without_the_letter_gets_another(tmp_path, monkeypatch, encoding):
    stack = write_stack(items(1), tmp_path / "stack")
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["info", str(stack)]) == 0
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)
    assert f"{'µm' if encoding == 'utf-8' else 'um'}/px:" in text or "µm/px" in text
    assert "stains:" in text
