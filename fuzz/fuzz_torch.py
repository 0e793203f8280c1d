"""PyTorch's own files, which are pickles: damaged ones, and pickles that would run something."""

from __future__ import annotations

import io
import pickle
import zipfile
from functools import cache
from pathlib import Path

import torch
from hypothesis import strategies as st

from harness import Reader, damaged, main
from napari_cosynth.evaluation.encoders.encoder import TileEncoder, load_encoders, save_encoders
from napari_cosynth.model.torch_files import read_torch
from napari_cosynth.types import ClassTable


class Marker:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch unpickled",)


def saved(value: object, old: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


@cache
def contents() -> tuple[bytes, ...]:
    state = {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.int64)}
    whole = zipfile.ZipFile(io.BytesIO(saved(state)))
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as archive:  # as torch writes it, another pickle inside
        for name in whole.namelist():
            own = pickle.dumps(Marker()) if name.endswith("data.pkl") else whole.read(name)
            archive.writestr(name, own)
    return (saved(state), saved(state, True), saved({"x": Marker()}), saved(torch.nn.Linear(2, 2)),
            pickle.dumps(Marker()), hostile.getvalue(), b"")  # fmt: skip


def write(folder: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(contents()))
    (folder / "w.pth").write_bytes(
        damaged(data, content) if data.draw(st.integers(0, 3)) else content
    )


@cache
def encoder() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.safetensors"
        save_encoders([TileEncoder(3)], ClassTable.of("a", "b"), 0.5, path)
        load_encoders(path, 0.5)
        return path.read_bytes()


def write_encoder(folder: Path, data: st.DataObject) -> None:
    (folder / "t.safetensors").write_bytes(damaged(data, encoder()))


STATES = Reader("state dicts, .pth", write, lambda f: read_torch(f / "w.pth", "weights"))
ENCODERS = Reader(
    "tile encoders, safetensors",
    write_encoder,
    lambda f: load_encoders(f / "t.safetensors", 0.5),
)
READERS = (STATES, ENCODERS)

if __name__ == "__main__":
    main(*READERS)
