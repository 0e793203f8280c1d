"""Class tables: nucleus classes by name and colour; and the checks that all core types use."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import nearest

BACKGROUND = "background"


def require(condition: bool, message: str) -> None:
    """Raises ValueError with this message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of the array that cannot be written to."""
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
        require(
            len(names) >= 2 and names[0] == BACKGROUND,
            f"classes: expected {BACKGROUND!r} first and at least one more, got {list(names)}",
        )
        require(len(set(names)) == len(names), f"classes: names repeat in {list(names)}")
        require(len(names) <= 255, f"classes: at most 255, got {len(names)}")
        require(
            colors.shape == (len(names), 3),
            f"classes: expected colours of shape ({len(names)}, 3), got {colors.shape}",
        )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "colors", frozen(colors))

    @classmethod
    def of(cls, *names: str) -> ClassTable:
        """A table of the background and these class names, in the default palette."""
        return cls((BACKGROUND, *names), default_palette(len(names) + 1))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassTable) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def index(self, name: str) -> int:
        """The id of a class name. Raises ValueError for an unknown name, listing the known ones."""
        try:
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names[1:])
            hint = nearest(name, self.names[1:])
            raise ValueError(f"unknown class {name!r}{hint}; known are: {known}") from None


def default_palette(count: int) -> npt.NDArray[np.uint8]:
    """``count`` distinct colours, uint8 (count, 3), black first.

    The first eight are Okabe and Ito's palette, the others are evenly spaced hues.
    """
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
    extra = [
        tuple(round(255 * v) for v in colorsys.hsv_to_rgb((0.618 * i) % 1.0, 0.65, 0.9))
        for i in range(max(0, count - len(okabe_ito)))
    ]
    return np.array((okabe_ito + extra)[:count], dtype=np.uint8)


BUNDLED = ClassTable.of(
    "inflammatory",
    "healthy epithelial",
    "malignant epithelial",
    "spindle-shaped",
    "miscellaneous",
    "unspecified",
)
"""The classes of the bundled model."""
