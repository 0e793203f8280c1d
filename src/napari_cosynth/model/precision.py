"""Device and precision of a run; a sample's recipe states both."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from napari_cosynth.diffusion.tensors import Condition, Context, Denoiser, JointState, Prediction
from napari_cosynth.types.recipe import check_device


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name; ``auto`` is the first that exists of cuda, mps and cpu.

    Raises ValueError where a named device is absent.
    """
    check_device(name)
    has_cuda = torch.cuda.is_available()
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    kind = name.split(":")[0]
    if (kind == "cuda" and not has_cuda) or (kind == "mps" and not has_mps):
        raise ValueError(f"device: {name!r} is not available on this machine")
    return torch.device(name)


def faster_in_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on this device.

    It is on recent NVIDIA cards and on CPUs with bfloat16 instructions (AMX, or AVX-512's dot products,
    at twice the rate of float32). Elsewhere bfloat16 is emulated or no faster.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Not of torch's public functions: older and newer releases may lack one.
        asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, name, bool)() for name in asked)
    return False


@dataclasses.dataclass(frozen=True)
class InBfloat16:
    """A denoiser whose passes run under bfloat16 autocast; its outputs are float32."""

    denoiser: Denoiser
    device: torch.device

    @property
    def classes(self) -> int:
        return self.denoiser.classes

    def prepare(self, condition: Condition) -> Context:
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.denoiser.prepare(condition)

    def __call__(self, state: JointState, t: Tensor, context: Context) -> Prediction:
        with torch.autocast(self.device.type, torch.bfloat16):
            raw = self.denoiser(state, t, context)
        return dataclasses.replace(
            raw,
            image=raw.image.float(),
            distance=raw.distance.float(),
            label_logits=raw.label_logits.float(),
        )
