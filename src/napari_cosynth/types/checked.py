"""What the core types check themselves with."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt


def require(condition: bool, message: str) -> None:
    """Raises ValueError with the message where the condition does not hold."""
    if not condition:
        raise ValueError(message)


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of the array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view
