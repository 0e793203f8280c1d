"""The command line: every command, its options drawn from what people and scripts mistype."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from fuzz_exports import files as exported
from fuzz_exports import record
from fuzz_tiff import files as tiffs
from fuzz_toml import PLAN, RECIPES
from harness import NUMBERS, TEXTS, Broken, Reader, damaged, main
from napari_cosynth.cli import _parser
from napari_cosynth.cli import main as cosynth

_PLACES = ("points.csv", "a.tif", "a.png", "plan.toml", "recipe.toml", "stack", "stack/images.tif",
           "a.json", "a.npy", "empty", "none", "ring", "/etc/passwd", "/dev/null", "", ".", "..",
           "new", "new/out", "points.csv/x", "x" * 300, "out.json", "out.csv", "out.png", "a\nb", "*",
           "~")  # fmt: skip
_VALUES = (
    *(
        "colon",
        "fast",
        "flow",
        "cpu",
        "cuda",
        "cuda:99",
        "mps",
        "stack",
        "coco",
        "folder",
        "a=1",
        "=",
    ),
    *(
        "a=1,b=2",
        "1,2",
        "a:b",
        "bank:colon",
        "0.5",
        "0",
        "1",
        "2",
        "10",
        "64",
        "--",
        "-x",
        "--help",
    ),
    *("http://127.0.0.1:9/x", "tcp://127.0.0.1:9", "os.system", "napari_cosynth.cli:main"),
)


@cache
def commands() -> dict[str, list[argparse.Action]]:
    """Every command that is given files, and what it takes."""
    found: dict[str, list[argparse.Action]] = {}

    def walk(parser: argparse.ArgumentParser, name: str) -> None:
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        for action in inner:
            for word, own in action.choices.items():
                walk(own, f"{name} {word}".strip())
        if not inner:
            found[name] = parser._actions

    walk(_parser(), "")
    del found["demo"]  # it reads no file of anybody, and samples for as long as it is told to
    return found


def drawn(data: st.DataObject) -> list[str]:
    """A command with options and arguments, some of which it has."""
    name, actions = data.draw(st.sampled_from(sorted(commands().items())))
    words = name.split()
    value = st.one_of(
        st.sampled_from(_PLACES).map("@/{}".format),
        st.sampled_from(_VALUES),
        st.sampled_from([*map(str, NUMBERS), *TEXTS[:-3]]).filter(lambda t: "\0" not in t),
    )
    for action in actions:
        if action.option_strings and not action.required and data.draw(st.integers(0, 5)):
            continue
        if action.option_strings:
            words.append(action.option_strings[-1])
        if action.nargs == 0:
            continue
        count = 1 if action.nargs is None else data.draw(st.integers(0, 3))
        for _ in range(count):
            known = [str(choice) for choice in action.choices or ()]
            use = known and data.draw(st.integers(0, 2))
            words.append(data.draw(st.sampled_from(known) if use else value))
    if data.draw(st.integers(0, 9)) == 0:
        words.insert(data.draw(st.integers(0, len(words))), data.draw(value))
    return words


def write(folder: Path, data: st.DataObject) -> None:
    contents = {
        "points.csv": b"index,axis-0,axis-1,class\n0,5,6,a\n1,20,21,b\n",
        "a.tif": tiffs()["tiles.tif"],
        "a.png": tiffs()["a.png"],
        "plan.toml": PLAN.encode(),
        "recipe.toml": RECIPES[0].read_bytes(),
        "a.json": b'{"a": [1, 2]}',
        "a.npy": b"\x93NUMPY",
        "empty": b"",
        **{f"stack/{name}": content for name, content in exported("stack").items()},
    }
    (folder / "stack").mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "ring").symlink_to("ring")
    if data.draw(st.integers(0, 2)) == 0:
        name = data.draw(st.sampled_from(sorted(contents)))
        (folder / name).write_bytes(damaged(data, contents[name]))
    words = [word.replace("@", str(folder), 1) for word in drawn(data)]
    (folder / "words.json").write_text(json.dumps(words))


def read(folder: Path) -> None:
    words = json.loads((folder / "words.json").read_text())
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = cosynth(words)
        except SystemExit as end:
            code = end.code
    text = said.getvalue()
    if code not in (0, 1, 2) or "Traceback" in text:
        raise Broken(f"{words}: ended with {code}: {text[-500:]}")
    if code == 2:
        last = text.removesuffix("\n").rpartition("\n")[2]
        if not last.startswith("cosynth"):
            raise Broken(f"{words}: no line of ours at the end: {text[-500:]!r}")
        raise ValueError(f"{folder}: {last}")


READERS = (Reader("command line", write, read, writes=True),)

if __name__ == "__main__":
    record(0)
    main(*READERS)
