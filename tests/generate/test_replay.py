"""A sample made again by its recipe: the same pixels, or what is not as it was."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tifffile

from napari_cosynth import registry
from napari_cosynth.cli import main
from napari_cosynth.export.base import Described
from napari_cosynth.export.stack import write_stack
from napari_cosynth.generate.replay import replay
from napari_cosynth.generate.run import generate
from napari_cosynth.geometry.edits import changed_box, edit_between
from napari_cosynth.synthesis.resynthesize import resynthesize
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Request, Synthesis


@pytest.fixture
def request_(layout, tiny_checkpoint) -> Request:
    return Request(
        layout, "colon tissue", str(tiny_checkpoint), steps=2, seeds=(7, 8), guidance=1.5,
        sampler="ancestral", tissue="colon",
    )  # fmt: skip


@pytest.fixture
def stack(request_, tmp_path):
    samples = [e for e in synthesize(request_) if isinstance(e, Synthesis)]
    return write_stack(samples, tmp_path / "stack")


@pytest.fixture(autouse=True)
def known(tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("COSYNTH_CHECKPOINTS", str(tiny_checkpoint.parent))


def test_the_same_pixels_again(stack, tmp_path, capsys):
    assert main(["replay", str(stack), "--sample", "1", "--out", str(tmp_path / "again")]) == 0
    said = capsys.readouterr().out
    assert "sample 1: the same pixels again (image, labels, instances, distance)" in said
    for name in ("images", "labels", "instances", "distances"):
        held = tifffile.imread(stack / f"{name}.tif")[1]
        assert np.array_equal(tifffile.imread(tmp_path / "again" / f"{name}.tif").squeeze(), held)


@pytest.mark.parametrize("kind", [k for k in registry.names("exporter") if k != "stack"])
def test_the_same_pixels_from_every_format(kind, request_, tmp_path):
    """As far as the format keeps them; one with classes of its own keeps the image."""
    request = dataclasses.replace(request_, layout=dataclasses.replace(request_.layout, mpp=0.5))
    samples = [e for e in synthesize(request) if isinstance(e, Synthesis)]
    out = registry.resolve("exporter", kind)(samples, tmp_path / kind)
    again = replay(out, 1)
    assert again.same, again.differences
    assert "image" in again.compared


def test_what_a_recipe_alone_does_not_make(request_, tmp_path):
    (sample,) = [
        e for e in synthesize(dataclasses.replace(request_, seeds=(7,))) if isinstance(e, Synthesis)
    ]
    inpainted = dataclasses.replace(sample, provenance={**sample.provenance, "inpainted": {}})
    write_stack([inpainted], tmp_path / "inpainted")
    with pytest.raises(ValueError, match="sample 0: was sampled into a real image"):
        replay(tmp_path / "inpainted", 0)
    matched = dataclasses.replace(sample, provenance={**sample.provenance, "stain_match": {}})
    write_stack([matched], tmp_path / "matched")
    again = replay(tmp_path / "matched", 0)
    assert again.same and "image" not in again.compared
    assert "no image is compared" in again.differences[0]


def test_a_sample_of_a_generated_data_set(plan, data, tmp_path, capsys):
    generate(plan, tmp_path / "set", data, quiet=True)
    assert main(["replay", str(tmp_path / "set"), "--sample", "5"]) == 0
    assert "sample 5: the same pixels again" in capsys.readouterr().out
    assert main(["replay", str(tmp_path / "set"), "--sample", "7"]) == 2
    assert "sample: expected 0..6, got 7" in capsys.readouterr().err


def test_what_was_edited_by_hand_is_found(stack, capsys):
    labels = tifffile.imread(stack / "labels.tif")
    labels[0, :3, :5] = 1 + labels[0, :3, :5] % 3
    instances = tifffile.imread(stack / "instances.tif")
    instances[0, :3, :5] = 99
    tifffile.imwrite(stack / "labels.tif", labels)
    tifffile.imwrite(stack / "instances.tif", instances)
    description = json.loads((stack / "cosynth.json").read_text())
    description["samples"][0]["edited"] = True
    (stack / "cosynth.json").write_text(json.dumps(description))
    assert main(["replay", str(stack)]) == 1
    said = capsys.readouterr().out
    assert "edited by hand" in said
    assert "labels: 15 of 4096 pixels differ" in said
    assert "instances: 15 of 4096 pixels differ" in said
    assert "image" not in said


def test_the_points_before_an_edit_by_hand_are_sampled(request_, tmp_path):
    """A nucleus was dropped with its point, then another: the image is of all of them."""
    one = dataclasses.replace(request_, seeds=(7,))
    (sample,) = (e for e in synthesize(one) if isinstance(e, Synthesis))
    record, relaid = sample.record, []
    for _ in range(2):
        layout = record.layout
        fewer = dataclasses.replace(
            layout, centroids=layout.centroids[1:], class_ids=layout.class_ids[1:]
        )
        relaid.append(edit_between(layout, fewer))
        kept = np.where(record.instances == 1, 0, record.instances)
        instances = np.where(kept > 0, kept - 1, 0).astype(np.int32)
        labels = np.where(instances > 0, record.labels, 0).astype(np.uint8)
        record = dataclasses.replace(record, layout=fewer, instances=instances, labels=labels)
    description = {**sample.recipe, "edited": True, "relaid": relaid}
    write_stack([Described(record, description, "")], tmp_path / "edited")
    again = replay(tmp_path / "edited", 0)
    np.testing.assert_array_equal(again.record.image, sample.record.image)
    assert again.compared == ("image", "labels", "distance")
    assert "points were edited by hand" in again.differences[0]
    description["relaid"] = [{"added": 3}]
    write_stack([Described(record, description, "")], tmp_path / "damaged")
    with pytest.raises(ValueError, match="relaid: expected edits of its points"):
        replay(tmp_path / "damaged", 0)


def test_what_is_not_as_in_the_recipe_is_said(stack, tiny_checkpoint, capsys, monkeypatch):
    description = json.loads((stack / "cosynth.json").read_text())
    sample = description["samples"][0]
    sample |= {"checkpoint_sha256": "0" * 64, "device": "cuda:0", "precision": "other"}
    sample["versions"]["torch"] = "1.0"
    sample["seed"] = 9
    (stack / "cosynth.json").write_text(json.dumps(description))
    assert main(["replay", str(stack)]) == 1
    said = capsys.readouterr().out
    assert "checkpoint: tiny: its weights are sha256" in said
    assert "device: cpu here, cuda in the recipe" in said
    assert "here, other in the recipe" in said
    assert "torch: 2" in said
    assert "grey levels" in said
    monkeypatch.delenv("COSYNTH_CHECKPOINTS")
    assert main(["replay", str(stack)]) == 2
    assert "name its folder with --checkpoint" in capsys.readouterr().err


def test_a_sample_resampled_around_two_edits(request_, tmp_path, tiny_checkpoint):
    """A point moved and one re-tagged, with another prompt, then one taken away."""
    one = dataclasses.replace(request_, seeds=(7,), sampler="fast")
    (sample,) = (e for e in synthesize(one) if isinstance(e, Synthesis))
    layout = sample.record.layout
    ids = layout.class_ids.copy()
    ids[1] = 1
    moved = layout.centroids.copy()
    moved[0] += 5
    edits = [
        Layout(moved, ids, layout.shape, 0.5, layout.classes),
        Layout(moved[[3, 0, 1]], ids[[3, 0, 1]], layout.shape, 0.5, layout.classes),
    ]
    for edited, prompt in zip(edits, ("tissue", "colon image"), strict=True):
        box = changed_box(sample.record.layout, edited)
        assert box is not None
        after = dataclasses.replace(one, layout=edited, prompt=prompt)
        (sample,) = (e for e in resynthesize(after, sample, box) if isinstance(e, Synthesis))
    write_stack([sample], tmp_path / "edited")
    assert replay(tmp_path / "edited", 0).same
    path = tmp_path / "edited" / "cosynth.json"
    content = json.loads(path.read_text())
    assert [len(e["removed"]) for e in content["samples"][0]["history"]] == [2, 1]
    del content["samples"][0]["history"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="did not keep the layouts before"):
        replay(tmp_path / "edited", 0)


def test_no_recipe_no_replay(stack, tmp_path, capsys):
    path = stack / "cosynth.json"
    content = json.loads(path.read_text())
    del content["samples"][0]["sampler"]
    content["samples"][1] = {"synthetic": False, "source": "tile"}
    path.write_text(json.dumps(content))
    for arguments, message in (
        ([str(stack)], "sampler: missing in its recipe"),
        ([str(stack), "--sample", "1"], "is not synthetic"),
        ([str(stack), "--sample", "2"], "sample: expected 0..1, got 2"),
        ([str(tmp_path)], "no cosynth.json, so no recipe"),
    ):
        assert main(["replay", *arguments]) == 2
        assert message in capsys.readouterr().err
