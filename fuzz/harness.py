"""Hostile input for one reader: made or damaged files, what the reader may do with them, and a count.

For each input a reader gives what it has read, or raises ValueError or OSError in one clear line. It does
so within bounds of time and memory; it writes and removes nothing, starts nothing, unpickles no name and
asks for no connection. An audit hook sees what Python does; time is a signal's, memory the process' own
limit of addresses.

    python fuzz/fuzz_csv.py [--examples 10000] [--seed 0]

runs the inputs of one script and prints a row for docs/results/fuzz.md. The tests run a few hundred.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

Read = Callable[[Path], object]
Write = Callable[[Path, st.DataObject], None]

SECONDS = 20.0
"""Of processor time for one input. Most take milliseconds."""
MEMORY = 2**30
"""Bytes that one input may take on top of what the process has."""
LONGEST = 1000
"""Characters of a message without the paths in it."""
_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile",
              "pickle.find_class", "socket.connect", "socket.getaddrinfo", "socket.bind")  # fmt: skip
_WRITES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate",
           "os.chmod", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp")  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One kind of reader and what it is fed."""

    name: str
    write: Write
    """Writes an input into an empty folder, drawing what it is made of."""
    read: Read
    """Reads the folder, all that is in it: a lazy reader has to be asked."""
    writes: bool = False
    """Whether it may write where it refuses nothing."""


@dataclass
class Seen:
    """What a reader did with its inputs."""

    examples: int = 0
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    grown: int = 0
    """Bytes by which the process' peak rose."""


class Broken(AssertionError):
    """A reader did what none may do."""


class _Watch:
    """Sees what Python is asked to do while it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.writes = False
        """Whether what is written is not looked for."""
        self.done: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event in _FORBIDDEN or (event in _WRITES and not self.writes):
            self.done.append(f"{event} {str(arguments)[:200]}")
        if event != "open" or self.writes:
            return
        path, mode, *_ = arguments
        if isinstance(mode, str) and set(mode) & set("wax+") and str(path) != os.devnull:
            self.done.append(f"open {str(arguments)[:200]}")


_WATCH = _Watch()


@contextlib.contextmanager
def _bounded(memory: int) -> Iterator[None]:
    """Within a time, and within so much more memory, both for this process alone."""

    def late(*_: object) -> None:
        raise Broken(f"took longer than {SECONDS:g} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = [signal.signal(which, late) for which in (signal.SIGPROF, signal.SIGALRM)]
    # Of the processor's time, for the machine may be busy; and a longer one for what only waits.
    # Again each second: a callback of the collector swallows it.
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 1)
    signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS, 1)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)
        for which, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(which, handler)


def _listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(p), p.lstat().st_size) for p in folder.rglob("*"))


def check(reader: Reader, folder: Path, seen: Seen) -> None:
    """Reads one input. Raises :class:`Broken` where the reader does what none may do."""
    before, begun = _listing(folder), time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _WATCH.done.clear()
    _WATCH.writes = reader.writes
    refused = False
    try:
        with warnings.catch_warnings(), _bounded(MEMORY):
            warnings.simplefilter("ignore")
            _WATCH.armed = True
            try:
                reader.read(folder)
                seen.read += 1
            finally:
                _WATCH.armed = False
    except (ValueError, OSError) as error:
        _require_line(error, folder)
        refused = True
        seen.refused[type(error).__name__] += 1
    except Broken:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Broken(f"raised {type(error).__name__}: {error}") from error
    seen.examples += 1
    seen.slowest = max(seen.slowest, time.perf_counter() - begun)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    seen.grown = max(seen.grown, grown * 1024)
    if _WATCH.done:
        raise Broken(f"did {_WATCH.done[0]}")
    if (refused or not reader.writes) and _listing(folder) != before:
        raise Broken("left or changed a file")


def _require_line(error: ValueError | OSError, folder: Path) -> None:
    text = str(error)
    if isinstance(error, UnicodeError):
        raise Broken(f"raised {type(error).__name__}, which names no file") from error
    if not text or len(text.splitlines()) > 1 or "Traceback" in text:
        raise Broken(f"no clear line: {text!r}") from error
    if str(folder) not in text and str(folder) not in str(getattr(error, "filename", "")):
        raise Broken(f"names no file: {text!r}") from error
    if len(text.replace(str(folder), "")) > LONGEST:
        raise Broken(f"a line of {len(text)} characters: {text[:200]!r}...") from error


CHUNK = 1000
"""Inputs that hypothesis draws in one go; it slows down as it remembers more of them."""


def run(reader: Reader, examples: int, seed: int = 0) -> Seen:
    """Feeds a reader so many inputs, the same ones for the same seed. Raises what hypothesis found."""
    seen = Seen()
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what is left out is said for each input
    try:
        for first in range(0, examples, CHUNK):
            _feed(reader, root / "input", seen, min(CHUNK, examples - first), f"{seed}.{first}")
    finally:
        logging.disable(before)
        shutil.rmtree(root, ignore_errors=True)
    return seen


def _feed(reader: Reader, folder: Path, seen: Seen, examples: int, seed: str) -> None:
    """Feeds inputs drawn from one seed, each in the same folder, made anew."""

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(st.data())
    def feed(data: st.DataObject) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        reader.write(folder, data)
        check(reader, folder, seen)

    feed()


# Damage

_DAMAGES = ("flip", "byte", "cut", "drop", "double", "swap", "zero", "number", "tail")


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Content with bits flipped, parts cut, doubled, swapped, zeroed, or numbers put in their place."""
    result = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(_DAMAGES))
        size = max(1, len(result))
        # Half of the damage is done where headers are.
        reach = size if data.draw(st.booleans()) else min(size, 600)
        at = data.draw(st.integers(0, reach - 1))
        length = data.draw(st.integers(1, max(1, min(64, size // 2))))
        if kind == "flip" and result:
            result[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "byte" and result:
            result[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del result[at:]
        elif kind == "drop":
            del result[at : at + length]
        elif kind == "double":
            result[at:at] = result[at : at + length]
        elif kind == "swap":
            other = data.draw(st.integers(0, reach - 1))
            a, b = bytes(result[at : at + length]), bytes(result[other : other + length])
            result[at : at + length], result[other : other + length] = b, a
        elif kind == "zero":
            result[at : at + length] = bytes(length)
        elif kind == "number":
            value = data.draw(
                st.sampled_from([0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1])
            )
            width = data.draw(st.sampled_from([2, 4, 8]))
            value &= (1 << 8 * width) - 1
            order = data.draw(st.sampled_from(["little", "big"]))
            result[at : at + width] = value.to_bytes(width, order)
        else:
            result += data.draw(st.binary(max_size=64))
    return bytes(result)


NUMBERS: list[Any] = [
    0,
    -1,
    1,
    2,
    0.5,
    255,
    256,
    2**31,
    -(2**31),
    2**63,
    2**64,
    10**30,
    10**400,
    1e308,
]
NUMBERS += [-1e308, 1e-320, float("nan"), float("inf"), float("-inf"), True, False]
TEXTS = ["", " ", "a", "\n", "a\nb", "\0", "é", "e\u0301", "..", "../x", "/etc/passwd", "C:\\x", "%s{0}",
         "\ud800", "💥", "nan", "-1", "1e999", "a" * 3000, "__import__('os')"]  # fmt: skip


def _deep(kind: str, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"features": value, "a": value}
    return value


def junk() -> st.SearchStrategy[Any]:
    """Any JSON value, mostly of the kinds that programs do not expect."""
    leaves = st.one_of(
        st.none(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.text(max_size=9)
    )
    nested = st.recursive(
        leaves,
        lambda s: st.lists(s, max_size=4) | st.dictionaries(st.text(max_size=5), s, max_size=4),
        max_leaves=8,
    )
    return st.one_of(leaves, nested, st.just([]), st.just({}), st.just([[]]), st.just([[[1, 2]]]))


def spoiled(data: st.DataObject, value: Any, times: int = 3) -> Any:
    """JSON in which up to so many nodes, at any depth, are something else, gone, doubled or swapped."""
    for _ in range(data.draw(st.integers(1, times))):
        value = _spoiled(data, value)
    return value


def _spoiled(data: st.DataObject, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 5)) == 0:
        return data.draw(junk())
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = data.draw(st.sampled_from(keys))
    copy = value.copy()
    kind = data.draw(
        st.sampled_from(["deeper", "deeper", "deeper", "gone", "swap", "double", "key"])
    )
    if kind == "gone":
        del copy[key]
    elif kind == "swap":
        other = data.draw(st.sampled_from(keys))
        copy[key], copy[other] = copy[other], copy[key]
    elif kind == "double" and isinstance(copy, list):
        copy += [copy[key]] * data.draw(st.integers(1, 3))
    elif kind == "key" and isinstance(copy, dict):
        copy[data.draw(st.sampled_from(TEXTS) | st.text(max_size=6))] = copy.pop(key)
    else:
        copy[key] = _spoiled(data, copy[key])
    return copy


def json_text(data: st.DataObject, value: Any) -> bytes:
    """A JSON file of a value, spoiled or in itself damaged, now and then nested without end."""
    import json

    kind = data.draw(st.sampled_from(["spoiled"] * 6 + ["bytes"] * 3 + ["deep", "text"]))
    if kind == "deep":
        depth = data.draw(st.sampled_from([50, 900, 5000, 100_000]))
        opened = data.draw(st.sampled_from(["[", '{"a":', '{"features":[']))
        return (opened * depth).encode()
    if kind == "text":
        return data.draw(st.binary(max_size=60))
    if kind == "spoiled":
        value = spoiled(data, value)
    content = json.dumps(value).encode("utf-8", "surrogatepass")
    return damaged(data, content) if kind == "bytes" else content


# Scripts


def main(*readers: Reader) -> None:
    """A script's own command: its readers, so many inputs each, a row of a table for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="of the script, only this one")
    options = parser.parse_args()
    broken = False
    for reader in readers:
        if options.reader in (None, reader.name):
            broken |= not _row(reader, options.examples, options.seed)
    sys.exit(broken)


def _row(reader: Reader, examples: int, seed: int) -> bool:
    """Runs a reader and prints its row; what it did wrong, and with what input, goes to stderr."""
    begun = time.perf_counter()
    try:
        seen = run(reader, examples, seed)
    except Broken:
        print(f"{reader.name}: broken", file=sys.stderr)
        traceback.print_exc()
        return False
    seconds = time.perf_counter() - begun
    print(
        f"| {reader.name} | {seen.examples:,} | {seen.read:,} | {sum(seen.refused.values()):,} | "
        f"{seen.slowest:.2f} | {seen.grown / 2**20:.0f} | {seconds:.0f} |",
        flush=True,
    )
    return True
