"""Blind reading: nothing gives a pair away, and answers are scored as by hand."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from napari_cosynth.evaluation.readings.reading import (
    COLUMNS,
    Item,
    draw_items,
    key_of,
    read_answers,
    read_key,
    score,
    wilson,
)
from napari_cosynth.evaluation.readings.reading_page import reading_page
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable

CLASSES = ClassTable.of("a", "b")


def a_record(seed, noise, source):
    rng = np.random.default_rng(seed)
    instances = np.zeros((32, 32), np.int32)
    instances[4:10, 4:10], instances[20:26, 20:28] = 1, 2
    labels = np.array([0, 1, 2], np.uint8)[instances]
    image = (128 + noise * rng.normal(size=(32, 32, 3))).clip(0, 255).astype(np.uint8)
    return make_record(image, instances, labels, CLASSES, 0.5, source=source)


MADE = [a_record(i, 60, f"stack: sample {i}") for i in range(7)]
REAL = [a_record(i, 0, f"tile_{i}.png") for i in range(5)]
ITEM = Item("001", MADE[0], "real")


@pytest.fixture
def key(tmp_path):
    items = draw_items(MADE, REAL, 8, seed=3)
    (tmp_path / "key.json").write_text(json.dumps(key_of(items, 3)))
    return read_key(tmp_path / "key.json")


def answers(key, tmp_path, name, wrong=(), real=4, synthetic=2, **changes):
    """A CSV as the page saves it, wrong about the items at these places."""
    path = tmp_path / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for i, (item, origin) in enumerate(key.origins.items()):
            other = {"real": "synthetic", "synthetic": "real"}[origin]
            rating = real if origin == "real" else synthetic
            row = [key.reading, name, item, other if i in wrong else origin, rating, rating + 1]
            if i == 0:
                row = [changes.get(c, v) for c, v in zip(COLUMNS, row, strict=True)]
            writer.writerow(row)
    return path


def test_half_of_the_pairs_are_real_in_an_order_that_the_seed_decides():
    items = draw_items(MADE, REAL, 8, seed=3)
    assert [i.name for i in items] == [f"{n:03d}" for n in range(1, 9)]
    assert sorted(i.origin for i in items) == ["real"] * 4 + ["synthetic"] * 4
    assert len({i.record.source for i in items}) == 8
    for i in items:
        assert (i.record.source.startswith("tile")) == (i.origin == "real")
    assert [i.record.source for i in draw_items(MADE, REAL, 8, seed=3)] == [
        i.record.source for i in items
    ]
    assert len(draw_items(MADE, REAL, 40, seed=0)) == 10
    orders = {tuple(i.origin for i in draw_items(MADE, REAL, 8, seed=s)) for s in range(30)}
    assert len(orders) > 15


def test_the_page_gives_nothing_away():
    items = draw_items(MADE, REAL, 8, seed=3)
    page = reading_page(items)
    other = {"real": "synthetic", "synthetic": "real"}
    swapped = [
        dataclasses.replace(
            i, origin=other[i.origin], record=dataclasses.replace(i.record, source="x")
        )
        for i in items
    ]
    assert reading_page(swapped) == page
    images = re.findall(r'"(data:image/png;base64,[^"]+)"', page)
    assert len(images) == 16
    assert len({len(i) for i in images[::2]}) == len({len(i) for i in images[1::2]}) == 1
    assert not re.findall(r"https?:|\ssrc=|href=\"", page)
    assert "tile_" not in page and "sample" not in page


def test_outlines_have_their_class_colour_and_are_clear_elsewhere():
    record = MADE[0]
    uri = re.findall(r'"outlines": "data:image/png;base64,([^"]+)"', reading_page([ITEM]))[0]
    drawn = np.array(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGBA"))
    assert drawn.shape == (64, 64, 4)
    assert tuple(drawn[8, 8]) == (*CLASSES.colors[1], 255)
    assert tuple(drawn[40, 40]) == (*CLASSES.colors[2], 255)
    seen = drawn[..., 3] > 0
    assert not seen[record.instances.repeat(2, 0).repeat(2, 1) == 0].any()
    assert not seen[12:16, 12:16].any()


def test_names_of_classes_cannot_leave_the_script():
    table = ClassTable.of("</script><b>", "b")
    records = [
        dataclasses.replace(r, layout=dataclasses.replace(r.layout, classes=table))
        for r in (MADE[0], REAL[0])
    ]
    page = reading_page(draw_items(records[:1], records[1:], 2, 0))
    assert page.count("</script>") == 2


def test_sets_that_do_not_fit():
    with pytest.raises(ValueError, match="a reading needs a real and a synthetic pair"):
        draw_items(MADE, [], 8, 0)
    small = dataclasses.replace(REAL[0], layout=dataclasses.replace(REAL[0].layout))
    table = ClassTable.of("a", "c")
    small = dataclasses.replace(small, layout=dataclasses.replace(small.layout, classes=table))
    with pytest.raises(ValueError, match=r"tile_0.png: its shape or classes are not"):
        draw_items(MADE, [small], 8, 0)


def test_a_readers_score_by_hand(key, tmp_path):
    places = list(key.origins.values())
    real = places.index("real")
    path = answers(key, tmp_path, "ann", wrong=(real,))
    (found,) = score(key, [read_answers(path, key)])
    assert (found.reader, found.answered, found.accuracy) == ("ann", 8, 7 / 8)
    assert found.interval == pytest.approx((0.5291, 0.9776), abs=1e-4)
    assert (found.found, found.doubted) == (1, 1 / 4)
    assert found.real["labels"].value == 4
    assert found.synthetic["classes"].value == 3
    assert found.difference["labels"].value == -2
    assert found.difference["labels"].interval == (-2, -2)


def test_several_readers_and_all_of_them(key, tmp_path):
    files = [
        answers(key, tmp_path, "ann"),
        answers(key, tmp_path, "ben", wrong=range(8), real=2, synthetic=2),
    ]
    ann, ben, both = score(key, [read_answers(f, key) for f in files])
    assert (ann.accuracy, ben.accuracy, both.accuracy) == (1, 0, 0.5)
    # Every item was answered once right and once wrong: other items would have given the same.
    assert both.interval == (0.5, 0.5)
    assert both.reader == "all"
    assert both.difference["labels"].value == pytest.approx(-1)
    with pytest.raises(ValueError, match="reader 'ann' answered twice"):
        score(key, [read_answers(files[0], key)] * 2)


def test_items_left_out_do_not_count(key, tmp_path):
    path = answers(key, tmp_path, "ann", origin="", labels="")
    (found,) = score(key, [read_answers(path, key)])
    assert found.answered == 7 and found.accuracy == 1
    assert len(read_answers(path, key).ratings["labels"]) == 7


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"reading": "0"}, "ann.csv: line 2: reading: expected .*, the key's, got '0'"),
        ({"item": "099"}, "line 2: item: expected one of the key's 8, got '099'"),
        ({"item": "002"}, "line 3: item: expected each item once, got '002'"),
        ({"origin": "fake"}, "line 2: origin: expected real, synthetic or nothing, got 'fake'"),
        ({"labels": "6"}, "line 2: labels: expected 1 to 5 or nothing, got '6'"),
        ({"reader": "ben"}, "reader: expected one reader, got ann, ben"),
    ],
)
def test_bad_answers_are_named(key, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_answers(answers(key, tmp_path, "ann", **changes), key)


def test_files_that_are_something_else(key, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"x.csv: reading: no such column"):
        read_answers(tmp_path / "x.csv", key)
    (tmp_path / "x.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(ValueError, match=r"x.csv: no answers in it"):
        read_answers(tmp_path / "x.csv", key)
    (tmp_path / "x.json").write_text('{"format": 1, "reading": "a", "items": [{"item": "1"}]}')
    with pytest.raises(ValueError, match=r"x.json: items: 0: expected an item of its own"):
        read_key(tmp_path / "x.json")


def test_wilsons_interval_of_eight_in_ten():
    # Newcombe 1998, method 3.
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert all(np.isnan(wilson(0, 0)))


KEY = {"format": 1, "reading": "a", "items": [{"item": "1", "origin": "real"}]}


@pytest.mark.parametrize(
    "content,message",
    [
        ([KEY], "format: expected the key of a reading"),
        ({**KEY, "format": 2}, "format: expected the key of a reading"),
        ({**KEY, "reading": 1}, "reading: missing"),
        ({**KEY, "items": []}, "items: expected a list"),
        ({**KEY, "items": {"1": "real"}}, "items: expected a list"),
        ({**KEY, "items": ["1"]}, "items: 0: expected an item"),
        ({**KEY, "items": KEY["items"] * 2}, "items: 1: expected an item of its own"),
        ({**KEY, "items": [{"item": "1", "origin": "other"}]}, "items: 0: expected an item"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path, content, message):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(KEY))
    assert read_key(path).origins == {"1": "real"}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"key\.json: {message}"):
        read_key(path)
