"""Windows cover a canvas, and their shares of every pixel sum to one."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.geometry.windows import Windows


@pytest.mark.parametrize("length", [16, 256, 272, 400, 1024, 1040])
@pytest.mark.parametrize("step", [0, 1, 2, 7])
def test_shares_of_every_pixel_sum_to_one(length: int, step: int) -> None:
    windows = Windows(256, 64, 16)
    for axis in windows.over((length, length), step):
        total = np.zeros(length)
        for start, shares in zip(axis.starts, axis.shares, strict=True):
            assert start % 16 == 0 and 0 <= start <= length - axis.side
            total[start : start + axis.side] += shares
        np.testing.assert_allclose(total, 1, atol=1e-6)
        assert axis.starts[0] == 0 and axis.finished(len(axis.starts) - 1) == length


def test_one_window_has_all_of_its_canvas() -> None:
    rows, columns = Windows(256, 64, 16).over((256, 128), 3)
    assert rows.starts == columns.starts == (0,)
    assert (rows.shares == 1).all() and (columns.shares == 1).all()


def test_windows_move_from_step_to_step() -> None:
    starts = {Windows().over((1024, 1024), step)[0].starts for step in range(6)}
    assert len(starts) > 3


def test_a_rim_inside_the_canvas_counts_little() -> None:
    axis = Windows(256, 64, 16).over((1024, 1024), 0)[0]
    assert axis.shares[1, :8].max() < 0.05 and axis.shares[1, 128] == 1


@pytest.mark.parametrize("side,overlap", [(256, 0), (256, 200), (250, 64)])
def test_windows_that_cannot_be_are_refused(side: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="windows: expected"):
        Windows(side, overlap, 16)
