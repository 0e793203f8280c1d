"""Which tests reach which lines of the package, and running some of them in a fork: for mutants.py."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

Lines = dict[str, dict[str, list[int]]]
"""Test -> file -> lines."""


class Trace:
    """A pytest plugin: the lines that each test reaches, and its seconds of CPU.

    What a fixture of a module or a session reaches counts for every test that asks for it.
    """

    def __init__(self, package: Path) -> None:
        self.coverage = Coverage(data_file=None, source=[str(package)], config_file=False)
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}
        self._now = ""

    def _switch(self, context: str) -> str:
        before, self._now = self._now, context
        self.coverage.switch_context(context)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Iterator[None]:
        self._switch(item.nodeid)
        self.fixtures[item.nodeid] = list(item.fixturenames)
        begun = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - begun
            self._switch("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        before = self._switch(f"fixture {fixturedef.argname} of {fixturedef.baseid}")
        try:
            return (yield)
        finally:
            self._switch(before)

    def reached(self, tree: Path) -> Lines:
        data = self.coverage.get_data()
        found: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for file in data.measured_files():
            name = str(Path(file).relative_to(tree))
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    found[context][name].add(line)
        made: Lines = {}
        for test, names in self.fixtures.items():
            files = {name: set(lines) for name, lines in found[test].items()}
            for context in [c for c in found if c.startswith("fixture ")]:
                fixture, _, base = context.removeprefix("fixture ").partition(" of ")
                if fixture in names and test.startswith(base):
                    for name, lines in found[context].items():
                        files.setdefault(name, set()).update(lines)
            made[test] = {name: sorted(lines) for name, lines in files.items()}
        return made


def _child(tree: Path, arguments: list[str], seconds: float, out: Path | None) -> None:
    os.setsid()
    os.chdir(tree)
    with (tree / "log.txt").open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.path.insert(0, str(tree / "src"))
    os.environ["PYTHONPATH"] = str(tree / "src")
    if seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1,) * 2)
    arguments = ["-q", "-x", "-p", "no:cacheprovider", f"--rootdir={tree}", *arguments]
    if out is None:
        sys.dont_write_bytecode = True
        sys.exit(int(pytest.main(arguments)))
    trace = Trace(tree / "src" / "napari_cosynth")
    trace.coverage.start()
    code = int(pytest.main(arguments, plugins=[trace]))
    trace.coverage.stop()
    out.write_text(json.dumps({"seconds": trace.seconds, "reached": trace.reached(tree)}))
    sys.exit(code)


def run_tests(
    tree: Path, arguments: list[str], seconds: float = 0, out: Path | None = None
) -> int | None:
    """pytest's exit status in a fork that imports the tree afresh; negative: killed by a signal."""
    process = multiprocessing.get_context("fork").Process(
        target=_child, args=(tree, arguments, seconds, out)
    )
    process.start()
    # The limit is of CPU; this one is for a mutant that waits for ever.
    process.join(20 * seconds + 60 if seconds else None)
    if process.is_alive():
        os.killpg(process.pid or 0, 9)
        process.join()
    return process.exitcode


def traced_tests(tree: Path, kept: Path, again: Sequence[str], every: Sequence[str]) -> Any:
    """``seconds`` and ``reached`` of ``kept``, with the tests of ``again`` run and added; those of
    ``every`` where nothing is kept yet."""
    traced: Any = {"seconds": {}, "reached": {}}
    if kept.exists():
        traced = json.loads(kept.read_text("utf-8"))
    chosen = list(again or (() if kept.exists() else every))
    if chosen:
        code = run_tests(tree, chosen, out=tree / "trace.json")
        if code:
            sys.exit(f"the tests fail as they are:\n{(tree / 'log.txt').read_text()[-3000:]}")
        for key, value in json.loads((tree / "trace.json").read_text("utf-8")).items():
            old = traced[key].items()  # without tests that have other names now
            traced[key] = {t: v for t, v in old if not t.startswith(tuple(chosen))} | value
        kept.write_text(json.dumps(traced), "utf-8")
    return traced
