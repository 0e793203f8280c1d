"""Matching to a reference: the normaliser's own result, a recipe, and one line for a bad reference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from killed_sessions import made
from napari_cosynth import registry
from napari_cosynth.stain.stain_match import match_to, match_to_file
from napari_cosynth.types import Layout


def stained(seed: int = 0, eosin: float = 0.5) -> np.ndarray:
    """Haematoxylin and eosin in random amounts, mixed by Beer and Lambert, uint8 (64, 64, 3)."""
    rng = np.random.default_rng(seed)
    vectors = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    amounts = rng.uniform(0, 1, (64, 64, 2)) * [1.2, eosin * 2]
    return (256 * np.exp(-amounts @ vectors) - 1).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", registry.names("normaliser"))
def test_a_sample_gets_the_normaliser_s_image_and_a_recipe(
    method: str, layout: Layout, tmp_path: Path
) -> None:
    reference, sample = stained(1, 0.8), made(layout)
    tifffile.imwrite(tmp_path / "reference.tif", reference, photometric="rgb")
    match = match_to_file(method, tmp_path / "reference.tif")
    found = match.matched(sample)
    wanted = registry.resolve("normaliser", method)(reference)(sample.record.image)
    np.testing.assert_array_equal(found.record.image, wanted)
    np.testing.assert_array_equal(found.record.instances, sample.record.instances)
    said = found.recipe["stain_match"]
    assert said["method"] == method and said["reference"] == "reference.tif"
    assert len(said["sha256"]) == 64 and "stain_match" not in sample.recipe


def test_strength_goes_from_the_image_to_the_reference_s_stain(layout: Layout) -> None:
    """In optical density, which is what amounts of stain add up in."""
    reference, sample = stained(1, 0.9), made(layout)
    image = stained(3, 0.2)
    full = match_to("macenko", reference, "x")(image)
    half = match_to("macenko", reference, "x", 0.5)
    np.testing.assert_array_equal(match_to("macenko", reference, "x", 0.0)(image), image)
    between = (-np.log((image + 1.0) / 256) - np.log((full + 1.0) / 256)) / 2
    np.testing.assert_allclose(half(image), 256 * np.exp(-between) - 1, atol=0.51)
    assert np.abs(full.astype(int) - half(image)).max() > 10
    assert half.matched(sample).recipe["stain_match"]["strength"] == 0.5
    for wrong in (-0.1, 1.2, float("nan")):
        with pytest.raises(ValueError, match="expected 0 to 100 %, got"):
            match_to("macenko", reference, "x", wrong)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((64, 64, 3), 250, np.uint8), "0 pixels of tissue"),
        (stained()[:3, :3], "8 pixels of tissue, expected at least 100"),
        (np.full((64, 64, 3), (150, 80, 160), np.uint8), "one colour only"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    ],
)
def test_a_degenerate_reference_is_one_line(pixels: np.ndarray, reason: str) -> None:
    for method in registry.names("normaliser"):
        with pytest.raises(ValueError, match=reason) as error:
            match_to(method, pixels, "slide [0:3, 0:3]")
        assert str(error.value).startswith("slide [0:3, 0:3]: ") and "\n" not in str(error.value)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.tif: no such file"):
        match_to_file("macenko", tmp_path / "none.tif")
    (tmp_path / "bad.tif").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"bad\.tif: cannot be read"):
        match_to_file("macenko", tmp_path / "bad.tif")
    with pytest.raises(ValueError, match="expected one of macenko"):
        match_to("ruifrok", stained(), "x")


def test_a_large_reference_is_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """To no more than so many pixels, by a whole step; its recipe names all of it."""
    kind, pixels = registry.resolve("normaliser", "reinhard"), stained(2)[:, :48]
    for most, step in ((64 * 48, 1), (64 * 48 - 1, 2), (64 * 12, 2), (64 * 12 - 1, 3)):
        monkeypatch.setattr("napari_cosynth.stain.stain_match.MOST_PIXELS", most)
        match = match_to("reinhard", pixels, "x")
        thinned = kind(np.ascontiguousarray(pixels[::step, ::step]))
        np.testing.assert_array_equal(match.normaliser.mean, thinned.mean)
        assert match.sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()
    np.testing.assert_allclose(match.normaliser.mean, kind(pixels).mean, atol=1.5)
