"""Figures -> JSON, and one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.bootstrap import LEVEL, interval
from napari_cosynth.evaluation.metrics.quotients import json_ready
from napari_cosynth.evaluation.reports.figure import ALL, Figure

FORMAT = 1

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em;
  color: #1b1b1b; background: #fff }
table { border-collapse: collapse; margin: .6em 0 1.6em }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
th:first-child, td:first-child { text-align: left }
small { color: #666; display: block; white-space: nowrap }
figure { margin: 0 0 1.2em } figure img { image-rendering: auto; max-width: 100% }
figcaption { color: #444 } svg { margin-right: 1em }
"""


@dataclass(frozen=True)
class Plot:
    """A plot of one or more lines."""

    title: str
    x_label: str
    lines: Mapping[str, tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]
    """Name -> x (N,), y (N,)."""
    logarithmic: bool = False
    """Whether the x axis is logarithmic; x is then above 0."""


@dataclass(frozen=True)
class Picture:
    """An image with a caption."""

    caption: str
    image: npt.NDArray[np.uint8]
    """RGB (H, W, 3)."""


@dataclass(frozen=True)
class Report:
    """The whole result of one evaluation."""

    facts: Mapping[str, Any]
    """The sets that were compared, ready for JSON."""
    notes: Sequence[str]
    """Notes on how to read the figures."""
    figures: Sequence[Figure]
    plots: Sequence[Plot] = ()
    pictures: Sequence[Picture] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    """Digests that must agree for a comparison of two reports: ``real``, ``groups``, networks."""


def to_json(report: Report) -> str:
    """The text of ``report.json``, without blanks; undefined values are null."""
    rows = []
    for figure in report.figures:
        low, high = figure.estimate.interval
        rows.append(
            {
                "section": figure.section,
                "name": figure.name,
                "of": figure.of,
                "value": figure.estimate.value,
                "low": low,
                "high": high,
                "real": figure.real,
                "better": figure.better,
                "seeds": list(figure.seeds),
                "draws": [float(f"{v:.5g}") for v in figure.estimate.draws],
            }
        )
    content = {
        "format": FORMAT,
        "level": LEVEL,
        **report.facts,
        "identity": dict(report.identity),
        "notes": list(report.notes),
        "figures": rows,
    }
    return json.dumps(json_ready(content), allow_nan=False, separators=(",", ":")) + "\n"


def number(value: float | None) -> str:
    """A number with three significant digits, or a dash if it is undefined."""
    if value is None or not np.isfinite(value):
        return "–"
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.2e}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def to_html(report: Report, title: str) -> str:
    """The HTML of the report's page, with its pictures inside."""
    facts = "".join(
        f"<tr><td>{html.escape(str(k))}</td><td>{html.escape(_fact(v))}</td></tr>"
        for k, v in report.facts.items()
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
    sections: dict[str, list[Figure]] = {}
    for figure in report.figures:
        sections.setdefault(figure.section, []).append(figure)
    tables = "".join(
        f"<h2>{html.escape(name)}</h2>{_table(rows)}" for name, rows in sections.items()
    )
    plots = "".join(
        f'<svg width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}">{drawn}</svg>'
        for drawn in map(drawing, report.plots)
        if drawn
    )
    pictures = "".join(
        f'<figure><img alt="" src="data:image/jpeg;base64,{_jpeg(p.image)}">'
        f"<figcaption>{html.escape(p.caption)}</figcaption></figure>"
        for p in report.pictures
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        f"</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<table>{facts}</table><ul>{notes}</ul>{tables}"
        + (f"<h2>Plots</h2>{plots}" if plots else "")
        + (f"<h2>Side by side</h2>{pictures}" if pictures else "")
        + "</body></html>\n"
    )


def _fact(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _table(figures: Sequence[Figure]) -> str:
    """A table with a row per figure and a column per class; each cell has interval and real value."""
    columns = list(dict.fromkeys(f.of for f in figures))
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        rows.setdefault(figure.name, {})[figure.of] = figure
    head = "".join(f"<th>{html.escape(c if c != ALL else 'all')}</th>" for c in columns)
    body = ""
    for name, cells in rows.items():
        arrow = {"lower": " ↓", "higher": " ↑", "real": " →"}.get(
            next(iter(cells.values())).better, ""
        )
        body += f"<tr><td>{html.escape(name)}{arrow}</td>"
        body += "".join(f"<td>{_cell(cells.get(c))}</td>" for c in columns) + "</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _cell(figure: Figure | None) -> str:
    if figure is None or np.isnan(figure.estimate.value):
        return "–"
    low, high = interval(figure.estimate.draws)
    text = number(figure.estimate.value)
    if not np.isnan(low):
        text += f"<small>{number(low)} to {number(high)}</small>"
    if not np.isnan(figure.real):
        text += f"<small>real {number(figure.real)}</small>"
    if figure.seeds:
        text += f"<small>networks {', '.join(map(number, figure.seeds))}</small>"
    return text


PLOT_WIDTH, PLOT_HEIGHT = 372, 216
_FEW = 8
"""Lines of at most this many points have each point marked, so that a single point shows."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def drawing(plot: Plot) -> str:
    """A plot as an SVG group, with axes from the least to the largest value; empty without data."""
    left, top = 58, 40
    width, height = PLOT_WIDTH - left - 14, PLOT_HEIGHT - top - 26
    xs = np.concatenate([x for x, _ in plot.lines.values()])
    ys = np.concatenate([y for _, y in plot.lines.values()])
    if not xs.size:
        return ""
    scaled = np.log if plot.logarithmic else np.asarray
    spans = [(v.min(), max(v.max() - v.min(), 1e-12)) for v in (scaled(xs), ys)]
    parts = [
        f'<text x="{left}" y="16" font-weight="bold">{html.escape(plot.title)}</text>',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#aaa"/>',
        f'<text x="{left}" y="{top + height + 16}">{number(xs.min())}</text>',
        f'<text x="{left + width}" y="{top + height + 16}" text-anchor="end">'
        f"{number(xs.max())} {html.escape(plot.x_label)}</text>",
        f'<text x="{left - 4}" y="{top + 10}" text-anchor="end">{number(ys.max())}</text>',
        f'<text x="{left - 4}" y="{top + height}" text-anchor="end">{number(ys.min())}</text>',
    ]
    for i, (name, (x, y)) in enumerate(plot.lines.items()):
        # Names stand below the title, where no line runs.
        at = left + width - 62 * (len(plot.lines) - 1 - i)
        px = left + width * (scaled(x) - spans[0][0]) / spans[0][1]
        py = top + height * (1 - (y - spans[1][0]) / spans[1][1])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        colour = _COLOURS[i % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        if len(x) <= _FEW:
            parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{colour}"/>'
                for a, b in zip(px, py, strict=True)
            ]
        parts.append(
            f'<text x="{at}" y="32" text-anchor="end" fill="{colour}">{html.escape(name)}</text>'
        )
    return f'<g font-size="11" font-family="system-ui, sans-serif">{"".join(parts)}</g>'


def _jpeg(image: npt.NDArray[np.uint8]) -> str:
    import imageio.v3 as iio

    encoded = iio.imwrite("<bytes>", image, extension=".jpg", quality=90)
    return base64.b64encode(encoded).decode("ascii")
