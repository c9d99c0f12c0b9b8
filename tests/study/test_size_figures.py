"""The figures of the studies: legible, colour-blind safe, and what the table says."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree

import pytest

from hashtag2action.report import figures
from hashtag2action.report.figures import Figure
from hashtag2action.study.compare import Difference
from hashtag2action.study.figures import compare_figure, size_figure
from hashtag2action.study.results import Mean, Point, mean

PALETTE = {figures.BLUE, figures.ORANGE, figures.GREEN, figures.VERMILION, figures.GREY, figures.INK, figures.RULE, figures.PAPER}  # fmt: skip


def point(condition: str, size: int, top1: list[float]) -> Point:
    return Point(condition, size, dict(enumerate(top1)), dict(enumerate(min(1.0, value + 0.2) for value in top1)))


SIZES = [point("from scratch", 0, [0.5, 0.53]), *(point("pre-trained", n, [0.5 + n / 2000, 0.55, 0.6]) for n in (60, 120, 240, 480))]  # fmt: skip
ARMS = [point("curated", 100, [0.7, 0.72, 0.69]), point('<script>"uncurated', 100, [0.66, 0.65, 0.7]), point("none", 0, [0.5, 0.5, 0.6])]  # fmt: skip
DIFFERENCES = [Difference("curated", '<script>"uncurated', 3, 0.033, (-0.01, 0.07), 0.5, 0.25)]
DRAWN = {
    "size": lambda: size_figure("size", SIZES, 1 / 6, 30, top5=True),
    "one run": lambda: size_figure("size", [point("pre-trained", 100, [0.4])], 0.1, 30, top5=False),
    "compare": lambda: compare_figure("compare", ARMS, DIFFERENCES, 200),
}


@pytest.mark.parametrize("name", DRAWN)
def test_legible_and_repeatable(name: str) -> None:
    figure, again = DRAWN[name](), DRAWN[name]()
    assert figure.svg == again.svg and figure.png == again.png and figure.csv == again.csv
    root = ElementTree.fromstring(figure.svg)
    assert root.get("width") == "450pt"  # 600 px
    assert figure.png.startswith(b"\x89PNG") and int.from_bytes(figure.png[16:20], "big") == 600
    words = texts(figure)
    assert figure.title in words
    assert sum("%" in word or "percentage points" in word for word in words) >= 1  # units
    assert min(float(size) for size in re.findall(r"font-size: ([\d.]+)px", figure.svg)) >= 9
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", figure.svg)) <= PALETTE | {"#000000"}


def test_rows_hold_means_and_intervals() -> None:
    rows = list(csv.DictReader(io.StringIO(DRAWN["size"]().csv)))
    assert [row["size"] for row in rows] == ["0", "60", "120", "240", "480"]
    expected = mean([0.53, 0.55, 0.6])
    assert float(rows[1]["top1"]) == pytest.approx(expected.mean, abs=1e-6)
    assert float(rows[1]["top1_low"]) == pytest.approx(expected.low, abs=1e-6)


def test_what_is_on_the_axes() -> None:
    assert {"clips pre-trained on (number, log scale)", "right of 30 held-out clips (%)", "480"} <= set(
        texts(DRAWN["size"]())
    )
    assert {"difference of top-1, 95 % interval (percentage points)", "curated"} <= set(texts(DRAWN["compare"]()))


def test_interval_is_students() -> None:
    found = mean([0.5, 0.6, 0.7])
    assert found.mean == pytest.approx(0.6)
    assert found.high == pytest.approx(0.6 + 4.302653 * 0.1 / 3**0.5, abs=1e-5)
    assert mean([0.4]) == Mean(1, 0.4, None, None)
    assert mean([0.99, 0.5]).high == 1.0


def texts(figure: Figure) -> list[str]:
    nodes = ElementTree.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()) for node in nodes]
