"""A report's page and JSON: what each cell says, and where a plot's lines lie, by hand."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO

import imageio.v3 as iio
import numpy as np
import pytest

from napari_cosynth.evaluation.metrics.bootstrap import Estimate
from napari_cosynth.evaluation.reports.figure import ALL, Figure
from napari_cosynth.evaluation.reports.report import (
    PLOT_HEIGHT,
    PLOT_WIDTH,
    Picture,
    Plot,
    Report,
    drawing,
    number,
    to_html,
    to_json,
)

NAN = float("nan")
DRAWS = np.linspace(1, 3, 41)
AREA = Figure("Nuclei", "area <µm²>", "a & b", Estimate(2.0, DRAWS), 2.5, "real", (1.0, 3.0))
SHARE = Figure("Nuclei", "share", ALL, Estimate(0.5, np.full(4, np.nan)), better="higher")
NONE = Figure("Images", "area <µm²>", ALL, Estimate(NAN, DRAWS), better="lower")


@pytest.mark.parametrize(
    "value,text",
    [
        (None, "–"),
        (NAN, "–"),
        (-np.inf, "–"),
        (0.0, "0"),
        (0.001, "0.001"),
        (0.00099, "9.90e-04"),
        (-0.00099, "-9.90e-04"),
        (1.2345, "1.23"),
        (999.4, "999"),
        (1000.0, "1000"),
        (99_999.4, "99999"),
        (1e5, "1.00e+05"),
        (-1e5, "-1.00e+05"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_json_says_what_is_defined():
    facts = {"tiles": np.int64(3), "checkpoint": None}
    report = Report(facts, ["a note"], [AREA, SHARE], identity={"real": "1f"})
    text = to_json(report)
    content = json.loads(text)
    assert text == json.dumps(content, separators=(",", ":")) + "\n"
    assert {k: content[k] for k in ("format", "level", "tiles", "checkpoint", "notes")} == {
        "format": 1,
        "level": 0.95,
        "tiles": 3,
        "checkpoint": None,
        "notes": ["a note"],
    }
    assert content["identity"] == {"real": "1f"}
    area, share = content["figures"]
    assert area.pop("draws") == pytest.approx(DRAWS.tolist())
    assert (area.pop("low"), area.pop("high")) == pytest.approx((1.05, 2.95))
    assert area == {
        "section": "Nuclei",
        "name": "area <µm²>",
        "of": "a & b",
        "value": 2.0,
        "real": 2.5,
        "better": "real",
        "seeds": [1.0, 3.0],
    }
    assert share["low"] is share["high"] is share["real"] is None
    assert share["draws"] == [None] * 4 and share["seeds"] == []


def test_the_page_has_a_table_a_section_and_a_cell_a_figure():
    image = np.zeros((6, 9, 3), np.uint8)
    facts = {"made": ["a", 3], "checkpoint": None, "<b>": 1}
    report = Report(facts, ["1 < 2"], [AREA, SHARE, NONE], (), [Picture("a & b", image)])
    page = to_html(report, "this & that")
    assert "<title>this &amp; that</title>" in page and "<h1>this &amp; that</h1>" in page
    assert "<tr><td>made</td><td>a, 3</td></tr><tr><td>checkpoint</td><td>–</td></tr>" in page
    assert "<td>&lt;b&gt;</td><td>1</td>" in page and "<li>1 &lt; 2</li>" in page
    first = "<td>2<small>1.05 to 2.95</small><small>real 2.5</small><small>networks 1, 3</small>"
    nuclei = (
        "<h2>Nuclei</h2><table><tr><th></th><th>a &amp; b</th><th>all</th></tr>"
        f"<tr><td>area &lt;µm²&gt; →</td>{first}</td><td>–</td></tr>"
        "<tr><td>share ↑</td><td>–</td><td>0.5</td></tr></table>"
    )
    assert nuclei in page
    images = "<h2>Images</h2><table><tr><th></th><th>all</th></tr>"
    assert f"{images}<tr><td>area &lt;µm²&gt; ↓</td><td>–</td></tr></table>" in page
    assert "<h2>Plots</h2>" not in page and "<figcaption>a &amp; b</figcaption>" in page
    encoded = re.search(r"data:image/jpeg;base64,([^\"]+)", page)[1]
    assert iio.imread(BytesIO(base64.b64decode(encoded))).shape == image.shape
    bare = to_html(Report({}, [], [], [Plot("", "", {"a": (np.zeros(0), np.zeros(0))})]), "")
    assert "<svg" not in bare and "<h2>" not in bare


@pytest.mark.parametrize("logarithmic", [False, True])
def test_lines_run_from_corner_to_corner_of_the_axes(logarithmic):
    x = np.geomspace(1, 100, 9) if logarithmic else np.linspace(1, 100, 9)
    lines = {"up": (x, np.linspace(5, 9, 9)), "<low>": (x[:3], np.full(3, 5.0))}
    drawn = drawing(Plot("a title", "µm", lines, logarithmic))
    left, top, width, height = (
        int(v) for v in re.search(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawn)
        .groups()
    )  # fmt: skip
    # Room for the numbers at the left and below, and for the title above.
    assert left + width == PLOT_WIDTH - 14 and top + height == PLOT_HEIGHT - 26
    up, low = (
        np.array([p.split(",") for p in points.split()], float)
        for points in re.findall(r'points="([^"]+)"', drawn)
    )
    straight = np.linspace(0, 1, 9)
    np.testing.assert_allclose(up[:, 0], left + width * straight, atol=0.051)
    np.testing.assert_allclose(up[:, 1], top + height * (1 - straight), atol=0.051)
    np.testing.assert_allclose(low[:, 0], up[:3, 0])
    np.testing.assert_allclose(low[:, 1], top + height)
    dots = re.findall(r'<circle cx="([^"]+)" cy="([^"]+)"', drawn)  # of the line of three alone
    np.testing.assert_allclose(np.array(dots, float), low)
    words = re.findall(r'<text x="(\d+)" y="(\d+)"[^>]*>([^<]*)</text>', drawn)
    assert [(int(a), int(b), text) for a, b, text in words] == [
        (left, 16, "a title"),
        (left, top + height + 16, "1"),
        (left + width, top + height + 16, "100 µm"),
        (left - 4, top + 10, "9"),
        (left - 4, top + height, "5"),
        (left + width - 62, 32, "up"),
        (left + width, 32, "&lt;low&gt;"),
    ]
    colours = re.findall(r'<polyline[^>]* stroke="([^"]+)"', drawn)
    assert len(set(colours)) == 2


def test_a_line_of_one_point_is_a_dot_in_the_corner():
    drawn = drawing(Plot("", "", {"a": (np.array([3.0]), np.array([4.0]))}))
    assert re.findall(r'<circle cx="([^"]+)" cy="([^"]+)"', drawn) == [("58.0", "190.0")]
