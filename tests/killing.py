"""Jobs in processes of their own that are killed, or whose disk is full, and what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

DONE, REFUSED, BROKEN = 0, 2, 3
_CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
Content = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """Something that writes an output, and how what it left is judged."""

    run: Callable[[Path], object]
    """Makes the output, or goes on with what an earlier run left there. Raises ValueError or OSError."""
    content: Callable[[Path], Content]
    """What the output is made of; empty where there is none."""
    progress: Callable[[Path], int] | None = None
    """How much of it is safe, of a job that goes on; None where it is whole or as it was."""
    before: Callable[[Path], object] | None = None
    """Makes what is there before the job begins."""
    alone: bool = False
    """Whether it changes the process that it runs in."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    """0 done, 2 refused in a line, 3 broken, -9 killed."""
    changes: int
    """To files that it began, of which each is a moment to be killed at."""
    seconds: float
    said: str


def folder_content(folder: Path) -> Content:
    """The files of a folder, without those that are hidden."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not any(part[0] == "." for part in p.relative_to(folder).parts)
    }


def run(
    job: Callable[[], object],
    change: int | None = None,
    seconds: float | None = None,
    largest: int | None = None,
) -> Ended:
    """Runs a job in a process that is killed before a change to files, or after so many seconds.

    ``largest``: bytes that a file may have, as if the disk were full then.
    """
    read, write = os.pipe()
    begun = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os._exit(_child(job, change, largest, write))
    os.close(write)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read) as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(pid, 0)
    told = json.loads(lines[-1]) if lines else [0, ""]
    took = time.perf_counter() - begun
    return Ended(os.waitstatus_to_exitcode(status), told[0], took, told[1])


def _child(job: Callable[[], object], change: int | None, largest: int | None, write: int) -> int:
    seen = 0

    def hook(event: str, values: tuple[Any, ...]) -> None:
        nonlocal seen
        flags = values[2] if event == "open" else None
        if event in _CHANGES or (isinstance(flags, int) and flags & _WRITING):
            seen += 1
            if seen == change:
                os.kill(os.getpid(), signal.SIGKILL)

    code, said = DONE, ""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nothing, stream)
        sys.addaudithook(hook)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        job()
    except (ValueError, OSError) as error:
        code, said = REFUSED, str(error)
    except BaseException:
        code, said = BROKEN, traceback.format_exc()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with contextlib.suppress(OSError):
        os.write(write, json.dumps([seen, said[:20_000]]).encode())
    return code


@dataclass
class Figures:
    """What became of the moments of a job."""

    killed: int = 0
    finished: int = 0
    """Runs that were done before their moment came."""
    refused: int = 0
    resumed: int = 0
    """Runs to the end after one or more of these."""


def whole(job: Job, root: Path) -> tuple[Content, Content, Ended]:
    """What there is before the job, what there is after, and how a run that nothing stops ends."""
    if not job.alone:  # once here, so that processes find imported what it imports
        job.run(_fresh(job, root, "here"))
    out = _fresh(job, root, "whole")
    old = job.content(out) if out.exists() else {}
    ended = run(lambda: job.run(out))
    assert ended.code == DONE, ended.said
    return old, job.content(out), ended


def killed(job: Job, root: Path, moments: int, seed: int = 0) -> Figures:
    """Kills a job at so many moments: half of them before a change to files, half at any time.

    One that goes on is killed again until it is done. Asserts that what was safe stays so, and that a
    run to the end gives the bytes of one that was never killed.
    """
    old, new, ended = whole(job, root)
    random, figures = Random(seed), Figures()
    out: Path | None = None
    while figures.killed < moments:
        tried = figures.killed + figures.finished
        assert tried < 20 * moments, "it is always done before its moment comes"
        out = out or _fresh(job, root, tried)
        change = random.randint(1, ended.changes) if tried % 2 else None
        seconds = None if tried % 2 else random.uniform(0, ended.seconds)
        safe = job.progress(out) if job.progress else 0
        end = run(lambda out=out: job.run(out), change, seconds)
        assert end.code in (DONE, -signal.SIGKILL), (tried, end)
        figures.killed += end.code != DONE
        figures.finished += end.code == DONE
        _intact(job, out, safe, old, new, f"{tried}: {change or seconds}")
        if job.progress is None or end.code == DONE or figures.killed == moments:
            _finish(job, out, new)
            figures.resumed += 1
            out = None
    return figures


def starved(job: Job, root: Path, moments: int, seed: int = 0) -> Figures:
    """The same where a file may have no more than some bytes, as if the disk were full there."""
    old, new, _ = whole(job, root)
    random, figures = Random(seed), Figures()
    largest = max(map(len, new.values()))
    for moment in range(moments):
        out = _fresh(job, root, moment)
        limit = random.randint(0, largest)
        end = run(lambda out=out: job.run(out), largest=limit)
        judge_refusal(job, out, end, old, new, f"{moment}: {limit} bytes")
        figures.refused += end.code == REFUSED
        figures.finished += end.code == DONE
        figures.resumed += 1
    return figures


def judge_refusal(job: Job, out: Path, end: Ended, old: Content, new: Content, what: str) -> None:
    """A full disk is said in one line, leaves what was there, and the job is done once there is room."""
    assert end.code in (DONE, REFUSED), f"{what}: {end.said}"
    assert len(end.said.splitlines()) == (end.code == REFUSED), f"{what}: {end.said!r}"
    _intact(job, out, 0, old, new, what)
    if job.progress is None and end.code == REFUSED:
        left = [p.name for p in out.parent.iterdir() if p != out]
        assert not left, f"{what}: left {left}"
    _finish(job, out, new)


def _fresh(job: Job, root: Path, moment: int | str) -> Path:
    out = root / str(moment) / "out"
    out.parent.mkdir(parents=True)
    if job.before is not None:
        job.before(out)
    return out


def _intact(job: Job, out: Path, safe: int, old: Content, new: Content, what: str) -> None:
    if job.progress is not None:
        assert job.progress(out) >= safe, f"{what}: {safe} were safe, now {job.progress(out)}"
        return
    there = job.content(out) if out.exists() else {}
    assert there in (old, new), f"{what}: neither as it was nor whole: {sorted(there)}"


def _finish(job: Job, out: Path, new: Content) -> None:
    """A run to the end, where it is not done already."""
    if out.exists() and job.content(out) == new:
        return
    end = run(lambda: job.run(out))
    assert end.code == DONE, end.said
    found = job.content(out)
    assert found.keys() == new.keys(), sorted(found.keys() ^ new.keys())
    assert found == new, [name for name in new if found[name] != new[name]]
