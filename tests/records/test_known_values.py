"""What crops, jitter, scales, sidecars and perturbed labels do, by hand and by enumeration."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.color import hed2rgb, rgb2hed

from napari_cosynth.records import augment as augment_module
from napari_cosynth.records import distort, perturb
from napari_cosynth.records.augment import augment, random_crop
from napari_cosynth.records.base import NamedRecords, Parts, crop, make_record, patient_of, remap
from napari_cosynth.records.nucleus_notes import PARTED, NucleusNotes
from napari_cosynth.records.refine import separated_again, updated_from_instances, without_nuclei
from napari_cosynth.records.resample import resample, resized
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.stain.jitter import jitter_stain
from napari_cosynth.types import ClassTable, Layout, Record
from nuclei import record

TABLE = ClassTable.of("a", "b")


def places(height: int, width: int) -> Record:
    """Every pixel tells where it is; no nuclei."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = np.indices((height, width))
    empty = np.zeros((height, width), np.int32)
    return make_record(image, empty, empty.astype(np.uint8), TABLE, 0.5, source="tile")


def corners(tile: Record, draws: int = 400, **options) -> set[tuple[int, int]]:
    found = (random_crop(tile, 4, np.random.default_rng(s), **options) for s in range(draws))
    return {(int(p.image[0, 0, 0]), int(p.image[0, 0, 1])) for p in found}


def test_crops_begin_everywhere_or_on_a_grid_that_ends_at_the_border():
    tile = places(9, 12)
    assert corners(tile) == {(y, x) for y in range(6) for x in range(9)}
    assert corners(tile, stride=3) == {(y, x) for y in (0, 3, 5) for x in (0, 3, 6, 8)}
    assert corners(tile, stride=5) == {(y, x) for y in (0, 5) for x in (0, 5, 8)}
    assert corners(places(4, 4)) == {(0, 0)}


@pytest.mark.parametrize("point", [(0, 0), (3.4, 3.6), (8, 11), (8.49, -0.5), (5, 8), (2, 3)])
def test_crops_around_a_point_are_all_that_hold_it(point):
    y, x = (int(np.floor(v + 0.5)) for v in point)
    wanted = {(a, b) for a in range(6) for b in range(9) if a <= y < a + 4 and b <= x < b + 4}
    assert corners(places(9, 12), around=point) == wanted


def test_a_crop_as_large_as_the_record_is_taken_and_a_larger_one_names_it():
    assert random_crop(places(4, 9), 4, np.random.default_rng(0)).labels.shape == (4, 4)
    for shape in ((3, 9), (9, 3)):
        with pytest.raises(
            ValueError, match=r"^tile: . x . pixels at 0.5 µm/px is smaller than the"
        ):
            random_crop(places(*shape), 4, np.random.default_rng(0))


def test_what_a_scale_of_one_half_cuts(monkeypatch):
    """Sides from size / 1.5 to size * 1.5, evenly in their logarithm; never beyond the record."""
    cut = []
    monkeypatch.setattr(
        augment_module,
        "_corner",
        lambda record, side, *rest: cut.append(side) or (0, 0),
    )
    tile = places(90, 80)
    rngs = [np.random.default_rng(s) for s in range(250)]
    made = [augment(tile, 40, rng, scale_strength=0.5) for rng in rngs]
    assert {m.labels.shape for m in made} == {(40, 40)}
    assert min(cut) == 27 and max(cut) == 60
    logs = np.log(np.array(cut) / 40) / np.log(1.5)
    assert abs(logs.mean()) < 0.15 and abs(logs.std() - 1 / np.sqrt(3)) < 0.08
    cut.clear()
    small = places(44, 41)
    for rng in rngs[:60]:
        augment(small, 40, rng, scale_strength=0.5)
    assert max(cut) == 41
    cut.clear()
    augment(tile, 40, rngs[0])
    assert cut == [40]


def test_augmentation_jitters_stain_only_when_told():
    tile = record(0, (24, 24))
    plain = [augment(tile, 24, np.random.default_rng(s)) for s in range(8)]
    assert {bytes(np.sort(p.image.ravel())) for p in plain} == {bytes(np.sort(tile.image.ravel()))}
    moved = augment(tile, 24, np.random.default_rng(5), stain_strength=0.2)
    same = augment(tile, 24, np.random.default_rng(5))
    assert (moved.image != same.image).mean() > 0.5
    np.testing.assert_array_equal(moved.labels, same.labels)


def test_stains_are_scaled_and_shifted_in_their_own_densities():
    image = np.array(
        [[(200, 140, 190), (110, 80, 150)], [(235, 225, 230), (90, 60, 130)]], np.uint8
    )
    for strength in (0.05, 0.3):
        rng = np.random.default_rng(1)
        scale, shift = 1 + strength * (2 * rng.random(3) - 1), strength * (2 * rng.random(3) - 1)
        expected = 255 * hed2rgb(rgb2hed(image) * scale + shift / 50)
        found = jitter_stain(image, strength, np.random.default_rng(1))
        assert found.dtype == np.uint8
        assert np.abs(found - expected.clip(0, 255)).max() <= 0.5 + 1e-6
    np.testing.assert_allclose(
        jitter_stain(image, 0.0, np.random.default_rng(1)).astype(int), image, atol=1
    )


def test_distortions_are_stain_then_blur_then_noise(monkeypatch):
    assert (distort.STAIN, distort.LARGEST_BLUR, distort.LARGEST_NOISE) == (0.15, 1.0, 8.0)
    image = record(0, (24, 24)).image
    kinds = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values = jitter_stain(image, 0.15, rng).astype(np.float32)
        if blurred := rng.random() < 0.5:
            sigma = rng.uniform(0, 1)
            values = np.stack([ndi.gaussian_filter(values[..., c], sigma) for c in range(3)], -1)
        if noisy := rng.random() < 0.5:
            values = values + rng.normal(0, rng.uniform(0, 8), values.shape)
        kinds.add((blurred, noisy))
        found = distort.distorted(image, np.random.default_rng(seed))
        assert np.abs(found - values.clip(0, 255)).max() < 0.51
    assert len(kinds) == 4


def test_perturbed_nuclei_are_mirrored_and_moved_by_a_micrometre_and_a_half():
    """One L-shaped nucleus far from everything: four forms, moves of 3 pixels at 0.5 µm/px."""
    ids = np.zeros((80, 80), np.int32)
    ids[36:46, 36:40] = ids[42:46, 36:44] = 5
    tile = make_record(np.zeros((80, 80, 3), np.uint8), ids, (ids > 0).astype(np.uint8), TABLE, 0.5)
    forms, moves = {}, []
    for seed in range(400):
        made = perturb.perturbed(tile, np.random.default_rng(seed))
        assert (made.labels > 0).sum() == (ids > 0).sum() and made.instances.max() == 1
        y, x = np.nonzero(made.instances)
        forms[made.instances[y.min() : y.max() + 1, x.min() : x.max() + 1].tobytes()] = 1
        moves.append((y.min() - 36, x.min() - 36))
    assert len(forms) == 4
    spread = np.array(moves)
    np.testing.assert_allclose(spread.std(0), np.hypot(1.5 / 0.5, 12**-0.5), rtol=0.12)
    assert (np.abs(spread.mean(0)) < 0.5).all()
    assert made.source.endswith(", perturbed")


def test_a_nucleus_stays_where_less_than_four_fifths_of_it_would_be_free(monkeypatch):
    """Squares of 10 side by side on a full canvas: what would go outside stays in its place."""
    ids = np.zeros((10, 10), np.int32)
    ids[...] = 1
    tile = make_record(np.zeros((10, 10, 3), np.uint8), ids, (ids > 0).astype(np.uint8), TABLE, 0.5)

    class Fixed:
        def __init__(self, move: float) -> None:
            self.move = move

        def permutation(self, count: int) -> np.ndarray:
            return np.arange(count)

        def normal(self, mean: float, spread: float, size: int) -> np.ndarray:
            assert (mean, spread, size) == (0, 3.0, 2)
            return np.array([self.move, 0.0])

        def choice(self, values: list[int]) -> int:
            return values[0]

    for move, rows in ((2.4, 8), (2.6, 10), (-2, 8), (-3, 10)):
        made = perturb.perturbed(tile, Fixed(move))
        assert (made.instances > 0).sum() == 10 * rows
    two = np.zeros((12, 30), np.int32)
    two[1:11, 1:11], two[1:11, 14:24] = 1, 3  # an id in between is missing
    pair = Record(
        np.zeros((12, 30, 3), np.uint8), two, (two > 0).astype(np.uint8),
        np.zeros((12, 30), np.float32), record(0, (12, 30)).layout, 0.5, "", "",
    )  # fmt: skip
    pair = dataclasses.replace(
        pair, layout=Layout(np.zeros((0, 2)), np.zeros(0), (12, 30), 0.5, TABLE)
    )
    made = perturb.perturbed(pair, Fixed(0))
    np.testing.assert_array_equal(made.instances > 0, two > 0)


def test_records_at_another_scale_keep_their_outline_and_classes():
    tile = record(0, (40, 56), mpp=0.5)
    assert resample(tile, 0.5) is tile and resample(tile, 0.5 * (1 + 5e-7)) is tile
    assert resample(tile, 0.5 * (1 + 3e-6)) is not tile
    fine = resample(tile, 0.25)
    assert fine.labels.shape == (80, 112) and fine.mpp == 0.25
    ids, classes = np.unique(fine.instances), fine.layout.class_ids
    assert set(classes.tolist()) <= set(np.unique(tile.labels).tolist()) and len(ids) > 5
    tiny = resample(crop(tile, 0, 0, 6, 7), 100)
    assert tiny.labels.shape == (1, 1)
    assert resample(tile, 0.75).labels.shape == (27, 37)


def test_images_of_another_shape_are_area_means_or_linear():
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 2:] = 200
    assert resized(image, (2, 4)) is image
    np.testing.assert_array_equal(resized(image, (1, 2))[0, :, 0], [0, 200])
    grown = resized(image, (2, 8))[0, :, 0].tolist()
    assert grown == [0, 0, 0, 50, 150, 200, 200, 200]
    odd = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(resized(odd, (1, 1))[0, 0], odd.reshape(9, 3).mean(0))


# What records are made of


@dataclasses.dataclass
class One(NamedRecords):
    """A data set of one record, whose parts are at hand."""

    stored: Parts
    classes: ClassTable = TABLE
    names: tuple[str, ...] = ("one",)

    def tissue_of(self, name: str) -> str:
        return "colon"

    def parts(self, name: str) -> Parts:
        return self.stored


def stored(**changes) -> One:
    ids = np.zeros((9, 9), np.int64)
    ids[0:3, 0:3], ids[5:8, 0:3], ids[0:3, 5:8] = 40, 7, 7  # 7 is in two parts
    ids[6, 7] = 3
    labels = np.where(ids == 40, 2, ids == 7).astype(np.uint8)
    image = np.zeros((9, 9, 3), np.uint8)
    return One(dataclasses.replace(Parts(image, ids, labels, 0.5, source="s"), **changes))


def test_nuclei_without_a_class_are_refused_dropped_or_given_one():
    assert not One.recognises(None) and len(stored()) == 1
    with pytest.raises(ValueError, match=r"^s: instance 3 has no class \(--unclassified drops"):
        stored()[0]
    labelled = stored(labelled="labels.mat")
    with pytest.raises(ValueError, match=r"^labels\.mat: instance 3 has no class"):
        labelled[0]
    dropped = stored()
    dropped.classify_rest("drop")
    assert dropped[0].layout.class_ids.tolist() == [2, 1, 1] and dropped.classes == TABLE
    assert dropped[0].instances.max() == 3 and (dropped[0].instances[6, 7]) == 0
    given = stored()
    given.classify_rest("b")
    assert given[0].layout.class_ids.tolist() == [2, 1, 1, 2]
    fresh = stored()
    fresh.classify_rest("c")
    assert fresh.classes.names == ("background", "a", "b", "c")
    assert fresh[0].layout.class_ids.tolist() == [2, 1, 1, 3]
    assert [*fresh.noted] == [PARTED, "nuclei without a class: c"]
    assert fresh.notes == [
        f"1 {PARTED} (in 1 records, first one)",
        "1 nuclei without a class: c (in 1 records, first one)",
    ]
    assert dropped.notes[1].startswith("1 nuclei without a class: left out")


def test_notes_add_up_over_records_and_count_none_once():
    class Notes(NucleusNotes):
        pass

    notes = Notes()
    notes.note("a", "things", 0)
    assert notes.notes == []
    for name, count in (("a", 2), ("b", 1500), ("a", 2)):
        notes.note(name, "things", count)
    assert notes.notes == ["1,502 things (in 2 records, first a)"]


def test_arrays_of_other_shapes_are_named():
    image, ids = np.zeros((9, 9, 3), np.uint8), np.ones((9, 9), np.int32)
    labels = ids.astype(np.uint8)
    assert len(make_record(image, ids, labels, TABLE, 0.5).layout) == 1
    for bad in ((image[1:], ids, labels), (image, ids[1:], labels), (image, ids, labels[:, 1:])):
        with pytest.raises(ValueError, match=r"^where: image .* differ in shape"):
            make_record(*bad, TABLE, 0.5, source="where")
    with pytest.raises(ValueError, match=r"^where: instance 1 has no class"):
        make_record(image, ids, 0 * labels, TABLE, 0.5, source="where")


def test_fragments_of_a_crop_go_and_those_of_a_turn_stay():
    ids = np.zeros((20, 20), np.int32)
    ids[0:5, 0], ids[10:16, 10] = 1, 2
    tile = make_record(
        np.zeros((20, 20, 3), np.uint8), ids, (ids > 0).astype(np.uint8), TABLE, 0.5, "t", "s", "x"
    )
    assert len(tile.layout) == 2 and tile.stain == "x"
    part = crop(tile, 0, 0, 20, 20)
    assert len(part.layout) == 1 and (part.tissue, part.source, part.stain) == ("t", "s", "x")
    assert len(augment_module.turn(tile, 1, True).layout) == 2


def test_names_that_a_mapping_leaves_out_keep_theirs():
    tile = record(0)
    new = ClassTable.of("spindle-shaped", "x")
    renamed = remap(tile, new, {"inflammatory": "x", "epithelial": "x"})
    table = np.array([0, 2, 2, 1], np.uint8)
    np.testing.assert_array_equal(renamed.labels, table[tile.labels])
    np.testing.assert_array_equal(renamed.layout.class_ids, table[tile.layout.class_ids])


@pytest.mark.parametrize(
    "name,patient",
    [
        ("TCGA-AR-A1AS-01Z", "TCGA-AR-A1AS"),
        ("TCGA-AR-A1AS_1", "TCGA-AR-A1AS"),
        ("TCGA-ARX-A1AS", "TCGA-ARX-A1AS"),
        ("x TCGA-AR-A1AS", "x TCGA-AR-A1AS"),
    ],
)
def test_patients(name, patient):
    assert patient_of(name) == patient


# Edited records


def test_instances_again_by_other_points_of_the_same_classes_only():
    tile = record(0)
    again, _ = separated_again(tile)
    assert again.layout is tile.layout
    for other in (
        dataclasses.replace(tile.layout, classes=ClassTable.of("x", "y", "z")),
        Layout(np.zeros((0, 2)), np.zeros(0), (40, 55), 0.5, tile.classes),
    ):
        with pytest.raises(ValueError, match="does not fit labels of"):
            separated_again(tile, other)


def test_a_nucleus_takes_the_majority_of_its_labels_and_new_ones_the_class_given():
    tile = record(0)
    labels = tile.labels.copy()
    own = np.argwhere(tile.instances == 1)
    for y, x in own[: len(own) // 2 - 1]:
        labels[y, x] = labels[y, x] % 3 + 1
    made = updated_from_instances(dataclasses.replace(tile, labels=labels))
    np.testing.assert_array_equal(made.labels, tile.labels)
    bare = dataclasses.replace(tile, labels=np.where(tile.instances == 1, 0, tile.labels))
    kept = updated_from_instances(bare, new_class=3)
    assert set(kept.labels[tile.instances == 1].tolist()) == {3}
    np.testing.assert_array_equal(
        kept.labels[tile.instances != 1], tile.labels[tile.instances != 1]
    )


def test_taking_away_a_missed_point_and_none():
    tile = record(0)
    count = len(tile.layout)
    missed = dataclasses.replace(
        tile, instances=np.where(tile.instances == 2, 0, tile.instances).astype(np.int32)
    )
    rest = without_nuclei(missed, [2])
    assert len(rest.layout) == count - 1
    np.testing.assert_array_equal(
        rest.instances, np.where(missed.instances > 2, missed.instances - 1, missed.instances)
    )
    same = without_nuclei(tile, [])
    np.testing.assert_array_equal(same.instances, tile.instances)
    for wrong in (0, -1, count + 1):
        with pytest.raises(ValueError, match=f"no instance or point {wrong}"):
            without_nuclei(tile, [wrong])


# Our own description


def described(folder, samples, **changes):
    content = {
        "format": 1,
        "exporter": "folder",
        "classes": ["background", "a"],
        "colors": [[0, 0, 0], [1, 2, 3]],
        "mpp": 0.5,
        "samples": samples,
        **changes,
    }
    (folder / "cosynth.json").write_text(json.dumps(content))
    (folder / "layouts.csv").write_text(
        "sample,index,axis-0,axis-1,class\n0,0,1,2,a\n1,0,1,2,a\n2,0,3,2,a\n"
    )
    return read_sidecar(folder, "folder")


def test_slides_of_samples(tmp_path):
    samples = [
        {"synthetic": True},
        {"synthetic": True, "layout": None},
        {"synthetic": True},
        {"synthetic": True, "layout": "tile 3 at (10, 250)"},
        {"synthetic": True, "layout": "tile 3 at (10, 250) b"},
        {"synthetic": True, "inpainted": {"image": "far/slide.svs"}, "slide": ""},
        {"synthetic": True, "inpainted": {"image": ""}, "layout": "x"},
        {"slide": 12},
        {"tissue": "liver"},
    ]
    own = described(tmp_path, samples, names=[f"n{i}" for i in range(8)] + ["e\u0301"])
    slides = [own.slide(i) for i in range(9)]
    assert slides[0] == slides[1] != slides[2] and slides[0].startswith("layout ")
    assert len(slides[0]) == len("layout ") + 12
    assert slides[3:] == ["layout tile 3", "layout tile 3 at (10, 250) b", "slide", "layout x",
                          "12", None]  # fmt: skip
    assert own.text(8, "tissue", "x") == "liver" and own.text(7, "tissue", "x") == "x"
    assert own.names[8] == "é" and own.index["n3"] == 3 and own.titles == own.names


def test_descriptions_of_other_exporters_are_none(tmp_path):
    assert read_sidecar(tmp_path, "folder") is None
    assert described(tmp_path, [{}] * 3).names == ("0", "1", "2")
    assert described(tmp_path, [{}] * 3, exporter="coco") is None
    assert described(tmp_path, [{}] * 3, exporter="coco") is read_sidecar(tmp_path, "stack") is None
    assert read_sidecar(tmp_path, "coco").mpp == 0.5
