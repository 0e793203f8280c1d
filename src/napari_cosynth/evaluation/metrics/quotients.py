"""Quotients and means of counts; an undefined one is NaN, without a warning, and null in a report."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def quotient(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """``numerator / denominator`` element by element, float64; NaN where the denominator is 0."""
    top = np.asarray(numerator, np.float64)
    bottom = np.asarray(denominator, np.float64)
    defined = bottom != 0
    result = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=result, where=np.broadcast_to(defined, result.shape))
    return result


def mean_defined(values: npt.ArrayLike) -> float:
    """The mean of the values that are not NaN; NaN if all are."""
    array = np.asarray(values, np.float64)
    kept = array[~np.isnan(array)]
    return float(kept.mean()) if kept.size else float("nan")


def json_ready(value: Any) -> Any:
    """A value ready for JSON: numpy's numbers and arrays as Python's, None for a float not finite.

    Dicts, lists and tuples are converted through all levels.
    """
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
