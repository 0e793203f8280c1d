"""A data set on a dask cluster of machines that are network namespaces; one is cut off, one killed.

    python benchmarks/cluster_netns.py 200 --tiny            # as root, on Linux
    python benchmarks/cluster_netns.py 400 --size 128 --steps 10 --calm     # what the engine costs

The scheduler and the process that writes the files share a namespace with a bridge; each of 4 workers has
one of its own. After a third of the samples the first worker's link goes down; after half of them the
second gets SIGKILL. Prints how long no sample came after either, whether the folder is that of a single
process, and CPU seconds of all processes beyond those of the samplers. ``--calm`` leaves all workers
alone. Every process and namespace ends with this one, however it ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from generating import tiny, write_layouts
from napari_cosynth.generate import run as running_module
from napari_cosynth.generate.cluster import running
from napari_cosynth.generate.draw import Job
from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.generate.run import Engine, generate
from napari_cosynth.generate.sample import Settings

HOST = "10.77.0.1"
PORT = 8786
WORKERS = 4
INSIDE = "COSYNTH_BENCHMARK_NAMESPACE"
ENVIRONMENT = {  # docs/cluster.md
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "OMP_NUM_THREADS": "1",
}


def ip(*words: object) -> None:
    subprocess.run(["ip", *map(str, words)], check=True)


def start(*words: str, apart: bool = False) -> subprocess.Popen[bytes]:
    """A process that ends with this one; ``apart`` in a new namespace, once it is told to go."""
    command = ["setpriv", "--pdeathsig", "KILL"]
    if apart:
        command += ["unshare", "--net", "sh", "-c", 'read go; ip link set lo up; exec "$@"', "sh"]
    return subprocess.Popen(
        [*command, *words],
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.PIPE if apart else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def other_machine(number: int, *words: str) -> subprocess.Popen[bytes]:
    """A process on a link of its own to the bridge, called ``link-NUMBER`` at our end."""
    process = start(*words, apart=True)
    deadline = time.monotonic() + 10
    while namespace(process.pid) == namespace(os.getpid()):
        if time.monotonic() > deadline:
            raise SystemExit("no network namespace could be made")
        time.sleep(0.01)
    ip("link", "add", f"link-{number}", "type", "veth", "peer", "name", "out", "netns", process.pid)
    ip("link", "set", f"link-{number}", "master", "bridge", "up")
    inside = ["nsenter", "--net", "--target", str(process.pid), "ip"]
    for line in (f"addr add 10.77.0.{number + 2}/24 dev out", "link set out up"):
        subprocess.run([*inside, *line.split()], check=True)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    return process


def namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def cluster() -> tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """The scheduler and its workers, whose links and addresses are up."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "bridge", "type", "bridge")
    ip("addr", "add", f"{HOST}/24", "dev", "bridge")
    ip("link", "set", "bridge", "up")
    scheduler = start(
        *dask_command("scheduler"), "--host", HOST, "--port", str(PORT), "--no-dashboard"
    )
    workers = [
        other_machine(
            number, *dask_command("worker"), f"tcp://{HOST}:{PORT}", "--nthreads", "1", "--no-nanny",
            "--no-dashboard", "--memory-limit", "0",
        )
        for number in range(WORKERS)
    ]  # fmt: skip
    return scheduler, workers


def dask_command(what: str) -> list[str]:
    return [sys.executable, "-m", f"distributed.cli.dask_{what}"]


def cpu(pid: int) -> float:
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


class Watched:
    """An engine that cuts off and kills workers, and counts CPU seconds and waits."""

    def __init__(
        self, engine: Engine, scheduler: int, workers: list[subprocess.Popen[bytes]], calm: bool
    ) -> None:
        self.engine, self.calm, self.workers = engine, calm, workers
        self.pids = [os.getpid(), scheduler, *(w.pid for w in workers)]
        self.seconds: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self.waits: dict[str, float] = {}
        self.wall = 0.0

    def look(self) -> None:
        for pid in self.pids:
            self.seconds[pid] = max(self.seconds.get(pid, 0.0), cpu(pid))

    def __call__(self, jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        todo = list(jobs)
        self.look()
        self.begun = dict(self.seconds)
        begun = last = time.monotonic()
        phase, longest = "all workers", 0.0
        for count, item in enumerate(self.engine(todo, settings), 1):
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            self.waits[phase] = longest
            yield item
            if count % 500 == 0:
                print(
                    f"{count} samples, {time.monotonic() - begun:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
            if self.calm:
                continue
            if count == len(todo) // 3:
                ip("link", "set", "link-0", "down")
                phase, longest = "one cut off", 0.0
            elif count == len(todo) // 2:
                self.look()
                os.kill(self.workers[1].pid, signal.SIGKILL)
                phase, longest = "one killed", 0.0
        self.wall = time.monotonic() - begun
        self.look()

    def taken(self) -> float:
        return sum(self.seconds[pid] - self.begun[pid] for pid in self.pids)


def alone(plan: Plan, out: Path, data: Path) -> tuple[float, float]:
    """The same plan in this process: CPU seconds of sampling, and all."""
    inside, make = [0.0], running_module.make

    def timed(job: Job, settings: Settings) -> bytes:
        begun = time.process_time()
        result = make(job, settings)
        inside[0] += time.process_time() - begun
        return result

    running_module.make = timed
    begun = time.process_time()
    generate(plan, out, data, quiet=True)
    running_module.make = make
    return inside[0], time.process_time() - begun


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=int)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="a network of a few thousand weights")
    parser.add_argument("--calm", action="store_true", help="no worker is cut off or killed")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = str(tiny(folder / "tiny")) if options.tiny else "default"
        write_layouts(folder / "layouts", options.size, checkpoint)
        plan = Plan(
            name="namespaces",
            samples=options.samples,
            shape=(options.size, options.size),
            layouts=(FolderLayouts("folder", "layouts"),),
            checkpoint=checkpoint,
            steps=options.steps,
        )
        measure(plan, folder, options.calm)


def measure(plan: Plan, folder: Path, calm: bool) -> None:
    scheduler, workers = cluster()
    with running(f"tcp://{HOST}:{PORT}") as engine:
        # Every worker has read the weights before anything is counted.
        generate(replace(plan, samples=40), folder / "first", folder, engine=engine, quiet=True)
        watched = Watched(engine, scheduler.pid, workers, calm)
        generate(plan, folder / "many", folder, engine=watched, quiet=True)
    for process in [scheduler, *workers]:
        process.kill()
        process.wait()
    generate(replace(plan, samples=4), folder / "warm", folder, quiet=True)
    sampling, one = alone(plan, folder / "one", folder)
    count = plan.samples
    print(
        f"{count} samples, {plan.shape[0]} x {plan.shape[1]}, {watched.wall:.0f} s on {WORKERS} workers"
    )
    for phase, seconds in watched.waits.items():
        print(f"- {phase}: at most {seconds:.1f} s between two samples")
    many = watched.taken()
    for name, seconds in (("sampling", sampling), ("one process", one), ("cluster", many)):
        print(
            f"- CPU, {name}: {seconds / count * 1e3:.1f} ms a sample, {seconds / sampling - 1:+.1%}"
        )
    same = files(folder / "many") == files(folder / "one")
    print(f"- the folder is that of one process: {same}, {len(files(folder / 'one'))} files")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
