"""``cosynth compare``: the differences between two reports, and which of them hold."""

from __future__ import annotations

from pathlib import Path

from napari_cosynth.evaluation.metrics.bootstrap import LEVEL
from napari_cosynth.evaluation.reports.compare import compare, read_report
from napari_cosynth.evaluation.reports.report import number


def print_comparison(a: Path, b: Path, everything: bool = False) -> None:
    """Prints a line per difference that holds, or with ``everything`` per figure.

    Raises ValueError where the reports cannot be compared.
    """
    try:
        differences, notes = compare(read_report(a), read_report(b))
    except ValueError as error:
        message = str(error)
        raise ValueError(
            message if message.startswith((str(a), str(b))) else f"{a}, {b}: {message}"
        ) from None
    for note in notes:
        print(note)
    shown = [d for d in differences if d.holds or everything]
    width = max((len(f"{d.name} ({d.of})") for d in shown), default=0)
    section = ""
    for d in shown:
        if d.section != section:
            section = d.section
            print(f"\n{section:{width}}  {'A':>9} {'B':>9} {'real':>9}  B - A")
        span = "–" if d.low != d.low else f"{number(d.low)} to {number(d.high)}"
        verdict = {"A": "A is better", "B": "B is better"}.get(d.verdict, d.verdict)
        values = " ".join(f"{number(v):>9}" for v in (d.a, d.b, d.real))
        print(f"{f'{d.name} ({d.of})':{width}}  {values}  {span:22} {verdict}".rstrip())
    judged = [d for d in differences if d.low == d.low]
    held = [d for d in judged if d.holds]
    print(
        f"\n{len(held)} of {len(judged)} differences hold at {LEVEL:.0%}: A is better in "
        f"{sum(d.verdict == 'A' for d in held)}, B in {sum(d.verdict == 'B' for d in held)}; up to "
        f"{len(judged) * (1 - LEVEL):.0f} would stand out by chance"
    )
