"""Splits by slide, copies of images, and what a check finds."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from scipy.fft import dctn
from skimage.exposure import adjust_gamma

from napari_cosynth.checks.checks import check
from napari_cosynth.checks.copies import (
    NEAR,
    Copies,
    _bands,
    perceptual_hash,
    symmetries,
    thumbnail,
)
from napari_cosynth.checks.splits import groups_of, read_groups, split_by_group
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.export.conic import write_conic
from napari_cosynth.export.stack import write_stack
from napari_cosynth.records.base import patient_of
from nuclei import items, record

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def groups(count=400, slides=60, seed=0):
    rng = np.random.default_rng(seed)
    return {f"p{i}": f"slide {rng.integers(slides)}" for i in range(count)}


def test_no_slide_is_in_two_parts_and_nothing_is_lost():
    table = groups()
    parts = split_by_group(table, SHARES)
    assert sorted(n for names in parts.values() for n in names) == sorted(table)
    where = {}
    for part, names in parts.items():
        for name in names:
            assert where.setdefault(table[name], part) == part
        assert len(names) / len(table) == pytest.approx(SHARES[part], abs=0.03)


def test_a_split_depends_on_seed_and_names_only():
    table = groups()
    shuffled = list(table.items())
    random.Random(1).shuffle(shuffled)
    first, again = split_by_group(table, SHARES, 5), split_by_group(dict(shuffled), SHARES, 5)
    assert {k: set(v) for k, v in first.items()} == {k: set(v) for k, v in again.items()}
    assert set(split_by_group(table, SHARES, 6)["test"]) != set(first["test"])


def test_every_part_gets_something_or_the_split_is_refused():
    table = {"a": "1", "b": "2", "c": "3"}
    assert all(split_by_group(table, {"train": 0.98, "val": 0.01, "test": 0.01}).values())
    with pytest.raises(ValueError, match="2 slides or patients cannot fill 3 parts"):
        split_by_group({"a": "1", "b": "2", "c": "2"}, SHARES)
    with pytest.raises(ValueError, match="shares: expected positive numbers"):
        split_by_group(table, {"train": 1, "test": 0})


def test_a_csv_says_which_slide(tmp_path):
    path = tmp_path / "slides.csv"
    path.write_text("name,patient\na.png,1\nb.png,2\n")
    assert read_groups(path, "patient", ("a", "b")) == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match=r"slides\.csv: no column 'slide'; it has name, patient"):
        read_groups(path, "slide", ("a",))
    with pytest.raises(ValueError, match="no row for 'c'"):
        read_groups(path, "patient", ("c",))


def test_patients_of_barcodes():
    assert patient_of("TCGA-AR-A1AS-01Z-00-DX1") == "TCGA-AR-A1AS"
    assert patient_of("TCGA-AR-A1AS") == "TCGA-AR-A1AS"
    assert patient_of("TCGA-AR-A1ASX") == "TCGA-AR-A1ASX"
    assert patient_of("tile_1") == "tile_1"


def test_patches_of_unknown_slides_are_not_split(data_root):
    with pytest.raises(ValueError, match="a split by patch would leak: --groups names a CSV"):
        groups_of(open_records(data_root / "pannuke_sample")[1])


def test_samples_of_one_layout_stay_together(tmp_path):
    made = [*items(2), dataclasses.replace(items(1)[0], name="again")]
    found = groups_of(open_records(write_stack(made, tmp_path / "s"))[1])
    assert found["0"] == found["2"] != found["1"]


def test_turned_copies_of_a_layout_stay_together(tmp_path):
    """Their points differ, but their recipes name the layout they are of, and the tile of that."""
    recipes = ["tile at (0, 0)", "tile at (0, 96)", "other at (0, 0)"]
    made = [
        dataclasses.replace(item, description={**item.description, "layout": name})
        for item, name in zip(items(3), recipes, strict=True)
    ]
    found = groups_of(open_records(write_stack(made, tmp_path / "s"))[1])
    assert found["0"] == found["1"] != found["2"]


def test_the_hash_is_the_published_one():
    small = np.random.default_rng(0).random((32, 32))
    low = dctn(small)[:8, :8]  # another norm: signs about the median do not change
    bits = (low > np.median(low.ravel()[1:])).ravel()
    assert perceptual_hash(small) == int("".join("01"[int(b)] for b in bits), 2)


def smooth(seed, shape=(96, 96)):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(*shape, 3)), (6, 6, 0))
    return (128 + 60 * noise / noise.std()).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("turn", range(8))
def test_copies_are_found_turned_rescaled_and_brightened(turn):
    from skimage.transform import resize

    copies = Copies()
    for seed in range(20):
        assert copies.add(("a", str(seed)), smooth(seed)) == []
    original = smooth(7)
    moved = np.stack([symmetries(original[..., c])[turn] for c in range(3)], -1)
    altered = adjust_gamma((resize(moved, (80, 80)) * 255).astype(np.uint8), 1.15)
    assert copies.add(("b", "x"), altered) == [("a", "7")]


def test_real_tiles_are_no_copies_of_each_other(data_root):
    _, dataset = open_records(data_root / "consep" / "train", only=["train_1", "train_2"])
    copies = Copies()
    for tile in dataset:
        for y in range(0, 1000, 125):
            for x in range(0, 1000, 125):
                key = (tile.source, f"{y} {x}")
                assert copies.add(key, tile.image[y : y + 125, x : x + 125]) == []
    again = tile.image[250:375, 500:625]
    assert copies.add(("again", ""), again[:, ::-1]) == [(tile.source, "250 500")]
    assert thumbnail(again).shape == (32, 32)


def kinds(splits):
    return [(f.kind, f.split, f.name) for f in check(splits).findings]


def opened(*paths):
    return [(p.name, open_records(p)[1]) for p in paths]


def test_our_own_stacks_pass(tmp_path):
    assert kinds(opened(write_stack(items(4), tmp_path / "s"))) == []


def test_damage_within_a_sample_is_found(tmp_path):
    good = record(0, shape=(48, 48))
    labels, ids = good.labels.copy(), good.instances.copy()
    labels[ids == 3] = 0
    labels[tuple(np.argwhere(ids == 1)[0])] = 0  # background is no second class
    apart = dataclasses.replace(record(1, shape=(48, 48)), labels=labels, instances=ids)
    mixed = record(2, shape=(48, 48))
    two = mixed.labels.copy()
    y, x = np.nonzero(mixed.instances == 1)
    two[y[0], x[0]] = two[y[0], x[0]] % 3 + 1
    mixed = dataclasses.replace(mixed, labels=two)
    beyond = record(3, shape=(48, 48))
    far = np.where(beyond.instances == 2, 900, beyond.instances).astype(np.int32)
    beyond = dataclasses.replace(beyond, instances=far)
    none = np.zeros((48, 48), np.int32)
    empty = dataclasses.replace(record(4, shape=(48, 48)), instances=none, labels=none.astype("u1"))
    folder = write_stack([good, apart, mixed, beyond, empty], tmp_path / "s")
    assert kinds(opened(folder)) == [
        ("disagreement", "s", "1"),
        ("unreadable", "s", "1"),  # as info says
        ("two classes", "s", "2"),
        ("layout", "s", "3"),
        ("empty", "s", "4"),
    ]


def test_classes_out_of_range_and_damaged_files_are_found(tmp_path):
    folder = write_conic(items(2, shape=(48, 48)), tmp_path / "c")
    labels = np.load(folder / "labels.npy")
    labels[1, 0, 0] = 5, 200
    np.save(folder / "labels.npy", labels)
    (found,) = check(opened(folder)).findings
    assert (found.kind, found.name) == ("unreadable", "tile_1")
    assert "expected classes 0..3, got 200" in found.detail


def test_splits_that_share_slides_or_images_are_found(tmp_path):
    def described(slide, *numbers):
        made = items(6)
        return [
            dataclasses.replace(made[i], description={"synthetic": False, "slide": slide})
            for i in numbers
        ]

    train = write_conic([*described("A", 0, 1), *described("B", 2)], tmp_path / "train")
    clean = write_conic(described("C", 3), tmp_path / "clean")
    assert kinds(opened(train, clean)) == []
    leaky = write_conic([*described("B", 4), *described("D", 1)], tmp_path / "leaky")
    assert kinds(opened(train, leaky)) == [
        ("leaked copy", "leaky", "tile_1"),
        ("shared slide", "leaky", "tile_4"),
    ]


def test_bands_share_a_hash_among_them():
    """All bits, each in one band: codes that differ in four then agree in one of the five."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        code = int.from_bytes(rng.bytes(8), "big")
        bands = _bands(code)
        assert [number for number, _ in bands] == list(range(5))
        assert sum(part << (13 * number) for number, part in bands) == code
        changed = code
        for bit in rng.choice(64, NEAR, replace=False).tolist():
            changed ^= 1 << bit
        assert set(bands) & set(_bands(changed))
