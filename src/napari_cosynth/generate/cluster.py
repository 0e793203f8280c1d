"""Generation on dask.distributed: by processes of this machine, or by the workers of a scheduler.

Workers make samples and write nothing; this process writes all files. A sample depends on the plan and
its number alone, and a worker makes one at a time with the plan's number of threads. So the files are bit
for bit those of a single process, on machines of the same kind.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import uuid4

import torch

from napari_cosynth.generate.draw import Job
from napari_cosynth.generate.run import Engine
from napari_cosynth.generate.sample import Settings, make

IN_FLIGHT = 3
"""Jobs that a worker has in its queue, so that it never waits for the next."""
RETRIES = 2
"""Further tries, on any worker, of a sample that raised an error."""
ALLOWED_DEATHS = 10
"""Workers that may die during the same sample before the run stops (dask's default: 3). Clusters take
machines back, which is no fault of the sample."""
CONFIG = {
    "distributed.scheduler.allowed-failures": ALLOWED_DEATHS,
    # dask's setting gives memory back to the system after every tensor, and page faults fetch it again:
    # 60 % more CPU (docs/results/scale.md). Samples need equal memory, so a worker keeps it instead.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    # dask's monitoring is meant for many short tasks; it takes some 5 % of a core.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


@contextmanager
def local(workers: int) -> Iterator[Engine]:
    """An engine of ``workers`` processes on this machine; with GPUs, each process sees one of them.

    Raises ValueError where dask is not installed.
    """
    dask = _distributed()
    gpus = _gpus()
    nannies = {
        number: {
            "cls": dask.Nanny,
            "options": {
                "nthreads": 1,
                # dask's own limit on memory would stop a worker in the middle of a sample.
                "memory_limit": 0,
                "dashboard": False,
                "env": {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {},
            },
        }
        for number in range(workers)
    }
    scheduler = {
        "cls": dask.Scheduler,
        "options": {"protocol": "tcp://", "host": "127.0.0.1", "dashboard": False},
    }
    with (
        dask.SpecCluster(nannies, scheduler) as cluster,
        dask.Client(cluster, set_as_default=False) as client,
    ):
        yield on_client(client, workers)


@contextmanager
def running(address: str) -> Iterator[Engine]:
    """An engine on the scheduler at ``HOST:PORT``. Raises ValueError where none answers."""
    dask = _distributed()
    try:
        client = dask.Client(address, timeout=20, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"--scheduler: {address}: no dask scheduler answers ({error})") from None
    with client:
        yield on_client(client)


def on_client(client: Any, workers: int | None = None) -> Engine:
    """An engine on a ``dask.distributed`` client; ``workers`` is their number, None: all that exist."""
    dask = _distributed()

    def engine(jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        waiting = iter(jobs)
        # Other runs on this scheduler have samples of the same numbers, and keys must be unique there.
        run = uuid4().hex

        def submit(count: int) -> list[Any]:
            return [
                client.submit(
                    make, job, settings, key=f"{run}-{job.index}", pure=False, retries=RETRIES
                )
                for job in islice(waiting, max(0, count))
            ]

        def room() -> int:
            """Jobs that may be in flight now; workers come and go during a run."""
            found = workers or len(client.scheduler_info(n_workers=-1)["workers"])
            return IN_FLIGHT * max(1, found)

        first = submit(room())
        finishing, alive = dask.as_completed(first, loop=client.loop), len(first)
        for future in finishing:
            following = submit(room() - alive + 1)
            finishing.update(following)
            alive += len(following) - 1
            index = int(future.key.removeprefix(f"{run}-"))
            try:
                data = bytes(future.result())
            except dask.KilledWorker:
                raise ValueError(
                    f"sample {index}: {ALLOWED_DEATHS + 1} workers died while they made it "
                    "(out of memory?)"
                ) from None
            future.release()
            yield index, data

    return engine


def _gpus() -> list[str]:
    """CUDA's names of the GPUs that this process may use."""
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return (given or [str(i) for i in range(torch.cuda.device_count())])[
        : torch.cuda.device_count()
    ]


def _distributed() -> Any:
    try:
        import dask
        from dask import distributed
    except ModuleNotFoundError as error:
        raise ValueError(
            f'several workers need {error.name}: pip install "napari-cosynth[cluster]"'
        ) from None
    quiet = ("", ".client", ".core", ".nanny", ".scheduler", ".worker")
    for name in (f"distributed{part}" for part in quiet):
        logging.getLogger(name).setLevel(logging.ERROR)
    dask.config.set(CONFIG)
    return distributed
