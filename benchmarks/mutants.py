"""Mutation testing of the core packages: how many small faults put into them no test notices.

    pip install cosmic-ray coverage
    OMP_NUM_THREADS=1 python benchmarks/mutants.py --map map.json --out mutants.jsonl \\
        [--packages geometry data] [--sample 40] [--seed 1] [--trace TESTS] [--again]

cosmic-ray's operators make the mutants. The tests first run once without a fault, which says which of
them reach which line; they and their times are kept in --map, and --trace TESTS runs only those again
and adds to it (after tests were written). A sample of places is drawn evenly over each package's source,
and at each place one of the mutants possible there. A mutant faces the tests that reach its statement,
the quickest first, up to --seconds of them. It is killed when one fails, or when they take over five
times their CPU time and a minute for what they import. --out has a line a mutant, written as they end,
and is continued when it is there; --again only runs what survived in it. A mutant read by hand and found
to change nothing is given the outcome "equivalent" there; one that does not compile has "no program".

Left out: annotations, the words of exceptions, ``__all__``, ``slots``, and what only type checkers read.
Everything happens in a copy of the tree in a temporary folder. Needs fork, so Linux or macOS.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import importlib
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from reached_lines import run_tests, traced_tests

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "diffusion": ("diffusion",),
    "geometry": ("geometry",),
    "data": ("datasets", "records", "slides", "stain", "checks", "io"),
    "evaluation": ("evaluation",),
    "synthesis": ("synthesis",),
}
"""What is sampled together -> its folders."""
TESTS = (
    *(f"tests/{name}" for name in (*(f for of in PACKAGES.values() for f in of), "export")),
    "tests/layouts/test_nuclei.py",
    "tests/cli/test_evaluate.py",
    "tests/cli/test_separation.py",
)
"""What reaches the packages at their own level; tests of the window and the shell come on top."""
WARM = ("numpy", "torch", "scipy.ndimage", "scipy.spatial", "skimage.measure", "tifffile", "zarr")
"""Imported once, before the forks."""
Spot = tuple[int, int]


def left_out(module: ast.Module) -> list[tuple[Spot, Spot]]:
    """Spans that mutants are not made in."""
    found: list[ast.AST | None] = []
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef():
                found.append(node.returns)
            case ast.arg() | ast.AnnAssign():
                found.append(node.annotation)
            case ast.Raise(exc=ast.Call() as call):
                found += [*call.args, *call.keywords]
            case (
                ast.keyword(arg="slots")
                | ast.Assign(targets=[ast.Name(id="__all__")])
                | ast.If(test=ast.Name(id="TYPE_CHECKING"))
            ):
                found.append(node)
    return [
        ((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found if n is not None
    ]


def places(source: str) -> dict[Spot, list[tuple[str, int]]]:
    """Line and column -> the mutants possible there, as operator and its occurrence."""
    found: dict[Spot, list[tuple[str, int]]] = defaultdict(list)
    nodes, spans = list(ast_nodes(get_ast(source))), left_out(ast.parse(source))
    for name in operator_names():
        if get_operator(name).arguments():
            continue
        operator = get_operator(name)()
        spots = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, spot in enumerate(spots):
            if not any(a <= tuple(spot) < b for a, b in spans):
                found[tuple(spot)].append((name, occurrence))
    return dict(sorted(found.items()))


def draw(tree: Path, package: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """``count`` mutants at places evenly over the package's files, in order."""
    rng, every = random.Random(f"{package} {seed}"), []
    source = tree / "src" / "napari_cosynth"
    for path in chain(*(sorted((source / name).rglob("*.py")) for name in PACKAGES[package])):
        name = str(path.relative_to(tree))
        every += [(name, spot, made) for spot, made in places(path.read_text("utf-8")).items()]
    start = rng.random()
    for k in range(min(count, len(every))):
        name, spot, made = every[int((k + start) * len(every) / count)]
        operator, occurrence = rng.choice(made)
        short = operator.removeprefix("core/")
        yield {"package": package, "file": name, "line": spot[0], "column": spot[1],
               "operator": short, "occurrence": occurrence, "places": len(every)}  # fmt: skip


def identity(mutant: dict[str, Any]) -> tuple[str, str, int]:
    return mutant["file"], mutant["operator"], mutant["occurrence"]


def statement(module: ast.Module, line: int) -> tuple[range, bool]:
    """The lines of the innermost statement at ``line``, and whether an import runs it."""
    best, inside = range(line, line + 1), False
    for node in ast.walk(module):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= node.end_lineno:
            continue
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and line >= body[0].lineno:
            inside = True
        if not body or line < body[0].lineno:
            best = range(node.lineno, body[0].lineno if body else node.end_lineno + 1)
    return best, not inside


def reaching(traced: dict[str, Any], mutant: dict[str, Any], tree: Path, most: float) -> list[str]:
    """The tests that run the mutant's statement, the quickest first, up to ``most`` seconds."""
    name = mutant["file"]
    lines, on_import = statement(ast.parse((tree / name).read_text("utf-8")), mutant["line"])
    chosen, total = [], 0.0
    for test in sorted(traced["reached"], key=lambda t: traced["seconds"][t]):
        of_test = traced["reached"][test].get(name, [])
        if of_test and (on_import or not set(lines).isdisjoint(of_test)):
            total += traced["seconds"][test]
            if chosen and total > most:
                break
            chosen.append(test)
    return chosen


def judge(tree: Path, mutant: dict[str, Any], traced: dict[str, Any], most: float) -> None:
    """Run the tests against a mutant; its outcome, change and cost go into it."""
    path, begun = tree / mutant["file"], time.perf_counter()
    source, stat = path.read_text("utf-8"), path.stat()
    operator = get_operator(f"core/{mutant['operator']}")()
    try:
        mutated = mutate_code(source, operator, mutant["occurrence"])
    except AttributeError:  # cosmic-ray cannot replace an exception of a dotted name
        mutant.update(outcome="no program", by="", before="", after="")
        return
    old, new = source.splitlines(), mutated.splitlines()
    at = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    mutant.update(before=old[at].strip(), after=new[at].strip())
    try:
        compile(mutated, mutant["file"], "exec")
    except SyntaxError:
        mutant.update(outcome="no program", by="")
        return
    tests = reaching(traced, mutant, tree, most)
    try:
        path.write_text(mutated, "utf-8")
        limit = 60 + 5 * sum(traced["seconds"][t] for t in tests)
        code = run_tests(tree, tests, limit) if tests else 0
    finally:
        path.write_text(source, "utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    log = (tree / "log.txt").read_text("utf-8", "replace").splitlines() if code else []
    by = next(
        (line[7:] for line in log if line.startswith(("FAILED ", "ERROR "))), f"status {code}"
    )
    mutant.update(outcome="killed" if code else "survived", by=by.split(" - ")[0] if code else "")
    mutant.update(tests=len(tests), seconds=round(time.perf_counter() - begun, 1))


def table(mutants: list[dict[str, Any]]) -> str:
    """A Markdown table of outcomes by package."""
    rows = [
        "| package | places | mutants | no program | equivalent | killed | survived | share |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for package in (*PACKAGES, ""):
        of = [m for m in mutants if package in ("", m["package"])]
        count = Counter(m["outcome"] for m in of)
        real = count["killed"] + count["survived"]
        if real:
            sources = sum({m["package"]: m["places"] for m in of}.values())
            rows.append(
                f"| {package or 'all'} | {sources:,} | {len(of)} | {count['no program']} | "
                f"{count['equivalent']} | "
                f"{count['killed']} | {count['survived']} | {100 * count['survived'] / real:.0f} % |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=tuple(PACKAGES))
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--trace", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    lines = options.out.read_text("utf-8").splitlines() if options.out.exists() else []
    done = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
        traced = traced_tests(tree, options.map, options.trace or (), TESTS)
        compileall.compile_dir(tree / "src", quiet=1)
        if options.again:
            left = [m for m in done if m["outcome"] == "survived"]
            todo = [m for m in left if m["package"] in options.packages]
        else:
            known = {identity(mutant) for mutant in done}
            drawn = (draw(tree, name, options.sample, options.seed) for name in options.packages)
            todo = [m for m in chain(*drawn) if identity(m) not in known]
            done += todo
        for mutant in todo:
            judge(tree, mutant, traced, options.seconds)
            ended = [json.dumps(m, ensure_ascii=False) + "\n" for m in done if "outcome" in m]
            options.out.write_text("".join(ended), "utf-8")
            print(
                mutant["outcome"], f"{mutant['file']}:{mutant['line']}", mutant["after"], flush=True
            )
    print(table(done))


if __name__ == "__main__":
    main()
