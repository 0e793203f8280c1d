"""NumPy's arrays, as CoNIC, HoVer-Net and PanNuke hold them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from harness import Reader, damaged, main
from napari_cosynth.datasets.published.conic import ConicDataset
from napari_cosynth.datasets.published.hovernet import HoverNetDataset
from napari_cosynth.datasets.published.pannuke import PanNukeDataset

SIDE = 12
_HEADERS = (
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 12, 12, 3), }",
    "{'descr': [('a', '<i4'), ('b', '|O')], 'fortran_order': False, 'shape': (2,), }",
    "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2, 12, 12, 3), }",
)


class Marker:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch unpickled",)


def plain(array: np.ndarray, objects: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=objects)
    return buffer.getvalue()


def array_file(data: st.DataObject, array: np.ndarray) -> bytes:
    """A file of an array, or of what is none."""
    kind = data.draw(st.sampled_from(["as it is"] * 2 + ["bytes"] * 4 + ["values"] * 3 + ["other"]))
    if kind == "values":
        dtype = data.draw(st.sampled_from(["u1", "i2", "i8", "f4", "f8", "?", "c8", "U3", "M8[s]"]))
        made = array.astype(dtype) if dtype != "M8[s]" else array.astype("i8").astype(dtype)
        bad = data.draw(st.sampled_from([np.nan, np.inf, -1, 1e30, 0.5, 2**40, 255, 256]))
        if made.dtype.kind in "f":
            made.flat[data.draw(st.integers(0, made.size - 1))] = bad
        elif made.dtype.kind in "iu" and np.isfinite(bad) and abs(bad) < 2**60:
            made.flat[data.draw(st.integers(0, made.size - 1))] = np.array(bad).astype(made.dtype)
        axes = data.draw(st.sampled_from(["same", "less", "more", "none", "cut"]))
        if axes == "less":
            made = made[0]
        elif axes == "more":
            made = made[None]
        elif axes == "none":
            made = made[:0]
        elif axes == "cut":
            made = made[..., : data.draw(st.integers(0, made.shape[-1]))]
        return plain(made)
    if kind == "other":
        which = data.draw(st.integers(0, len(_HEADERS) + 2))
        if which < len(_HEADERS):
            header = _HEADERS[which].encode().ljust(117) + b"\n"
            return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
        if which == len(_HEADERS):
            return plain(np.array([Marker()], object), True)
        return pickle.dumps(Marker()) if which == len(_HEADERS) + 1 else b""
    content = plain(array)
    return damaged(data, content) if kind == "bytes" else content


def ids() -> np.ndarray:
    found = np.zeros((SIDE, SIDE), np.int32)
    found[1:5, 1:5], found[6:10, 6:10] = 1, 2
    return found


def write_conic(folder: Path, data: st.DataObject) -> None:
    images = np.full((2, SIDE, SIDE, 3), 200, np.uint8)
    labels = np.stack([np.stack([ids(), ids()], -1)] * 2).astype(np.uint16)
    (folder / "images.npy").write_bytes(array_file(data, images))
    (folder / "labels.npy").write_bytes(array_file(data, labels))


def write_hovernet(folder: Path, data: st.DataObject) -> None:
    patch = np.concatenate([np.full((SIDE, SIDE, 3), 200), ids()[..., None], ids()[..., None]], -1)
    (folder / "a.npy").write_bytes(array_file(data, patch))


def write_pannuke(folder: Path, data: st.DataObject) -> None:
    masks = np.zeros((2, SIDE, SIDE, 6))
    masks[..., 2] = ids()
    arrays = {"images": np.full((2, SIDE, SIDE, 3), 200.0), "masks": masks}
    for name, array in arrays.items():
        (folder / f"{name}.npy").write_bytes(array_file(data, array))
    types = plain(np.array(["Breast", "Liver"]))
    (folder / "types.npy").write_bytes(
        damaged(data, types) if data.draw(st.integers(0, 2)) == 0 else types
    )


def read_hovernet(folder: Path) -> list[object]:
    return list(HoverNetDataset(folder))


CONIC = Reader(".npy, CoNIC", write_conic, lambda folder: list(ConicDataset(folder)))
HOVERNET = Reader(".npy, HoVer-Net", write_hovernet, read_hovernet)
PANNUKE = Reader(".npy, PanNuke", write_pannuke, lambda folder: list(PanNukeDataset(folder)))
READERS = (CONIC, HOVERNET, PANNUKE)

if __name__ == "__main__":
    main(*READERS)
