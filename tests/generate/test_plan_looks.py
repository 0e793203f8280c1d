"""Looks of a plan: spread over a folder of references, kept with the run, and in every recipe."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.generate.looks import look_at
from napari_cosynth.generate.plan import Plan
from napari_cosynth.generate.run import generate, in_this_process


@pytest.fixture
def references(data: Path) -> Path:
    folder = data / "references"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, color in enumerate([(200, 120, 180), (180, 150, 200), (220, 160, 170)]):
        image = np.clip(np.array(color) + rng.normal(0, 8, (40, 40, 3)), 0, 255).astype(np.uint8)
        image[10:20, 10:20] = (90, 50, 130)
        imsave(folder / f"{i}.png", image, check_contrast=False)
    return folder


@pytest.fixture
def spread(plan: Plan, few_checkpoint: Path) -> Plan:
    return dataclasses.replace(
        plan, checkpoint=str(few_checkpoint), steps=0, look="images:references", samples=6
    )


def recipes(out: Path) -> list[dict]:
    return [entry for shard in sorted(out.glob("shard-*")) for entry in StackDataset(shard).samples]


def test_every_reference_once_in_a_round_and_again_without_them(spread, data, references, tmp_path):
    whole = tmp_path / "whole"
    generate(spread, whole, data, quiet=True)
    found = [entry["look_of"] for entry in recipes(whole)]
    names = {"0.png", "1.png", "2.png"}
    assert set(found[:3]) == set(found[3:]) == names
    assert all(entry["steps"] == 3 and len(entry["look"]) == 16 for entry in recipes(whole))

    # A run that goes on elsewhere needs the references no more.
    part = tmp_path / "part"

    def stopped(jobs, settings):
        for count, job in enumerate(jobs):
            if count == 2:
                raise KeyboardInterrupt
            yield from in_this_process([job], settings)

    with pytest.raises(KeyboardInterrupt):
        generate(spread, part, data, engine=stopped, quiet=True)
    shutil.rmtree(references)
    generate(spread, part, data, resume=True, quiet=True)
    assert [e["look"] for e in recipes(part)] == [e["look"] for e in recipes(whole)]


def test_the_order_is_drawn_by_the_seed():
    looks = [(str(i), "") for i in range(5)]
    first = [look_at(looks, 0, i) for i in range(10)]
    assert sorted(first[:5]) == sorted(first[5:]) == looks
    assert first[:5] != first[5:]
    assert first != [look_at(looks, 1, i) for i in range(10)]


@pytest.mark.parametrize(
    "look,message",
    [("images:nowhere", "look: .*nowhere: no such folder, or no image in it"), ("in pink", "look")],
)
def test_bad_looks_are_named_before_anything_is_written(
    plan, few_checkpoint, data, tmp_path, look, message
):
    with pytest.raises(ValueError, match=message):
        bad = dataclasses.replace(plan, checkpoint=str(few_checkpoint), look=look, steps=0)
        generate(bad, tmp_path / "out", data, quiet=True)
    assert not (tmp_path / "out").exists()
