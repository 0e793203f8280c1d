"""Weights that a run starts from: those of another checkpoint, matched by name where classes differ."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from napari_cosynth.model.checkpoint import CheckpointConfig, Model, load
from napari_cosynth.model.text import CompactTextEncoder
from napari_cosynth.training.smaller import fits_within, shrunk

logger = logging.getLogger(__name__)


def start_from(model: Model, config: CheckpointConfig, init: str | Path) -> str:
    """Fills ``model`` with the weights of checkpoint ``init``; returns a line that says what was kept.

    Weights of a class (its embeddings, its rows of the output) and of a word of the vocabulary are
    matched by name; the background is a class like any other. A new class starts as an old one
    (:func:`models_of`): with embeddings of its own the network would have to learn anew what a nucleus
    looks like. New words get new embeddings.
    A network with fewer blocks or narrower levels gets a part of the start's weights
    (``training.smaller``). Raises ValueError naming any other difference between the networks.
    """
    start = load(init)
    _check_alike(start.config, config, start.path)
    old, new = start.config.class_names, config.class_names
    models = models_of(start.config, config)
    rows = [old.index(models.get(name, name)) for name in new]
    fresh = model.state_dict()
    weights = dict(start.model.state_dict())
    large, small = start.config.network, config.network
    cut = (large.blocks, large.widths) != (small.blocks, small.widths)
    if cut:
        weights = shrunk(weights, large, fresh, small)
    for key in ("network.labels.weight", "network.points.classes.weight"):
        weights[key] = weights[key][rows]
    folded = config.network.patch**2
    for key in ("network.head.weight", "network.head.bias"):
        weights[key] = _head(weights[key], rows, folded)
    said = f"started from {start.name}: " + _kept("classes", old[1:], new[1:])
    said += "".join(f"; {name} starts as {model}" for name, model in models.items())
    if isinstance(start.model.text, CompactTextEncoder):
        # Rows 0 and 1 are padding and unknown words.
        words = [
            ("", "?", *(str(word) for word in c.text["vocabulary"])) for c in (start.config, config)
        ]
        key = "text.tokens.weight"
        weights[key] = _by_name(weights[key], fresh[key], *words)
        said += "; " + _kept("words", words[0][2:], words[1][2:])
    before, now = start.config.network.look, config.network.look
    if before < now:
        grown = torch.zeros_like(fresh["network.look.weight"])
        if before:
            grown[:, :before] = weights["network.look.weight"]
        weights["network.look.weight"] = grown
        said += f"; {now - before} numbers of the look are new" if before else "; the look is new"
    model.load_state_dict(weights)
    if cut:
        said += (
            f"; widths {small.widths} of {large.widths}, blocks {small.blocks} of {large.blocks}"
        )
    if start.config.mpp != config.mpp:
        said += f"; its grid was {start.config.mpp:g} µm/px and is now {config.mpp:g}"
    return said


def inherited(config: CheckpointConfig, start: CheckpointConfig) -> CheckpointConfig:
    """The configuration of a run with the licence and the training tiles of its start added.

    Where the start's licence differs from the recipe's, both hold, and the log says so.
    """
    licence = config.licence
    if start.licence and start.licence not in licence:
        licence = f"{licence or 'not stated'}; of the weights it started from: {start.licence}"
        logger.warning("licence: %s: both hold for what this run makes", licence)
    tiles = {
        key: tuple(dict.fromkeys((*start.tiles.get(key, ()), *config.tiles.get(key, ()))))
        for key in (*start.tiles, *config.tiles)
    }
    return dataclasses.replace(config, licence=licence, tiles=tiles)


def models_of(start: CheckpointConfig, config: CheckpointConfig) -> dict[str, str]:
    """The class of ``start`` that each new class of ``config`` starts as, by name.

    New classes start as different old ones, and as none that the data have (``config.areas``), as far as
    there are enough: so the network tells all classes apart from the first step. Those whose usual
    nucleus areas are most alike go together; the sum of squared logarithms of their quotients is the
    least. Where an area is not known, the order decides.
    """
    new = [name for name in config.class_names[1:] if name not in start.class_names]
    old = start.class_names[1:]
    old = tuple(name for name in old if name not in config.areas) or old
    found: dict[str, str] = {}
    while len(found) < len(new):
        left = [name for name in new if name not in found]
        cost = np.array(
            [[_unlike(config.areas.get(a), start.areas.get(b)) for b in old] for a in left]
        )
        pairs = zip(*linear_sum_assignment(cost), strict=True)
        found |= {left[row]: old[column] for row, column in pairs}
    return found


def _unlike(area: float | None, other: float | None) -> float:
    return math.log(area / other) ** 2 if area and other else 0.0


def _by_name(old: Tensor, new: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """``new`` (len(wanted), ...), with the rows of ``old`` for those names that ``old`` has."""
    rows = new.clone()
    for row, name in enumerate(wanted):
        if name in names:
            rows[row] = old[names.index(name)]
    return rows


def _head(old: Tensor, rows: Sequence[int], folded: int) -> Tensor:
    """Weight or bias of the output layer: ``folded`` channels each for RGB, distance and every class.

    ``rows`` are the old classes of the new ones.
    """
    groups = old.reshape(-1, folded, *old.shape[1:])
    return torch.cat([groups[:4], groups[4:][list(rows)]]).flatten(0, 1)


def _kept(what: str, old: Sequence[str], new: Sequence[str]) -> str:
    kept = [n for n in new if n in old]
    added = [n for n in new if n not in old]
    gone = [n for n in old if n not in new]
    parts = {"kept": kept, "new": added, "left out": gone}
    return f"{what} " + ", ".join(
        f"{verb} {len(names)} ({', '.join(names)})" for verb, names in parts.items() if names
    )


def _check_alike(start: CheckpointConfig, config: CheckpointConfig, path: Path) -> None:
    """Raises ValueError where more than classes, vocabulary and added numbers of the look differs."""
    for field in dataclasses.fields(config.network):
        before, now = (getattr(c.network, field.name) for c in (start, config))
        # New numbers of the look start with zero weights, so a network may be given more of them.
        given = field.name == "look" and before < now
        given |= field.name in ("blocks", "widths") and fits_within(config.network, start.network)
        if before != now and field.name != "classes" and not given:
            raise ValueError(f"{path}: its network's {field.name} is {before}, the recipe's {now}")
    before, now = ({k: v for k, v in c.text.items() if k != "vocabulary"} for c in (start, config))
    if before != now:
        raise ValueError(f"{path}: its text encoder is {before}, the recipe's {now}")
