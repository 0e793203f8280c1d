"""A Points layer <-> a :class:`Layout`: the layout is an ordinary Points layer with a ``class``.

Beside the tag that every layer of the plugin has (:mod:`.tags`), a layout's ``metadata["cosynth"]``
holds ``shape``, the (H, W) of its canvas. Its features are ``class``, a Categorical of the class names,
and ``note``, the finding of instance separation about the point; it is empty if all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Layer, Points

from napari_cosynth.types import ClassTable, Layout, Report
from napari_cosynth.widget.layers.appearance import (
    POINT_SIZE,
    class_cycle,
    class_symbols,
    smoothing,
)
from napari_cosynth.widget.layers.placement import Placement, placement_of
from napari_cosynth.widget.layers.tags import KEY, Tag, read_tag

SAMPLE_KEY = "cosynth_sample"
"""``layer.metadata[SAMPLE_KEY]`` of a result: its :class:`Synthesis`, the sample as it was made."""
OUTLINE = "outline"
"""Key in a layout's ``metadata["cosynth"]``: corners of the polygon that the layout covers, if any."""
NOTES = ("", "missed", "merged", "flagged")
_PLAIN, _OUTSIDE = (0.0, 0.0, 0.0, 1.0), (1.0, 0.1, 0.1, 1.0)
_NOTE_COLORS = {
    "missed": (1.0, 0.1, 0.1, 1.0),
    "merged": (1.0, 0.0, 1.0, 1.0),
    "flagged": (1.0, 1.0, 1.0, 1.0),
}


def class_table_of(layer: Layer) -> ClassTable:
    """The class table in a layer's metadata. Raises ValueError if there is none."""
    tag = read_tag(layer.metadata)
    if tag is None:
        raise ValueError(f"{layer.name}: not a layer of CoSynth (its metadata names no classes)")
    return tag.classes


def is_layout(layer: Layer | None) -> TypeGuard[Points]:
    """True for a Points layer with a canvas of its own, which the dock can edit."""
    if not isinstance(layer, Points) or layer.ndim != 2:
        return False
    tag = read_tag(layer.metadata)
    return tag is not None and tag.role == "layout" and "shape" in layer.metadata[KEY]


def class_column(names: Sequence[str] | npt.NDArray[Any], classes: ClassTable) -> pd.Categorical:
    """Class names as the ``class`` feature; its categories are the table's, background left out."""
    return pd.Categorical(names, categories=list(classes.names[1:]))


def no_notes(count: int) -> pd.Categorical:
    """The ``note`` feature of ``count`` points without a note."""
    return pd.Categorical([""] * count, categories=list(NOTES))


def layout_layer(layout: Layout, placement: Placement, name: str = "layout") -> Points:
    """A new Points layer that shows a layout; it is not yet in a viewer."""
    names = np.array(layout.classes.names, object)[layout.class_ids]
    features = pd.DataFrame(
        {
            "class": class_column(names, layout.classes),
            "note": no_notes(len(layout)),
        }
    )
    layer = Points(
        np.asarray(layout.centroids, np.float64),
        ndim=2,
        name=name,
        features=features,
        size=POINT_SIZE,
        border_width=0.12,
        border_color=np.array([_PLAIN]),
        antialiasing=smoothing(len(layout)),
        face_color="class",
        face_color_cycle=class_cycle(layout.classes),
        feature_defaults={"class": layout.classes.names[1], "note": ""},
        metadata={KEY: layout_metadata(placement, layout.classes, name)},
        **placement.layer_kwargs,
    )
    return layer


def points_kwargs(class_ids: npt.NDArray[np.integer[Any]], classes: ClassTable) -> dict[str, Any]:
    """Keyword arguments for Points coloured by a categorical ``class`` column."""
    names = np.array(classes.names, object)[class_ids]
    return {
        "features": pd.DataFrame({"class": class_column(names, classes)}),
        "feature_defaults": {"class": classes.names[1]},
        "face_color": "class",
        "face_color_cycle": class_cycle(classes),
        "size": POINT_SIZE,
        "border_width": 0.12,
        "border_color": "black",
    }


def layout_metadata(placement: Placement, classes: ClassTable, name: str) -> dict[str, Any]:
    """The content of ``metadata["cosynth"]`` of a layout called ``name``."""
    tag = Tag("layout", name, classes, placement.mpp).metadata()[KEY]
    return {**tag, "shape": list(placement.shape)}


def current_class(layer: Points) -> str:
    """The class of the next point."""
    return str(layer.feature_defaults["class"].iloc[0])


def set_current_class(layer: Points, name: str) -> None:
    """Sets the class of the next point only.

    ``current_properties`` would also re-tag the selection, and a point just added is selected.
    """
    defaults = {column: layer.feature_defaults[column].iloc[0] for column in layer.features}
    layer.feature_defaults = {**defaults, "class": name, "note": ""}
    id_ = _id(name, class_table_of(layer))
    with layer.block_update_properties():
        layer.current_symbol = class_symbols(np.array([id_]))[0]


def set_features(layer: Points, features: pd.DataFrame) -> None:
    """Sets the features of all points and leaves the next point's class as it is.

    Whenever features are set, napari uses the last row's values for the next point. It also appends
    rows whose class is a plain string; the column is then no longer a Categorical.
    """
    upcoming = current_class(layer) if "class" in layer.feature_defaults else None
    classes = class_table_of(layer)
    if not isinstance(features["class"].dtype, pd.CategoricalDtype):
        features = features.assign(**{"class": class_column(features["class"], classes)})
    layer.features = features
    if upcoming in classes.names[1:]:
        set_current_class(layer, str(upcoming))


def set_outline(layer: Points, outline: npt.NDArray[np.float64] | None) -> None:
    """Sets the polygon that a layout covers, in canvas pixels, (N, 2); None: the whole canvas."""
    layer.metadata[KEY].pop(OUTLINE, None)
    if outline is not None:
        layer.metadata[KEY][OUTLINE] = np.asarray(outline, float).tolist()


def outline_of(layer: Points) -> npt.NDArray[np.float64] | None:
    """The polygon that a layout covers, in canvas pixels, (N, 2); None: the whole canvas."""
    found = layer.metadata[KEY].get(OUTLINE)
    return None if found is None else np.array(found, np.float64)


def class_ids_of(layer: Points, classes: ClassTable) -> npt.NDArray[np.int64]:
    """The class id of each point, int64 (N,); 0 if its class is unknown or missing."""
    column = layer.features.get("class")
    if column is None:
        return np.zeros(len(layer.data), np.int64)
    # One look-up for each distinct value, not for each point: a layout may have 100,000 points.
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, values = pd.factorize(column)
    return np.array([*(_id(value, classes) for value in values), 0], np.int64)[codes]


def _id(value: Any, classes: ClassTable) -> int:
    """Class id of a class name, a number or a number as text; 0 if the table has no such class."""
    if value in classes.names[1:]:
        return classes.names.index(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0
    return int(number) if number.is_integer() and 1 <= number < len(classes) else 0


def placement_from(layer: Points) -> Placement:
    """The canvas of a layout layer."""
    table = layer.metadata[KEY]
    height, width = table["shape"]
    return placement_of(layer, (int(height), int(width)), float(table["mpp"]))


def layout_from(layer: Points) -> Layout:
    """The layout that a layer shows. Raises ValueError naming the layer, the point and the reason."""
    classes = class_table_of(layer)
    placement = placement_from(layer)
    outside = np.flatnonzero(~placement.inside(layer.data))
    if outside.size:
        count = f"{outside.size} points lie" if outside.size > 1 else "1 point lies"
        raise ValueError(
            f"{layer.name}: {count} outside the canvas (marked red): move or delete them"
        )
    ids = class_ids_of(layer, classes)
    if (ids == 0).any():
        row = int(np.flatnonzero(ids == 0)[0])
        raise ValueError(
            f"{layer.name}: point {row} has no known class; known are: "
            + ", ".join(classes.names[1:])
        )
    try:
        return Layout(
            layer.data.astype(np.float32),
            ids.astype(np.uint8),
            placement.shape,
            placement.mpp,
            classes,
        )
    except ValueError as error:
        raise ValueError(f"{layer.name}: {error}") from None


def set_notes(layer: Points, report: Report) -> None:
    """Writes the findings of instance separation into the ``note`` feature and marks the points."""
    notes = np.full(len(layer.data), "", object)
    for note in ("flagged", "merged", "missed"):
        rows = np.array([i - 1 for i in getattr(report, note)], np.int64)
        notes[rows[rows < len(notes)]] = note
    # With Live on, most edits change no note, and marking the points takes time.
    if "note" in layer.features and np.array_equal(layer.features["note"].to_numpy(), notes):
        return
    features = layer.features.copy()
    features["note"] = pd.Categorical(notes, categories=list(NOTES))
    set_features(layer, features)
    show_marks(layer)


def show_marks(layer: Points) -> None:
    """Sets borders and symbols so that points outside the canvas and points with a note stand out."""
    count = len(layer.data)
    if not count:
        return
    outside = ~placement_from(layer).inside(layer.data)
    symbols = _symbols(layer, outside)
    colors = np.tile(np.array(_PLAIN), (count, 1))
    widths = np.full(count, 0.12)
    note = layer.features.get("note")
    for name, color in _NOTE_COLORS.items():
        rows = np.zeros(count, bool) if note is None else (note == name).to_numpy()
        colors[rows], widths[rows] = color, 0.4
    colors[outside], widths[outside] = _OUTSIDE, 0.4
    layer.border_color = colors
    layer.border_width = widths
    layer.symbol = symbols


def shows_classes(layer: Points) -> bool:
    """Whether every point has its class' symbol; napari does not change it when a point is re-tagged."""
    wanted = _symbols(layer, ~placement_from(layer).inside(layer.data))
    return [s.value for s in layer.symbol] == wanted.tolist()


def _symbols(layer: Points, outside: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    symbols = class_symbols(class_ids_of(layer, class_table_of(layer)))
    if "note" in layer.features:
        symbols[(layer.features["note"] == "missed").to_numpy()] = "ring"
    symbols[outside] = "x"
    return symbols


def style_new_points(layer: Points) -> None:
    """Makes new points look like the existing ones: coloured by class, of the same size.

    A layer that was opened as data, or recoloured by hand, has fixed colours and napari's default size.
    """
    if layer.face_color_mode != "cycle":
        layer.face_color_cycle = class_cycle(class_table_of(layer))  # type: ignore[assignment]
        layer.face_color = "class"
    size = float(np.median(layer.size)) if len(layer.data) else POINT_SIZE
    if not layer.selected_data:  # it would resize the selected ones
        layer.current_size = size
