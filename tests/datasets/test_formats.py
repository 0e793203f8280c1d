"""Every format that is written and read: there and back, told by content, and refused when damaged."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth import registry
from napari_cosynth.datasets.formats import formats_of, open_records
from napari_cosynth.export.base import Described
from napari_cosynth.io.stack_format import DESCRIPTION
from nuclei import CLASSES, items

FORMATS = registry.names("exporter")


@pytest.fixture(params=FORMATS)
def export(request, tmp_path):
    made = items(3, shape=(48, 56))
    return request.param, registry.resolve("exporter", request.param)(made, tmp_path / "out"), made


def test_there_and_back(export):
    kind, folder, made = export
    assert formats_of(folder) == (kind,)
    found, dataset = open_records(folder)
    assert (found, len(dataset), dataset.classes) == (kind, 3, CLASSES)
    assert dataset.tissues == ("colon",)
    assert dataset.mpp_stated
    for record, item in zip(dataset, made, strict=True):
        for field in ("image", "instances", "labels"):
            np.testing.assert_array_equal(getattr(record, field), getattr(item.record, field))
        np.testing.assert_array_equal(record.layout.class_ids, item.record.layout.class_ids)
        assert record.mpp == pytest.approx(0.5)
        assert (record.tissue, record.stain) == ("colon", "H&E")
    assert len({dataset.slide_of(name) for name in dataset.names}) == 3  # three layouts
    assert len(open_records(folder, only=[dataset.names[1]])[1]) == 1


def test_told_by_content_without_our_sidecar(export):
    kind, folder, _ = export
    (folder / DESCRIPTION).unlink()
    assert formats_of(folder) == (() if kind == "stack" else (kind,))


def test_a_truncated_file_is_named(export):
    _, folder, _ = export
    inside = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 300]
    largest = max(
        (p for p in inside if p.name not in (DESCRIPTION, "layouts.csv")),
        key=lambda p: p.stat().st_size,
    )
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cannot be (read|decoded)|truncated") as error:
        list(open_records(folder)[1])
    assert str(folder) in str(error.value)


def test_slides_that_a_description_names(tmp_path):
    made = [
        Described(item.record, {"synthetic": False, "slide": "TCGA-AR-A1AS-01Z-00-DX1"}, item.name)
        for item in items(2)
    ]
    for kind in FORMATS:
        _, dataset = open_records(registry.resolve("exporter", kind)(made, tmp_path / kind))
        assert {dataset.slide_of(name) for name in dataset.names} == {"TCGA-AR-A1AS"}, kind


def test_unknown_and_ambiguous_folders(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        open_records(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="in none of the known formats; --from names one of"):
        open_records(tmp_path / "empty")
    both = registry.resolve("exporter", "folder")(items(1), tmp_path / "both")
    (both / DESCRIPTION).unlink()
    registry.resolve("exporter", "coco")(items(1), tmp_path / "coco")
    (tmp_path / "coco" / "annotations.json").rename(both / "annotations.json")
    with pytest.raises(ValueError, match="could be coco or folder; --from names which"):
        open_records(both)
    assert open_records(both, "coco")[0] == "coco"
    with pytest.raises(ValueError, match="the format coco takes no class_names"):
        open_records(both, "coco", class_names=("a",))


def test_real_folders_are_told_apart(data_root):
    expected = {
        "consep/train": "consep",
        "monuseg/train": "folder",
        "tnbc": "folder",
        "pannuke_sample": "pannuke",
    }
    assert {k: formats_of(data_root / k) for k in expected} == {
        k: (v,) for k, v in expected.items()
    }


@pytest.mark.parametrize("kind", ["conic", "pannuke", "coco", "geojson", "omezarr", "hovernet"])
def test_real_patches_there_and_back(data_root, tmp_path, kind):
    _, real = open_records(data_root / "pannuke_sample")
    records = list(real)[:4]
    folder = registry.resolve("exporter", kind)(records, tmp_path / kind)
    for back, record in zip(open_records(folder)[1], records, strict=True):
        for field in ("image", "instances", "labels"):
            np.testing.assert_array_equal(getattr(back, field), getattr(record, field))
        assert back.tissue == record.tissue
        assert dataclasses.astuple(back.layout)[2:4] == dataclasses.astuple(record.layout)[2:4]


def test_pickled_patches_are_converted_outside_the_package(data_root, tmp_path):
    import subprocess
    import sys

    script = Path(__file__).parents[2] / "tools" / "convert_nucls.py"
    source, out = data_root / "nucls_sample" / "train", tmp_path / "out"
    subprocess.run([sys.executable, script, source, out], check=True, capture_output=True)
    _, dataset = open_records(out, class_names=("non-tumour", "tumour"))
    assert len(dataset) == 10
    assert sum(len(r.layout) for r in dataset) == 458
    with pytest.raises(ValueError, match="name the classes of its ids"):
        open_records(out)


@pytest.mark.parametrize("kind", sorted({*registry.names("dataset"), *registry.names("exporter")}))
def test_every_format_has_a_page_with_a_picture(kind):
    pages = Path(__file__).parents[2] / "docs" / "formats"
    (page,) = [p for p in pages.glob("*.md") if f'kind = "{kind}"' in p.read_text("utf-8")]
    assert f"]({page.name})" in (pages / "README.md").read_text("utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", page.read_text("utf-8"))
    assert pictures
    assert all((pages / picture).is_file() for picture in pictures)
