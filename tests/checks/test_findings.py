"""What a check says of one record at a time, what it cannot tell, and where a copy ends."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from napari_cosynth.checks import copies
from napari_cosynth.checks.checks import KEEP_IDS, _of_record, check
from napari_cosynth.checks.copies import Copies, _alike, thumbnail
from napari_cosynth.checks.splits import groups_of, read_groups, split_by_group
from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.export.coco import write_coco
from napari_cosynth.export.stack import write_stack
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.types import ClassTable
from nuclei import items

TABLE = ClassTable.of("a", "b")


@dataclasses.dataclass
class Held(NamedRecords):
    """Records at hand, each with the slide that is said of it."""

    stored: dict[str, Parts]
    slides: dict[str, str | None]
    classes: ClassTable = TABLE
    mpp_stated: bool = True

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.stored)

    def tissue_of(self, name: str) -> str:
        return ""

    def slide_of(self, name: str) -> str | None:
        return self.slides.get(name)

    def parts(self, name: str) -> Parts:
        return self.stored[name]


def parts(seed: int = 0, **changes) -> Parts:
    rng = np.random.default_rng(seed)
    ids = np.zeros((32, 32), np.int32)
    ids[2:8, 2:8], ids[20:26, 20:26] = 1, 2
    image = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    return dataclasses.replace(Parts(image, ids, (ids > 0).astype(np.uint8), 0.5), **changes)


def said(one: Parts, points: int | None = None, own: object = None) -> list[tuple[str, str]]:
    dataset = SimpleNamespace(classes=TABLE, own=own)
    return [(f.kind, f.detail) for f in _of_record("s", "n", one, dataset, points)]


def test_one_record():
    good = parts()
    assert said(good) == []
    for changed, shape in (("instances", good.instances[1:]), ("image", good.image[:, 1:])):
        ((kind, detail),) = said(dataclasses.replace(good, **{changed: shape}))
        assert kind == "disagreement" and detail.startswith("shapes differ: image (32, ")
    labels = good.labels.copy()
    labels[2:8, 2:8] = 2
    assert said(parts(labels=labels)) == []
    labels[2:8, 2:8] = 3
    assert said(parts(labels=labels)) == [("class", "3, known are 1..2")]
    labels[2:8, 2:8] = 0
    labels[0, :3] = 1
    assert said(parts(labels=labels)) == [
        ("disagreement", "labels and instances disagree in 39 pixels")
    ]
    labels = good.labels.copy()
    labels[2:4, 2:8], labels[20, 20] = 2, 2
    assert said(parts(labels=labels)) == [("two classes", "2 instances, the first 1")]


@pytest.mark.parametrize("points,empty", [(None, True), (0, False), (1, True)])
def test_a_record_without_nuclei_is_empty_unless_no_point_asked_for_one(points, empty):
    none = np.zeros((32, 32), np.int32)
    found = said(parts(instances=none, labels=none.astype(np.uint8)), points)
    assert found == ([("empty", "no nuclei")] if empty else [])


def test_ids_beyond_the_points():
    good = parts()
    assert said(good, 2) == said(good, 5) == []
    assert said(good, 1) == [("layout", "instance 2 is beyond its 1 points")]
    for sample, found in (
        ({"report": {"spurious": [2]}}, 0),
        ({"report": {"spurious": [1]}}, 1),
        ({"edited": True}, 0),
        ({"edited": False}, 1),
    ):
        own = SimpleNamespace(samples=[{}, sample], index={"n": 1})
        assert len(said(good, 1, own)) == found


def test_a_scale_that_no_file_states(tmp_path):
    dataset = Held({"x": parts()}, {}, mpp_stated=False)
    (found,) = check([("s", dataset)]).findings
    assert (found.kind, found.split, found.name) == ("no µm/px", "s", "")
    assert check([("s", Held({"x": parts()}, {}))]).findings == []


def test_progress_is_told_for_each_record_and_notes_for_each_split():
    seen = []
    two = Held({"x": parts(0), "y": parts(1)}, {"x": "A", "y": None})
    result = check([("s", two)], lambda: seen.append(1))
    assert len(seen) == 2 and result.records == {"s": 2}
    assert result.notes == []  # of one split nothing is shared
    other = Held({"z": parts(2)}, {"z": "A"})
    result = check([("s", two), ("t", other)])
    assert result.notes == ["s: nothing says which slides its records are from"]
    assert [(f.kind, f.split, f.name, f.detail) for f in result.findings] == [
        ("shared slide", "t", "z", "A is in s too")
    ]
    again = check(
        [("s", Held({"x": parts(0), "y": parts(0)}, {})), ("t", Held({"z": parts(0)}, {}))]
    )
    assert [(f.kind, f.name) for f in again.findings] == [
        ("copy", "y"),
        ("leaked copy", "z"),
        ("leaked copy", "z"),
    ]


def test_points_are_held_against_ids_only_where_the_format_keeps_them(tmp_path):
    assert "coco" not in KEEP_IDS and "stack" in KEEP_IDS
    for write in (write_coco, write_stack):
        assert (
            check([("s", open_records(write(items(2), tmp_path / write.__name__))[1])]).findings
            == []
        )


# Copies


def test_thumbnails_are_area_means_of_grey():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = (200, 100, 50)
    small = thumbnail(image)
    assert small.shape == (32, 32) and not small[:, :16].any()
    np.testing.assert_allclose(small[:, 16:], 0.299 * 200 + 0.587 * 100 + 0.114 * 50, rtol=1e-5)


def test_what_is_flat_is_no_copy():
    assert (copies.SIDE, copies.NEAR, copies.ALIKE, copies.FLAT) == (32, 4, 0.9, 2.0)
    wave = np.sin(np.arange(64) / 5)[:, None, None] * np.ones((64, 64, 3))
    for size, found in ((1.5, False), (4.5, True)):
        seen = Copies()
        image = (128 + size * wave).round().astype(np.uint8)
        assert (thumbnail(image).std() >= 2.0) == found
        seen.add(("a", "1"), image)
        assert bool(seen.add(("a", "2"), image)) == found


def test_copies_correlate_by_nine_tenths():
    rng = np.random.default_rng(0)
    a = rng.normal(size=10_000)
    b = rng.normal(size=10_000)
    b -= b @ a / (a @ a) * a + b.mean()
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    for share, alike in ((0.89, False), (0.91, True)):
        assert _alike(a, share * a + np.sqrt(1 - share**2) * b) == alike
    assert not _alike(a, -a)


def test_hashes_of_copies_differ_in_four_bits_at_most(monkeypatch):
    image = parts(3).image
    for bits, found in ((4, True), (5, False)):
        seen = Copies()
        seen.add(("a", "1"), image)
        seen._hashes[0] ^= sum(1 << n for n in range(bits))  # all of them in the first band
        assert bool(seen.add(("a", "2"), image)) == found


def test_all_earlier_copies_are_named_in_their_order():
    seen, image = Copies(), parts(3).image
    assert seen.add(("a", "1"), image) == []
    assert seen.add(("a", "2"), parts(4).image) == []
    assert seen.add(("b", "1"), image[::-1]) == [("a", "1")]
    assert seen.add(("b", "2"), image) == [("a", "1"), ("b", "1")]


# Splits


def test_groups_go_to_the_part_that_lacks_most():
    groups = {f"{g}{i}": g for g in "abcdefghij" for i in range(3)}
    parts = split_by_group(groups, {"x": 3, "y": 1, "z": 1})
    assert [len(parts[p]) for p in "xyz"] == [18, 6, 6]
    one = split_by_group(groups, {"x": 1})
    assert list(one["x"]) == list(groups)
    for shares in ({}, {"x": 0.5, "y": -0.1}, {"x": float("nan")}):
        with pytest.raises(ValueError, match="shares: expected positive numbers"):
            split_by_group(groups, shares)


def test_the_last_groups_fill_parts_that_would_stay_empty():
    for count in range(3, 9):
        groups = {str(i): str(i) for i in range(count)}
        for seed in range(6):
            parts = split_by_group(groups, {"x": 1000, "y": 1, "z": 1}, seed)
            assert [len(parts[p]) for p in "xyz"] == [count - 2, 1, 1]


def test_records_of_unknown_slides_are_not_split():
    held = Held({"x": parts(), "y": parts()}, {"x": "A", "y": None})
    with pytest.raises(ValueError, match=r"^y: nothing says which slide or patient it is from"):
        groups_of(held)
    assert groups_of(Held({"x": parts()}, {"x": "A"})) == {"x": "A"}


@pytest.mark.parametrize(
    "text,message",
    [
        (b"name,p\n\xff,1\n", "cannot be read as CSV"),
        (b"name,p\na,\n", "line 2: expected name and p"),
        (b"name,p\na,1\n ,2\n", "line 3: expected name and p"),
        (b"name,p\na,1\nb,1\na,2\n", "line 4: 'a' has two values of p"),
        (b"", "no column 'p'; it has none"),
        (b"name,p\nb,1\n", "no row for 'a'"),
    ],
)
def test_lists_of_slides_that_are_none(tmp_path, text, message):
    path = tmp_path / "g.csv"
    with pytest.raises(ValueError, match=r"g\.csv: no such file"):
        read_groups(path, "p", ("a",))
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"g\.csv: ") as error:
        read_groups(path, "p", ("a",))
    assert message in str(error.value)


def test_lists_of_slides_by_column_or_place_and_with_endings(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("x,name,p\n0,a.png,1\n1,b,TCGA-AR-A1AS-01\n1,b,TCGA-AR-A1AS-01\n")
    assert read_groups(path, "p", ("a", "b")) == {"a": "1", "b": "TCGA-AR-A1AS"}
    path.write_text("file,p\nfold/a.png,1\ne\u0301,2\n")
    assert read_groups(path, "p", ("x/a", "é")) == {"x/a": "1", "é": "2"}


def test_folders_name_what_has_no_scale(tmp_path):
    from skimage.io import imsave

    for kind, array in (("images", parts().image), ("instances", parts().instances.astype("u1"))):
        (tmp_path / kind).mkdir()
        imsave(tmp_path / kind / "a.png", array, check_contrast=False)
    found = check([("s", FolderDataset(tmp_path))]).findings
    assert [f.kind for f in found] == ["no µm/px"]
