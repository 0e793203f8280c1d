"""Outlines of nuclei in the XML files of Aperio's ImageScope (MoNuSeg, MoNuSAC) and of ASAP."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.positions import read_positions
from napari_cosynth.io.errors import one_line, shown, unreadable
from napari_cosynth.io.text import beginning
from napari_cosynth.io.units import stated_mpp

AMBIGUOUS = "ambiguous"
"""Name of MoNuSAC's regions that its annotators could not identify; they are not nuclei."""
_NO_CLASS = ("", "description", "none")
"""Names that stand for no class: ImageScope's unnamed attributes, ASAP's missing group."""
_AREAS = ("polygon", "spline", "rectangle")
"""ASAP's kinds of annotation that have an area."""


@dataclass(frozen=True)
class Region:
    """One outlined nucleus."""

    outline: npt.NDArray[np.float64]
    """float64 (N, 2), N >= 3, (x, y) in pixels; the origin is the corner of the top left pixel."""
    class_name: str
    """Empty if the file names none."""
    holes: tuple[npt.NDArray[np.float64], ...] = ()
    """The regions of the same annotation that are marked as negative (``NegativeROA``)."""


@dataclass
class Outlines:
    """The nuclei of one file, its pixel size, and counts of what was left out."""

    regions: list[Region] = field(default_factory=list)
    mpp: float | None = None
    """µm/px, if the file states it (``MicronsPerPixel``)."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of things that are no nucleus, by a description in words."""


def is_outline_xml(head: bytes) -> bool:
    """Whether a file is such XML, by its first bytes."""
    text = beginning(head)
    return "<Annotations" in text or "<ASAP_Annotations" in text


def read_outlines(path: Path) -> Outlines:
    """The outlines of a file. Raises ValueError naming the file and the damaged region.

    Slips of the mouse (fewer than three vertices), points, lines and ambiguous regions are left out and
    counted.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        # The last two of an encoding that is unknown, or that expat does not read.
        raise unreadable(path, "cannot be read as XML", error) from None
    found = Outlines()
    if root.tag == "ASAP_Annotations":
        _read_asap(root, path, found)
    elif root.tag == "Annotations":
        _read_aperio(root, path, found)
    else:
        raise ValueError(f"{path}: expected Annotations of Aperio or ASAP, got {shown(root.tag)}")
    return found


def _read_aperio(root: ElementTree.Element, path: Path, found: Outlines) -> None:
    found.mpp = stated_mpp(root.get("MicronsPerPixel", ""))
    number = 0
    for annotation in root.findall("./Annotation") or [root]:  # some writers leave the layers out
        name = _class_of(annotation)
        outlines: list[npt.NDArray[np.float64]] = []
        holes: list[npt.NDArray[np.float64]] = []
        for region in annotation.iterfind(".//Region"):
            number += 1
            vertices = region.findall("./Vertices/Vertex")
            outline = _outline(vertices, f"{path}: region {number}", found)
            if outline is not None:
                negative = region.get("NegativeROA", "0").strip() not in ("", "0", "false")
                (holes if negative else outlines).append(outline)
        if name.lower() == AMBIGUOUS:
            found.left_out["ambiguous regions"] += len(outlines)
            continue
        cut = tuple(holes)
        found.regions += [Region(outline, name, cut) for outline in outlines]


def _class_of(annotation: ElementTree.Element) -> str:
    """The class of an annotation, which is a layer: its name, or its first attribute's (MoNuSAC)."""
    names = [annotation.get("Name", "")]
    names += [a.get("Name", "") for a in annotation.iterfind("./Attributes/Attribute")]
    return next((name.strip() for name in names if name.strip().lower() not in _NO_CLASS), "")


def _read_asap(root: ElementTree.Element, path: Path, found: Outlines) -> None:
    for number, annotation in enumerate(root.iterfind("./Annotations/Annotation"), start=1):
        if annotation.get("Type", "Polygon").lower() not in _AREAS:
            found.left_out["points and lines"] += 1
            continue
        vertices = annotation.findall("./Coordinates/Coordinate")
        outline = _outline(vertices, f"{path}: annotation {number}", found)
        if outline is not None:
            group = annotation.get("PartOfGroup", "").strip()
            found.regions.append(Region(outline, "" if group.lower() in _NO_CLASS else group))


def _outline(
    vertices: list[ElementTree.Element], where: str, found: Outlines
) -> npt.NDArray[np.float64] | None:
    try:
        points = [(float(vertex.attrib["X"]), float(vertex.attrib["Y"])) for vertex in vertices]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where}: expected vertices with X and Y ({one_line(error)})") from None
    if len(points) < 3:
        found.left_out["regions of fewer than three vertices"] += 1
        return None
    return read_positions(points, where)
