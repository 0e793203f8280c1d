"""HoVer-Net's network: the published size, and maps of the image's size at every preset."""

from __future__ import annotations

import pytest
import torch

from napari_cosynth.segmenter.network import HoverNet, preset


def test_the_full_preset_has_the_published_size():
    """54.7 million weights: ResNet50's encoder and three decoders (Graham et al. 2019)."""
    with torch.device("meta"):
        network = HoverNet(preset("full", classes=6))
        maps = network(torch.zeros(1, 3, 64, 64))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(54.75e6, rel=1e-3)
    encoder = sum(p.numel() for p in [*network.stem.parameters(), *network.levels.parameters()])
    assert encoder == pytest.approx(23.5e6, rel=0.01)  # ResNet50 without its classifier
    assert maps.types.shape == (1, 6, 64, 64)


@pytest.mark.parametrize("name", ["compact", "full"])
def test_maps_have_the_images_size(name):
    small = {"widths": (8, 8, 16, 16), "units": (1, 1, 1, 1), "dense_units": (1, 1), "stem": 4}
    network = HoverNet(preset(name, classes=4, squeeze=4, growth=4, **small))
    maps = network(torch.zeros(2, 3, 32, 48))
    assert maps.nuclei.shape == (2, 2, 32, 48)
    assert maps.offsets.shape == (2, 2, 32, 48)
    assert maps.types.shape == (2, 4, 32, 48)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"width": 3}, "network: width: unknown key"),
        ({"widths": (6, 8, 8, 8)}, "widths: expected multiples of 4"),
        ({"growth": 7}, "groups: expected a divisor"),
        ({"kernel": 4}, "kernel: expected an odd number"),
        ({"patch": 8}, "patch: expected at most 4"),
        ({"stem": 0}, "stem: expected numbers in 1..4096"),
    ],
)
def test_a_bad_configuration_names_its_field(changes, message):
    with pytest.raises(ValueError, match=message):
        preset("compact", classes=3, **changes)
