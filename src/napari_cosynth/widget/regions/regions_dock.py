"""The dock ``Plugins > CoSynth regions``: several regions of a slide, laid out and sampled in turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from magicgui.widgets import ComboBox, PushButton
from napari.components import ViewerModel
from napari.layers import Shapes
from psygnal import SignalInstance
from qtpy.QtCore import QTimer

from napari_cosynth.widget.docks.companion import Companion
from napari_cosynth.widget.layers.placement import unit_of, world_scale
from napari_cosynth.widget.layers.region import is_slide, known_mpp
from napari_cosynth.widget.layers.shapes import (
    NAME,
    Region,
    put_away,
    regions_in,
    set_name,
    shapes_layer,
    unit_factor,
)
from napari_cosynth.widget.layout.nuclei_row import UNSPECIFIED
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, form, side_by_side
from napari_cosynth.widget.qt.listening import Hearing
from napari_cosynth.widget.qt.mpp_dialog import POWERS
from napari_cosynth.widget.qt.questions import ask_class, ask_mpp
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.regions import painted
from napari_cosynth.widget.regions.laying_out import (
    FOUND,
    Laid,
    lay_out,
    layout_of,
    placed,
    sources,
)
from napari_cosynth.widget.regions.region_table import RegionTable
from napari_cosynth.widget.regions.slide_writer import SlideWriter
from napari_cosynth.widget.run.background import Background

SIDE = 256
"""Side of an added square in pixels: the size that the model sees at once."""
SETTLED_MS = 50


class RegionsDock(Companion):
    """Dock for the regions of the active Shapes layer, or else the topmost. npe2 passes the viewer."""

    title = "Regions"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.table = RegionTable()
        self.squares = {power: PushButton(text=power) for power in reversed(POWERS)}
        self.source = ComboBox(choices=sources(), label="Points")
        self.lay_out = PushButton(text="Lay out")
        self.synthesise = PushButton(text="Synthesise")
        self.into_image = PushButton(text="Into image")
        self.write = PushButton(text="Write slide…")
        self.status = Status(lines=2)
        self._work = Background("regions")
        self.writer = SlideWriter(napari_viewer, self._work, self.status, self)
        self.regions: list[Region] = []
        for power, button in self.squares.items():
            button.tooltip = (
                f"A square of {SIDE} pixels at {power} ({SIDE * POWERS[power]:g} µm) in the middle of "
                "the window; draw others as rectangles or polygons of a Shapes layer"
            )
        self.source.tooltip = (
            "What the layouts begin with; they can be edited before they are sampled"
        )
        self.lay_out.tooltip = (
            "A layout over each region with a tick that has none, named as the region; of a polygon, "
            "its points lie inside"
        )
        self.synthesise.tooltip = (
            "Samples the layouts of the regions with a tick one after the other; of a polygon, its "
            "whole bounding box"
        )
        self.into_image.tooltip = (
            "Samples the regions with a tick into the slide one after the other; of a polygon, only "
            "its inside is painted"
        )
        self.write.tooltip = (
            "Writes a copy of the slide with all that was sampled into it, as a pyramidal OME-TIFF; of "
            "several results in one place, the one that is seen, or else the newest"
        )
        box = column_in(self, 6, 4)
        box.addWidget(form(("Add a square at", list(self.squares.values()))))
        box.addWidget(self.table, 1)
        box.addWidget(form(("Points", [self.source, self.lay_out])))
        box.addWidget(side_by_side(self.synthesise, self.into_image, self.write))
        box.addWidget(self.status.native)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self._viewer_events, self._shape_events = Hearing(), Hearing()
        self._heard: Shapes | None = None
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        for power, button in self.squares.items():
            button.changed.connect(told(partial(self.add_square, SIDE * POWERS[power])))
        for widget, action in (
            (self.lay_out, self.lay_out_ticked),
            (self.synthesise, partial(self.sample, False)),
            (self.into_image, partial(self.sample, True)),
            (self.write, self.writer.ask_and_write),
        ):
            widget.changed.connect(told(action))
        self.table.renamed.connect(self._rename)
        self.table.ticked.connect(self._show_buttons)
        self.writer.changed.connect(self._show_buttons)
        self._timer.timeout.connect(self.refresh)
        touch = partial(RegionsDock._touch, self)
        layers = self.viewer.layers
        for event in (
            layers.events.inserted,
            layers.events.removed,
            layers.selection.events.active,
        ):
            self._viewer_events.to(event, touch)
        # Not bound methods: the CoSynth dock may outlive this one, and Qt destroys this one's C++ side
        # before its Python side.
        heard: list[tuple[SignalInstance, Callable[..., None]]] = [
            (self.panel.layout_controls.edited, touch),
            (self.panel.runs.changed, touch),
        ]
        for signal, action in heard:
            signal.connect(action)
        self.destroyed.connect(
            partial(_let_go, heard, self._viewer_events, self._shape_events, self._work)
        )

    @property
    def busy(self) -> bool:
        """Whether layouts are being made, a slide is being written, or the table is out of date."""
        return self._work.busy or self._timer.isActive()

    # -- the table

    def _touch(self, *_: object) -> None:
        if not self._viewer_events.over:
            self._timer.start()

    def refresh(self) -> None:
        """Shows the current shapes in the table."""
        layer = shapes_layer(self.viewer)
        if layer is not self._heard:
            self._shape_events.stop()
            self._heard = layer
            if layer is not None:
                for event in (layer.events.data, layer.events.features, layer.events.scale):
                    self._shape_events.to(event, partial(RegionsDock._touch, self))
        try:
            self.regions = regions_in(layer) if layer is not None else []
        except ValueError as error:
            self.regions, self.status.value = [], str(error)
        layouts = [layout_of(self.viewer, region) for region in self.regions]
        points = ["–" if layout is None else f"{len(layout.data):,}" for layout in layouts]
        self.table.fill(self.regions, [size_of(region) for region in self.regions], points)
        self._show_buttons()

    def _show_buttons(self) -> None:
        chosen = [self.regions[row] for row in self.table.rows]
        none = "" if chosen else "no region has a tick: draw rectangles or polygons over the slide"
        laid = [layout_of(self.viewer, region) is not None for region in chosen]
        allow(self.lay_out, none or ("they have layouts already" if all(laid) else ""))
        reason = none or ("" if any(laid) else "they have no layout yet: press Lay out")
        for button in (self.synthesise, self.into_image):
            allow(button, reason)
        nothing = "" if painted.painted_in(self.viewer) else "nothing was sampled into an image"
        allow(self.write, "it is being written" if self.writer.busy else nothing)

    def _rename(self, row: int, name: str) -> None:
        region = self.regions[row]
        layout = layout_of(self.viewer, region)
        set_name(region.layer, region.row, name)
        if layout is not None and name.strip():
            layout.name = name.strip()
        self._touch()

    # -- the buttons

    def add_square(self, side: float) -> None:
        """Adds a square with this side in µm in the middle of the window.

        Raises ValueError if there is no slide.
        """
        slide = next((x for x in reversed(self.viewer.layers) if is_slide(x)), None)
        if slide is None:
            raise ValueError("no image: open a slide first")
        mpp = known_mpp(slide, ask_mpp)
        if mpp is None:
            return
        layer = shapes_layer(self.viewer)
        if layer is None:
            layer = Shapes(
                ndim=2,
                name="regions",
                scale=slide.scale[-2:],
                translate=slide.translate[-2:],
                units=slide.units[-2:],
            )
            self.viewer.add_layer(layer)
        # The layer's world unit in units of the slide, whose µm/px is known.
        factor = unit_factor(unit_of(layer), unit_of(slide))
        half = side / mpp * world_scale(slide) / factor / 2
        centre = np.array(self.viewer.scene.camera.center[-2:])
        corners = centre + half * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
        own = (corners - np.asarray(layer.translate)[-2:]) / np.asarray(layer.scale)[-2:]
        layer.add_rectangles(own, edge_color="yellow", face_color="transparent")
        set_name(layer, layer.nshapes - 1, "")

    def lay_out_ticked(self) -> None:
        """Makes the missing layouts of the regions with a tick."""
        facts = self.panel.layout_controls.facts
        if facts is None:
            raise ValueError("no checkpoint: choose one first")
        chosen = [self.regions[row] for row in self.table.rows]
        missing = [region for region in chosen if layout_of(self.viewer, region) is None]
        laid = placed(self.viewer, missing, facts.mpp, ask_mpp)
        source, name = str(self.source.value), UNSPECIFIED
        if source == FOUND and name not in facts.classes.names:
            answer = ask_class(list(facts.classes.names[1:]))
            if answer is None:
                return
            name = answer
        work = lay_out(laid, source, facts.classes, name)
        self.status.value = "laying out…"
        allow(self.lay_out, "the layouts are being made")
        self._work.do(work, partial(self._add, source == FOUND), self._failed)

    def _add(self, real: bool, made: list[Laid]) -> None:
        for one in made:
            # The shape must keep the name, because the layout is found by it.
            if NAME not in one.region.layer.features:
                set_name(one.region.layer, one.region.row, one.region.name)
            self.panel.layout_controls.sources.add_region(
                one.region, one.placement, one.layout, real
            )
            put_away(one.region.layer, one.region.row)
        count = sum(len(one.layout) for one in made if one.layout is not None)
        self.status.value = f"{len(made)} layouts, {count:,} points"
        self.refresh()

    def _failed(self, error: Exception) -> None:
        self.status.value = str(error)
        self.refresh()

    def sample(self, into_image: bool) -> None:
        """Queues the regions with a tick."""
        layouts = [layout_of(self.viewer, self.regions[row]) for row in self.table.rows]
        there = [layout for layout in layouts if layout is not None]
        self.panel.runs.plan.add(there, into_image)
        missing = len(layouts) - len(there)
        told = "1 region" if len(there) == 1 else f"{len(there)} regions"
        self.status.value = f"{told} to be sampled" + (
            f", {missing} without a layout left out" if missing else ""
        )


def size_of(region: Region) -> str:
    """Height and width of a region in µm; in its layer's unit if that is no length."""
    height, width = np.ptp(region.outline, axis=0)
    try:
        factor = unit_factor(unit_of(region.layer), "micrometer")
    except ValueError:
        return f"{height:.0f} × {width:.0f} {unit_of(region.layer)}"
    return f"{height * factor:.0f} × {width * factor:.0f}"


def _let_go(
    heard: list[tuple[SignalInstance, Callable[..., None]]],
    viewer_events: Hearing,
    shape_events: Hearing,
    work: Background,
    _: object,
) -> None:
    viewer_events.end()
    shape_events.end()
    work.close()
    for signal, action in heard:
        signal.disconnect(action, missing_ok=True)
