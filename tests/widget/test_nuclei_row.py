"""From real regions and other programs' files to layouts, in a real viewer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QFileDialog
from skimage.draw import disk

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.files.readers import nuclei_reader
from napari_cosynth.widget.files.samples import finished_pair
from napari_cosynth.widget.layout import class_dialog, layout_sources
from napari_cosynth.widget.layout.class_dialog import ClassDialog, remembered
from napari_cosynth.widget.layout.dataset_dialog import DatasetDialog, TileDialog
from slides import bare_tiff, edit_metadata, ome_zarr, rgb_tags, sparse_pyramid

WAIT = 240_000
CENTRES = np.array([(40, 50), (40, 110), (100, 60), (150, 150), (20, 170)])


@pytest.fixture(autouse=True)
def _own_choices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test chooses is not kept among the user's choices, nor read from them."""
    monkeypatch.setattr(class_dialog, "_file", lambda: tmp_path / "chosen" / "classes.json")


@pytest.fixture
def slide(panel: CoSynthPanel) -> Any:
    """Nuclei of 3 µm's radius at 0.25 µm/px, away from the world's origin."""
    image = np.full((400, 400, 3), (230, 190, 215), np.uint8)
    for centre in 2 * CENTRES:
        image[disk(centre, 12)] = (90, 70, 140)
    place = {"scale": (0.25, 0.25), "units": ("µm", "µm"), "translate": (10, 20)}
    return panel.viewer.add_image(image, name="slide", **place)


def draw(panel: CoSynthPanel, slide: Any, low: Any, high: Any) -> Any:
    (y0, x0), (y1, x1) = low, high
    return panel.viewer.add_shapes(
        [np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]) - 0.5],
        shape_type="rectangle",
        scale=slide.scale,
        translate=slide.translate,
        units=slide.units,
    )


def world(layer: Any) -> np.ndarray:
    return np.array([layer.data_to_world(point) for point in layer.data])


def nearest(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found[:, None] - wanted[None], axis=2).min(0)


def last_message() -> str:
    return str(notification_manager.records[-1].message)


def test_one_click_makes_an_editable_layout_of_the_whole_image(
    panel: CoSynthPanel, slide: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[1])
    row = panel.layout_controls.sources.nuclei
    row.find.native.click()
    assert row.busy and not row.find.enabled
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    points = panel.layout_controls.points
    assert points.metadata["cosynth"]["shape"] == [200, 200]
    assert len(points.data) == len(CENTRES)
    wanted = np.array([slide.data_to_world(centre) for centre in 2 * CENTRES])
    assert nearest(world(points), wanted).max() < 0.5  # µm: one pixel of the canvas
    assert set(points.features["class"]) == {"epithelial"}
    assert row.find.enabled and last_message() == "slide: 5 nuclei found"
    points.add([[7, 7]])
    panel.layout_controls.undo.native.click()
    assert len(points.data) == len(CENTRES)


def test_only_the_rectangle_is_looked_at(
    panel: CoSynthPanel, slide: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[0])
    draw(panel, slide, (40, 60), (240, 260))
    panel.layout_controls.sources.nuclei.find.native.click()
    qtbot.waitUntil(lambda: not panel.layout_controls.sources.nuclei.busy, timeout=WAIT)
    points = panel.layout_controls.points
    assert points.metadata["cosynth"]["shape"] == [100, 100]
    wanted = np.array([slide.data_to_world(2 * CENTRES[row]) for row in (0, 1, 2)])
    assert len(points.data) == 3 and nearest(world(points), wanted).max() < 0.5


def test_a_region_of_the_real_slide_becomes_a_layout(
    data_root: Path, panel: CoSynthPanel, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[0])
    path = data_root / "slides" / "CMU-1-Small-Region.svs"
    (slide,) = panel.viewer.open(str(path), plugin="napari-cosynth")
    draw(panel, slide, (1000, 800), (1256, 1056))
    panel.layout_controls.sources.nuclei.find.native.click()
    qtbot.waitUntil(lambda: not panel.layout_controls.sources.nuclei.busy, timeout=WAIT)
    points = panel.layout_controls.points
    assert 20 < len(points.data) < 600
    at = np.round(points.data * 0.5 / 0.499).astype(int) + np.array([1000, 800])
    patch = slide.data[1000:1256, 800:1056].reshape(-1, 3)
    on = slide.data[at[:, 0], at[:, 1]]
    assert on[:, 0].mean() < patch[:, 0].mean() - 30  # haematoxylin takes away red


def test_without_mpp_or_an_image_it_is_asked_or_said(
    panel: CoSynthPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = panel.layout_controls.sources.nuclei
    row.find.native.click()
    assert last_message() == "no image: open a slide or a tile first" and not row.busy
    panel.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="bare")
    asked: list[str] = []
    monkeypatch.setattr(layout_sources, "ask_mpp", lambda name: asked.append(name))
    row.find.native.click()
    assert asked == ["bare"] and not row.busy and panel.layout_controls.points is None


def test_a_slide_too_large_to_be_a_canvas_asks_for_a_rectangle(panel: CoSynthPanel) -> None:
    data = [np.zeros((9000 // s, 9000 // s, 3), np.uint8) for s in (1, 8)]
    place = {"scale": (0.5, 0.5), "units": ("µm", "µm")}
    panel.viewer.add_image(data, name="slide", multiscale=True, **place)
    panel.layout_controls.sources.nuclei.find.native.click()
    assert "draw a smaller rectangle" in last_message() or "draw a rectangle" in last_message()
    assert panel.layout_controls.points is None


# -- files


def square(x: float, y: float, name: str | None, side: float = 8, **properties: Any) -> Any:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    classification = {} if name is None else {"classification": {"name": name}}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "detection", **classification, **properties},
    }


def geojson(path: Path, *features: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return geojson(
        tmp_path / "cells.geojson",
        square(8, 16, "Tumor", measurements={"Area": 64.0}),
        square(40, 24, "Immune cells"),
        square(60, 60, None),
    )


def accept_with(monkeypatch: pytest.MonkeyPatch, choices: dict[str, str]) -> list[ClassDialog]:
    """Dialogs are filled in by ``choices`` and accepted, as a user does."""
    shown: list[ClassDialog] = []

    def run(dialog: ClassDialog) -> Any:
        shown.append(dialog)
        for name, choice in choices.items():
            dialog.boxes[name].setCurrentText(choice)
        ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
        assert ok.isEnabled()
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(ClassDialog, "exec", run)
    return shown


def test_a_file_becomes_a_layout_in_its_place_and_the_mapping_is_remembered(
    panel: CoSynthPanel, slide: Any, cells: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = accept_with(monkeypatch, {"Tumor": "epithelial", "": "leave them out"})
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(cells), ""))
    row = panel.layout_controls.sources.nuclei
    row.open.native.click()
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    points = panel.layout_controls.points
    assert list(points.features["class"]) == ["epithelial", "inflammatory"]
    wanted = [slide.data_to_world(at) for at in ((19.5, 11.5), (27.5, 43.5))]
    np.testing.assert_allclose(world(points), wanted, atol=1e-4)
    assert "1 of classes that are left out" in last_message()
    # The next file of these classes comes with the choice made.
    monkeypatch.setattr(ClassDialog, "exec", lambda d: shown.append(d) or 0)
    row.from_file(cells)
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    assert shown[1].mapping == {"Tumor": "epithelial", "Immune cells": "inflammatory", "": ""}
    assert panel.layout_controls.points is points  # it was cancelled


def test_a_file_is_placed_beside_a_result_where_there_is_no_image(
    panel: CoSynthPanel,
    cells: Path,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for layer in finished_pair():
        panel.viewer.add_layer(Layer.create(*layer))
    accept_with(monkeypatch, {"Tumor": "epithelial", "": "leave them out"})
    monkeypatch.setattr(layout_sources, "ask_mpp", lambda name: 0.5)
    row = panel.layout_controls.sources.nuclei
    row.from_file(cells)
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    points = panel.layout_controls.points
    assert points is not None, last_message()
    assert list(points.features["class"]) == ["epithelial", "inflammatory"]


def test_a_dialog_waits_for_every_class(qtbot: Any) -> None:
    classes = ClassTable.of("a", "b")
    dialog = ClassDialog({"x": 70_000, "": 3}, classes, {"x": "a"}, "file")
    qtbot.addWidget(dialog)
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert not ok.isEnabled()
    dialog.boxes[""].setCurrentText("b")
    assert ok.isEnabled() and dialog.mapping == {"x": "a", "": "b"}


def test_damaged_choices_are_asked_for_again(tmp_path: Path) -> None:
    classes = ClassTable.of("a", "b")
    class_dialog.remember(classes, {"x": "a", "y": ""})
    assert remembered(classes) == {"x": "a", "y": ""}
    class_dialog._file().write_text("[")
    assert remembered(classes) == {}
    class_dialog.remember(classes, {"x": "b"})
    assert remembered(classes) == {"x": "b"}


BAD: dict[str, tuple[str, str]] = {
    "empty.geojson": ("", "cannot be read as JSON"),
    "cut.geojson": ('{"type": "FeatureCollection", "features": [{"ty', "cannot be read as JSON"),
    "nan.geojson": (
        '[{"type": "Feature", "geometry": {"type": "Point", "coordinates": [NaN, 1]}}]',
        "feature 0: geometry: expected finite numbers",
    ),
    "empty.json": ("{}", "expected 'nuc' (HoVer-Net) or 'cells' (CellViT)"),
    "cut.mat": ("MATLAB", "cannot be read as a MATLAB file"),
    "cut.tif": ("II*", "cannot be read as an image"),
    "gone.geojson": ("", "no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_the_window_stays_alive(
    panel: CoSynthPanel, slide: Any, tmp_path: Path, qtbot: Any, name: str
) -> None:
    text, reason = BAD[name]
    if name != "gone.geojson":
        (tmp_path / name).write_text(text)
    row = panel.layout_controls.sources.nuclei
    row.from_file(tmp_path / name)
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    assert name in last_message() and reason in last_message() and "\n" not in last_message()
    assert row.find.enabled and row.open.enabled
    panel.layout_controls.new.native.click()
    assert panel.layout_controls.points is not None


def test_null_geometry_and_far_away_nuclei_are_counted(
    panel: CoSynthPanel, slide: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"type": "Feature", "geometry": None, "properties": {}}
    far = square(9e8, 9e8, "inflammatory")
    path = geojson(tmp_path / "a.geojson", square(8, 16, "inflammatory"), empty, far)
    row = panel.layout_controls.sources.nuclei
    row.from_file(path)
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    assert len(panel.layout_controls.points.data) == 1
    assert "1 outside the canvas" in last_message()
    assert "1 features without a geometry" in last_message()


def test_seventy_thousand_nuclei_in_a_region(
    panel: CoSynthPanel, tmp_path: Path, qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 20_000, (70_000, 2)).round(2)
    path = geojson(tmp_path / "many.geojson", *(square(*c, "epithelial") for c in corners.tolist()))
    levels = [np.zeros((20_000 // s, 20_000 // s), np.uint8) for s in (1, 16)]
    place = {"scale": (0.25, 0.25), "units": ("µm", "µm"), "contrast_limits": (0, 255)}
    slide = panel.viewer.add_image(levels, name="slide", multiscale=True, **place)
    draw(panel, slide, (5000, 5000), (9000, 9000))
    row = panel.layout_controls.sources.nuclei
    row.from_file(path)
    qtbot.waitUntil(lambda: not row.busy, timeout=WAIT)
    middles = corners[:, ::-1] + 4 - 0.5
    expected = ((middles >= 4999.5) & (middles < 8999.5)).all(1).sum()
    assert abs(len(panel.layout_controls.points.data) - expected) <= 20
    assert "70,000" not in last_message() and "outside the canvas" in last_message()


def test_file_open_shows_points_with_measurements_and_outlines_on_the_slide(
    panel: CoSynthPanel, slide: Any, cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlines, points = panel.viewer.open(str(cells), plugin="napari-cosynth")
    assert list(points.features["class"]) == ["Tumor", "Immune cells", "no class"]
    np.testing.assert_array_equal(points.features["Area"], [64, np.nan, np.nan])
    np.testing.assert_allclose(
        points.data_to_world(points.data[0]), slide.data_to_world((19.5, 11.5))
    )
    assert outlines.data.shape == (400, 400) and (outlines.data[16:24, 8:16] == 1).all()
    for layer in (points, outlines):
        np.testing.assert_allclose(layer.scale, slide.scale)
        assert layer.units == slide.units
    # Choosing it as the layout asks for the classes; canvas and µm/px are the slide's.
    accept_with(monkeypatch, {"Tumor": "epithelial", "no class": "spindle-shaped"})
    panel.layout_controls.layer.value = points.name
    layout = panel.layout_controls.layout_now()
    assert layout.shape == (400, 400) and layout.mpp == pytest.approx(0.25)
    assert layout.class_ids.tolist() == [2, 1, 3]


def test_our_own_json_is_left_to_its_reader(tmp_path: Path) -> None:
    assert nuclei_reader(str(tmp_path / "cosynth.json")) is None


def test_what_cannot_be_opened_is_one_line_and_the_window_stays_alive(
    panel: CoSynthPanel, tmp_path: Path
) -> None:
    huge = bare_tiff(tmp_path / "huge.svs", rgb_tags(2**31 - 1, 2**31 - 1))
    zarr = ome_zarr(tmp_path / "bad.zarr", [np.zeros((3, 64, 64), np.uint8)])
    edit_metadata(zarr / "0" / ".zarray", lambda c: c.update(shape=[3, 10**12, 10**12]))
    holes = geojson(tmp_path / "bad.geojson", square(0, 0, "a"))
    holes.write_text(holes.read_text().replace("8.0", "NaN").replace("8,", "NaN,"))
    (tmp_path / "cut.mrxs").write_bytes(b"")
    for path in (huge, zarr, holes, tmp_path / "cut.mrxs"):
        with pytest.raises(ValueError, match=path.name) as error:
            panel.viewer.open(str(path), plugin="napari-cosynth")
        assert "\n" not in str(error.value)
    assert not panel.viewer.layers
    panel.layout_controls.new.native.click()
    assert panel.layout_controls.points is not None


def test_a_damaged_tile_is_a_line_when_it_is_needed(
    panel: CoSynthPanel, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sparse_pyramid(tmp_path / "slide.tif", 16384)
    with tifffile.TiffFile(path) as tif:
        page = tif.series[0].levels[1].pages[0]
        offset, size = page.dataoffsets[0], page.databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    (slide,) = panel.viewer.open(str(path), plugin="napari-cosynth")
    with pytest.raises(ValueError, match=r"slide\.tif: cannot be decoded near row 0, column 0"):
        np.asarray(slide.data[1][:10, :10])
    np.testing.assert_array_equal(np.asarray(slide.data[0][:2, :2]), 200)
    draw(panel, slide, (0, 0), (200, 200))
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[0])
    panel.layout_controls.sources.nuclei.find.native.click()
    qtbot.waitUntil(lambda: not panel.layout_controls.sources.nuclei.busy, timeout=WAIT)
    assert "slide.tif: cannot be decoded near row 0, column 0" in last_message()
    assert panel.layout_controls.sources.nuclei.find.enabled


def test_a_tile_of_a_data_set_becomes_an_image_and_a_layout(
    panel: CoSynthPanel, data_root: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data_root / "consep" / "train"

    def fill(dialog: DatasetDialog) -> Any:
        ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
        assert not ok.isEnabled()
        dialog.kind.setCurrentText("consep")
        dialog.folder.setText(str(folder))
        assert ok.isEnabled()
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(DatasetDialog, "exec", fill)

    def pick(dialog: TileDialog) -> Any:
        dialog.show()
        tiles = dialog.tiles
        blank = tiles.item(0).icon().pixmap(8).toImage()
        last = tiles.count() - 1
        tiles.scrollToBottom()
        tiles.setFocus()
        for row in (last, last - 1):  # what is in view is read, first of all
            qtbot.waitUntil(
                lambda row=row: tiles.item(row).icon().pixmap(8).toImage() != blank, timeout=WAIT
            )
        qtbot.keyClicks(tiles, "train_12")
        qtbot.keyClick(tiles, Qt.Key.Key_Return)
        return dialog.result()

    monkeypatch.setattr(TileDialog, "exec", pick)
    classes = {"healthy epithelial": "epithelial", "malignant epithelial": "epithelial"}
    spindle = ("fibroblast", "muscle", "endothelial")
    rest = dict.fromkeys(spindle, "spindle-shaped") | {"other": "leave them out"}
    record = ConsepDataset(folder, only=["train_12"])[0]
    present = {record.classes.names[i] for i in record.layout.class_ids}
    accept_with(monkeypatch, {n: c for n, c in (classes | rest).items() if n in present})
    row = panel.layout_controls.sources.nuclei
    row.tile.native.click()
    qtbot.waitUntil(lambda: panel.layout_controls.points is not None, timeout=WAIT)
    points, image = panel.layout_controls.points, panel.viewer.layers["train_12"]
    np.testing.assert_array_equal(image.data, record.image)
    np.testing.assert_allclose(image.scale, 0.25)
    kept = [record.classes.names[i] != "other" for i in record.layout.class_ids]
    wanted = [image.data_to_world(point) for point in record.layout.centroids[kept]]
    np.testing.assert_allclose(world(points), wanted, atol=1e-3)
    assert points.metadata["cosynth"]["shape"] == [500, 500]
    assert not row.busy
