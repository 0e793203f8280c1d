"""Every format that we write and read, one of its files damaged or a link: TIFF, .mat, OME-Zarr, JSON."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path

from hypothesis import strategies as st

from harness import Reader, damaged, json_text, main
from napari_cosynth import registry
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.packed import write_packed
from napari_cosynth.export.base import Described
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable, Record

CLASSES = ClassTable.of("a", "b")


def record(seed: int) -> Record:
    import numpy as np

    rng = np.random.default_rng(seed)
    ids = np.zeros((32, 40), np.int32)
    for number in range(1, 5):
        y, x = rng.integers(0, (26, 34))
        ids[y : y + 6, x : x + 6] = number
    image = rng.integers(0, 256, (32, 40, 3)).astype(np.uint8)
    return make_record(
        image, ids, np.where(ids, 1 + ids % 2, 0).astype("u1"), CLASSES, 0.5, "colon", "s"
    )


@cache
def files(kind: str) -> dict[str, bytes]:
    """The files of an export of two records, by their path."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "out"
        if kind == "packed":
            root.mkdir()
            write_packed(root, [("p", f"r{n}", record(n)) for n in range(2)], CLASSES, 0.5, None)
        else:
            items = [
                Described(record(n), {"synthetic": True, "seed": n}, f"r{n}") for n in range(2)
            ]
            registry.resolve("exporter", kind)(items, root)
        list(open_records(root)[1])  # what libraries set up when they are first used
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def write(kind: str, folder: Path, data: st.DataObject) -> None:
    whole = files(kind)
    for name, content in whole.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    own = ["cosynth.json", "layouts.csv"]
    for _ in range(data.draw(st.integers(1, 2))):
        names = (
            [n for n in sorted(whole) if n not in own]
            if data.draw(st.integers(0, 2))
            else sorted(whole)
        )
        name = data.draw(st.sampled_from(names))
        path, content = folder / name, whole[name]
        what = data.draw(
            st.sampled_from(["bytes"] * 8 + ["gone", "empty", "link", "folder", "other"])
        )
        if not path.is_file():
            continue
        if what == "gone":
            path.unlink()
        elif what == "folder":
            path.unlink()
            path.mkdir()
        elif what == "link":
            path.unlink()
            path.symlink_to(data.draw(st.sampled_from(
                ["/etc/passwd", "/dev/null", "..", ".", path.name, "/dev/zero", "nowhere"]
            )))  # fmt: skip
        elif what == "empty":
            path.write_bytes(b"")
        elif what == "other":
            path.write_bytes(whole[data.draw(st.sampled_from(sorted(whole)))])
        elif content[:1] in (b"{", b"["):
            path.write_bytes(json_text(data, json.loads(content)))
        else:
            path.write_bytes(damaged(data, content))
    if data.draw(st.integers(0, 3)) == 0:  # as other programs write it
        shutil.rmtree(folder / "cosynth.json", ignore_errors=True)
        (folder / "cosynth.json").unlink(missing_ok=True)


def read(kind: str, folder: Path) -> None:
    list(open_records(folder, kind)[1])


READERS = tuple(
    Reader(f"export, {kind}", partial(write, kind), partial(read, kind))
    for kind in (*registry.names("exporter"), "packed")
    if kind in registry.names("dataset")
)

if __name__ == "__main__":
    main(*READERS)
