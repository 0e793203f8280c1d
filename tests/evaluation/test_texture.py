"""Texture figures on images whose figures are known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_cosynth.evaluation.metrics.texture import band_ratios, spectral_distance, texture
from napari_cosynth.records.spectrum import BANDS, band_name, band_power, radial_power


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.round().clip(0, 255).astype(np.uint8)[..., None], 3, -1)


def test_white_noise_has_its_variance_at_every_frequency():
    rng = np.random.default_rng(0)
    power = np.mean([radial_power(grey(rng.normal(128, 12, (64, 64)))) for _ in range(40)], 0)
    assert power.shape == (32,)
    np.testing.assert_allclose(power[8:], 144, rtol=0.1)


def test_a_wave_stands_at_its_frequency():
    wave = grey(128 + 40 * np.sin(2 * np.pi * 9 * np.arange(96) / 96)[None].repeat(96, 0))
    assert radial_power(wave).argmax() == 9
    low = wave[:64]  # 9 cycles on 96 pixels are 6 on 64
    assert radial_power(low).argmax() == 6 and radial_power(low).shape == (32,)
    np.testing.assert_allclose(radial_power(low), radial_power(low.swapaxes(0, 1)))
    assert spectral_distance(radial_power(wave), radial_power(wave)) == 0
    assert spectral_distance(np.full(9, 30.0), np.full(9, 3.0)) == pytest.approx(10)


def test_bands_of_a_wave_and_of_noise():
    side = 96

    def wave(amplitude: float) -> np.ndarray:
        x = np.arange(side) / side
        return grey(128 + amplitude * np.sin(2 * np.pi * 9 * x)[None].repeat(side, 0))

    # Frequency 9/96 lies in the second band, 6/96 to 12/96; twice the amplitude, four times the power.
    power = [radial_power(wave(a)) for a in (20, 40)]
    assert band_power(power[1], side).argmax() == 1
    assert band_ratios(power[1], power[0], side)[1] == pytest.approx(4, rel=0.02)
    rng = np.random.default_rng(0)
    noise = [
        np.mean([radial_power(grey(rng.normal(128, s, (side, side)))) for _ in range(30)], 0)
        for s in (8, 16)
    ]
    np.testing.assert_allclose(band_ratios(noise[1], noise[0], side)[1:], 4, rtol=0.12)
    np.testing.assert_allclose(band_power(noise[1], side)[1:], 256, rtol=0.1)


def test_a_band_without_bins_is_not_a_number():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(band_power(np.ones(4), 8)[0])
        assert np.isnan(band_ratios(np.ones(32), np.zeros(32), 64)).all()
    assert [band_name(*band).split(" c")[0] for band in BANDS] == [
        "1/64 to 1/16",
        "1/16 to 1/8",
        "1/8 to 1/4",
        "1/4 to 1/2",
    ]
    ramp = band_power(np.arange(64.0), 128)  # bin k is k / 128, and a band's end the next one's
    np.testing.assert_allclose(
        ramp, [np.arange(*b).mean() for b in ((2, 8), (8, 16), (16, 32), (32, 64))]
    )


def test_noise_and_smooth_ground_differ_in_correlation():
    rng = np.random.default_rng(0)
    noise = rng.normal(128, 20, (1, 128, 128))
    smooth = (noise[:, :-1] + noise[:, 1:]) / 2
    smooth = (smooth[:, :, :-1] + smooth[:, :, 1:]) / 2
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[:, :20, :20] = 1
    assert abs(texture(grey(noise), labels).correlation[0]) < 0.05
    # The mean of two neighbours shares one of them with the next.
    assert texture(grey(smooth), labels[:, :127, :127]).correlation[0] == pytest.approx(
        0.5, abs=0.05
    )


def test_blue_where_the_labels_say():
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[:, 10:30, 10:30] = 1
    image = np.where(labels[..., None] > 0, [70, 40, 120], [230, 170, 205]).astype(np.uint8)
    assert texture(image, labels).auc == 1
    assert texture(image, 1 - labels).auc == 0


def test_nothing_is_not_a_number_and_no_warning():
    blank = np.full((1, 16, 16, 3), 200, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels in (np.zeros((1, 16, 16), np.uint8), np.ones((1, 16, 16), np.uint8)):
            assert np.isnan(texture(blank, labels).auc)
            assert np.isnan(texture(blank, labels).correlation[0])
        power = radial_power(blank[0])
        assert spectral_distance(power, power) == 0
