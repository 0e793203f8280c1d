"""The same run on dask.distributed: processes of this machine, or whatever a scheduler has.

Workers make samples and write nothing; this process writes all files. A sample is a function of plan
and number, and a worker makes one at a time with the plan's number of threads, so the files are those
of one process, bit for bit, on machines of the same kind.
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
"""Jobs a worker has at hand, so that it never waits for the next."""
RETRIES = 2
"""Times a sample whose making raised an error is tried again, on any worker."""
ALLOWED_DEATHS = 10
"""Workers that may die with the same sample before it counts as their killer (dask: 3). Machines
that are taken back are no fault of the sample."""
CONFIG = {
    "distributed.scheduler.allowed-failures": ALLOWED_DEATHS,
    # dask has workers give memory back to the system after every tensor, and page faults bring it
    # again: 60 % more CPU (docs/results/scale.md). A sample needs the memory of the one before it.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    # Watches meant for many short tasks; they take some 5 % of a core.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


@contextmanager
def local(workers: int) -> Iterator[Engine]:
    """An engine of so many processes on this machine; with GPUs, each process sees one of them."""
    dask = _distributed()
    gpus = _gpus()
    nannies = {
        number: {
            "cls": dask.Nanny,
            "options": {
                "nthreads": 1,
                # A sample is made whole in memory; dask's own limit would stop a worker early.
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
    """An engine on a ``dask.distributed`` client; without ``workers`` on those that there are."""
    dask = _distributed()

    def engine(jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        waiting = iter(jobs)
        # dask's keys are its scheduler's: another run there makes samples of these numbers too.
        run = uuid4().hex

        def submit(count: int) -> list[Any]:
            return [
                client.submit(
                    make, job, settings, key=f"{run}-{job.index}", pure=False, retries=RETRIES
                )
                for job in islice(waiting, max(0, count))
            ]

        def room() -> int:
            """Workers come and go while a run lasts."""
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
    """The GPUs that this process may use, by CUDA's names for them."""
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
    for name in ("distributed", "distributed.nanny", "distributed.worker", "distributed.scheduler"):
        logging.getLogger(name).setLevel(logging.ERROR)
    dask.config.set(CONFIG)
    return distributed
