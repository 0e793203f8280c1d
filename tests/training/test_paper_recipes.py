"""The paper's three recipes, run end to end on data made in the published layouts, the network tiny."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.unet import preset
from napari_cosynth.training.config import Recipe, load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.run import train
from published import make_endonuke, make_lizard, make_pannuke

MAKERS = {
    "lizard": lambda root: make_lizard(root, tiles=3, side=300),
    "pannuke": lambda root: make_pannuke(root, patches=4, folds=2, floats=True),
    "endonuke": lambda root: make_endonuke(root, tiles=6),
}
TISSUES = {
    "lizard": {"colon"},
    "pannuke": {"adrenal gland", "bile duct", "breast", "head and neck"},
    "endonuke": {"endometrium"},
}


@pytest.fixture(scope="module", params=MAKERS)
def made(request, tmp_path_factory, clip_folder):
    """A data folder with one data set in it, and its recipe with less of everything but kinds."""
    name = request.param
    root = tmp_path_factory.mktemp("data")
    MAKERS[name](root / name)
    recipe = load_recipe(f"paper-{name}")
    small = dataclasses.replace(
        recipe,
        network={
            **recipe.network,
            "widths": [8, 8, 8, 8],
            "blocks": [1, 1, 1, 1],
            "self_attention": [3],
            "text_width": 16,
            "point_channels": 8,
            "point_blocks": 1,
            "point_growth": 4,
        },
        text={**recipe.text, "name": str(clip_folder)},
        stages=tuple(dataclasses.replace(s, steps=2, batch=2, crop=64) for s in recipe.stages),
        validate_every=2,
        validation_patches=2,
        validation_crop=64,
        sample_layouts=1,
        sample_shape=64,
        sample_steps=2,
    )
    return name, root, small


def test_trains_and_exports(made, tmp_path, losses):
    name, root, recipe = made
    run = tmp_path / "run"
    model = load(train(recipe, root, run, progress=False))
    assert model.config.class_names[1:] == recipe.classes
    assert model.config.network.parametrisation == "epsilon"
    assert model.config.network.label_head == "kl"
    assert model.config.text["kind"] == "clip"
    assert set(model.config.tissues) <= TISSUES[name]
    assert len(model.config.tissues) > (1 if name == "pannuke" else 0)
    assert np.isfinite(list(losses(run, "val_labels").values())).all()
    assert [p.name for p in (run / "samples").iterdir()] == ["0000002.png"]


def test_batches_are_the_papers(made):
    name, root, recipe = made
    full = tuple(dataclasses.replace(stage, crop=256) for stage in recipe.stages)
    data = CosynthData(dataclasses.replace(recipe, stages=full), root)
    batch = data.stream.batch_at(0)
    assert batch.clean.image.shape == (2, 3, 256, 256)
    wanted = "IHC-stained endometrium" if name == "endonuke" else ""
    prompts = [data.stream.batch_at(step).prompts for step in range(3)]
    written = [p for pair in prompts for p in pair if p]
    assert written
    assert all(wanted in p for p in written)
    if name == "pannuke":
        assert not isinstance(data.training[0], list)  # read from the folds when drawn
        assert {r.tissue for r in data.training[0]} == set(data.tissues)
    if name == "lizard":
        colours = [r.image[r.labels == 0].mean(0) for r in data.training[0]]
        assert np.ptp(colours, 0).max() < 4


PAPER = {"lizard": (1e-4, 3.0, 0.05), "pannuke": (1e-4, 2.0, 0.20), "endonuke": (1e-5, 0.5, 0.15)}


@pytest.mark.parametrize("name", PAPER)
def test_settings_are_the_papers(name):
    """Section 4: Adam (0.9, 0.99), rates, weights 9/1/3, batch 16, T = 1000, guidance, splits."""
    recipe: Recipe = load_recipe(f"paper-{name}")
    rate, guidance, share = PAPER[name]
    optimizer, (stage,), (data,) = recipe.optimizer, recipe.stages, recipe.data
    assert (optimizer.lr, optimizer.betas, optimizer.weight_decay) == (rate, (0.9, 0.99), 0)
    assert {optimizer.rate(step, stage.steps) for step in (0, 1, stage.steps - 1)} == {1.0}
    assert (recipe.loss.image, recipe.loss.distance, recipe.loss.labels) == (9, 1, 3)
    assert (stage.batch, stage.crop) == (16, 256)
    assert (recipe.sampler, recipe.sample_steps) == ("ancestral", 1000)
    assert (recipe.sample_guidance, data.validation_share) == (guidance, share)
    assert recipe.text == {"kind": "clip", "name": "vinid/plip"}
    assert preset(name=recipe.network["preset"], classes=4).widths[0] == 128
    assert (data.normaliser is not None) == (name == "lizard")
    assert stage.stride == (128 if name == "lizard" else 1)
