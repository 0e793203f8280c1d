"""Samples in few passes and in a look: who decides, what the recipe keeps, what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.cli import main
from napari_cosynth.export.stack import write_stack
from napari_cosynth.generate.replay import replay
from napari_cosynth.geometry.edits import changed_box
from napari_cosynth.model.looks import look_of, read_bank
from napari_cosynth.synthesis import trajectories
from napari_cosynth.synthesis.looks import look_from
from napari_cosynth.synthesis.resynthesize import resynthesize
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Request, Synthesis


@pytest.fixture
def request_(layout: Layout, few_checkpoint: Path) -> Request:
    return Request(
        layout, "colon tissue", str(few_checkpoint), tissue="colon", device="cpu", seeds=(7,)
    )


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    image = np.full((80, 60, 3), (200, 120, 180), np.uint8)
    image[20:40, 20:40] = (90, 50, 120)
    image = (image + rng.integers(-6, 6, image.shape)).astype(np.uint8)
    imsave(tmp_path / "reference.png", image, check_contrast=False)
    return tmp_path / "reference.png"


def samples(request: Request) -> list[Synthesis]:
    return [e for e in synthesize(request) if isinstance(e, Synthesis)]


def test_without_a_word_the_checkpoint_decides(request_, tiny_checkpoint):
    (sample,) = samples(request_)
    assert (sample.recipe["sampler"], sample.recipe["steps"]) == ("few", 3)
    (other,) = samples(dataclasses.replace(request_, checkpoint=str(tiny_checkpoint), steps=2))
    assert (other.recipe["sampler"], other.recipe["steps"]) == ("fast", 2)
    assert "look" not in other.recipe
    (more,) = samples(dataclasses.replace(request_, steps=5))
    assert (more.recipe["sampler"], more.recipe["steps"]) == ("fast", 5)
    # By the name that papers give it, the same sampler and the same recipe.
    (same,) = samples(dataclasses.replace(request_, sampler="sde-dpm-solver++", steps=5))
    assert same.recipe == {**more.recipe, "report": same.recipe["report"]}
    np.testing.assert_array_equal(same.record.image, more.record.image)


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"sampler": "few", "steps": 4}, "few: expected 1 to 3 passes, got 4"),
        ({"look": (1.0, 2.0)}, "look: expected 16 numbers, got 2"),
        ({"look": "bank:livre"}, "look: bank:livre: the bank of few: expected one of colon, lung"),
    ],
)
def test_what_the_checkpoint_cannot_is_refused_before_the_first_step(request_, changes, message):
    with pytest.raises(ValueError, match=message):
        synthesize(dataclasses.replace(request_, **changes))


def test_weights_not_trained_for_it_refuse_few_and_looks(request_, tiny_checkpoint):
    plain = dataclasses.replace(request_, checkpoint=str(tiny_checkpoint))
    with pytest.raises(ValueError, match="sampler: few needs weights that were trained for it"):
        synthesize(dataclasses.replace(plain, sampler="few"))
    with pytest.raises(ValueError, match="look: tiny follows no look"):
        synthesize(dataclasses.replace(plain, look=(0.1,) * 16))


def test_a_look_changes_the_sample_and_a_seed_draws_one_of_its_tissue(request_, few_checkpoint):
    bank = {tile.look: tile for tile in read_bank(few_checkpoint)}
    drawn = samples(dataclasses.replace(request_, seeds=tuple(range(12))))
    tiles = [bank[tuple(sample.recipe["look"])] for sample in drawn]
    assert {tile.tissue for tile in tiles} == {"colon"}
    assert len({tile.tile for tile in tiles}) == 3
    assert [s.recipe["look_of"] for s in drawn] == [f"training tile {t.tile}" for t in tiles]
    (none,) = samples(dataclasses.replace(request_, look="none"))
    assert none.recipe["look"] is None
    assert (none.record.image != drawn[7].record.image).any()
    (lung,) = samples(dataclasses.replace(request_, look="bank:lung"))
    assert bank[tuple(lung.recipe["look"])].tissue == "lung"


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_seed_gives_the_same_sample_alone_and_among_others(request_, guidance, monkeypatch):
    for largest in (trajectories.LARGEST_WHOLE, 32):
        monkeypatch.setattr(trajectories, "LARGEST_WHOLE", largest)
        request = dataclasses.replace(request_, guidance=guidance)
        among = samples(dataclasses.replace(request, seeds=(5, 6, 7)))
        (alone,) = samples(request)
        np.testing.assert_array_equal(alone.record.image, among[2].record.image)
        assert alone.recipe["look"] == among[2].recipe["look"]


def test_a_replay_needs_no_reference(request_, reference, tmp_path, few_checkpoint, monkeypatch):
    monkeypatch.setenv("COSYNTH_CHECKPOINTS", str(few_checkpoint.parent))
    look, source = look_from(f"{reference}:10,11,40,36", 0.5)
    (sample,) = samples(dataclasses.replace(request_, look=look, look_of=source))
    assert sample.recipe["look_of"] == "reference.png, 10,11,40,36"
    stack = write_stack([sample], tmp_path / "stack")
    reference.unlink()
    again = replay(stack, 0)
    assert again.same, again.differences
    assert again.recipe["look"] == sample.recipe["look"]


def test_a_damaged_look_of_a_recipe_names_the_sample(
    request_, tmp_path, few_checkpoint, monkeypatch
):
    monkeypatch.setenv("COSYNTH_CHECKPOINTS", str(few_checkpoint.parent))
    stack = write_stack(samples(request_), tmp_path / "stack")
    content = json.loads((stack / "cosynth.json").read_text())
    content["samples"][0]["look"] = [0.1, "x"]
    (stack / "cosynth.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"stack: sample 0: look: expected null or finite numbers"):
        replay(stack, 0)


def test_an_edit_keeps_the_look_around_it_and_is_replayed(
    request_, tmp_path, few_checkpoint, monkeypatch
):
    monkeypatch.setenv("COSYNTH_CHECKPOINTS", str(few_checkpoint.parent))
    # Another than the seed would draw.
    named = dataclasses.replace(request_, look=(0.25,) * 16, look_of="a name")
    (before,) = samples(named)
    layout = request_.layout
    edited = dataclasses.replace(
        layout, centroids=layout.centroids[:3], class_ids=layout.class_ids[:3]
    )
    request = dataclasses.replace(request_, layout=edited)
    box = changed_box(layout, edited)
    (after,) = (e for e in resynthesize(request, before, box) if isinstance(e, Synthesis))
    assert (after.recipe["look"], after.recipe["look_of"]) == ([0.25] * 16, "a name")
    assert replay(write_stack([after], tmp_path / "stack"), 0).same
    own = dataclasses.replace(request, look=(0.3,) * 16)
    *_, other = resynthesize(own, before, box)
    assert other.recipe["look"] == [0.3] * 16


def test_a_reference_is_scaled_to_the_grid(reference):
    from skimage.io import imread

    look, source = look_from(str(reference), 0.5)
    assert (look, source) == (look_of(imread(reference)), "reference.png")
    finer, _ = look_from(str(reference), 0.5, mpp=0.25)
    assert finer != look
    with pytest.raises(ValueError, match=r"reference\.png: expected at least 16 x 16 pixels"):
        look_from(str(reference), 0.5, mpp=0.05)


@pytest.mark.parametrize(
    "spec,message",
    [
        ("{}:1,2,3", "expected IMAGE:y,x,h,w"),
        ("{}:0,0,99,10", "expected y,x,h,w inside 80 x 60 pixels"),
        ("{}:0,0,10,0", "expected y,x,h,w inside 80 x 60 pixels"),
        ("nowhere.png", "look: nowhere.png: no such file"),
    ],
)
def test_a_bad_reference_is_named(reference, spec, message):
    with pytest.raises(ValueError, match=message):
        look_from(spec.format(reference), 0.5)


def test_from_the_shell_the_look_is_in_every_recipe(few_checkpoint, layout, reference, tmp_path):
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1,class\n0,30,30,epithelial\n")
    out = tmp_path / "stack"
    arguments = [
        "synthesize",
        str(tmp_path / "points.csv"),
        "--shape",
        "64",
        "64",
        "--device",
        "cpu",
    ]
    arguments += ["--checkpoint", str(few_checkpoint), "--count", "2", "--out", str(out)]
    assert main([*arguments, "--look", str(reference)]) == 0
    entries = json.loads((out / "cosynth.json").read_text())["samples"]
    assert [e["look_of"] for e in entries] == ["reference.png"] * 2
    assert [e["steps"] for e in entries] == [3, 3]
