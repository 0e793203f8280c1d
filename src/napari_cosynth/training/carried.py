"""Carried states: a run's state in a third of its size, in small files to carry between machines.

``last.ckpt`` takes 16 bytes a weight: the weight, its average and AdamW's two moments, each in float32.
A carried state takes 5: the weight in float16, and three numbers of 8 bits.

- the average's difference from the weight, linear, with one scale a row (the first axis);
- log2 of the second moment v, linear between a row's smallest and largest, so that none becomes 0;
- m / sqrt(v) for the first moment m, since AdamW's step uses this ratio; linear, one scale a row.

A run resumed from ``last.ckpt`` is bit for bit the run that never stopped. One continued from a carried
state is not; a test checks how close it stays, and ``docs/training.md`` has figures.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised
from torch import Tensor

from napari_cosynth.io.atomic import replaced_file, replaced_folder
from napari_cosynth.io.errors import shown
from napari_cosynth.model.torch_files import read_torch
from napari_cosynth.training.export import A_STATE

DESCRIPTION = "state.json"
_TINY = 2.0**-80  # below the square of any gradient that matters in float32


def _rows(x: Tensor) -> Tensor:
    return x.float().reshape(x.shape[0] if x.ndim > 1 else 1, -1)


def _encode_signed(x: Tensor) -> tuple[Tensor, Tensor]:
    rows = _rows(x)
    scale = rows.abs().amax(1, keepdim=True) / 127
    codes = (rows / scale.clamp_min(_TINY)).round().clamp(-127, 127)
    return codes.to(torch.int8).reshape(x.shape), scale.squeeze(1)


def _decode_signed(codes: Tensor, scale: Tensor) -> Tensor:
    return (_rows(codes) * scale[:, None]).reshape(codes.shape)


def _encode_log(v: Tensor) -> tuple[Tensor, Tensor]:
    rows = (_rows(v) + _TINY).log2()
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    codes = ((rows - low) / (high - low).clamp_min(1e-6) * 255).round()
    return codes.to(torch.uint8).reshape(v.shape), torch.cat([low, high], 1)


def _decode_log(codes: Tensor, ends: Tensor) -> Tensor:
    low, high = ends[:, :1], ends[:, 1:]
    rows = low + _rows(codes) / 255 * (high - low)
    return (rows.exp2() - _TINY).clamp_min(0).reshape(codes.shape)


def write_carried(state: Path, folder: Path, shard_mib: float = 15.0) -> list[Path]:
    """Packs the state file ``last.ckpt`` into files of at most ``shard_mib`` MiB; returns their paths.

    The folder appears whole or not at all, and replaces an older one.
    """
    checkpoint = read_torch(state, A_STATE, mmap=True)
    optimizers = checkpoint.pop("optimizer_states")
    weights = checkpoint.pop("state_dict")
    tensors: dict[str, Tensor] = {}
    for key, value in weights.items():
        if not key.startswith("average."):
            tensors[f"half/{key}"] = value.half()
            continue
        base = weights["model." + key.removeprefix("average.")].half().float()
        tensors[f"average/{key}"], tensors[f"average-scale/{key}"] = _encode_signed(value - base)
    described = {
        "format": 2,
        "checkpoint": checkpoint,
        "optimizers": [
            {"param_groups": o["param_groups"], "steps": _encode_moments(o["state"], n, tensors)}
            for n, o in enumerate(optimizers)
        ],
    }
    with replaced_folder(folder, overwrite=True) as fresh:
        shards = {}
        for i, part in enumerate(_shards(tensors, round(shard_mib * 2**20))):
            content = serialised(part)
            name = f"state-{i:02d}.safetensors"
            (fresh / name).write_bytes(content)
            shards[name] = hashlib.sha256(content).hexdigest()
        (fresh / DESCRIPTION).write_text(json.dumps({**described, "sha256": shards}) + "\n")
    return sorted(folder.iterdir())


def _encode_moments(
    state: dict[int, Any], number: int, tensors: dict[str, Tensor]
) -> dict[str, float]:
    """Adds the moments of optimiser ``number`` to ``tensors``; returns each weight's step."""
    steps = {}
    for index, moments in state.items():
        key = f"{number}.{index}"
        steps[str(index)] = float(moments["step"])
        ratio = moments["exp_avg"] / moments["exp_avg_sq"].clamp_min(_TINY).sqrt()
        tensors[f"ratio/{key}"], tensors[f"ratio-scale/{key}"] = _encode_signed(ratio)
        tensors[f"log/{key}"], tensors[f"log-ends/{key}"] = _encode_log(moments["exp_avg_sq"])
    return steps


def _decode_moments(
    steps: dict[str, float], number: int, tensors: dict[str, Tensor]
) -> dict[int, Any]:
    moments = {}
    for index, step in steps.items():
        key = f"{number}.{index}"
        squared = _decode_log(tensors[f"log/{key}"], tensors[f"log-ends/{key}"])
        ratio = _decode_signed(tensors[f"ratio/{key}"], tensors[f"ratio-scale/{key}"])
        moments[int(index)] = {
            "step": torch.tensor(float(step)),
            "exp_avg": ratio * squared.sqrt(),
            "exp_avg_sq": squared,
        }
    return moments


def _shards(tensors: dict[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """Tensors in groups whose files take at most ``limit`` bytes, in their order."""
    shards: list[dict[str, Tensor]] = [{}]
    size = 8
    for key, tensor in tensors.items():
        needed = tensor.nbytes + len(key) + 128  # its line in the header
        if needed > limit:
            raise ValueError(f"{key}: needs {needed / 2**20:.1f} MiB, above the files' limit")
        if size + needed > limit:
            shards.append({})
            size = 8
        shards[-1][key] = tensor.contiguous()
        size += needed
    return shards


def read_carried(folder: Path, state: Path) -> int:
    """Unpacks a carried state into ``last.ckpt`` and returns its step.

    Raises ValueError naming the file that is missing, damaged or part of another state.
    """
    where = folder / DESCRIPTION
    tensors: dict[str, Tensor] = {}
    try:
        described = json.loads(where.read_text(encoding="utf-8"))
        for name, digest in described["sha256"].items():
            where = folder / Path(name).name
            content = where.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError("not the file that was written with it")
            tensors.update(deserialised(content))
        where = folder / DESCRIPTION
        checkpoint = _restored(described, tensors)
        step = int(checkpoint["global_step"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ValueError(f"{where}: not a carried state ({error})") from None
    with replaced_file(state) as fresh:
        torch.save(checkpoint, fresh)
    return step


def _restored(described: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    if described["format"] != 2:
        raise ValueError(f"format: expected 2, got {shown(described['format'])}")
    weights = {k.removeprefix("half/"): v.float() for k, v in tensors.items() if k[:5] == "half/"}
    for key, codes in tensors.items():
        if key.startswith("average/"):
            name = key.removeprefix("average/")
            difference = _decode_signed(codes, tensors[f"average-scale/{name}"])
            weights[name] = weights["model." + name.removeprefix("average.")] + difference
    optimizers = [
        {
            "state": _decode_moments(optimizer["steps"], number, tensors),
            "param_groups": optimizer["param_groups"],
        }
        for number, optimizer in enumerate(described["optimizers"])
    ]
    return {**described["checkpoint"], "state_dict": weights, "optimizer_states": optimizers}
