"""HoVer-Net's network (Graham et al. 2019, section 2.1): one encoder, three decoders.

The encoder is a pre-activation ResNet whose stem keeps the resolution, so that its deepest level is
at 1/8. Each decoder returns to the full resolution by nearest-neighbour upsampling, sums with the
encoder's levels, and densely connected units. The decoder NP gives the nuclei, HV each pixel's offset
from its nucleus' centre, TP its class. Convolutions are padded where the paper's are valid, so that a map
has its image's size and a tile keeps its rim.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_cosynth.io.errors import one_of
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse


@dataclass(frozen=True)
class SegmenterConfig:
    """The shape of a network; the defaults are the ``compact`` preset."""

    __pydantic_config__ = FORBID_UNKNOWN

    classes: int
    """K, the background included."""
    patch: int = 2
    """Factor by which the stem reduces the resolution and the heads restore it: 1 works at the image's
    resolution throughout, 2 takes a quarter of the time."""
    stem: int = 16
    widths: tuple[int, int, int, int] = (48, 96, 144, 192)
    """Channels of the encoder's levels at 1, 1/2, 1/4 and 1/8 of the patches' resolution."""
    units: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Residual units of each level."""
    dense_units: tuple[int, int] = (4, 2)
    """Densely connected units of a decoder at 1/4 and 1/2."""
    growth: int = 8
    """Channels that a dense unit adds."""
    squeeze: int = 16
    """Channels of a dense unit's 1x1 convolution."""
    groups: int = 2
    """Groups of a dense unit's second convolution."""
    kernel: int = 3
    """Side of the decoders' convolutions in pixels."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(1 <= n <= 4096 for n in numbers):
                raise ValueError(f"{field.name}: expected numbers in 1..4096, got {value}")
        if self.classes < 2:
            raise ValueError(f"classes: expected at least 2, got {self.classes}")
        if any(w % 4 for w in self.widths):
            raise ValueError(f"widths: expected multiples of 4, got {self.widths}")
        if self.squeeze % self.groups or self.growth % self.groups:
            raise ValueError(
                f"groups: expected a divisor of {self.squeeze} and {self.growth}, got {self.groups}"
            )
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number, got {self.kernel}")
        if max(*self.units, *self.dense_units) > 64:
            raise ValueError("units, dense_units: expected at most 64")
        if self.patch > 4:
            raise ValueError(f"patch: expected at most 4, got {self.patch}")

    @property
    def multiple(self) -> int:
        """An image's sides have to be multiples of this, in pixels."""
        return 8 * self.patch


def preset(name: str, **changes: Any) -> SegmenterConfig:
    """The configuration ``compact`` (for CPUs) or ``full`` (the paper's), with these fields changed.

    Raises ValueError for an unknown name or field.
    """
    presets: dict[str, dict[str, Any]] = {
        "compact": {},
        "full": {
            "patch": 1,
            "stem": 64,
            "widths": (256, 512, 1024, 2048),
            "units": (3, 4, 6, 3),
            "dense_units": (8, 4),
            "growth": 32,
            "squeeze": 128,
            "groups": 4,
            "kernel": 5,
        },
    }
    if name not in presets:
        raise ValueError(f"network.preset: {one_of(name, sorted(presets))}")
    return parse(SegmenterConfig, {**presets[name], **changes}, "network")


@dataclass(frozen=True)
class Maps:
    """The outputs of the three decoders."""

    nuclei: Tensor
    """NP, logits, float (B, 2, H, W): background, nucleus."""
    offsets: Tensor
    """HV, float (B, 2, H, W): horizontal and vertical, -1..1 across each nucleus."""
    types: Tensor
    """TP, logits, float (B, K, H, W)."""


def _activated(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


class ResidualUnit(nn.Module):
    """Pre-activation bottleneck (He et al. 2016), with a quarter of the channels inside."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.first = nn.Sequential(*_activated(inputs))
        self.path = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            *_activated(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False),
            *_activated(inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
        )
        self.shortcut = (
            nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H/stride, W/stride)."""
        active = self.first(x)
        path: Tensor = self.path(active)
        return path + (x if self.shortcut is None else self.shortcut(active))


def _level(inputs: int, outputs: int, units: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualUnit(inputs, outputs, stride),
        *(ResidualUnit(outputs, outputs, 1) for _ in range(units - 1)),
        *_activated(outputs),
    )


class DenseUnits(nn.Module):
    """Densely connected units (Huang et al. 2017): each sees all earlier ones, and adds ``growth``
    channels."""

    def __init__(self, inputs: int, units: int, config: SegmenterConfig) -> None:
        super().__init__()
        self.units = nn.ModuleList()
        for _ in range(units):
            self.units.append(
                nn.Sequential(
                    *_activated(inputs),
                    nn.Conv2d(inputs, config.squeeze, 1, bias=False),
                    *_activated(config.squeeze),
                    nn.Conv2d(
                        config.squeeze,
                        config.growth,
                        config.kernel,
                        padding=config.kernel // 2,
                        groups=config.groups,
                        bias=False,
                    ),
                )
            )
            inputs += config.growth
        self.last = nn.Sequential(*_activated(inputs))
        self.outputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, ``outputs``, H, W)."""
        for unit in self.units:
            x = torch.cat([x, unit(x)], 1)
        found: Tensor = self.last(x)
        return found


class Decoder(nn.Module):
    """A decoder, from 1/8 back to the image's size."""

    def __init__(self, outputs: int, config: SegmenterConfig) -> None:
        super().__init__()
        finest, fine, coarse, _ = config.widths

        def convolution(inputs: int, channels: int) -> nn.Conv2d:
            side = config.kernel
            return nn.Conv2d(inputs, channels, side, padding=side // 2, bias=False)

        def rise(inputs: int, channels: int, units: int, target: int) -> nn.Sequential:
            dense = DenseUnits(channels, units, config)
            mixed = nn.Conv2d(dense.outputs, target, 1, bias=False)
            return nn.Sequential(convolution(inputs, channels), dense, mixed)

        self.coarse = rise(coarse, fine // 2, config.dense_units[0], fine)
        self.fine = rise(fine, finest // 2, config.dense_units[1], finest)
        self.finest = convolution(finest, finest // 4)
        self.head = nn.Sequential(
            *_activated(finest // 4),
            nn.Conv2d(finest // 4, outputs * config.patch**2, 1),
            nn.PixelShuffle(config.patch),
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """The encoder's levels, (B, widths[i], h / 2^i, w / 2^i) -> (B, outputs, H, W) of the image."""
        finest, fine, coarse, deepest = levels
        x = self.coarse(_doubled(deepest) + coarse)
        x = self.fine(_doubled(x) + fine)
        x = self.finest(_doubled(x) + finest)
        found: Tensor = self.head(x)
        return found


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class HoverNet(nn.Module):
    """Images, float (B, 3, H, W) in [-1, 1] -> :class:`Maps`; H and W divide by ``config.multiple``."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem, 7, config.patch, 3, bias=False), *_activated(config.stem)
        )
        inputs = (config.stem, *config.widths)
        self.levels = nn.ModuleList(
            _level(inputs[i], config.widths[i], config.units[i], 1 if i == 0 else 2)
            for i in range(4)
        )
        self.deepest = nn.Conv2d(config.widths[3], config.widths[2], 1, bias=False)
        self.nuclei = Decoder(2, config)
        self.offsets = Decoder(2, config)
        self.types = Decoder(config.classes, config)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Maps:
        x = self.stem(images)
        found: list[Tensor] = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        found[-1] = self.deepest(x)
        return Maps(self.nuclei(found), self.offsets(found), self.types(found))
