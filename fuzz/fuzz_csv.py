"""Layouts as CSV, and a stack's own list of points."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from harness import TEXTS, Reader, damaged, main
from napari_cosynth.io.stack_format import read_points as read_stack_points
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.types import ClassTable

CLASSES = ClassTable.of("a", "b")
HEADERS = ("index,axis-0,axis-1,class", "axis-0,axis-1,class", "sample,index,axis-0,axis-1,class",
           "index,axis-0,axis-1,axis-2,class", "axis-0,axis-0,axis-1,class", "class,axis-1,axis-0",
           "index,axis-0,axis-1,axis-2,axis-3,class")  # fmt: skip
_CELL = st.one_of(
    st.sampled_from(
        ["1", "2.5", "-1", "1e9", "nan", "inf", "a", "b", "0", "3", '"a', "1" * 5000, "٣"]
    ),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from([*TEXTS[:-2], "x" * 140_000]),
)


def write(folder: Path, data: st.DataObject) -> None:
    header = data.draw(st.sampled_from(HEADERS))
    count = header.count(",") + 1
    rows = data.draw(
        st.lists(st.lists(_CELL, min_size=max(1, count - 1), max_size=count + 1), max_size=5)
    )
    lines = [header, *(",".join(row) for row in rows)]
    kind = data.draw(st.sampled_from(["rows", "rows", "bytes", "header", "encoding"]))
    if kind == "header":
        lines[0] = ",".join(data.draw(st.lists(_CELL, max_size=5)))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(lines)
    encoding = "utf-8"
    if kind == "encoding":
        encoding = data.draw(
            st.sampled_from(["utf-16", "utf-32", "latin-1", "utf-8-sig", "utf-16-le"])
        )
    content = text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    (folder / "points.csv").write_bytes(damaged(data, content) if kind == "bytes" else content)


def read_points(folder: Path) -> None:
    read_nuclei(folder / "points.csv")
    read_layout(folder / "points.csv", (64, 64), 0.5, CLASSES)


def read_sample(folder: Path) -> None:
    read_nuclei(folder / "points.csv", sample=0)


def read_stack(folder: Path) -> None:
    read_stack_points(folder / "points.csv", 2, CLASSES.names)


READERS = (
    Reader("layouts, CSV", write, read_points),
    Reader("one sample's layout, CSV", write, read_sample),
    Reader("points of a stack, CSV", write, read_stack),
)

if __name__ == "__main__":
    main(*READERS)
