"""Shares and what is missing to a target, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.layouts.drawn.composition import missing, shares


def test_shares_are_parts_of_all() -> None:
    np.testing.assert_allclose(shares(np.array([30, 10, 0])), [0.75, 0.25, 0])
    np.testing.assert_array_equal(shares(np.array([0, 0])), [0, 0])


def test_what_is_missing_makes_the_share() -> None:
    assert missing(10, 100, 0.25) == 20  # 30 of 120
    assert missing(50, 100, 0.2) == -38  # 12 of 62, as near as whole points come to 20 %
    assert missing(0, 0, 0.5) == 0
    with pytest.raises(ValueError, match="below 1"):
        missing(1, 2, 1.0)
