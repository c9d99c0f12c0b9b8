"""Figures: the same bytes for the same numbers, legible, and safe whatever a hashtag says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from hashtag2action.catalog.statistics import HashtagCount
from hashtag2action.report import data_figures, figures, training_figures
from hashtag2action.report.embed import inline_svg
from hashtag2action.report.figures import Figure

HOSTILE = '"><script>alert(1)</script>-->&lt; $x^2$ 跳舞 \U0001f57a'
PALETTE = {
    figures.BLUE,
    figures.ORANGE,
    figures.GREEN,
    figures.VERMILION,
    figures.GREY,
    figures.INK,
    figures.RULE,
    figures.PAPER,
    figures.WHITE,
}
COUNTS = [HashtagCount(HOSTILE, 9, 4, 2), *(HashtagCount(f"tag{n}", 400 - n, 300 - n, 50) for n in range(60))]
CURVE = [(step, 2.0 / (1 + step / 20)) for step in range(1, 200)]

DRAWN: dict[str, Callable[[], Figure]] = {
    "hashtags": lambda: data_figures.hashtags(COUNTS),
    "few hashtags": lambda: data_figures.hashtags(COUNTS[:2]),
    "durations": lambda: data_figures.durations({"under 3.5 s": 0, "3.5-5 s": 30_103, "5-10 s": 81_356, "10+ s": 172_123}),
    "count ranges": lambda: data_figures.count_ranges({"under 200": 0, "200-400": 2, "800+": 1}),
    "rejects": lambda: data_figures.rejects({"duplicate": 8, "scene_too_short": 1}),
    "pre-training": lambda: training_figures.pretrain_loss([step for step, _ in CURVE], [loss for _, loss in CURVE], 1.0),
    "pre-training without baseline": lambda: training_figures.pretrain_loss([1], [1.0], None),
    "fine-tuning": lambda: training_figures.finetune_curves(CURVE, {"validation": [(50, 0.25), (100, 0.5)]}, 0.25),
    "fine-tuning without validation": lambda: training_figures.finetune_curves(CURVE[:1], {"validation": []}, None),
    "confusion": lambda: training_figures.confusion([[3, 1], [0, 2]], [HOSTILE, "dance"]),
    "confusion of many": lambda: training_figures.confusion([[9 if i == j else (i + j) % 2 for i in range(40)] for j in range(40)], [f"c{i}" for i in range(40)]),
}  # fmt: skip


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_is_legible_and_repeatable(name: str) -> None:
    figure, again = DRAWN[name](), DRAWN[name]()
    assert figure.svg == again.svg and figure.csv == again.csv
    root = ElementTree.fromstring(figure.svg)
    assert root.get("width") == "450pt"  # 600 px
    words = texts(figure.svg)
    assert figure.title in words
    assert len(words) >= 4
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", figure.svg)]
    assert min(sizes) >= 10  # points at 600 px wide
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", figure.svg))
    assert colours <= PALETTE | {"#000000"}
    assert figure.alt
    table = list(csv.reader(io.StringIO(figure.csv)))
    assert len(table) >= 2 and len({len(row) for row in table}) == 1


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("hashtags", ["videos", "hashtag", "kept", "in review", "not kept"]),
        ("durations", ["length of the scene before the cap", "clips", "172,123 (61%)"]),
        ("count ranges", ["clips of the hashtag", "hashtags"]),
        ("rejects", ["videos", "reason", "scene too short"]),
        ("pre-training", ["optimiser step", "predicting each patch's mean: 1.00"]),
        ("fine-tuning", ["optimiser step", "cross-entropy (nats)", "top-1 (%)", "chance", "validation"]),
        ("confusion", ["predicted", "true", "dance"]),
    ],
)
def test_axes_and_series_are_named(name: str, labels: list[str]) -> None:
    assert set(labels) <= set(texts(DRAWN[name]().svg))


def test_csv_holds_all_numbers_and_the_picture_the_largest() -> None:
    figure = data_figures.hashtags(COUNTS)
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert [(row["hashtag"], int(row["registered"]), int(row["kept"]), int(row["review"])) for row in rows] == [
        (count.hashtag, count.registered, count.kept, count.review) for count in COUNTS
    ]
    assert "25 most frequent of 61" in figure.title
    assert "tag23" in texts(figure.svg) and "tag24" not in texts(figure.svg)


def test_many_classes_show_the_most_confused() -> None:
    matrix = [[10 if i == j else 0 for i in range(30)] for j in range(30)]
    matrix[29][7] = 5
    figure = training_figures.confusion(matrix, [f"class{i}" for i in range(30)])
    assert {"class29", "class7"} <= set(texts(figure.svg))
    assert "20 most confused of 30" in figure.title
    assert len(list(csv.reader(io.StringIO(figure.csv)))) == 31


@pytest.mark.parametrize("name", DRAWN)
def test_embedding_keeps_names_apart_and_follows_the_page(name: str) -> None:
    figure = DRAWN[name]()
    html = str(inline_svg(figure))
    ElementTree.fromstring(html)
    assert html.startswith('<svg role="img" aria-label="')
    assert "<script" not in html and "<metadata" not in html
    names = re.findall(r'\bid="([^"]+)"', html)
    assert len(names) == len(set(names)) and all(item.startswith(figure.name) for item in names)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(names)
    assert f"var(--{'ink'})" in html and figures.INK not in html


def test_hostile_hashtag_is_text(name: str = "few hashtags") -> None:
    svg = DRAWN[name]().svg
    assert "<script" not in svg
    assert figures.shorten(HOSTILE) in texts(svg)
