"""The pictures in docs/images, from the real program in a window of 1280x800.

    xvfb-run -a -s "-screen 0 1600x1200x24" python tools/screenshots.py [--checkpoint FOLDER]

The pictures of a slide need ``COSYNTH_DATA``, a folder with ``slides/CMU-1-Small-Region.svs``; without
it they are left as they are.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

# The user's own settings, window size and theme would show in the pictures.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEventLoop, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_cosynth
from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.layout_dock import LayoutDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.quality import QualityPanel
from napari_cosynth.widget.gallery import session
from napari_cosynth.widget.layers.placement import placed_on
from napari_cosynth.widget.layout.brush import Tool
from napari_cosynth.widget.regions.laying_out import FOUND
from napari_cosynth.widget.regions.regions_dock import RegionsDock
from napari_cosynth.widget.result.nuclei_model import AREA
from napari_cosynth.widget.run import speed
from napari_cosynth.widget.training.dock import TrainDock

PLUGIN = "napari-cosynth"
SIZE = (1280, 800)
LARGEST = 250_000
"""Bytes of a picture."""
THEMES = ("dark", "light")


class Scene:
    """A viewer with the dock, and what a user would do in it."""

    def __init__(self, theme: str, checkpoint: str | None) -> None:
        self.viewer = napari.Viewer(title="CoSynth", show=True)
        self.viewer.theme = theme
        self.window = self.viewer.window._qt_window
        dock, self.panel = self.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")
        assert isinstance(self.panel, CoSynthPanel)
        self.window.resize(*SIZE)
        self.window.resizeDocks([dock], [360], Qt.Orientation.Horizontal)
        if checkpoint:
            self.panel.model.use(checkpoint)
        self.settle()

    def settle(self) -> None:
        """Lets Qt lay out and draw everything it has in its queue."""
        for _ in range(20):
            QApplication.processEvents()

    def synthesise(self) -> None:
        """Presses Synthesise and waits for its end."""
        self.run(self.panel.bar.synthesise.native.click)

    def run(self, press: Callable[[], object]) -> None:
        """Presses a button that synthesises, and waits for its end."""
        while not self.panel.look.ready():  # its picture is read in a thread
            QApplication.processEvents()
        loop = QEventLoop()
        self.panel.runner.ended.connect(lambda _: loop.quit())
        QTimer.singleShot(1_800_000, loop.quit)
        press()
        if self.panel.runner.busy:
            loop.exec()
        self.settle()

    def sample(self, name: str) -> Any:
        (layer,) = self.viewer.open_sample(PLUGIN, name)
        self.viewer.reset_view()
        self.settle()
        return layer

    def close(self) -> None:
        self.viewer.close()
        QApplication.processEvents()


def layout(scene: Scene) -> None:
    """A layout, before anything is synthesised."""
    scene.sample("gland")


def brush(scene: Scene) -> None:
    """A stroke of the brush, with its circle, over a gland's layout."""
    layer = scene.sample("gland")
    controls = scene.panel.layout_controls
    controls.editor.pick("malignant epithelial")
    controls.tools.buttons[Tool.BRUSH].native.click()
    scene.settle()
    drag(scene, layer, [(105, 110), (120, 140), (140, 130), (150, 110)])


def drag(scene: Scene, layer: Any, path: list[tuple[float, float]]) -> None:
    """Presses, moves and releases the left button along a path in a layer's pixels, as Qt does."""
    canvas = scene.viewer.window._qt_viewer.canvas
    positions = [canvas_position(scene, layer, point) for point in path]
    QTest.mousePress(canvas.native, Qt.MouseButton.LeftButton, pos=positions[0])
    for start, end in pairwise(positions):
        for part in np.linspace(0, 1, 9)[1:]:
            QTest.mouseMove(canvas.native, start + (end - start) * float(part))
            scene.settle()
    QTest.mouseRelease(canvas.native, Qt.MouseButton.LeftButton, pos=positions[-1])
    scene.settle()


def canvas_position(scene: Scene, layer: Any, point: tuple[float, float]) -> QPoint:
    """Where a pixel of a layer lies in the canvas widget."""
    camera = scene.viewer.scene.camera
    canvas = scene.viewer.window._qt_viewer.canvas
    y, x = (np.array(layer.data_to_world(point)) - camera.center[-2:]) * camera.zoom
    height, width = canvas.size
    return QPoint(round(width / 2 + x), round(height / 2 + y))


def result(scene: Scene) -> None:
    """Its image with the nuclei's outlines."""
    layer = scene.sample("gland")
    scene.synthesise()
    layer.visible = False


def labels(scene: Scene) -> None:
    """The same result's semantic labels, under the layout's points."""
    layer = scene.sample("tumour")
    scene.synthesise()
    for other in scene.viewer.layers:
        role = other.metadata.get("cosynth", {}).get("role")
        other.visible = role in ("image", "labels", "layout")
    layer.size = 4


def slide(scene: Scene) -> None:
    """A region of a real slide, with a synthetic canvas in its place and scale."""
    path = Path(os.environ["COSYNTH_DATA"]) / "slides" / "CMU-1-Small-Region.svs"
    (image,) = scene.viewer.open(path, plugin=PLUGIN)
    # In pixels of the slide: 256 canvas pixels of 0.5 µm, over loose stroma.
    side = 256 * 0.5 / image.metadata["mpp"]
    box = np.array([1210, 930]) + side * np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    region = scene.viewer.add_shapes(
        [box],
        shape_type="rectangle",
        edge_color="#ffd000",
        face_color="transparent",
        edge_width=3,
        scale=image.scale,
        units=image.units,
        name="region",
    )
    corners = np.array([region.data_to_world(corner) for corner in box[[0, 2]]])
    drawn = bundled_layouts()["tumour"].layout
    placement = placed_on(corners, image, image.metadata["mpp"], drawn.mpp)
    scene.panel.layout_controls.add_layout(placement, drawn)
    scene.synthesise()
    centre = corners.mean(0)
    scene.viewer.scene.camera.center = (0, *centre)
    scene.viewer.scene.camera.zoom = 2.4
    scene.panel.layout_controls.points.visible = False


def refine(scene: Scene) -> None:
    """The finished pair, opened as a training stack, with its buttons and a nucleus painted in."""
    scene.viewer.open_sample(PLUGIN, "pair")
    by_role = {layer.metadata["cosynth"]["role"]: layer for layer in scene.viewer.layers}
    instances = by_role["instances"]
    instances.contour = 1
    instances.opacity = 1
    by_role["layout"].visible = False
    scene.viewer.layers.selection.active = instances
    instances.selected_label = int(instances.data.max()) + 1
    instances.mode = "paint"
    instances.brush_size = 12
    instances.paint((122, 112), instances.selected_label)
    scene.panel.refine.new_class.value = "inflammatory"
    scene.viewer.reset_view()


def quality(scene: Scene) -> None:
    """The quality dock over the finished pair: its smallest nuclei, the first of them marked."""
    scene.viewer.open_sample(PLUGIN, "pair")
    scene.viewer.layers["pair · layout"].visible = False
    scene.viewer.layers["pair · instances"].contour = 1
    scene.viewer.reset_view()
    dock, panel = scene.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth quality", tabify=True)
    assert isinstance(panel, QualityPanel)
    scene.window.resizeDocks([dock], [490], Qt.Orientation.Horizontal)
    while panel.busy:
        scene.settle()
    panel.view.sortByColumn(AREA, Qt.SortOrder.AscendingOrder)
    panel.model.mark(panel.view.shown.ids()[:3])
    panel.view.selectRow(5)


def layout_dock(scene: Scene) -> None:
    """The layout dock with targets, and a stream of spindle-shaped nuclei drawn across a gland's rim."""
    layer = scene.sample("gland")
    dock, panel = scene.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth layout", tabify=True)
    assert isinstance(panel, LayoutDock)
    scene.window.resizeDocks([dock], [380], Qt.Orientation.Horizontal)
    scene.settle()
    targets = {"inflammatory": 35, "healthy epithelial": 40, "spindle-shaped": 25}
    names = list(scene.panel.layout_controls.editor.classes.names)
    for name, percent in targets.items():
        target = panel.composition.item(names.index(name) - 1, 3)
        target.setData(Qt.ItemDataRole.UserRole, percent)
    panel.structures.buttons[Tool.STREAM].native.click()
    scene.settle()
    drag(scene, layer, [(70, 40), (130, 24), (190, 36)])


def gallery_dock(scene: Scene) -> None:
    """Six variations of one layout in the gallery, two of them kept."""
    scene.sample("gland").visible = False
    scene.synthesise()
    dock, panel = scene.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth gallery", tabify=True)
    assert isinstance(panel, GalleryDock)
    scene.window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
    scene.settle()
    panel.count.value = 5
    scene.run(panel.vary.native.click)
    while len(panel.gallery.items) < 6:  # a sample has its row once it is on the disk
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    panel.gallery.keep([1, 5], True)
    panel.view.setCurrentIndex(panel.view.model().index(5, 0))  # the viewer shows the newest
    panel.note.value = "clear crypts"
    scene.settle()


def regions_dock(scene: Scene) -> None:
    """The regions dock over the bundled slide: two squares, laid out with the nuclei found there."""
    samples = Path(napari_cosynth.__file__).parent / "samples"
    (slide,) = scene.viewer.open(samples / "project.tif", plugin=PLUGIN)
    scene.viewer.reset_view()
    dock, panel = scene.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth regions", tabify=True)
    assert isinstance(panel, RegionsDock)
    scene.window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
    middle = slide.extent.world.mean(0)[-2:]
    for side in (-1, 1):
        scene.viewer.scene.camera.center = (0, middle[0], middle[1] + side * 45)
        panel.squares["40x"].native.click()
        scene.settle()
    while panel.table.rowCount() < 2:
        QApplication.processEvents()
    panel.source.value = FOUND
    panel.lay_out.native.click()
    while panel.busy:
        QApplication.processEvents()
    scene.viewer.reset_view()


def train_dock(scene: Scene) -> None:
    """The train dock over the finished pair: what was found in it, and what a run would take."""
    samples = Path(napari_cosynth.__file__).parent / "samples"
    dock, panel = scene.viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth train", tabify=True)
    assert isinstance(panel, TrainDock)
    scene.window.resizeDocks([dock], [460], Qt.Orientation.Horizontal)
    panel.data.folder.value = str(samples / "pair")
    panel.data.look_into(panel.data.folder.value)
    while panel.busy:
        QApplication.processEvents()


SCENES: dict[str, Callable[[Scene], None]] = {
    "layout": layout,
    "brush": brush,
    "result": result,
    "labels": labels,
    "refine": refine,
    "quality": quality,
    "layout-dock": layout_dock,
    "gallery-dock": gallery_dock,
    "regions-dock": regions_dock,
    "train-dock": train_dock,
}


def save(scene: Scene, path: Path) -> None:
    """The window as a WebP: a palette would take some of the legend's colours for others."""
    scene.settle()
    pixels = scene.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=85, method=6, use_sharp_yuv=True)
    size = path.stat().st_size
    print(f"{path}: {pixels.shape[1]}x{pixels.shape[0]}, {size / 1000:.0f} kB")
    if size > LARGEST:
        raise SystemExit(f"{path}: larger than {LARGEST} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--checkpoint", help="a checkpoint folder instead of the bundled one")
    parser.add_argument("--only", nargs="*", help="names of scenes")
    parser.add_argument("--themes", nargs="*", default=THEMES, choices=THEMES)
    chosen = parser.parse_args()
    speed.FILE = os.environ["NAPARI_CONFIG"] + ".speed"  # nor what runs took before
    session.FOLDER = Path(tempfile.mkdtemp())  # nor samples that are there to be recovered
    scenes = dict(SCENES)
    if "COSYNTH_DATA" in os.environ:
        scenes["slide"] = slide
    for name, act in scenes.items():
        for theme in chosen.themes:
            if chosen.only and name not in chosen.only:
                continue
            scene = Scene(theme, chosen.checkpoint)
            act(scene)
            save(scene, chosen.out / f"{name}-{theme}.webp")
            scene.close()


if __name__ == "__main__":
    main()
