"""A few moments of each job that ``benchmarks/killed.py`` kills a hundred times."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

if sys.platform == "win32":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

import killed_jobs
from killing import Job, killed, starved


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A process that is forked has none of the threads of OpenMP."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["stack", "coco", "omezarr", "convert", "save", "generate", "canvas"])
def job(request, tmp_path: Path, tiny_checkpoint: Path) -> Job:
    if request.param == "convert":
        return killed_jobs.conversion("folder", tmp_path)
    if request.param == "save":
        return killed_jobs.saving(tmp_path)
    if request.param == "generate":
        return killed_jobs.generation(tmp_path, tiny_checkpoint)
    if request.param == "canvas":
        return killed_jobs.canvas(tmp_path, tiny_checkpoint)
    return killed_jobs.export(request.param)


def test_killed_at_any_moment(job: Job, tmp_path: Path) -> None:
    assert killed(job, tmp_path, 6).killed


def test_a_full_disk(job: Job, tmp_path: Path) -> None:
    assert starved(job, tmp_path, 3).refused
