"""The weights of a smaller network from those of a larger one: fewer blocks, narrower levels.

What comes out is a start for distillation (``training.adversarial.teacher``), not a finished network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_cosynth.model.unet import NetworkConfig


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
    """``weights`` of a network ``old``, cut to the shapes of ``wanted``, those of a network ``new``.

    Along each axis evenly spaced channels are kept, separately in the two parts of a concatenation.
    Weights of the inputs grow by the root of the share that was left out, so that sums keep their
    variance. Only keys that begin with ``network.`` are cut.
    What the old network lacks is as in ``wanted``.
    """
    kept = _of_fewer_blocks(weights, old.blocks, new.blocks)
    for key, value in kept.items():
        target = wanted.get(key)
        # Classes, words and numbers of the look are matched by name elsewhere.
        if target is None or not key.startswith("network.") or _by_name_elsewhere(key):
            continue
        for axis in range(min(2, value.ndim)):
            if value.shape[axis] == target.shape[axis]:
                continue
            index = _kept(key, axis, value.shape[axis], target.shape[axis], old, new)
            if axis == 1:
                value = value * (value.shape[1] / len(index)) ** 0.5
            value = value.index_select(axis, index)
        kept[key] = value
    # A block whose widths have become equal, or unequal, has its shortcut convolution gone, or new.
    return {key: kept.get(key, value) for key, value in wanted.items()}


def _by_name_elsewhere(key: str) -> bool:
    return key in ("network.labels.weight", "network.points.classes.weight", "network.head.bias")


def _kept(
    key: str, axis: int, before: int, now: int, old: NetworkConfig, new: NetworkConfig
) -> Tensor:
    """The indices of an axis that are kept, int64 (now,)."""
    if key == "network.head.weight":
        if axis == 0:  # its rows are the classes'
            return torch.arange(before)
        parts = [(old.widths[0], new.widths[0]), (before - old.widths[0], now - new.widths[0])]
    elif key.startswith("network.up.") and (place := _input_of_up(key, before, old, new)):
        parts = place
        if sum(n for _, n in parts) != now:
            parts = [(before, now)]
    else:
        parts = [(before, now)]
    found, start = [], 0
    for size, kept in parts:
        found.append(start + torch.arange(kept) * size // max(1, kept))
        start += size
    return torch.cat(found)


def _input_of_up(
    key: str, before: int, old: NetworkConfig, new: NetworkConfig
) -> list[tuple[int, int]]:
    """Old and new widths of what a stage on the way up concatenates: from below and from its skip."""
    level = len(old.widths) - 1 - int(key.split(".")[2])
    near = range(len(old.widths))
    for below in near:
        for skip in near:
            fits = below in (level, level + 1) and skip in (level, level - 1)
            if fits and old.widths[below] + old.widths[skip] == before:
                return [
                    (old.widths[below], new.widths[below]),
                    (old.widths[skip], new.widths[skip]),
                ]
    return []


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
