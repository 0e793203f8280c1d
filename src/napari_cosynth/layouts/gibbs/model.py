"""Layout models: a Gibbs point process of nuclei with classes, its file, and drawing from it.

A model has three parts, from coarse to fine: the number of nuclei of each class (from the tiles that it
was fitted to), smooth random fields of intensity that classes share or avoid (``fields``), and hard cores
and pair potentials between nuclei (``sampler``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.errors import one_of
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.known import find_layout_model
from napari_cosynth.layouts.gibbs.sampler import Interaction
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.types.classes import require

Floats = npt.NDArray[np.float64]
Row = tuple[float, ...]
Matrix = tuple[Row, ...]


def _array(value: object, shape: tuple[int, ...], name: str) -> Floats:
    try:
        array = np.array(value, np.float64)
    except ValueError:
        array = np.zeros(0)
    require(
        array.shape == shape and bool(np.isfinite(array).all()),
        f"{name}: expected {' x '.join(map(str, shape))} finite numbers",
    )
    return array


@dataclass(frozen=True)
class TissueModel:
    """The densities of one tissue's classes, and their variation in space."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    classes: tuple[str, ...]
    """The n classes of the model that occur in its tiles."""
    levels: Matrix
    """Nuclei per mm² by class, one row (n,) for each tile that it was fitted to."""
    responses: tuple[Matrix, ...]
    """Responses of the log intensities to the fields, at the model's nodes, (n, S, N)."""


@dataclass(frozen=True)
class LayoutModel:
    """A point process of class-tagged nuclei; lengths in µm."""

    __pydantic_config__ = FORBID_UNKNOWN

    classes: tuple[str, ...]
    """K names without the background."""
    colors: tuple[tuple[int, int, int], ...]
    """RGB of each class, 0..255."""
    hard_core: Matrix
    """Least distance between the centroids of two classes, symmetric (K, K)."""
    knots: Row
    """Distances at which the pair potentials are given, ascending (B,)."""
    potentials: tuple[Matrix, ...]
    """log of the factor by which a pair at a knot's distance is likelier, symmetric (K, K, B)."""
    scales: Row
    """s of the fields' covariances exp(-r² / (2 s²)), (S,)."""
    nodes: Row
    """Values of a field at which the responses to it are given, ascending (N,)."""
    tissues: tuple[TissueModel, ...]
    """Tissues by falling number of nuclei in the fit; the first is the default."""
    about: dict[str, Any] = field(default_factory=dict)
    """Origin of the model: data sets, tiles, licence."""
    format: Literal["napari-cosynth layout model"] = "napari-cosynth layout model"
    version: Literal[1] = 1

    def __post_init__(self) -> None:
        count = len(self.classes)
        table = self.table  # checks names and colours
        core = _array(self.hard_core, (count, count), "hard_core")
        require(
            bool((core >= 0).all()) and np.array_equal(core, core.T),
            "hard_core: expected distances of 0 or more that agree for both orders of two classes",
        )
        knots = _array(self.knots, (len(self.knots),), "knots")
        require(
            len(knots) >= 2 and bool((np.diff(knots) > 0).all()) and knots[0] > 0,
            "knots: expected at least two ascending distances above 0",
        )
        require(bool((core <= knots[-1]).all()), "hard_core: expected none above the last knot")
        require(knots[-1] <= 100, f"knots: expected at most 100 µm, got {knots[-1]:g}")
        pairs = _array(self.potentials, (count, count, len(knots)), "potentials")
        require(
            np.array_equal(pairs, pairs.transpose(1, 0, 2)),
            "potentials: expected values that agree for both orders of two classes",
        )
        require(bool((np.abs(pairs) <= 50).all()), "potentials: expected values in -50..50")
        scales = _array(self.scales, (len(self.scales),), "scales")
        require(bool((scales >= 5).all() and (scales <= 1000).all()), "scales: expected 5..1000 µm")
        nodes = _array(self.nodes, (len(self.nodes),), "nodes")
        require(
            len(nodes) >= 2 and bool((np.diff(nodes) > 0).all()),
            "nodes: expected at least two ascending values",
        )
        require(len(self.tissues) > 0, "tissues: expected at least one")
        names = [tissue.name for tissue in self.tissues]
        require(len(set(names)) == len(names), f"tissues: names repeat in {names}")
        for tissue in self.tissues:
            where = f"tissues: {tissue.name or 'unnamed'}"
            own = len(tissue.classes)
            for name in tissue.classes:
                require(name in table.names[1:], f"{where}: classes: unknown class {name!r}")
            require(
                own > 0 and len(set(tissue.classes)) == own,
                f"{where}: classes: expected at least one, each once",
            )
            require(len(tissue.levels) > 0, f"{where}: levels: expected at least one tile")
            levels = _array(tissue.levels, (len(tissue.levels), own), f"{where}: levels")
            require(bool((levels >= 0).all()), f"{where}: levels: expected 0 or more")
            responses = _array(
                tissue.responses, (own, len(scales), len(nodes)), f"{where}: responses"
            )
            require(bool((np.abs(responses) <= 20).all()), f"{where}: responses: expected -20..20")

    @property
    def table(self) -> ClassTable:
        return ClassTable(("background", *self.classes), np.array([(0, 0, 0), *self.colors]))

    @property
    def interaction(self) -> Interaction:
        return Interaction(
            np.array(self.hard_core), np.array(self.knots), np.array(self.potentials)
        )

    def tissue(self, name: str) -> TissueModel:
        """The tissue of this name, the first for "".

        Raises ValueError for an unknown name, listing the known ones.
        """
        for tissue in self.tissues:
            if name in ("", tissue.name):
                return tissue
        raise ValueError(f"tissue: {one_of(name, (tissue.name for tissue in self.tissues))}")

    def sample(
        self,
        shape: tuple[int, int],
        seed: int,
        mpp: float,
        tissue: str = "",
        counts: Mapping[str, int] | None = None,
        region: npt.NDArray[np.bool_] | None = None,
        existing: Layout | None = None,
    ) -> Layout:
        """A layout drawn from the model; the same arguments give the same layout.

        Args:
            shape: (H, W) of the canvas in pixels.
            mpp: µm per pixel.
            tissue: a name of ``tissues``; "" is the first.
            counts: exact numbers of nuclei by class, within the region if there is one; the model
                chooses the numbers of classes that are not named.
            region: bool (H, W), True where nuclei are drawn; None: everywhere.
            existing: a layout of this canvas. Its nuclei outside ``region`` stay, first and in their
                order, and condition the new ones; those inside are replaced.

        Raises:
            ValueError: an argument is out of range, unknown or does not fit the others, or ``counts``
                do not fit on the canvas.
        """
        from napari_cosynth.layouts.gibbs.drawing import draw

        return draw(self, shape, seed, mpp, tissue, counts or {}, region, existing)


def load_layout_model(path: str | Path) -> LayoutModel:
    """A layout model by bundled name ("default") or from a JSON file.

    Raises ValueError naming file and field.
    """
    file = find_layout_model(path)
    return parse(LayoutModel, read_json(file), str(file))


def layout_model_digest(path: str | Path) -> str:
    """SHA-256 of a model's file, hexadecimal. Raises ValueError where there is no such file."""
    return hashlib.sha256(find_layout_model(path).read_bytes()).hexdigest()


def save_layout_model(model: LayoutModel, path: str | Path) -> Path:
    """Writes a model as JSON, whole or not at all."""
    with replaced_file(Path(path)) as fresh:
        fresh.write_text(json.dumps(plain(model)) + "\n", encoding="utf-8")
    return Path(path)
