"""The tutorial's jobs done in the real window: its moving pictures, and the clicks that each job takes.

    xvfb-run -a -s "-screen 0 1600x1200x24" python tools/walkthrough.py [--out docs/images]

A press of a button, a choice in a menu's level, a stroke on the canvas and a file that is dropped are a
click each; a name that is typed is none. The slide is that of the bundled finished project.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from screenshots import (  # first: it keeps the user's settings out of napari
    PLUGIN,
    SIZE,
    Scene,
    canvas_position,
    drag,
)

# isort: split
import numpy as np
from magicgui.widgets import PushButton
from napari.settings import get_settings
from PIL import Image, ImageDraw
from qtpy.QtCore import QEventLoop, QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from napari_cosynth.layouts.drawn.patterns import SAMPLES
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.quality import QualityPanel
from napari_cosynth.widget.gallery import session
from napari_cosynth.widget.layout.brush import Tool
from napari_cosynth.widget.run import speed

SHOWN = (SIZE[0] * 5 // 8, SIZE[1] * 5 // 8)
LARGEST = 500_000
"""Bytes of one moving picture."""
RING, COLOR = 13, (255, 190, 0)
"""Radius in pixels and colour of the ring around what is clicked."""
LOOK, SHORT = 3200, 1900
"""Milliseconds for which a picture that has something new in it stands, and one before a click."""


class Hand:
    """What a user does in a scene's window, with a picture of each step, and how often it is a click."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.clicks = scene, 0
        self.frames: list[tuple[Image.Image, int]] = []

    def see(self, milliseconds: int, at: QPoint | None = None) -> None:
        """Another picture; ``at`` is where the hand is, in the window."""
        self.scene.settle()
        pixels = self.scene.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        picture = Image.fromarray(pixels)
        if at is not None:
            box = (at.x() - RING, at.y() - RING, at.x() + RING, at.y() + RING)
            ImageDraw.Draw(picture).ellipse(box, outline=COLOR, width=4)
        self.frames.append((picture.resize(SHOWN, Image.Resampling.LANCZOS), milliseconds))

    def press(self, button: PushButton) -> None:
        """Clicks a button of the dock."""
        widget: QWidget = button.native
        middle = widget.rect().center()
        self.see(SHORT, widget.mapTo(self.scene.window, middle))
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=middle)
        self.clicks += 1
        self.scene.settle()

    def choose(self, menu: QMenu, *words: str) -> None:
        """Chooses an entry of a menu, a click in each of its levels and one that opens it."""
        for word in words:
            menu.aboutToShow.emit()
            (action,) = [a for a in menu.actions() if a.text().replace("&", "").startswith(word)]
            menu = action.menu() or menu
        action.trigger()
        self.clicks += 1 + len(words)
        self.scene.settle()

    def drop(self, path: Path) -> None:
        """Drops a file on the canvas."""
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        canvas = self.scene.viewer.window._qt_viewer
        middle = canvas.rect().center()
        rest = (
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, QDragEnterEvent(middle, *rest))
        QApplication.sendEvent(canvas, QDropEvent(QPointF(middle), *rest))
        self.clicks += 1
        self.see(LOOK)

    def key(self, *keys: Any) -> None:
        """Presses a key over the canvas; no click."""
        QTest.keyClick(self.scene.viewer.window._qt_viewer.canvas.native, *keys)
        self.scene.settle()

    def stroke(self, layer: Any, path: Sequence[tuple[float, float]]) -> None:
        """A stroke of the left button along a path in a layer's pixels."""
        canvas = self.scene.viewer.window._qt_viewer.canvas.native
        start = canvas.mapTo(self.scene.window, canvas_position(self.scene, layer, path[0]))
        self.see(SHORT, start)
        drag(self.scene, layer, list(path))
        self.clicks += 1
        self.see(SHORT)

    def wait_for(self, button: PushButton) -> None:
        """Presses a button that samples, and waits for what comes of it."""

        def press() -> None:
            self.press(button)

        self.scene.run(press)
        self.see(LOOK)


def from_a_layout(hand: Hand) -> None:
    """A bundled layout, a stroke of the brush, and the tissue for it."""
    scene, window = hand.scene, hand.scene.viewer.window
    hand.choose(window.file_menu, "Open Sample", "CoSynth", "Layout, gland")
    scene.viewer.reset_view()
    hand.see(LOOK)
    layer = scene.panel.layout_controls.points
    hand.press(scene.panel.layout_controls.tools.buttons[Tool.BRUSH])
    hand.key(Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    hand.stroke(layer, [(105, 110), (120, 140), (140, 130), (150, 110)])
    hand.wait_for(scene.panel.bar.synthesise)
    layer.visible = False
    hand.see(LOOK)


def from_slide_to_stack(hand: Hand) -> None:
    """A slide, a canvas on it, inflammatory cells, the picture, the saved stack."""
    panel = hand.scene.panel
    hand.drop(SAMPLES / "project.tif")
    panel.layout_controls.height_px.value = panel.layout_controls.width_px.value = 160
    hand.press(panel.layout_controls.new)
    hand.press(panel.layout_controls.tools.buttons[Tool.BRUSH])
    hand.stroke(
        panel.layout_controls.points, [(40, 40), (60, 110), (80, 40), (105, 115), (120, 50)]
    )
    hand.wait_for(panel.bar.synthesise)
    panel.layout_controls.points.visible = False
    hand.see(LOOK)
    save(hand)


def save(hand: Hand) -> None:
    """Saves the result under a name that is typed, and shows what the dock says of it."""
    folder = Path(tempfile.mkdtemp()) / "nuclei.cosynth"
    asked = QFileDialog.getSaveFileName
    QFileDialog.getSaveFileName = lambda *_, **__: (str(folder), "")  # type: ignore[method-assign]
    try:
        hand.press(hand.scene.panel.refine.save)
    finally:
        QFileDialog.getSaveFileName = asked  # type: ignore[method-assign]
    hand.see(LOOK)
    if not folder.is_dir():
        raise SystemExit("the stack was not saved")


def correct_a_nucleus(hand: Hand) -> None:
    """The finished project: a nucleus painted in, its class, its pixels painted too."""
    scene, panel = hand.scene, hand.scene.panel
    hand.choose(scene.viewer.window.file_menu, "Open Sample", "CoSynth", "Finished project")
    scene.viewer.reset_view()
    hand.see(LOOK)
    instances = scene.viewer.layers["project #1 · instances"]
    panel.results.choose("project #1")
    scene.viewer.layers.selection.active = instances
    instances.contour = 1
    instances.opacity = 1
    instances.selected_label = int(instances.data.max()) + 1
    instances.mode = "paint"
    instances.brush_size = 9
    hand.clicks += 3  # the layer, napari's brush, a new label
    hand.stroke(instances, [(12, 60), (14, 62), (13, 64)])
    panel.refine.new_class.value = "inflammatory"
    hand.clicks += 2
    hand.press(panel.refine.update_rest)
    hand.wait_for(panel.refine.repaint_here)
    hand.see(LOOK)


def variations(hand: Hand) -> None:
    """Three more samples of a layout in the gallery, one of them kept and continued."""
    scene, window = hand.scene, hand.scene.viewer.window
    hand.choose(window.file_menu, "Open Sample", "CoSynth", "Layout, gland")
    scene.panel.layout_controls.points.visible = False
    scene.viewer.reset_view()
    dock, panel = window.add_plugin_dock_widget(PLUGIN, "CoSynth gallery", tabify=True)
    assert isinstance(panel, GalleryDock)
    hand.clicks += 3
    scene.window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
    panel.count.value = 3
    hand.see(LOOK)
    hand.wait_for(panel.vary)
    while len(panel.gallery.items) < 3:  # a sample has its row once it is on the disk
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    for row in (0, 1):
        panel.view.setCurrentIndex(panel.view.model().index(row, 0))
        hand.clicks += 1
        hand.see(LOOK)
    hand.press(panel.keep)
    hand.see(LOOK)


def review(hand: Hand) -> None:
    """The finished pair, nucleus by nucleus, one of them given another class."""
    scene, window = hand.scene, hand.scene.viewer.window
    hand.choose(window.file_menu, "Open Sample", "CoSynth", "Finished pair")
    scene.viewer.layers["pair · layout"].visible = False
    scene.viewer.layers["pair · instances"].contour = 1
    scene.viewer.reset_view()
    dock, panel = window.add_plugin_dock_widget(PLUGIN, "CoSynth quality", tabify=True)
    assert isinstance(panel, QualityPanel)
    hand.clicks += 3
    scene.window.resizeDocks([dock], [490], Qt.Orientation.Horizontal)
    while panel.busy:
        scene.settle()
    hand.see(LOOK)
    for _ in range(3):
        hand.press(panel.review.following)
    hand.see(SHORT)
    panel.review.retag_to.value = "inflammatory"
    hand.clicks += 2
    hand.press(panel.review.retag)
    hand.see(LOOK)


JOBS: dict[str, Callable[[Hand], None]] = {
    "layout-to-tissue": from_a_layout,
    "slide-to-stack": from_slide_to_stack,
    "correct-a-nucleus": correct_a_nucleus,
    "variations": variations,
    "review": review,
}


def write(frames: Sequence[tuple[Image.Image, int]], path: Path) -> None:
    """An animated WebP. Raises SystemExit where it is larger than ``LARGEST``."""
    pictures, times = zip(*frames, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=list(times),
        loop=0,
        quality=60,
        method=6,
        minimize_size=True,
    )
    size = path.stat().st_size
    seconds = np.sum(times) / 1000
    print(f"{path}: {len(pictures)} pictures, {seconds:.0f} s, {size / 1000:.0f} kB")
    if size > LARGEST:
        raise SystemExit(f"{path}: larger than {LARGEST} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", nargs="*", choices=list(JOBS))
    chosen = parser.parse_args()
    speed.FILE = os.environ["NAPARI_CONFIG"] + ".speed"
    session.FOLDER = Path(tempfile.mkdtemp())
    # napari asks once which reader opens TIFFs, and remembers it where one wishes.
    get_settings().plugins.extension2reader = {"*.tif": PLUGIN}
    for name in chosen.only or JOBS:
        scene = Scene("dark", None)
        hand = Hand(scene)
        hand.clicks = 3  # Plugins > CoSynth > CoSynth opened the dock
        JOBS[name](hand)
        print(f"{name}: {hand.clicks} clicks")
        write(hand.frames, chosen.out / f"{name}.webp")
        scene.close()


if __name__ == "__main__":
    main()
