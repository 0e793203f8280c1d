"""The joint denoising network: one U-Net for both presets, ``compact`` and ``paper``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_cosynth.diffusion.tensors import (
    Condition,
    Context,
    JointState,
    LabelHead,
    Parametrisation,
    Prediction,
)
from napari_cosynth.io.errors import one_of
from napari_cosynth.model.blocks import (
    CrossAttention,
    Downsample,
    ResidualBlock,
    SelfAttention,
    TimeEmbedding,
    Upsample,
    zeroed,
)
from napari_cosynth.model.points import PointEncoder


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network; the defaults are the ``compact`` preset."""

    classes: int
    """K, the background included."""
    text_width: int = 128
    widths: tuple[int, ...] = (48, 96, 144, 192)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    """Residual blocks per level on the way down; one more on the way up."""
    patch: int = 2
    """Pixels folded into channels at the input and unfolded at the output."""
    fusion: Literal["concat", "sum"] = "concat"
    """``concat``: a 3x3 stem over the concatenated inputs and points. ``sum``: the paper's sum of 1x1
    convolutions of the inputs, with the points added after the first block."""
    label_width: int = 6
    self_attention: tuple[int, ...] = ()
    """Levels with self-attention, besides the middle block."""
    cross_attention: tuple[int, ...] = (2, 3)
    """Levels whose pixels attend to the text."""
    attend_every_block: bool = False
    """True: attention follows every block of its levels. False: only the last block of each."""
    pooled_text: bool = True
    """Add the mean text token to the time embedding, so that every block sees it."""
    point_channels: int = 48
    point_wide: int = 2
    point_blocks: int = 1
    point_growth: int = 16
    point_blur: float = 0.0
    """Standard deviation in pixels of the Gaussians that points are drawn as; 0: single pixels."""
    look: int = 0
    """Numbers of the look that the network is conditioned on (``model.looks``); 0: no look."""
    parametrisation: Parametrisation = "v"
    label_head: LabelHead = "cross-entropy"

    def __post_init__(self) -> None:
        for name in ("widths", "blocks", "self_attention", "cross_attention"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"network: expected as many blocks as widths, got {self.blocks}")
        if any(w % 8 for w in self.widths):
            raise ValueError(f"network: widths must be multiples of 8, got {self.widths}")

    @property
    def multiple(self) -> int:
        """Height and width of a canvas must be multiples of this."""
        return self.patch * 2 ** (len(self.widths) - 1)


def preset(name: str, **changes: Any) -> NetworkConfig:
    """The configuration called ``name`` (``compact`` or ``paper``) with these fields changed.

    Raises ValueError for an unknown name or field.
    """
    presets: dict[str, dict[str, Any]] = {
        "compact": {},
        "paper": {
            "text_width": 512,
            "widths": (128, 256, 512, 1024),
            "blocks": (2, 4, 8, 8),
            "patch": 1,
            "fusion": "sum",
            "label_width": 3,
            "self_attention": (1, 2, 3),
            "cross_attention": (1, 2, 3),
            "attend_every_block": True,
            "pooled_text": False,
            "point_channels": 64,
            "point_wide": 0,
            "point_blocks": 3,
            "point_growth": 32,
            "parametrisation": "epsilon",
            "label_head": "kl",
        },
    }
    if name not in presets:
        raise ValueError(f"network.preset: {one_of(name, sorted(presets))}")
    known = {f.name for f in dataclasses.fields(NetworkConfig)}
    unknown = set(changes) - known
    if unknown:
        raise ValueError(f"network: unknown {sorted(unknown)}; known are {sorted(known)}")
    return NetworkConfig(**{**presets[name], **changes})


class Stage(nn.Module):
    """A residual block and the attention that follows it, if any."""

    def __init__(
        self, inputs: int, outputs: int, config: NetworkConfig, attend_self: bool, attend_text: bool
    ) -> None:
        super().__init__()
        self.block = ResidualBlock(inputs, outputs, 4 * config.widths[0])
        self.itself = SelfAttention(outputs) if attend_self else None
        self.text = CrossAttention(outputs, config.text_width) if attend_text else None

    def forward(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        """(B, inputs, H, W) and the embedded time (B, time_width) -> (B, outputs, H, W)."""
        x = self.block(x, time)
        if self.itself is not None:
            x = self.itself(x)
        if self.text is not None:
            x = self.text(x, context.text, context.text_mask)
        return x


class JointUNet(nn.Module):
    """Noisy (i, d, l), t, points and text -> raw outputs for i and d, and label logits."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths, time_width = config.widths, 4 * config.widths[0]
        folded = config.patch**2
        self.time = TimeEmbedding(time_width)
        self.pool = zeroed(nn.Linear(config.text_width, time_width)) if config.pooled_text else None
        self.look = zeroed(nn.Linear(config.look, time_width, bias=False)) if config.look else None
        self.points = PointEncoder(
            config.classes,
            config.point_channels,
            config.patch,
            config.point_blocks,
            config.point_growth,
            config.point_wide,
            blur=config.point_blur,
        )
        self.labels = nn.Embedding(config.classes, config.label_width)
        if config.fusion == "concat":
            inputs = folded * (4 + config.label_width) + config.point_channels
            self.stem: nn.Module = nn.Conv2d(inputs, widths[0], 3, padding=1)
            self.add_points: nn.Module | None = None
        else:
            # A 1x1 convolution of the concatenation is the sum of one per input.
            self.stem = nn.Conv2d(folded * (4 + config.label_width), widths[0], 1)
            self.add_points = nn.Conv2d(config.point_channels, widths[0], 1)

        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        skips, channels = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            stages = nn.ModuleList()
            for i in range(config.blocks[level]):
                stages.append(self._stage(channels, width, level, i == config.blocks[level] - 1))
                channels = width
                skips.append(channels)
            self.down.append(stages)
            if level < len(widths) - 1:
                self.shrink.append(Downsample(channels, channels))
                skips.append(channels)
        self.middle_in = ResidualBlock(channels, channels, time_width)
        self.middle_attention = SelfAttention(channels)
        self.middle_out = ResidualBlock(channels, channels, time_width)
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        for level in reversed(range(len(widths))):
            stages = nn.ModuleList()
            for i in range(config.blocks[level] + 1):
                last = i == config.blocks[level]
                stages.append(self._stage(channels + skips.pop(), widths[level], level, last))
                channels = widths[level]
            self.up.append(stages)
            if level:
                self.grow.append(Upsample(channels, channels))
        self.norm = nn.GroupNorm(8, channels)
        extra = config.point_channels if config.fusion == "concat" else 0
        self.head = zeroed(nn.Conv2d(channels + extra, folded * (4 + config.classes), 3, padding=1))

    def _stage(self, inputs: int, outputs: int, level: int, last: bool) -> Stage:
        here = self.config.attend_every_block or last
        return Stage(
            inputs,
            outputs,
            self.config,
            here and level in self.config.self_attention,
            here and level in self.config.cross_attention,
        )

    @property
    def classes(self) -> int:
        return self.config.classes

    def prepare(self, condition: Condition) -> Context:
        """The context of a condition: its point features, and text and look unchanged."""
        points = self.points(condition.points)
        return Context(points, condition.text, condition.text_mask, condition.look)

    def forward(self, state: JointState, t: Tensor, context: Context) -> Prediction:
        """Raw outputs for ``state`` at times ``t`` (B,); H and W are multiples of ``config.multiple``."""
        time = self.time(t)
        if self.pool is not None:
            weights = context.text_mask.to(context.text.dtype).unsqueeze(-1)
            pooled = (context.text * weights).sum(1) / weights.sum(1).clamp_min(1)
            time = time + self.pool(pooled)
        if self.look is not None and context.look is not None:
            time = time + self.look(context.look.to(time.dtype))
        labels = self.labels(state.labels).movedim(-1, 1).to(state.image.dtype)
        x = torch.cat([state.image, state.distance, labels], 1)
        x = F.pixel_unshuffle(x, self.config.patch)
        if self.config.fusion == "concat":
            x = torch.cat([x, context.points.to(x.dtype)], 1)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))

        skips = [x]
        for level, stages in enumerate(self.down):
            for i, stage in enumerate(cast(nn.ModuleList, stages)):
                x = stage(x, time, context)
                if self.add_points is not None and level == 0 and i == 0:
                    x = x + self.add_points(context.points)
                skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
                skips.append(x)
        x = self.middle_out(self.middle_attention(self.middle_in(x, time)), time)
        for level, stages in enumerate(self.up):
            for stage in cast(nn.ModuleList, stages):
                x = stage(torch.cat([x, skips.pop()], 1), time, context)
            if level < len(self.grow):
                x = self.grow[level](x)

        x = F.silu(self.norm(x))
        if self.config.fusion == "concat":
            x = torch.cat([x, context.points.to(x.dtype)], 1)
        image, distance, logits = torch.split(
            F.pixel_shuffle(self.head(x), self.config.patch), [3, 1, self.config.classes], 1
        )
        return Prediction(
            image, distance, logits, self.config.parametrisation, self.config.label_head
        )
