"""The U-Net's parts: residual blocks with time, self- and cross-attention, resampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer with weights and bias at zero, so that a residual branch starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class TimeEmbedding(nn.Module):
    """t in [0, 1] -> (B, width): sinusoids of 1000 t, then two linear layers."""

    frequencies: Tensor

    def __init__(self, width: int, sinusoids: int = 64) -> None:
        super().__init__()
        half = sinusoids // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, width)."""
        angles = 1000 * t.float().to(self.frequencies.device)[:, None] * self.frequencies
        embedded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], 1))
        return embedded


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 twice; time as scale and shift after the second norm."""

    def __init__(self, inputs: int, outputs: int, time_width: int, groups: int = 8) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time_width, 2 * outputs)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, inputs, H, W) and the embedded time (B, time_width) -> (B, outputs, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        skipped: Tensor = self.skip(x)
        return skipped + h


class SelfAttention(nn.Module):
    """Residual multi-head attention among the pixels of a feature map."""

    def __init__(self, channels: int, heads: int = 4, groups: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        b, c, h, w = x.shape
        q, k, v = (
            part.reshape(b, self.heads, c // self.heads, h * w).transpose(2, 3)
            for part in self.qkv(self.norm(x)).chunk(3, 1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(2, 3).reshape(b, c, h, w))


class CrossAttention(nn.Module):
    """Residual multi-head attention from pixels to text tokens.

    There is always one learned token to attend to. So the null text, whose tokens are all masked, has a
    meaning of its own and never divides by zero.
    """

    def __init__(self, channels: int, text_width: int, heads: int = 4, groups: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.null = nn.Parameter(torch.zeros(1, 1, text_width))
        self.query = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Linear(text_width, 2 * channels)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """(B, C, H, W), text (B, L, D) and its mask (B, L), True at tokens -> (B, C, H, W)."""
        b, c, h, w = x.shape
        tokens = torch.cat([self.null.expand(b, -1, -1), text], 1)
        visible = F.pad(mask, (1, 0), value=True)[:, None, None, :]
        q = self.query(self.norm(x)).reshape(b, self.heads, c // self.heads, h * w).transpose(2, 3)
        k, v = (
            part.reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
            for part in self.key_value(tokens).chunk(2, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return x + self.out(mixed.transpose(2, 3).reshape(b, c, h, w))


class Downsample(nn.Conv2d):
    """Halves height and width by a strided convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1)


class Upsample(nn.Module):
    """Doubles height and width: nearest neighbour, then a convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, 2 H, 2 W)."""
        grown: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return grown
