"""The weights of a smaller network from those of a larger one: fewer blocks, narrower levels.

What comes out is a start for distillation (``training.adversarial.teacher``), not a finished network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_cosynth.model.unet import NetworkConfig

_BY_CLASS = (
    "network.labels.weight",
    "network.points.classes.weight",
    "network.head.weight",
    "network.head.bias",
)
"""Weights whose rows are classes, which are matched by name (``training.initial``)."""


def fits_within(small: NetworkConfig, large: NetworkConfig) -> bool:
    """Whether ``small`` has the levels of ``large``, with no more blocks and no wider ones."""
    pairs = [(small.widths, large.widths), (small.blocks, large.blocks)]
    return all(
        len(ours) == len(theirs) and all(a <= b for a, b in zip(ours, theirs, strict=True))
        for ours, theirs in pairs
    )


def shrunk(
    weights: dict[str, Tensor], old: NetworkConfig, wanted: dict[str, Tensor], new: NetworkConfig
) -> dict[str, Tensor]:
    """``weights`` of a network ``old``, cut to the widths and blocks of a network ``new``.

    ``wanted`` are the weights of ``new``; what the old network lacks is as in them. Along each axis
    evenly spaced channels are kept, separately in the two parts of a concatenation. Weights of the
    inputs grow by the root of the quotient of the numbers of inputs, so that sums keep their variance.
    Classes and numbers of the look are left as they are.
    """
    kept = _of_fewer_blocks(weights, old.blocks, new.blocks)
    for key, value in kept.items():
        for axis, size in enumerate(wanted[key].shape[:2] if key in wanted else ()):
            if value.shape[axis] <= size or (axis == 0 and key in _BY_CLASS):
                continue
            parts = _concatenated(key, value.shape[axis], old, new) or [(value.shape[axis], size)]
            index = _evenly(parts)
            if axis == 1:
                value = value * (value.shape[1] / len(index)) ** 0.5
            value = value.index_select(axis, index)
        kept[key] = value
    # A block whose widths have become equal, or unequal, has its shortcut convolution gone, or new.
    return {key: kept.get(key, value) for key, value in wanted.items()}


def _concatenated(
    key: str, size: int, old: NetworkConfig, new: NetworkConfig
) -> list[tuple[int, int]]:
    """Old and new widths of the two parts that an axis of ``size`` joins; none where it joins nothing."""
    parts = []
    if key == "network.head.weight":  # the last level and the features of the points
        rest = size - old.widths[0]
        parts = [(old.widths[0], new.widths[0]), (rest, rest)]
    elif key.startswith("network.up."):  # what comes from below and from the skip
        _, _, level, number, *_ = key.split(".")
        last, here = len(old.widths) - 1, len(old.widths) - 1 - int(level)
        below = min(here + 1, last) if number == "0" else here
        skip = max(here - 1, 0) if int(number) == new.blocks[here] else here
        parts = [(old.widths[i], new.widths[i]) for i in (below, skip)]
    return parts if sum(before for before, _ in parts) == size else []


def _evenly(parts: list[tuple[int, int]]) -> Tensor:
    """Of parts that lie one after another, the indices of the channels that are kept."""
    found, start = [], 0
    for before, now in parts:
        found.append(start + torch.arange(now) * before // now)
        start += before
    return torch.cat(found)


def _of_fewer_blocks(
    weights: dict[str, Tensor], old: tuple[int, ...], new: tuple[int, ...]
) -> dict[str, Tensor]:
    """The weights without the stages that a network with ``new`` blocks a level lacks.

    On the way down a level's first block has the input's channels, so the first blocks are kept, and the
    last of them gets the attention that followed the last. On the way up the first and the last block
    have channels of their own, so the last is kept as the last.
    """
    kept = {}
    for key, value in weights.items():
        if not key.startswith(("network.down.", "network.up.")):
            kept[key] = value
            continue
        _, way, level, number, part, tail = key.split(".", 5)
        up = way == "up"
        index = len(old) - 1 - int(level) if up else int(level)
        before, now = (blocks[index] + up for blocks in (old, new))
        place = int(number)
        if place == before - 1 and (up or part != "block"):
            place = now - 1
        elif place >= now - up:
            continue
        kept[f"network.{way}.{level}.{place}.{part}.{tail}"] = value
    return kept
