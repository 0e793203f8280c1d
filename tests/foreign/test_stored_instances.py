"""Label arrays as other programs write them: the same ids, or a line that names the one that is none."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_cosynth.foreign.instances import (
    class_map,
    foreground,
    instance_ids,
    of_instances,
    read_label_image,
)

IDS = np.zeros((12, 10), np.uint8)
IDS[1:4, 1:4], IDS[6:9, 2:8], IDS[10:, 9:] = 1, 2, 7


@pytest.mark.parametrize(
    "written",
    [
        IDS.astype(np.uint16),
        IDS[None],
        IDS[..., None],
        IDS[None, None].astype(np.int64),
        IDS.astype(np.float32),
        np.stack([IDS] * 3, -1),
        np.dstack([IDS, IDS, IDS, np.full_like(IDS, 255)]),
    ],
)
def test_one_set_of_ids_in_many_ways(written):
    found = instance_ids(written, "a")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, IDS)


def test_a_palettes_indices_are_the_ids(tmp_path):
    image = Image.fromarray(IDS, "L").convert("P")
    image.putdata(IDS.ravel().tolist())
    image.putpalette(list(range(255, -1, -1)) * 3)
    for name in ("a.png", "a.bmp", "a.tif"):
        image.save(tmp_path / name)
        np.testing.assert_array_equal(read_label_image(tmp_path / name), IDS)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_jpeg_is_refused_whatever_it_is_called(tmp_path, name):
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, IDS, compression="jpeg")
    else:
        Image.fromarray(IDS).save(tmp_path / name, format="JPEG")
    with pytest.raises(ValueError, match=rf"{name}: a label image saved as JPEG, which is lossy"):
        read_label_image(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(int) - 1, "got -1 at row 0, column 0"),
        (lambda a: a + np.where(a == 7, 0.5, 0), "got 7.5 at row 10, column 9"),
        (lambda a: np.where(a == 7, np.nan, a), "got nan at row 10, column 9"),
        (lambda a: np.where(a == 7, np.inf, a), "got inf at row 10"),
        (lambda a: np.stack([a, a + 1, a], -1), r"expected whole ids \(H, W\), got uint8"),
        (lambda a: np.stack([a, a]), r"expected whole ids \(H, W\)"),
        (lambda a: a > 0, "got bool"),
    ],
)
def test_what_is_no_id_is_named(change, message):
    with pytest.raises(ValueError, match=f"^the file: .*{message}"):
        instance_ids(change(IDS), "the file")


def test_ids_beyond_31_bits_are_numbered_anew_and_sparse_ones_stay():
    huge = np.where(IDS == 7, 2**40, IDS.astype(np.int64) * 1000)
    np.testing.assert_array_equal(instance_ids(huge, "a"), np.where(IDS == 7, 3, IDS))
    sparse = np.where(IDS == 7, 2_000_000_000, IDS.astype(np.int64))
    np.testing.assert_array_equal(instance_ids(sparse, "a"), sparse)
    full = np.where(IDS == 0, np.uint64(2**63), IDS.astype(np.uint64))
    assert sorted(np.unique(instance_ids(full, "a"))) == [1, 2, 3, 4]


def test_values_of_sparse_instances_take_no_memory_of_the_largest():
    sparse = np.where(IDS == 7, 2_000_000_000, IDS.astype(np.int64))
    tracemalloc.start()
    found = of_instances(sparse, [2_000_000_000, 1, 5], np.array([30, 10, 50]))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.select([IDS == 7, IDS == 1], [30, 10], 0))
    np.testing.assert_array_equal(of_instances(sparse, [], np.zeros(0, int)), 0)


def test_classes_and_masks():
    np.testing.assert_array_equal(class_map(IDS.astype(float), "a", 8), IDS)
    with pytest.raises(ValueError, match=r"a: expected classes 0\.\.6, got 7"):
        class_map(IDS, "a", 7)
    np.testing.assert_array_equal(foreground(IDS > 0, "a"), IDS > 0)
    np.testing.assert_array_equal(foreground(np.stack([IDS] * 3, -1), "a"), IDS > 0)
