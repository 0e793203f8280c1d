"""Looks: what the numbers say, how a bank is read and drawn from."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import mahalanobis

from napari_cosynth.model.looks import (
    LOOKS,
    NUMBERS,
    LookScale,
    TileLook,
    describe,
    draw_look,
    look_of,
    read_bank,
    usual_share,
)

PINK, PURPLE, WHITE = (215, 130, 190), (110, 70, 150), (250, 250, 250)


def tile(white: int = 0) -> np.ndarray:
    """Purple squares over a quarter of pink, ``white`` rows of white at the bottom."""
    image = np.empty((64, 64, 3), np.uint8)
    image[:] = PINK
    for y in range(0, 64, 16):
        for x in range(0, 64, 16):
            image[y + 4 : y + 12, x + 4 : x + 12] = PURPLE
    image[64 - white :] = WHITE
    return image


def density(color: tuple[int, int, int]) -> np.ndarray:
    return -np.log10((np.array(color) + 1) / 256)


def number(look: tuple[float, ...], name: str) -> float:
    return look[NUMBERS.index(name)]


def test_background_and_nuclei_are_told_apart_without_labels():
    look = look_of(tile())
    assert len(look) == len(NUMBERS) == 22
    for part, color in (("background", PINK), ("nuclei", PURPLE)):
        found = [number(look, f"mean density of {part}, {c}") for c in ("red", "green", "blue")]
        np.testing.assert_allclose(found, density(color), atol=0.01)
    assert number(look, "share of white") < 0.02


def test_white_is_no_background_tissue():
    look = look_of(tile(white=16))
    assert number(look, "share of white") == pytest.approx(0.25, abs=0.02)
    assert number(look, "mean density of background, green") == pytest.approx(
        density(PINK)[1], abs=0.01
    )


@pytest.mark.parametrize("ink", [(20, 80, 150), (45, 35, 40)], ids=["blue", "black"])
def test_ink_is_no_tissue(ink):
    inked = tile()
    inked[:20] = ink
    plain, found = look_of(tile()[20:]), look_of(inked)
    apart = np.abs(np.subtract(found, plain))
    # The share of white is of all pixels; detail is seen at the border of the ink.
    assert apart[:12].max() < 0.02
    assert number(found, "deviation of red less green density") == pytest.approx(
        number(plain, "deviation of red less green density"), abs=0.01
    )


def test_grain_is_seen():
    rng = np.random.default_rng(0)
    grainy = np.clip(tile() + rng.normal(0, 12, (64, 64, 1)), 0, 255).astype(np.uint8)
    name = "deviation of what is finer than a Gaussian of 2 px"
    assert number(look_of(grainy), name) > number(look_of(tile()), name) + 0.01


def test_detail_is_that_between_gaussians_in_nuclei_and_around_them():
    rng = np.random.default_rng(1)
    image = tile().astype(float)
    nuclei = image[..., 1] < 100
    image[nuclei] += rng.normal(0, 10, (nuclei.sum(), 1))
    image = np.clip(image, 0, 255).astype(np.uint8)
    # By hand: the parts are sharp here, their squares are added one by one.
    grey = image.mean(-1)
    levels = [grey, *(gaussian_filter(grey, s, mode="mirror", truncate=3) for s in (1, 2, 4))]
    for part, where in (("background", ~nuclei), ("nuclei", nuclei)):
        for size, fine, coarse in zip(
            ("below 1 px", "1 to 2 px", "2 to 4 px"), levels, levels[1:], strict=False
        ):
            wanted = np.log(np.sqrt((((fine - coarse)[where] / 255) ** 2).mean() + 1e-5))
            found = number(look_of(image), f"log deviation of detail in {part}, {size}")
            assert found == pytest.approx(wanted, abs=0.08), (part, size)
    calm = look_of(tile())
    change = np.subtract(look_of(image), calm)
    grain = "log deviation of detail in {}, below 1 px".format
    assert change[NUMBERS.index(grain("nuclei"))] > 0.08
    assert change[NUMBERS.index(grain("nuclei"))] > 3 * change[NUMBERS.index(grain("background"))]


def test_each_image_of_a_batch_is_described_alone():
    images = torch.from_numpy(np.stack([tile(), tile(24)]).transpose(0, 3, 1, 2) / 127.5 - 1)
    both = describe(images.float())
    torch.testing.assert_close(both[1:], describe(images[1:].float()))
    assert not torch.allclose(both[0], both[1])


def test_the_numbers_are_differentiable_in_the_pixels():
    images = torch.from_numpy(tile().transpose(2, 0, 1)[None] / 127.5 - 1).float()
    images.requires_grad_()
    look = describe(images)
    (slope,) = torch.autograd.grad(look[0, 1], images)
    # Lighter green is a smaller green density of the background.
    assert float(slope[0, 1].sum()) < 0
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((8, 64, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint16),
    ],
)
def test_no_reference_is_named(image):
    with pytest.raises(ValueError, match="look: expected an RGB image of 8 bits"):
        look_of(image)


def test_a_scale_standardises_and_keeps_far_looks_at_five():
    looks = [tuple(float(i + k) for k in range(16)) for i in (0, 2)]
    scale = LookScale.over(looks)
    torch.testing.assert_close(
        scale.standardised(torch.tensor(looks)), torch.tensor([[-1.0] * 16, [1.0] * 16])
    )
    assert float(scale.standardised(torch.tensor([[99.0] * 16])).max()) == 5
    assert float(scale.relative(torch.tensor([[99.0] * 16])).max()) > 5


def test_a_scale_of_an_earlier_network_takes_the_numbers_it_knows():
    scale = LookScale((0.0,) * 16, (1.0,) * 16)
    looks = torch.arange(44.0).reshape(2, 22)
    assert torch.equal(scale.relative(looks), looks[:, :16])
    with pytest.raises(ValueError, match="look: expected 16 or 22 means and as many deviations"):
        LookScale((0.0,) * 17, (1.0,) * 17)


def bank() -> list[TileLook]:
    numbers = tuple(float(v) for v in range(16))
    return [
        TileLook("a", "colon", {"x": 1.0}, numbers),
        TileLook("b", "colon", {"y": 0.9, "x": 0.1}, numbers),
        TileLook("c", "lung", {"x": 1.0}, numbers),
        TileLook("d", "colon", {"z": 1.0}, numbers),
    ]


def test_a_seed_draws_of_the_tissue_and_rather_of_the_classes():
    drawn = [draw_look(bank(), "colon", {"x": 1.0}, 5000, seed).tile for seed in range(300)]
    assert set(drawn) == {"a", "b"}
    assert drawn.count("b") < 30
    assert {draw_look(bank(), "colon", {"z": 1.0}, 0, seed).tile for seed in range(50)} == {"d"}
    assert drawn == [draw_look(bank(), "colon", {"x": 1.0}, 5000, seed).tile for seed in range(300)]
    assert {draw_look(bank(), "liver", {}, 5000, seed).tile for seed in range(100)} == {
        "a",
        "b",
        "c",
        "d",
    }
    assert draw_look([], "colon", {}, 0, 0) is None


def test_a_seed_draws_rather_a_tile_with_as_many_nuclei():
    sparse, dense, unknown = (
        dataclasses.replace(bank()[0], tile=name, density=density)
        for name, density in (("sparse", 2000), ("dense", 12_000), ("unknown", None))
    )
    for density, likelier in ((1500, "sparse"), (15_000, "dense")):
        drawn = [
            draw_look([sparse, dense], "colon", {"x": 1.0}, density, seed).tile
            for seed in range(300)
        ]
        assert drawn.count(likelier) > 270
    drawn = [draw_look([dense, unknown], "colon", {}, 12_000, seed).tile for seed in range(300)]
    assert 100 < drawn.count("unknown") < 200
    with pytest.raises(ValueError, match="density: expected nuclei per mm²"):
        dataclasses.replace(dense, density=-1)


def test_a_look_beyond_all_training_tiles_is_asked_for_in_part():
    rng = np.random.default_rng(3)
    mixed = rng.normal(size=(16, 16)) * 0.1
    looks = [tuple(row) for row in 0.3 + rng.normal(size=(60, 16)) @ mixed]
    scale = LookScale.over(looks)
    bank = [TileLook(f"tile-{i}", "colon", {}, look) for i, look in enumerate(looks)]
    relative = (np.array(looks) - scale.mean) / scale.deviation
    inverse = np.linalg.inv(np.cov(relative.T) + 0.1 * np.eye(16))

    def away(look):
        return mahalanobis((np.array(look) - scale.mean) / scale.deviation, np.zeros(16), inverse)

    farthest = max(map(away, looks))
    assert usual_share(looks[5], scale, bank) == 1.0
    # No number of its own is far out, but none of the tiles has them so together.
    odd = np.array(scale.mean) + 4 * np.array(scale.deviation) * np.where(np.arange(16) % 2, 1, -1)
    share = usual_share(tuple(odd), scale, bank)
    assert 0 < share < 1
    assert share * away(odd) == pytest.approx(farthest, rel=1e-3)
    seen = scale.standardised(torch.tensor([odd], dtype=torch.float32), share)
    np.testing.assert_allclose(np.abs(seen), 4 * share, rtol=1e-3)
    assert usual_share(tuple(odd), scale, bank[:16]) == 1.0
    # What lies beyond the numbers that the scale knows is not looked at.
    longer = [dataclasses.replace(t, look=(*t.look, *(9.0,) * 6)) for t in bank]
    assert usual_share((*odd, *(-9.0,) * 6), scale, longer) == share


def test_a_damaged_bank_names_file_and_field(tmp_path):
    assert read_bank(tmp_path) == ()
    tiles = [dataclasses.asdict(t) for t in bank()]
    (tmp_path / LOOKS).write_text(json.dumps(tiles))
    assert read_bank(tmp_path) == tuple(bank())
    tiles[1]["look"] = [1.0]
    (tmp_path / LOOKS).write_text(json.dumps(tiles))
    with pytest.raises(ValueError, match=r"looks\.json: 1.*expected 16 or 22 numbers, got 1"):
        read_bank(tmp_path)
