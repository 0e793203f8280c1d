"""The tile encoder: small networks trained on real tiles, whose features tell kinds of tissue apart.

It is not Inception, and no distance on its features is an FID. Its distances compare runs on one kind of
data, with one file of weights. Each network sees patches of mean 0 and variance 1, so that stain does not
dominate. It learns the share of each class in every 16 x 16 pixels, and the amounts by which a patch was
damaged. The features are means and deviations of its four levels and of the patch's own colours. Their
unit is the variation among real tiles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosynth.evaluation.encoders.damages import DAMAGES, damaged
from napari_cosynth.evaluation.reports.figure import TILE_ENCODER
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.errors import one_line
from napari_cosynth.model.weights import packed_weights, read_weights
from napari_cosynth.types import ClassTable, Record

SEEDS = (0, 1, 2)
WIDTHS = (16, 24, 40, 64)
COLOURS = 6
"""Number of colour features: mean and standard deviation of each channel."""
FEATURES = 2 * sum(WIDTHS) + COLOURS
COLOUR_WEIGHT = 5.0
"""Weight of the 6 colour features against 288 of texture, so that a third less red counts as a damage."""
SHRINKAGE = 0.1
FAINT = 0.1
"""Least standard deviation by which a patch is divided; a fainter patch keeps its low contrast."""
CELL = 16
"""Side in pixels of a cell whose class shares are learnt."""
DAMAGE_WEIGHT = 5.0
"""Weight of the squared error of the damages against the cross-entropy of the classes."""
_UNIT_CROPS = 400
_MOST_NETWORKS = 16
_STEPS, _BATCH, _CROP, _RATE = 500, 8, 96, 3e-3


class TileEncoder(nn.Module):
    """One network; ``mean`` (F,) and ``scale`` (F, F) convert features to the variation of real tiles."""

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
        self.damage = nn.Linear(FEATURES - COLOURS, DAMAGES)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.eye(FEATURES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float (B, 3, H, W) in [-1, 1] -> features (B, F), logits (B, K, H/16, W/16), damages (B, D)."""
        mean, spread = x.mean((2, 3)), _deviation(x).clamp_min(FAINT)
        x = (x - mean[:, :, None, None]) / spread[:, :, None, None]
        pooled = []
        for level in self.levels:
            x = level(x)
            pooled += [x.mean((2, 3)), _deviation(x)]
        seen = torch.cat(pooled, 1)
        features = torch.cat([seen, mean, spread], 1)
        return (features - self.mean) @ self.scale, self.head(x), self.damage(seen)


def _deviation(x: Tensor) -> Tensor:
    """Standard deviations (B, C) over (B, C, H, W); its gradient is finite where nothing varies."""
    return (x.var((2, 3), correction=0) + 1e-6).sqrt()


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
        nuclei = torch.from_numpy(labels > 0).float()[:, None]
        shown, amounts = damaged(_scaled(images), nuclei, generator)
        _, logits, damages = model(shown.to(device))
        loss = F.cross_entropy(logits, shares.to(device))
        loss = loss + DAMAGE_WEIGHT * F.mse_loss(damages, amounts.to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval().requires_grad_(False)
    _set_units(model, records, rng, side)
    return model


def _set_units(
    model: TileEncoder, records: Sequence[Record], rng: np.random.Generator, side: int
) -> None:
    """Sets the unit of the features to the variation among real tiles.

    Stain varies most between tiles and would hide everything else. In directions in which real tiles
    hardly vary, a poor sample stands out. The covariance of the tiles' means is shrunk, because tiles are
    few; with fewer than three tiles it is the covariance of the crops.
    """
    each = int(np.clip(_UNIT_CROPS // len(records), 4, 32))
    per_tile = [
        encoder_features([model], _draw([record], rng, side, each)[0])[0] for record in records
    ]
    joint = np.concatenate(per_tile)
    mean, spread = joint.mean(0), np.maximum(joint.std(0), 1e-4)
    means = np.stack([(f.mean(0) - mean) / spread for f in per_tile])
    units = means if len(records) > 2 else (joint - mean) / spread
    whole = np.zeros((FEATURES, FEATURES))
    seen = FEATURES - COLOURS
    for part, weight in ((slice(0, seen), 1.0), (slice(seen, None), COLOUR_WEIGHT)):
        covariance = np.cov(units[:, part].T)
        level = max(float(np.trace(covariance)) / len(covariance), 1e-6)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(shrunk)
        whole[part, part] = weight * (vectors / np.sqrt(values)) @ vectors.T
    device = model.mean.device
    model.mean.copy_(torch.from_numpy(mean).float().to(device))
    model.scale.copy_(torch.from_numpy(whole / spread[:, None]).float().to(device))


def _crop_side(records: Sequence[Record]) -> int:
    smallest = int(min(min(r.labels.shape) for r in records))
    side = min(_CROP, smallest - smallest % CELL)
    if side < CELL:
        raise ValueError(
            f"the {TILE_ENCODER} needs tiles of at least {CELL} pixels, got {smallest}"
        )
    return side


def _draw(
    records: Sequence[Record], rng: np.random.Generator, side: int, count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Random crops in random orientations: images (count, side, side, 3), labels (count, side, side)."""
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
    """sha256 of the file that ``save_encoders`` writes; reports compare only if theirs are equal."""
    return hashlib.sha256(_serialised(models, classes, mpp)).hexdigest()


def _serialised(models: Sequence[TileEncoder], classes: ClassTable, mpp: float) -> bytes:
    tensors = {
        f"{i}.{name}": tensor
        for i, model in enumerate(models)
        for name, tensor in model.state_dict().items()
    }
    about = {"classes": list(classes.names), "mpp": mpp, "networks": len(models)}
    return packed_weights(tensors, TILE_ENCODER, metadata={TILE_ENCODER: json.dumps(about)})


def load_encoders(path: Path, mpp: float) -> list[TileEncoder]:
    """The networks of a file, for images of ``mpp`` µm/px. Raises ValueError naming file and field."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[TILE_ENCODER])
        count, classes, found = int(about["networks"]), len(about["classes"]), float(about["mpp"])
    except Exception as error:  # safetensors raises what it likes on damaged files
        raise ValueError(
            f"{path}: cannot be read as a {TILE_ENCODER} ({one_line(error)})"
        ) from None
    if not 1 <= count <= _MOST_NETWORKS:
        raise ValueError(f"{path}: networks: expected 1..{_MOST_NETWORKS}, got {count}")
    if abs(found - mpp) > 1e-6:
        raise ValueError(f"{path}: mpp: trained at {found:g} µm/px, the images have {mpp:g}")
    models = [TileEncoder(classes) for _ in range(count)]
    expected = {f"{i}.{n}": t for i, m in enumerate(models) for n, t in m.state_dict().items()}
    tensors = read_weights(path, expected)
    for i, model in enumerate(models):
        own = {n.split(".", 1)[1]: t for n, t in tensors.items() if n.startswith(f"{i}.")}
        model.load_state_dict(own)
        model.eval().requires_grad_(False)
    return models
