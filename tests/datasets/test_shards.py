"""The shards of a generated data set against the stacks that they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from killed_sessions import made
from napari_cosynth.datasets.shards import ShardsDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import write_stack
from napari_cosynth.types import ClassTable, Layout


@pytest.fixture
def root(tmp_path: Path, layout: Layout) -> Path:
    """Shards of two samples and of one, the last from another tissue; and a folder that is none."""
    last = made(layout, 9)
    last = dataclasses.replace(last, request=dataclasses.replace(last.request, tissue="lung"))
    for number, samples in ((0, [made(layout, 1), made(layout, 2)]), (7, [last])):
        write_stack(samples, tmp_path / f"shard-{number:05}")
    (tmp_path / "shard-00009").mkdir()
    return tmp_path


def test_records_are_their_stacks(root: Path) -> None:
    shards = ShardsDataset(root)
    assert ShardsDataset.recognises(root) and not ShardsDataset.recognises(root / "shard-00000")
    assert shards.names == ("shard-00000-0", "shard-00000-1", "shard-00007-0")
    assert [shards.tissue_of(name) for name in shards.names] == ["colon", "colon", "lung"]
    stacks = {name: StackDataset(root / name) for name in ("shard-00000", "shard-00007")}
    assert shards.mpp == 0.5 and shards.classes == stacks["shard-00000"].classes
    for index in (2, 0, 1):  # one shard is open at a time
        shard, _, number = shards.names[index].rpartition("-")
        found, wanted = shards[index], stacks[shard][int(number)]
        for name in ("image", "instances", "labels", "distance"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert found.source == wanted.source and found.tissue == wanted.tissue
        own, place = shards.own_of(shards.names[index])
        assert (own.folder, place) == (root / shard, int(number))
    assert ShardsDataset(root, only=["shard-00007-0"]).names == ("shard-00007-0",)
    assert ShardsDataset(root, without=["shard-00000-1"]).names == (*shards.names[::2],)


def test_shards_that_do_not_belong_together_are_refused(root: Path, layout: Layout) -> None:
    other = ClassTable.of("a", "b", "c")
    for changes in ({"mpp": 0.25}, {"classes": other}):
        write_stack([made(dataclasses.replace(layout, **changes))], root / "shard-00008")
        with pytest.raises(ValueError, match="shard-00008: its classes or µm/px are not those of"):
            ShardsDataset(root)
        (root / "shard-00008").rename(root / f"gone-{len(changes)}-{next(iter(changes))}")
    with pytest.raises(ValueError, match=r"no shard-\* folders of a generated data set"):
        ShardsDataset(root / "shard-00000")
