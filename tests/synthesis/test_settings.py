"""What a recipe's pixels depend on beside what it says: numbers that are not to change unnoticed, and
which side of each limit does what."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.clamp import WindowNoise
from napari_cosynth.geometry import frame, windows
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.encoding import decode_distance, decode_image, decode_labels
from napari_cosynth.records.resample import enlarged
from napari_cosynth.synthesis import inpaint, looks, place, resynthesize, trajectories, window
from napari_cosynth.synthesis.inpaint import _in_look_of, _with_found
from napari_cosynth.synthesis.looks import look_for, look_from, look_of_pixels
from napari_cosynth.synthesis.place import Place
from napari_cosynth.synthesis.preparation import open_checkpoint
from napari_cosynth.synthesis.repaint import repaint
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.synthesis.window import Surroundings, Window, _encode, _noise
from napari_cosynth.types import Layout, Progress, Request, Synthesis
from nuclei import record


def test_a_recipe_is_replayed_with_the_numbers_it_was_made_with():
    """Each of them decides what the network sees or which noise it gets: one that changes makes other
    pixels of the same recipe, and belongs into the changelog."""
    assert (frame.MARGIN, frame.SMALLEST) == (8, 64)
    assert (windows.Windows().side, windows.Windows().overlap) == (256, 64)
    assert (place.CONTEXT, place.SMALLEST_WINDOW, place.SAME_GRID) == (48, 256, 0.02)
    assert (resynthesize.REACH, resynthesize.CONTEXT, resynthesize.SMALLEST_WINDOW) == (24, 32, 128)
    assert (inpaint.REACH, inpaint.CORE, inpaint.APART) == (12.0, 3.0, 3.0)
    assert (inpaint.SMALLEST_REGION, looks.LARGEST_REFERENCE) == (16, 4096)
    assert (trajectories.LARGEST_WHOLE, trajectories.ROWS) == (512, 256)
    assert window.LARGEST_WINDOW == 1024


def test_a_window_of_a_large_canvas_has_the_noise_of_windows():
    for shape, kind in (((512, 300), WindowNoise), ((300, 513), CanvasNoise)):
        one = Window.around(Box(10, 10, 40, 40), shape, 16, 8, 32)
        assert isinstance(_noise(3, one, torch.device("cpu")), kind)


def test_what_is_known_of_a_window_is_encoded_and_the_rest_is_nothing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (80, 90, 3)).astype(np.uint8)
    labels = rng.integers(0, 4, (80, 90)).astype(np.uint8)
    distance = rng.random((80, 90)).astype(np.float32)
    one = Window.around(Box(30, 30, 40, 40), (80, 90), 2, 4, 8)
    whole = _encode(one, Surroundings(image, labels, distance))
    np.testing.assert_array_equal(decode_image(whole.image)[0], one.crop(image))
    np.testing.assert_array_equal(decode_labels(whole.labels)[0], one.crop(labels))
    np.testing.assert_allclose(decode_distance(whole.distance)[0], one.crop(distance), atol=1e-6)
    bare = _encode(one, Surroundings(image))
    np.testing.assert_array_equal(decode_image(bare.image)[0], one.crop(image))
    assert bare.labels.shape == (1, *one.shown.shape) and not bare.labels.any()
    assert bare.distance.shape == (1, 1, *one.shown.shape) and not bare.distance.any()
    half = _encode(one, Surroundings(image, labels))
    assert half.labels.any() and not half.distance.any()


@pytest.fixture
def large(tiny_checkpoint, classes) -> Request:
    layout = Layout(np.array([[30.0, 40.0]]), np.array([1]), (90, 70), 0.5, classes)
    return Request(layout, "tissue", str(tiny_checkpoint), steps=2, device="cpu")


@pytest.mark.parametrize("rows", [50, 90])
def test_a_large_canvas_is_decoded_in_bands_of_any_height(large, monkeypatch, rows):
    monkeypatch.setattr(trajectories, "LARGEST_WHOLE", 64)
    *_, last, whole = synthesize(large)
    monkeypatch.setattr(trajectories, "ROWS", rows)
    *_, shown, parts = synthesize(large)
    for name in ("image", "labels", "distance"):
        np.testing.assert_array_equal(getattr(parts.record, name), getattr(whole.record, name))
    np.testing.assert_array_equal(shown.image, last.image)
    np.testing.assert_array_equal(shown.labels, last.labels)


@pytest.mark.parametrize("side,parts", [(64, False), (65, True)])
def test_a_canvas_is_sampled_at_once_up_to_its_limit(large, monkeypatch, side, parts):
    monkeypatch.setattr(trajectories, "LARGEST_WHOLE", 64)
    layout = dataclasses.replace(large.layout, shape=(50, side), centroids=np.zeros((1, 2)))
    events = list(synthesize(dataclasses.replace(large, layout=layout, seeds=(1, 2))))
    progress = [e for e in events if isinstance(e, Progress)]
    assert (len(progress) > 4) == parts and sum(isinstance(e, Synthesis) for e in events) == 2
    assert {(e.seed, e.index) for e in progress} == {(1, 0), (2, 1)}


def test_runs_that_make_other_pixels_have_other_identities(large, tmp_path, monkeypatch):
    """What is left in a scratch folder is gone on with by the same run alone."""
    monkeypatch.setattr(trajectories, "LARGEST_WHOLE", 64)
    seen: list[str] = []
    true = trajectories.Scratch
    monkeypatch.setattr(
        trajectories,
        "Scratch",
        lambda folder, identity: seen.append(identity) or true(folder, identity),
    )
    moved = dataclasses.replace(large.layout, centroids=np.array([[31.0, 40.0]]))
    changed = [
        {},
        {"prompt": "colon"},
        {"steps": 3},
        {"seeds": (1,)},
        {"sampler": "ancestral"},
        {"guidance": 2.0},
        {"layout": moved},
    ]
    for changes in changed:
        running = synthesize(dataclasses.replace(large, **changes))
        next(running)
        running.close()
    again = synthesize(large)
    next(again)
    again.close()
    assert len(set(seen)) == len(changed) and seen[-1] == seen[0]


# Into an image


@pytest.mark.parametrize(
    "old,new", [((4, 6), (8, 12)), ((5, 4), (13, 9)), ((6, 6), (6, 6)), ((9, 7), (4, 3))]
)
def test_a_mask_on_another_grid_is_what_the_centres_lie_in(old, new):
    mask = np.random.default_rng(0).random(old) < 0.5
    found = enlarged(mask, new)
    for y in range(new[0]):
        for x in range(new[1]):
            at = int((y + 0.5) * old[0] / new[0]), int((x + 0.5) * old[1] / new[1])
            assert found[y, x] == mask[at]


def test_found_nuclei_lie_apart_from_points_and_have_a_class(classes):
    y, x = np.indices((120, 120))
    image = np.full((120, 120, 3), (235, 200, 215), np.uint8)
    for cy, cx in ((30, 30), (30, 80), (80, 30)):
        image[np.hypot(y - cy, x - cx) <= 6] = (90, 60, 140)
    painted = np.zeros((120, 120), bool)
    painted[60:, 60:] = True

    def seen(points: list[tuple[float, float]], ids: list[int], table=classes) -> Layout:
        layout = Layout(np.array(points).reshape(-1, 2), np.array(ids, int), (120, 120), 0.5, table)
        return _with_found(layout, image, painted)

    none = seen([], [])
    assert len(none) == 3 and set(none.class_ids.tolist()) == {1}
    # 3 µm are 6 pixels: a point as near as that says what is there.
    near, far = seen([(30, 36)], [2]), seen([(30, 37.2)], [2])
    assert len(near) == 1 + 2 and len(far) == 1 + 3 and far.class_ids.tolist() == [2] * 4
    most = seen([(100, 100), (110, 100), (100, 110)], [3, 1, 3])
    assert most.class_ids.tolist() == [3, 1, 3, 3, 3, 3]
    named = type(classes).of("a", "b", inpaint.UNKNOWN)
    assert seen([(100, 100)], [1], named).class_ids.tolist() == [1, 3, 3, 3]
    whole = np.ones((120, 120), bool)
    layout = Layout(np.zeros((0, 2)), np.zeros(0), (120, 120), 0.5, classes)
    assert _with_found(layout, image, whole) is layout
    blurry = dataclasses.replace(layout, mpp=9.0)
    assert _with_found(blurry, image, painted) is blurry


def test_the_look_around_a_region_is_asked_for_where_nothing_else_is(few_checkpoint, layout):
    checkpoint = load(few_checkpoint)
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    request = Request(layout, "tissue", str(few_checkpoint))
    found = _in_look_of(request, Place(image, Box(0, 0, 20, 20), source="a.svs"), checkpoint)
    assert found.look == look_of_pixels(image, 0.5, 0.5)
    assert found.look_of == "around the region of a.svs"
    bare = _in_look_of(request, Place(image, Box(0, 0, 20, 20)), checkpoint)
    assert bare.look_of == "around the region of image"
    own = dataclasses.replace(request, look="none")
    assert _in_look_of(own, Place(image, Box(0, 0, 20, 20)), checkpoint) is own


# Looks


def test_references_at_the_limits_of_their_size(tmp_path):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (16, 31, 3)).astype(np.uint8)
    assert len(look_of_pixels(small, None, 0.5)) == 22
    assert look_of_pixels(small, None, 0.5) == look_of_pixels(small, 0.5, 0.5)
    assert len(look_of_pixels(small, 1.0, 0.5)) == 22
    for bad in (small[:15], small[:, :15]):
        with pytest.raises(ValueError, match=r"expected at least 16 x 16 pixels at 0.5 µm/px, got"):
            look_of_pixels(bad, None, 0.5)
    wide = np.zeros((20, 4097, 3), np.uint8)
    wide[:, ::2] = 90
    for width, refused in ((4096, False), (4097, True)):
        imsave(tmp_path / "a.png", wide[:, :width], check_contrast=False)
        if refused:
            with pytest.raises(
                ValueError, match="20 x 4097 pixels are too many for a look: name a"
            ):
                look_from(f"{tmp_path}/a.png", 0.5)
        else:
            assert look_from(f"{tmp_path}/a.png", 0.5)[1] == "a.png"
    look, name = look_from(f"{tmp_path}/a.png:2,3,17,4000", 0.5)
    assert name == "a.png, 2,3,17,4000" and look == look_of_pixels(wide[2:19, 3:4003], None, 0.5)
    imsave(tmp_path / "a.png", wide[:, :40], check_contrast=False)
    assert look_from(f"{tmp_path}/a.png:0,0,20,40", 0.5)[1] == "a.png"
    for spec in ("0,0,21,40", "0,0,20,41", "0,0,0,20", "1,0,20,40"):
        with pytest.raises(ValueError, match="expected y,x,h,w inside 20 x 40 pixels"):
            look_from(f"{tmp_path}/a.png:{spec}", 0.5)
    for word in ("none", "seed", "bank:colon"):
        assert look_from(word, 0.5) == (word, "")


def test_looks_asked_for_and_what_the_recipe_says(few_checkpoint, tiny_checkpoint, layout):
    follows, plain = load(few_checkpoint), load(tiny_checkpoint)

    def asked(checkpoint, **changes):
        request = Request(layout, "tissue", "x", **changes)
        return look_for(request, checkpoint, layout, 5)

    assert asked(plain).seen is None and asked(plain).facts == {}
    assert asked(follows, look="none").facts == {"look": None}
    for wrong in ((0.1,) * 16, "bank:colon"):
        with pytest.raises(ValueError, match="follows no look: it was trained without"):
            asked(plain, look=wrong)
    with pytest.raises(ValueError, match="look: expected 16 numbers, got 15"):
        asked(follows, look=(0.1,) * 15)
    # A look of more numbers is cut to those it knows.
    usual = tuple(follows.config.look.mean)
    assert asked(follows, look=(*usual, *(7.0,) * 6)).facts["look"] == list(usual)
    drawn = asked(follows, look="bank:lung")
    assert drawn.facts["look_of"] == "training tile tile-3"
    assert drawn.facts["look"] == list(follows.bank[3].look) and "look_share" not in drawn.facts
    far = asked(follows, look=(40.0,) * 16, look_of="far away")
    assert far.facts["look_of"] == "far away"
    with pytest.raises(
        ValueError, match="look: bank:liver: the bank of few: expected one of colon"
    ):
        asked(follows, look="bank:liver")


# Labels held fast


def test_repainting_says_how_far_it_is_and_what_its_labels_are_of(tiny_checkpoint):
    tile = record(0, (24, 32))
    request = Request(tile.layout, "tissue", str(tiny_checkpoint), steps=2, seeds=(4, 5))
    events = list(repaint(request, dataclasses.replace(tile, source="far/tile 7")))
    progress = [(e.seed, e.index, e.step) for e in events if isinstance(e, Progress)]
    assert progress == [(4, 0, 1), (4, 0, 2), (5, 1, 1), (5, 1, 2)]
    one, two = (e for e in events if isinstance(e, Synthesis))
    assert one.seconds > 0 and two.seconds > 0
    assert one.recipe["labels_of"] == "tile 7" and (one.record.image != two.record.image).any()
    copy = dataclasses.replace(tile.layout)
    with pytest.raises(ValueError, match="expected a request for the record's own layout"):
        list(repaint(dataclasses.replace(request, layout=copy), tile))
    for mpp, refused in ((0.5004, False), (0.4996, False), (0.5006, True), (0.4994, True)):
        scaled = dataclasses.replace(tile, mpp=mpp)
        if refused:
            with pytest.raises(ValueError, match=r"expected 0.5 µm/px, got 0\.(5006|4994)"):
                repaint(request, scaled)
        else:
            repaint(request, scaled).close()


def test_the_folder_of_a_checkpoint_is_read_again_only_when_it_is_another(
    tiny_checkpoint, tmp_path
):
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "own"))
    device = torch.device("cpu")
    first = open_checkpoint(str(folder), device)
    assert open_checkpoint(str(folder), device) is first
    weights = folder / "model.safetensors"
    os.utime(weights, ns=(1, 1))
    assert open_checkpoint(str(folder), device) is not first


def test_a_margin_is_shown_around_every_canvas():
    for side, padded in ((48, 64), (49, 80), (64, 80), (1, 64)):
        assert Frame((side, 48), 16).padded == (padded, 64)
    assert Frame((10, 20), 16).box == Box(8, 8, 18, 28)
