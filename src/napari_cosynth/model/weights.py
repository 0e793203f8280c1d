"""Weights in safetensors files; names and shapes are checked before any tensor is allocated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from napari_cosynth.io.errors import one_line


def read_weights(file: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    ``expected`` is a state dict, which may lie on the device ``meta``. Tensors that are floating point
    there are returned as float32, others keep the file's dtype. Raises ValueError naming file and tensor
    where one is missing, unexpected, of another shape, or holds NaN or infinite values.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    try:
        with safe_open(file, framework="pt") as opened:
            found = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
            wanted = {key: tuple(tensor.shape) for key, tensor in expected.items()}
            for key in sorted(wanted.keys() | found.keys()):
                if wanted.get(key) != found.get(key):
                    raise ValueError(
                        f"{file}: tensor {key!r}: expected {wanted.get(key, 'none')}, "
                        f"got {found.get(key, 'none')}"
                    )
            tensors = {key: opened.get_tensor(key) for key in wanted}
    except ValueError:
        raise
    except Exception as error:  # on damaged files safetensors raises exceptions of any type
        raise ValueError(f"{file}: not a safetensors file ({one_line(error)})") from None
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{file}: tensor {key!r} holds NaN or infinite values")
    return {
        key: tensor.float() if expected[key].is_floating_point() else tensor
        for key, tensor in tensors.items()
    }


def packed_weights(
    tensors: Mapping[str, Tensor],
    where: object,
    dtype: torch.dtype | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a safetensors file of these tensors, with floats converted to ``dtype`` if given.

    Raises ValueError naming ``where`` and the tensor that holds NaN or values beyond ``dtype``.
    """
    stored = {}
    for key, tensor in tensors.items():
        kept = dtype if tensor.is_floating_point() else None
        stored[key] = tensor.detach().cpu().to(kept or tensor.dtype).contiguous()
        if not torch.isfinite(stored[key]).all():
            beyond = f"values beyond {dtype}" if dtype else "infinite values"
            raise ValueError(f"{where}: tensor {key!r} holds NaN or {beyond}")
    return bytes(save(stored, metadata=dict(metadata or {"format": "pt"})))


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal. Raises ValueError where there is no such file."""
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
