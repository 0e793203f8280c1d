"""The tile encoder: small networks trained on real tiles, whose features tell tissue apart.

Not Inception, and no distance on these features is an FID: they compare runs on one kind of data by
one file of weights. Each network learns which share of every 16 x 16 pixels each class covers; the
features are the means of its three coarser levels, to which both texture and content contribute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosynth.atomic import replaced_file
from napari_cosynth.types import ClassTable, Record

NAME = "tile encoder"
SEEDS = (0, 1, 2)
WIDTHS = (16, 24, 40, 64)
FEATURES = sum(WIDTHS[1:])
DAMAGES = 5
"""Blur, noise and the density of each colour."""
CELL = 16
"""Pixels a side of a cell whose class shares are learnt."""
_STEPS, _BATCH, _CROP, _RATE = 200, 8, 96, 3e-3


class TileEncoder(nn.Module):
    """One network; ``mean`` and ``scale`` bring the features of its own tiles to unit variance."""

    mean: Tensor
    scale: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        levels: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            levels.append(
                nn.Sequential(
                    nn.Conv2d(inputs, width, 3, 2, 1),
                    nn.BatchNorm2d(width),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, 1, 1),
                    nn.SiLU(),
                )
            )
            inputs = width
        self.levels = nn.ModuleList(levels)
        self.head = nn.Conv2d(inputs, classes, 1)
        self.damage = nn.Linear(FEATURES, DAMAGES)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float (B, 3, H, W) in [-1, 1] -> features (B, F), logits (B, K, H / 16, W / 16)."""
        means = []
        for level in self.levels:
            x = level(x)
            means.append(x.mean((2, 3)))
        features = torch.cat(means[1:], 1)
        return (features - self.mean) / self.scale, self.head(x)


def _damaged(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) in [-1, 1], half of them damaged, and by how much each, (B, DAMAGES)."""
    amounts = torch.rand(len(x), DAMAGES, generator=generator)
    amounts *= torch.rand(amounts.shape, generator=generator) < 0.5
    blur, noise, *gains = amounts[:, :, None, None, None].unbind(1)
    x = torch.lerp(x, F.avg_pool2d(x, 5, 1, 2, count_include_pad=False), blur)
    x = x + 0.3 * noise * torch.randn(x.shape, generator=generator)
    # The brighter part of the range keeps its white.
    x = 1 - (1 - x) * (1 + 0.5 * torch.cat(gains, 1))
    return x.clamp(-1, 1), amounts


def _scaled(images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_encoder(
    records: Sequence[Record],
    seed: int,
    steps: int = _STEPS,
    device: torch.device | None = None,
) -> TileEncoder:
    """A network trained on crops of the records, which share classes and µm/px.

    The same records and seed give the same network on the same machine.
    """
    device = device or torch.device("cpu")
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TileEncoder(len(records[0].classes))
    model.to(device)
    classes, side = len(records[0].classes), _crop_side(records)
    optimizer = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        images, labels = _draw(records, rng, side, _BATCH)
        shares = F.one_hot(torch.from_numpy(labels).long(), classes).permute(0, 3, 1, 2).float()
        shares = F.avg_pool2d(shares, CELL)
        shown, amounts = _damaged(_scaled(images), generator)
        features, logits = model(shown.to(device))
        loss = F.cross_entropy(logits, shares.to(device))
        loss = loss + F.mse_loss(model.damage(features), amounts.to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval().requires_grad_(False)
    images, _ = _draw(records, rng, side, 256)
    features = torch.from_numpy(encoder_features([model], images)[0]).float().to(device)
    model.mean.copy_(features.mean(0))
    model.scale.copy_(features.std(0).clamp_min(1e-4))
    return model


def _crop_side(records: Sequence[Record]) -> int:
    smallest = int(min(min(r.labels.shape) for r in records))
    side = min(_CROP, smallest - smallest % CELL)
    if side < CELL:
        raise ValueError(f"the {NAME} needs tiles of at least {CELL} pixels, got {smallest}")
    return side


def _draw(
    records: Sequence[Record], rng: np.random.Generator, side: int, count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Random crops in random orientations: images (count, side, side, 3), labels."""
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.uint8]] = []
    for _ in range(count):
        record = records[int(rng.integers(len(records)))]
        y, x = (int(rng.integers(n - side + 1)) for n in record.labels.shape)
        turns, flip = int(rng.integers(4)), int(rng.choice([-1, 1]))
        for array, kept in ((record.image, images), (record.labels, labels)):
            kept.append(np.rot90(array[y : y + side, x : x + side], turns)[:, ::flip])
    return np.stack(images), np.stack(labels)


@torch.no_grad()
def encoder_features(
    models: Sequence[TileEncoder], images: npt.NDArray[np.uint8], batch: int = 16
) -> list[npt.NDArray[np.float64]]:
    """Each network's features, float64 (N, F), of images uint8 (N, H, W, 3)."""
    device = models[0].mean.device
    found: list[list[npt.NDArray[np.float64]]] = [[] for _ in models]
    for first in range(0, len(images), batch):
        x = _scaled(images[first : first + batch]).to(device)
        for model, kept in zip(models, found, strict=True):
            kept.append(model(x)[0].double().cpu().numpy())
    return [np.concatenate(kept) if kept else np.zeros((0, FEATURES)) for kept in found]


def save_encoders(
    models: Sequence[TileEncoder], classes: ClassTable, mpp: float, path: Path
) -> None:
    """Writes the networks as one safetensors file, whole or not at all."""
    with replaced_file(path) as fresh:
        fresh.write_bytes(_serialised(models, classes, mpp))


def digest(models: Sequence[TileEncoder], classes: ClassTable, mpp: float) -> str:
    """sha256 of what ``save_encoders`` writes: figures of two reports compare only where it agrees."""
    return hashlib.sha256(_serialised(models, classes, mpp)).hexdigest()


def _serialised(models: Sequence[TileEncoder], classes: ClassTable, mpp: float) -> bytes:
    tensors = {
        f"{i}.{name}": tensor.detach().cpu().contiguous()
        for i, model in enumerate(models)
        for name, tensor in model.state_dict().items()
    }
    about = {"classes": list(classes.names), "mpp": mpp, "networks": len(models)}
    return bytes(save(tensors, {NAME: json.dumps(about)}))


def load_encoders(path: Path, mpp: float) -> list[TileEncoder]:
    """The networks of a file, for images of ``mpp`` µm/px. Raises ValueError naming file and field."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[NAME])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        count, classes, found = int(about["networks"]), len(about["classes"]), float(about["mpp"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a {NAME} ({error!r})") from None
    if abs(found - mpp) > 1e-6:
        raise ValueError(f"{path}: mpp: trained at {found:g} µm/px, the images have {mpp:g}")
    models = []
    for i in range(count):
        model = TileEncoder(classes)
        own = {n.split(".", 1)[1]: t for n, t in tensors.items() if n.startswith(f"{i}.")}
        try:
            model.load_state_dict(own)
        except RuntimeError as error:
            raise ValueError(f"{path}: network {i}: {' '.join(str(error).split())}") from None
        models.append(model.eval().requires_grad_(False))
    if not models:
        raise ValueError(f"{path}: networks: expected at least one")
    return models
