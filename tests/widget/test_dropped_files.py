"""Files and folders dropped on napari's window: every format we export, and those of others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QDialog, QRadioButton, QWidget

from napari_cosynth import registry
from napari_cosynth.datasets.packed import write_packed
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.quality import QualityPanel
from napari_cosynth.widget.layers.results import groups
from nuclei import items
from published import make_endonuke, make_lizard, make_pannuke
from slides import ome_zarr

SHAPE = (64, 48)
PLUGIN = "napari-cosynth"
OURS = "CoSynth"


@pytest.fixture(autouse=True)
def _choose_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where napari asks which reader is to open a file, ours is chosen."""

    def choose(dialog: QtReaderDialog) -> Any:
        (button,) = [b for b in dialog.findChildren(QRadioButton) if b.text() == OURS]
        button.click()
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(QtReaderDialog, "exec_", choose)


def drop(widget: QWidget, *paths: Path) -> None:
    """Drags files over a widget and drops them, as Qt tells it. What is not accepted is not dropped."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, left, none = (
        Qt.DropAction.CopyAction,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    middle = widget.rect().center()
    entered = QDragEnterEvent(middle, copy, mime, left, none)
    entered.ignore()
    QApplication.sendEvent(widget, entered)
    assert entered.isAccepted(), f"{type(widget).__name__} takes no files"
    QApplication.sendEvent(widget, QDropEvent(QPointF(middle), copy, mime, left, none))


def exported(kind: str, folder: Path) -> Path:
    path: Path = registry.resolve("exporter", kind)(items(2, shape=SHAPE), folder / kind)
    return path


def foreign(kind: str, folder: Path) -> Path:
    """The same arrays as another program would have written them."""
    path = exported(kind, folder)
    for own in (DESCRIPTION, "layouts.csv"):
        (path / own).unlink()
    return path


def without_classes(folder: Path) -> Path:
    """Pairs of images and instance maps."""
    path = foreign("folder", folder)
    shutil.rmtree(path / "labels")
    return path


def monuseg(folder: Path) -> Path:
    record = items(1, shape=SHAPE)[0].record
    tifffile.imwrite(folder / "TCGA-1.tif", record.image, photometric="rgb")
    corners = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((4, 4), (16, 4), (16, 20)))
    region = f'<Region Id="1"><Vertices>{corners}</Vertices></Region>'
    (folder / "TCGA-1.xml").write_text(
        f'<Annotations MicronsPerPixel="0.25"><Annotation><Regions>{region}</Regions>'
        "</Annotation></Annotations>"
    )
    return folder


def made(folder: Path, make: Callable[..., None], *arguments: Any) -> Path:
    make(folder, *arguments)
    return folder


def packed(folder: Path) -> Path:
    record = items(1, shape=SHAPE)[0].record
    write_packed(folder, [("part", "a", record)], record.classes, record.mpp, None)
    return folder


EXPORTS = dict.fromkeys(registry.names("exporter"), exported)
FOREIGN: dict[str, Callable[[Path], Path]] = {
    **{
        kind: (lambda folder, kind=kind: foreign(kind, folder))
        for kind in ("coco", "conic", "consep", "geojson", "hovernet")
    },
    "images and instances": without_classes,
    "Lizard as published": lambda folder: made(folder, make_lizard, 2, 48),
    "PanNuke as published": lambda folder: made(folder, make_pannuke, 2, 1, True),
    "EndoNuke as published": lambda folder: made(folder, make_endonuke, 2),
    "MoNuSeg as published": monuseg,
    "packed": packed,
}


def folder_of(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir()
    return path


def test_every_export_dropped_on_the_viewer_is_a_result(
    make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    for kind in EXPORTS:
        drop(viewer.window._qt_viewer, exported(kind, tmp_path))
        found = groups(viewer)
        assert list(found) == [kind], kind
        np.testing.assert_array_equal(
            found[kind]["image"].data, np.stack([i.record.image for i in items(2, shape=SHAPE)])
        )
        viewer.layers.clear()


def test_every_format_of_others_dropped_on_the_viewer_is_a_result(
    make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    for kind, make in FOREIGN.items():
        drop(viewer.window._qt_viewer, make(folder_of(tmp_path, kind)))
        assert len(groups(viewer)) == 1, kind
        (result,) = groups(viewer).values()
        assert result["instances"].data.max() > 0, kind
        viewer.layers.clear()


def test_files_dropped_on_the_viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    canvas = viewer.window._qt_viewer
    image = items(1, shape=SHAPE)[0].record.image
    known = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "slide.tif", image, photometric="rgb", **known)
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1,class\n0,3,4,inflammatory\n")
    channels = np.moveaxis(image, -1, 0)
    cells = next(exported("geojson", tmp_path).glob("*.geojson"))
    drop(canvas, tmp_path / "slide.tif")
    assert [layer.metadata["mpp"] for layer in viewer.layers] == [0.5]
    drop(canvas, cells)  # over the image that is open
    assert viewer.layers[cells.stem].data.max() < max(SHAPE)
    np.testing.assert_allclose(viewer.layers[cells.stem].scale, 0.5)
    drop(canvas, tmp_path / "points.csv")
    assert viewer.layers["points"].features["class"].tolist() == ["inflammatory"]
    viewer.layers.clear()
    drop(canvas, ome_zarr(tmp_path / "other.zarr", [channels]))
    assert len(viewer.layers) == 1
    viewer.layers.clear()
    drop(canvas, *exported("consep", tmp_path).rglob("*.mat"))
    assert [layer._type_string for layer in viewer.layers] == ["points", "points"]


@pytest.mark.parametrize("floating", [False, True])
def test_a_file_dropped_on_a_dock_opens_in_the_viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, floating: bool
) -> None:
    viewer = make_napari_viewer(show=True)
    frame, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")
    _, quality = viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth quality")
    assert isinstance(panel, CoSynthPanel) and isinstance(quality, QualityPanel)
    frame.setFloating(floating)
    drop(panel, exported("stack", tmp_path))
    drop(quality, foreign("coco", tmp_path))
    assert set(groups(viewer)) == {"stack", "coco"}
