"""The core types: frozen dataclasses over numpy arrays, checked where they are made.

Every array's shape, dtype, unit and range stands in its field's docstring. Coordinates are ``(y, x)``
in pixels with pixel centres at integers, as in napari, so a canvas of shape ``(H, W)`` covers
``[-0.5, H - 0.5) x [-0.5, W - 0.5)``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

BACKGROUND = "background"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class ClassTable:
    """The nucleus classes of a data set or a checkpoint; index 0 is the background."""

    names: tuple[str, ...]
    """K unique names, ``names[0] == "background"``."""
    colors: npt.NDArray[np.uint8]
    """RGB, uint8 (K, 3)."""

    def __post_init__(self) -> None:
        names = tuple(self.names)
        colors = np.asarray(self.colors, dtype=np.uint8)
        _require(
            len(names) >= 2 and names[0] == BACKGROUND,
            f"classes: expected {BACKGROUND!r} first and at least one more, got {list(names)}",
        )
        _require(len(set(names)) == len(names), f"classes: names repeat in {list(names)}")
        _require(len(names) <= 255, f"classes: at most 255, got {len(names)}")
        _require(
            colors.shape == (len(names), 3),
            f"classes: expected colours of shape ({len(names)}, 3), got {colors.shape}",
        )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "colors", _frozen(colors))

    @classmethod
    def of(cls, *names: str) -> ClassTable:
        """A table of these class names (without the background) in the default palette."""
        return cls((BACKGROUND, *names), default_palette(len(names) + 1))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassTable) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def index(self, name: str) -> int:
        """The id of a class name. Raises ValueError that lists the known names."""
        try:
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names[1:])
            raise ValueError(f"unknown class {name!r}; known are: {known}") from None


def default_palette(count: int) -> npt.NDArray[np.uint8]:
    """``count`` distinct colours, black first (Okabe and Ito's palette, then evenly spaced hues)."""
    okabe_ito = [
        (0, 0, 0),
        (230, 159, 0),
        (0, 158, 115),
        (213, 94, 0),
        (86, 180, 233),
        (240, 228, 66),
        (204, 121, 167),
        (0, 114, 178),
    ]
    import colorsys

    extra = [
        tuple(round(255 * v) for v in colorsys.hsv_to_rgb((0.618 * i) % 1.0, 0.65, 0.9))
        for i in range(max(0, count - len(okabe_ito)))
    ]
    return np.array((okabe_ito + extra)[:count], dtype=np.uint8)


@dataclass(frozen=True)
class Layout:
    """Class-tagged nucleus centroids on a canvas."""

    centroids: npt.NDArray[np.float32]
    """float32 (N, 2), (y, x) in pixels, inside the canvas."""
    class_ids: npt.NDArray[np.uint8]
    """uint8 (N,), 1..K-1."""
    shape: tuple[int, int]
    """(H, W) of the canvas in pixels."""
    mpp: float
    """Micrometres per pixel."""
    classes: ClassTable

    def __post_init__(self) -> None:
        centroids = np.asarray(self.centroids, dtype=np.float32).reshape(-1, 2)
        raw_ids = np.asarray(self.class_ids).reshape(-1)
        shape = tuple(int(v) for v in self.shape)
        _require(
            len(shape) == 2 and min(shape) > 0, f"shape: expected (H, W) above 0, got {self.shape}"
        )
        _require(
            len(raw_ids) == len(centroids),
            f"class_ids: expected {len(centroids)} of them, one per centroid, got {len(raw_ids)}",
        )
        _require(
            np.isfinite(self.mpp) and self.mpp > 0,
            f"mpp: expected micrometres per pixel above 0, got {self.mpp}",
        )
        unknown = np.flatnonzero(~np.isfinite(centroids).all(1))
        if unknown.size:
            y, x = centroids[unknown[0]]
            raise ValueError(f"point {unknown[0]}: expected finite coordinates, got ({y}, {x})")
        outside = np.flatnonzero(
            (centroids < -0.5).any(1) | (centroids >= np.array(shape) - 0.5).any(1)
        )
        if outside.size:
            y, x = centroids[outside[0]]
            raise ValueError(
                f"point {outside[0]} at ({y:g}, {x:g}) lies outside the canvas of {shape[0]} x "
                f"{shape[1]} pixels"
                + (f" (and {outside.size - 1} more)" if outside.size > 1 else "")
            )
        bad = np.flatnonzero((raw_ids < 1) | (raw_ids >= len(self.classes)))
        if bad.size:
            raise ValueError(
                f"point {bad[0]}: expected a class id in 1..{len(self.classes) - 1}, "
                f"got {raw_ids[bad[0]]}"
            )
        object.__setattr__(self, "centroids", _frozen(centroids))
        object.__setattr__(self, "class_ids", _frozen(raw_ids.astype(np.uint8)))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "mpp", float(self.mpp))

    def __len__(self) -> int:
        return len(self.centroids)

    def scaled_to(self, mpp: float) -> Layout:
        """This layout on a grid of another pixel size; the canvas keeps its extent in micrometres.

        Pixel *corners* stay in place, so centres move by ``(factor - 1) / 2``.
        """
        factor = self.mpp / mpp
        if np.isclose(factor, 1.0, rtol=1e-6):
            return dataclasses.replace(self, mpp=mpp)
        shape = (max(1, round(self.shape[0] * factor)), max(1, round(self.shape[1] * factor)))
        ratio = np.array(shape, np.float64) / np.array(self.shape)
        centroids = (self.centroids.astype(np.float64) + 0.5) * ratio - 0.5
        return Layout(centroids.astype(np.float32), self.class_ids, shape, mpp, self.classes)


@dataclass(frozen=True)
class Record:
    """One annotated patch or tile: what training reads, synthesis makes and exports store."""

    image: npt.NDArray[np.uint8]
    """RGB, uint8 (H, W, 3), 0..255."""
    instances: npt.NDArray[np.int32]
    """int32 (H, W), 0 where there is no nucleus."""
    labels: npt.NDArray[np.uint8]
    """Semantic labels, uint8 (H, W), 0..K-1; above 0 exactly where ``instances`` is."""
    distance: npt.NDArray[np.float32]
    """float32 (H, W) in [0, 1]: 1 at a nucleus' centroid, falling to its rim, 0 outside."""
    layout: Layout
    mpp: float
    """Micrometres per pixel."""
    tissue: str
    """Organ or tissue as a prompt names it; empty if unknown."""
    source: str
    """Where the record comes from: a file or a recipe, for error messages and provenance."""
    stain: str = "H&E"

    def __post_init__(self) -> None:
        image, shape = np.asarray(self.image), np.shape(self.instances)
        _require(
            image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3,
            f"{self.source}: image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}",
        )
        for name, dtype in (
            ("instances", np.int32),
            ("labels", np.uint8),
            ("distance", np.float32),
        ):
            array = np.asarray(getattr(self, name))
            _require(
                array.dtype == dtype and array.shape == image.shape[:2],
                f"{self.source}: {name}: expected {np.dtype(dtype)} {image.shape[:2]}, "
                f"got {array.dtype} {array.shape}",
            )
        _require(
            self.layout.shape == shape,
            f"{self.source}: layout: expected a canvas of {shape}, got {self.layout.shape}",
        )
        for name in ("image", "instances", "labels", "distance"):
            object.__setattr__(self, name, _frozen(np.asarray(getattr(self, name))))

    @property
    def classes(self) -> ClassTable:
        return self.layout.classes


@dataclass(frozen=True)
class Report:
    """What instance separation found; rows and instance ids are ``row of the layout + 1``."""

    missed: tuple[int, ...] = ()
    """Ids of points with no foreground under them."""
    spurious: tuple[int, ...] = ()
    """Ids (above N) of foreground components that no point reaches."""
    merged: tuple[int, ...] = ()
    """Ids of instances with more than one peak in the distance map."""
    flagged: tuple[int, ...] = ()
    """Ids of instances whose majority class is not their point's."""

    def to_json(self) -> dict[str, list[int]]:
        return {f.name: list(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, value: dict[str, list[int]]) -> Report:
        return cls(**{f.name: tuple(value.get(f.name, ())) for f in dataclasses.fields(cls)})


@dataclass(frozen=True)
class Request:
    """Everything that decides a synthesis; together with the checkpoint's bytes, its recipe."""

    layout: Layout
    prompt: str
    checkpoint: str = "default"
    """Name of a bundled checkpoint, or the path of a checkpoint folder."""
    sampler: str = "fast"
    steps: int = 20
    guidance: float = 1.0
    """w of Eq. 6: 0 ignores the text, 1 uses it as trained, above 1 exaggerates it."""
    seeds: tuple[int, ...] = (0,)
    tissue: str = ""
    stain: str = "H&E"
    device: str = "auto"
    preview_every: int = 0
    """Show the clean estimate every so many steps; 0 never."""
    scratch: str = ""
    """Folder that keeps the state of a canvas sampled by windows, so that a killed run goes on from its
    last step; empty: nothing is kept."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"steps: expected at least 1, got {self.steps}")
        _require(
            bool(np.isfinite(self.guidance)) and 0 <= self.guidance <= 20,
            f"guidance: expected a number in 0..20, got {self.guidance}",
        )
        _require(len(self.seeds) >= 1, "seeds: expected at least one")
        for seed in self.seeds:
            _require(0 <= seed < 2**63, f"seed: expected 0..2^63-1, got {seed}")
        _require(
            self.preview_every >= 0, f"preview_every: expected 0 or more, got {self.preview_every}"
        )


@dataclass(frozen=True)
class Progress:
    """One state of a running synthesis."""

    seed: int
    index: int
    """Which of the request's seeds, from 0."""
    count: int
    step: int
    """Steps of this sample done so far, 1..steps; 0 while the first is under way."""
    steps: int
    image: npt.NDArray[np.uint8] | None = None
    """Preview of the clean image, uint8 (H, W, 3), on preview steps."""
    labels: npt.NDArray[np.uint8] | None = None
    """Preview of the semantic labels, uint8 (H, W), on preview steps."""
    part: float = 0.0
    """The share of the next step that is done, 0..1, where a large canvas takes long for one."""


@dataclass(frozen=True)
class Synthesis:
    """One finished sample."""

    record: Record
    request: Request
    seed: int
    report: Report
    raw_labels: npt.NDArray[np.uint8]
    """Semantic labels as sampled, uint8 (H, W); ``record.labels`` has one class per instance."""
    seconds: float = 0.0
    """Wall time of this sample."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Checkpoint name and sha256, device, precision, package versions."""
    patch: npt.NDArray[np.uint8] | None = None
    """Of a region of a real image: what takes its place there, uint8 (h, w, 3) on that image's own grid;
    ``record`` is the region on the checkpoint's."""

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What reproduces this sample, JSON-ready; the layout is stored beside it."""
        request = self.request
        return {
            "synthetic": True,
            "seed": self.seed,
            "prompt": request.prompt,
            "tissue": request.tissue,
            "stain": request.stain,
            "sampler": request.sampler,
            "steps": request.steps,
            "guidance": request.guidance,
            **self.provenance,
            "report": self.report.to_json(),
        }
