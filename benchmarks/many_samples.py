"""A data set of many samples: memory, threads, files, time outside sampling, a kill in the middle.

    python benchmarks/many_samples.py 10000 --kill 4000        # the bundled model, 64 x 64, 1 step
    python benchmarks/many_samples.py 10000 --tiny             # a network of a few thousand weights
    python benchmarks/many_samples.py 2000 --tiny --workers 2

Runs ``cosynth generate`` on a plan. Memory is the resident memory of all its processes together, looked
at five times a second, as are their threads and open files. CPU seconds are those of the process; what
is outside of sampling is all that ``generate.sample.make`` does not take: plan, files, shards and
manifest. ``--kill N`` sends SIGKILL once N samples are finished and resumes; the list then says what
was made twice or is missing.
``--out FOLDER`` keeps the data set.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from generating import tiny, write_layouts
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.generate.manifest import read_manifest

SCRIPT = """
import json, sys, time
from napari_cosynth.cli import main
from napari_cosynth.generate import folder, run
log, inside, begun = open(sys.argv.pop(1), "a", buffering=1), [0.0], [None]
make, put = run.make, folder.DatasetFolder.put

def timed(job, settings):
    start = time.process_time()
    data = make(job, settings)
    inside[0] += time.process_time() - start
    return data

def counted(self, index, data):
    put(self, index, data)
    if begun[0] is None:
        begun[0] = time.process_time(), inside[0]
    line = [index, time.process_time() - begun[0][0], inside[0] - begun[0][1]]
    log.write(json.dumps(line) + chr(10))

run.make, folder.DatasetFolder.put = timed, counted
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Look:
    """What all processes together have once so many samples are finished."""

    done: int
    memory: int
    """Bytes."""
    threads: int
    files: int


@dataclass(frozen=True)
class Watched:
    """What one process did until its end."""

    seconds: float
    looks: list[Look]
    """In time."""
    made: list[tuple[int, float, float]]
    """(sample, CPU seconds since the first one, those inside of sampling)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=int)
    parser.add_argument("--kill", type=int, default=0, help="samples after which the run is killed")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="a network of a few thousand weights")
    parser.add_argument("--out", type=Path, default=None, help="where the data set stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        out = options.out or folder / "out"
        checkpoint = str(tiny(folder / "tiny")) if options.tiny else "default"
        write_layouts(folder / "layouts", options.size, checkpoint)
        (folder / "plan.toml").write_text(
            f'name = "many"\nsamples = {options.samples}\n'
            f"shape = [{options.size}, {options.size}]\n"
            f'checkpoint = "{checkpoint}"\nsteps = {options.steps}\n'
            '[[layouts]]\nsource = "folder"\nroot = "layouts"\n'
            "[quality]\nmissed = 0.9\nattempts = 2\n"
        )
        command = ["generate", str(folder / "plan.toml"), "--data", str(folder)]
        command += ["--out", str(out), "--workers", str(options.workers)]
        parts = []
        if options.kill:
            parts.append(watch(command, folder / "before", options.kill))
            command.append("--resume")
        parts.append(watch(command, folder / "after"))
        report(options.samples, parts, out, options.workers)


def watch(command: list[str], log: Path, kill: int = 0) -> Watched:
    """Runs ``cosynth`` and looks at it; with ``kill`` until so many samples are finished."""
    log.touch()
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(log), *command])
    looks: list[Look] = []
    with log.open() as lines:
        finished = 0
        while process.poll() is None:
            finished += sum(1 for _ in lines)
            looks.append(look(finished, process.pid))
            if kill and finished >= kill:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.2)
    if not kill and process.returncode:
        raise SystemExit(process.returncode)
    made = [json.loads(line) for line in log.read_text().splitlines()]
    return Watched(time.perf_counter() - begun, looks, [tuple(m) for m in made])


def look(done: int, pid: int) -> Look:
    memory = threads = files = 0
    try:
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            memory += each.memory_info().rss
            threads += each.num_threads()
            files += each.num_fds()
    except psutil.NoSuchProcess:
        pass
    return Look(done, memory, threads, files)


def report(samples: int, parts: list[Watched], out: Path, workers: int) -> None:
    manifest = read_manifest(out)
    looks = [
        replace(look, done=look.done + sum(len(p.made) for p in parts[:n]))
        for n, part in enumerate(parts)
        for look in part.looks
    ]
    print(
        "| samples finished | peak memory until then, MiB | threads since the row above | files |"
    )
    print("| --- | --- | --- | --- |")
    before = 0
    for mark in sorted({samples // 100, samples // 10, samples // 2, samples}):
        until = max(look.memory for look in looks if look.done <= mark)
        since = [look for look in looks if before <= look.done <= mark and look.threads]
        ranges = (
            f"{min(values)} to {max(values)}"
            for values in ([look.threads for look in since], [look.files for look in since])
        )
        print(f"| {mark:,} | {until / 2**20:.0f} | {' | '.join(ranges)} |")
        before = mark
    kept = manifest.counts["kept"]
    print(f"\n- {kept} of {samples} samples kept, {sum(p.seconds for p in parts):.0f} s in all")
    made = sum(len(p.made) - 1 for p in parts)
    cpu, inside = (sum(p.made[-1][i] for p in parts) for i in (1, 2))
    if workers == 1:
        print(
            f"- CPU: {cpu / made * 1e3:.2f} ms a sample, of which {(cpu - inside) / made * 1e3:.2f} ms "
            f"({1 - inside / cpu:.1%}) outside of sampling"
        )
        for n, part in enumerate(parts):
            tenth = len(part.made) // 10
            first, last = (rate(part.made[at : at + tenth]) for at in (0, len(part.made) - tenth))
            print(
                f"- outside of sampling, process {n + 1}: {first:.2f} ms a sample in its first tenth, "
                f"{last:.2f} ms in its last"
            )
    else:
        print(f"- CPU of this process, without its workers: {cpu / made * 1e3:.2f} ms a sample")
    times = Counter(index for part in parts for index, _, _ in part.made)
    stored = [
        recipe["id"]
        for shard in sorted(out.glob("shard-*"))
        for recipe in StackDataset(shard).samples
    ]
    wanted = [entry["id"] for entry in manifest.samples if entry["kept"]]
    twice, lost = sum(n > 1 for n in times.values()), samples - len(manifest.samples)
    print(
        f"- processes {len(parts)}; samples made twice: {twice}; missing from the manifest: {lost}; "
        f"the shards hold what it lists: {stored == wanted}"
    )


def rate(made: list[tuple[int, float, float]]) -> float:
    """Milliseconds a sample outside of sampling."""
    (_, c0, i0), (_, c1, i1) = made[0], made[-1]
    return ((c1 - c0) - (i1 - i0)) / (len(made) - 1) * 1e3


if __name__ == "__main__":
    main()
