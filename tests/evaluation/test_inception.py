"""The network of FID: its parameters are torchvision's, its numbers those of torchvision's modules
with TensorFlow's pools (recorded once; torchvision is not needed)."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_cosynth.evaluation.encoders.inception import (
    InceptionV3,
    inception_features,
    load_inception,
)

NAMES = "760681d791cb624e1bf7a2e802a68933dd17aa5e3109fcf498d9dfa521bc10d7"
FEATURES = [2.5541, 3.4703, 0.78531, 8.8899, 0.97194, 0.0]
LOGITS = [5.4693, -6.0162, -34.928, -21.528, 2.0132, -29.95]


def fill(model: torch.nn.Module) -> None:
    """Weights that depend on nothing but the tensor's place in the sorted state dict."""
    with torch.no_grad():
        for i, (name, tensor) in enumerate(sorted(model.state_dict().items())):
            generator = torch.Generator().manual_seed(i)
            if tensor.ndim >= 2:
                fan = math.prod(tensor.shape[1:])
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan) ** 0.5)
            elif name.endswith(("running_var", "bn.weight")):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.ndim:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)


def picture() -> torch.Tensor:
    return torch.rand((1, 3, 299, 299), generator=torch.Generator().manual_seed(9)) * 2 - 1


@pytest.fixture(scope="module")
def filled() -> InceptionV3:
    model = InceptionV3().eval()
    fill(model)
    return model


def test_names_and_shapes_are_torchvisions(filled):
    listing = [f"{n} {tuple(t.shape)}" for n, t in sorted(filled.state_dict().items())]
    assert sum(p.numel() for p in filled.parameters()) == 23_850_960
    assert hashlib.sha256("\n".join(listing).encode()).hexdigest() == NAMES


def test_numbers_are_those_of_torchvisions_modules(filled):
    with torch.no_grad():
        features, logits = filled(picture())
    assert features.shape == (1, 2048)
    np.testing.assert_allclose(features[0, ::400], FEATURES, rtol=1e-3)
    np.testing.assert_allclose(logits[0, ::200], LOGITS, rtol=1e-3)


def test_weights_come_back_from_both_kinds_of_file(filled, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 48, 3), dtype=np.uint8)
    scaled = torch.from_numpy(images).movedim(3, 1) / 255
    scaled = torch.nn.functional.interpolate(scaled, (299, 299), mode="bilinear")
    with torch.no_grad():
        expected = [found.double().numpy() for found in filled(2 * scaled - 1)]
    for a, b in zip(inception_features(filled, images), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    expected = inception_features(filled, images)
    none = inception_features(filled, images[:0])
    assert [found.shape for found in none] == [(0, 2048), (0, 1008)]
    save_file(filled.state_dict(), tmp_path / "w.safetensors")
    torch.save(filled.state_dict(), tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        found = inception_features(load_inception(tmp_path / name), images)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_files_that_do_not_fit(filled, tmp_path):
    state = filled.state_dict()
    state["fc.weight"] = torch.zeros(1000, 2048)
    torch.save(state, tmp_path / "imagenet.pth")
    with pytest.raises(ValueError, match=r"imagenet.pth: fc.weight: expected \(1008, 2048\), got"):
        load_inception(tmp_path / "imagenet.pth")
    torch.save(filled.fc, tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"code.pth: not weights of InceptionV3"):
        load_inception(tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"none.pth: no such file"):
        load_inception(tmp_path / "none.pth")
