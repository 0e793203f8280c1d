"""Several processes: the bytes of one, whichever of them dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psutil
import pytest
import torch
from test_generate import files, toml

from napari_cosynth.cli import main
from napari_cosynth.generate.cluster import _gpus, local
from napari_cosynth.generate.run import generate

distributed = pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """dask sets threads and environment of the process that runs a worker in it: this one."""
    threads, environment = torch.get_num_threads(), dict(os.environ)
    yield
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(environment)


def workers() -> list[psutil.Process]:
    return [
        p
        for p in psutil.Process().children(recursive=True)
        if any("spawn_main" in part for part in p.cmdline())
    ]


def test_a_worker_killed_in_the_middle_loses_nothing(plan, data, tmp_path):
    generate(plan, tmp_path / "one", data, quiet=True)
    killed, environment = [], {}

    with local(2) as engine:

        def killing(jobs, settings):
            for number, item in enumerate(engine(jobs, settings)):
                if number == 1:
                    victim = workers()[0]
                    environment.update(victim.environ())
                    os.kill(victim.pid, signal.SIGKILL)
                    killed.append(victim.pid)
                yield item

        generate(plan, tmp_path / "two", data, engine=killing, quiet=True)
    assert len(killed) == 1
    # With it every tensor's memory goes back to the system, and comes again by page faults.
    assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_a_running_scheduler(plan, data, tmp_path, capsys):
    """Its worker is a thread of this process with three threads, of which one samples at a time."""
    (tmp_path / "plan.toml").write_text(toml(plan))
    call = ["generate", str(tmp_path / "plan.toml"), "--data", str(data)]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=3, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        code = main([*call, "--out", str(tmp_path / "far"), "--scheduler", address])
    assert code == 0, capsys.readouterr().err
    generate(plan, tmp_path / "near", data, quiet=True)
    assert files(tmp_path / "far") == files(tmp_path / "near")


def test_two_runs_on_one_scheduler_keep_their_own_samples(plan, data, tmp_path):
    """Their samples have the same numbers; the second begins while the first waits for its second."""
    import dataclasses

    from napari_cosynth.generate.cluster import running

    plans = [plan, dataclasses.replace(plan, name="other", seed=plan.seed + 1)]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with running(address) as first, running(address) as second:

            def between(jobs, settings):
                for number, item in enumerate(first(jobs, settings)):
                    if number == 0:
                        generate(plans[1], tmp_path / "b", data, engine=second, quiet=True)
                    yield item

            generate(plans[0], tmp_path / "a", data, engine=between, quiet=True)
    for name, own in zip("ab", plans, strict=True):
        generate(own, tmp_path / f"{name} alone", data, quiet=True)
        assert files(tmp_path / name) == files(tmp_path / f"{name} alone")


@pytest.mark.parametrize(
    "visible, count, wanted",
    [(None, 2, ["0", "1"]), ("2,3", 2, ["2", "3"]), ("GPU-8a,GPU-9b", 1, ["GPU-8a"]), ("", 0, [])],
)
def test_workers_share_the_gpus_that_were_given(visible, count, wanted, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert _gpus() == wanted


def test_bad_engines(plan, data, tmp_path, capsys):
    (tmp_path / "plan.toml").write_text(toml(plan))
    call = ["generate", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "o")]
    assert main([*call, "--workers", "0"]) == 2
    assert "--workers: expected at least 1" in capsys.readouterr().err
    assert main([*call, "--workers", "2", "--scheduler", "127.0.0.1:1"]) == 2
    assert "leave one of the two out" in capsys.readouterr().err
    assert main([*call, "--scheduler", "nonsense://x"]) == 2
    assert "no dask scheduler answers" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_sample_that_cannot_be_made_is_named(plan, data, tmp_path):
    """An error in a worker arrives as the same one line as without workers."""
    import dataclasses

    with distributed.Client(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as client:
        from napari_cosynth.generate.cluster import on_client

        bad = dataclasses.replace(plan, device="cuda:9")
        with pytest.raises(ValueError, match=r"sample \d+ \(layouts .*\): device"):
            generate(bad, tmp_path / "o", data, engine=on_client(client), quiet=True)
