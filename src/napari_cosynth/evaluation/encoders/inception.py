"""InceptionV3 for FID and IS, with weights from a file that the user names.

It is the network of Szegedy et al. 2016 in the form of TensorFlow's graph of 2015-12-05: 1,008 outputs,
average pools that leave the padding out, and a maximum pool in the last block. Its parameters have
torchvision's names, so that the common port of those weights (``pt_inception-2015-12-05``) loads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosynth.io.errors import one_line
from napari_cosynth.model.torch_files import read_torch

WEIGHTS = "weights of InceptionV3"
OUTPUTS = 1008
SIDE = 299

_Kernel = int | tuple[int, int]


class Convolution(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: _Kernel, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


_Path = tuple[str | tuple[str, ...], ...]


class Mixed(nn.Module):
    """Block of parallel paths whose results are concatenated.

    A path is a chain of steps. A step is the name of a convolution, a tuple of names whose results are
    concatenated, ``average`` or ``maximum`` (3x3, same size), or ``halve`` (3x3 maximum of stride 2).
    """

    def __init__(self, convolutions: dict[str, Convolution], paths: tuple[_Path, ...]) -> None:
        super().__init__()
        for name, convolution in convolutions.items():
            self.add_module(name, convolution)
        self.paths = paths

    def _step(self, x: Tensor, name: str) -> Tensor:
        if name == "average":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if name == "maximum":
            return F.max_pool2d(x, 3, 1, 1)
        if name == "halve":
            return F.max_pool2d(x, 3, 2)
        result: Tensor = self.get_submodule(name)(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for path in self.paths:
            y = x
            for step in path:
                names = (step,) if isinstance(step, str) else step
                y = torch.cat([self._step(y, name) for name in names], 1)
            results.append(y)
        return torch.cat(results, 1)


def _block_a(inputs: int, pooled: int) -> Mixed:
    c = Convolution
    return Mixed(
        {
            "branch1x1": c(inputs, 64, 1),
            "branch5x5_1": c(inputs, 48, 1),
            "branch5x5_2": c(48, 64, 5),
            "branch3x3dbl_1": c(inputs, 64, 1),
            "branch3x3dbl_2": c(64, 96, 3),
            "branch3x3dbl_3": c(96, 96, 3),
            "branch_pool": c(inputs, pooled, 1),
        },
        (
            ("branch1x1",),
            ("branch5x5_1", "branch5x5_2"),
            ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
            ("average", "branch_pool"),
        ),
    )


def _block_b(inputs: int) -> Mixed:
    c = Convolution
    return Mixed(
        {
            "branch3x3": c(inputs, 384, 3, 2, padded=False),
            "branch3x3dbl_1": c(inputs, 64, 1),
            "branch3x3dbl_2": c(64, 96, 3),
            "branch3x3dbl_3": c(96, 96, 3, 2, padded=False),
        },
        (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), ("halve",)),
    )


def _block_c(inputs: int, inner: int) -> Mixed:
    c = Convolution
    return Mixed(
        {
            "branch1x1": c(inputs, 192, 1),
            "branch7x7_1": c(inputs, inner, 1),
            "branch7x7_2": c(inner, inner, (1, 7)),
            "branch7x7_3": c(inner, 192, (7, 1)),
            "branch7x7dbl_1": c(inputs, inner, 1),
            "branch7x7dbl_2": c(inner, inner, (7, 1)),
            "branch7x7dbl_3": c(inner, inner, (1, 7)),
            "branch7x7dbl_4": c(inner, inner, (7, 1)),
            "branch7x7dbl_5": c(inner, 192, (1, 7)),
            "branch_pool": c(inputs, 192, 1),
        },
        (
            ("branch1x1",),
            ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
            tuple(f"branch7x7dbl_{i}" for i in range(1, 6)),
            ("average", "branch_pool"),
        ),
    )


def _block_d(inputs: int) -> Mixed:
    c = Convolution
    return Mixed(
        {
            "branch3x3_1": c(inputs, 192, 1),
            "branch3x3_2": c(192, 320, 3, 2, padded=False),
            "branch7x7x3_1": c(inputs, 192, 1),
            "branch7x7x3_2": c(192, 192, (1, 7)),
            "branch7x7x3_3": c(192, 192, (7, 1)),
            "branch7x7x3_4": c(192, 192, 3, 2, padded=False),
        },
        (
            ("branch3x3_1", "branch3x3_2"),
            tuple(f"branch7x7x3_{i}" for i in range(1, 5)),
            ("halve",),
        ),
    )


def _block_e(inputs: int, pool: str) -> Mixed:
    c = Convolution
    return Mixed(
        {
            "branch1x1": c(inputs, 320, 1),
            "branch3x3_1": c(inputs, 384, 1),
            "branch3x3_2a": c(384, 384, (1, 3)),
            "branch3x3_2b": c(384, 384, (3, 1)),
            "branch3x3dbl_1": c(inputs, 448, 1),
            "branch3x3dbl_2": c(448, 384, 3),
            "branch3x3dbl_3a": c(384, 384, (1, 3)),
            "branch3x3dbl_3b": c(384, 384, (3, 1)),
            "branch_pool": c(inputs, 192, 1),
        },
        (
            ("branch1x1",),
            ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
            ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
            (pool, "branch_pool"),
        ),
    )


class InceptionV3(nn.Module):
    """Images -> the 2,048 pooled features of FID, and the logits of IS."""

    def __init__(self) -> None:
        super().__init__()
        c = Convolution
        self.Conv2d_1a_3x3 = c(3, 32, 3, 2, padded=False)
        self.Conv2d_2a_3x3 = c(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = c(32, 64, 3)
        self.Conv2d_3b_1x1 = c(64, 80, 1)
        self.Conv2d_4a_3x3 = c(80, 192, 3, padded=False)
        self.Mixed_5b = _block_a(192, 32)
        self.Mixed_5c = _block_a(256, 64)
        self.Mixed_5d = _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b = _block_c(768, 128)
        self.Mixed_6c = _block_c(768, 160)
        self.Mixed_6d = _block_c(768, 160)
        self.Mixed_6e = _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b = _block_e(1280, "average")
        self.Mixed_7c = _block_e(2048, "maximum")
        self.fc = nn.Linear(2048, OUTPUTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float (B, 3, 299, 299) in [-1, 1] -> features (B, 2048), logits (B, 1008)."""
        for name, module in self.named_children():
            if name == "fc":
                break
            x = module(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, 2)
        features = x.mean((2, 3))
        return features, self.fc(features)


def load_inception(path: str | Path) -> InceptionV3:
    """The network with the weights of a safetensors file or a PyTorch state dict, in evaluation mode.

    No code in the file is executed. Raises ValueError naming the file, and the tensor that does not fit.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        tensors = read_torch(path, WEIGHTS)
    elif not path.is_file():
        raise ValueError(f"{path}: no such file")
    else:
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path}: not {WEIGHTS} ({one_line(error)[:200]})") from None
    if not isinstance(tensors, dict):
        raise ValueError(f"{path}: expected a state dict, got {type(tensors).__name__}")
    model = InceptionV3()
    for name, wanted in model.state_dict().items():
        found = tensors.get(name)
        if found is None and name.endswith("num_batches_tracked"):
            continue
        if not isinstance(found, Tensor) or found.shape != wanted.shape:
            got = tuple(found.shape) if isinstance(found, Tensor) else "nothing"
            raise ValueError(f"{path}: {name}: expected {tuple(wanted.shape)}, got {got}")
    model.load_state_dict(tensors, strict=False)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def inception_features(
    model: InceptionV3, images: npt.NDArray[np.uint8], batch: int = 16
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Features float64 (N, 2048) and logits (N, 1008) of images uint8 (N, H, W, 3).

    Images are resized bilinearly to 299 pixels a side, without smoothing, as in pytorch-fid.
    """
    device = model.fc.weight.device
    features, logits = [], []
    for first in range(0, len(images), batch):
        x = torch.from_numpy(np.array(images[first : first + batch])).to(device)
        x = x.permute(0, 3, 1, 2).float() / 255
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)
        pooled, scores = model(2 * x - 1)
        features.append(pooled.double().cpu().numpy())
        logits.append(scores.double().cpu().numpy())
    if not features:
        return np.zeros((0, 2048)), np.zeros((0, OUTPUTS))
    return np.concatenate(features), np.concatenate(logits)
