from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from hashtag2action.errors import UserError
from hashtag2action.hashtags.candidates import DATASETS, class_names, from_classes, to_tag
from hashtag2action.hashtags.choose import choose, rises
from hashtag2action.hashtags.flowchart import counts, save_flowchart
from hashtag2action.hashtags.knowledge import CATEGORIES, load_knowledge
from hashtag2action.hashtags.language import gerund, lemma
from hashtag2action.hashtags.popularity import estimate_views, parse_count, popular, read_views
from hashtag2action.hashtags.selection import DROP, KEEP, REPLACE, REVIEW, Choice, kept, read_choices, write_choices
from hashtag2action.hashtags.settings import HashtagSettings

VIEWS = "tag,views,date\npiano,44.4B,2023-11-14\n#playingpiano,29.4M,2023-11-14\ntestifying,1M,2024-01-01\nyoga,4M,2022-01-01\nyoga,90B,2024-01-01\n"


@pytest.fixture
def views(tmp_path: Path) -> Path:
    path = tmp_path / "views.csv"
    path.write_text(VIEWS)
    return path


def by_tag(path: Path) -> dict[str, Choice]:
    return {choice.tag: choice for choice in read_choices(path)}


@pytest.mark.parametrize(("dataset", "number"), DATASETS.items())
def test_class_lists_are_complete(dataset: str, number: int) -> None:
    names = class_names(dataset)
    assert len(names) == len(set(names)) == number
    assert all(name == name.strip() and to_tag(name) for name in names)


def test_every_class_name_leads_to_a_decided_candidate(tmp_path: Path) -> None:
    chosen = choose(tmp_path / "hashtags.csv", HashtagSettings())
    decided = {choice.tag: choice for choice in chosen.choices}
    for candidate in from_classes(DATASETS, load_knowledge().parse):
        choice = decided[candidate.tag]
        assert choice.evidence
        for tag in choice.into.split():
            assert tag in decided
    assert {choice.category for choice in chosen.choices} <= set(CATEGORIES)


def test_views_decide_and_say_where_they_come_from(tmp_path: Path, views: Path) -> None:
    choose(tmp_path / "hashtags.csv", HashtagSettings(), views=views)
    rows = by_tag(tmp_path / "hashtags.csv")
    assert (rows["playingpiano"].decision, rows["playingpiano"].into) == (REPLACE, "piano")
    assert "44.4B" in rows["playingpiano"].evidence
    assert (rows["piano"].decision, rows["piano"].views, rows["piano"].views_from) == (
        KEEP,
        "44400000000",
        "table 2023-11-14",
    )
    assert (rows["testifying"].decision, rows["testifying"].principle) == (DROP, "popularity")
    assert rows["yoga"].views == "90000000000"


def test_overrides_win_and_stay(tmp_path: Path, views: Path) -> None:
    path = tmp_path / "hashtags.csv"
    choose(path, HashtagSettings(), views=views)
    words = {"testifying": "keep", "yoga": "drop", "crying": "use sobbing weeping"}
    rows = [Choice(**{**vars(choice), "override": words.get(choice.tag, "")}) for choice in read_choices(path)]
    write_choices(path, [*rows, Choice("handwritten", "", override="keep")])
    for _ in range(2):
        choose(path, HashtagSettings(), views=views)
        rows_now = by_tag(path)
        assert [rows_now[tag].decision for tag in ("testifying", "yoga", "crying", "handwritten")] == [
            KEEP,
            DROP,
            REPLACE,
            KEEP,
        ]
        assert {tag: rows_now[tag].override for tag in words} == words
        assert rows_now["crying"].into == "sobbing weeping"
        assert rows_now["sobbing"].decision == rows_now["weeping"].decision == KEEP


def test_a_wrong_override_is_named(tmp_path: Path) -> None:
    write_choices(tmp_path / "hashtags.csv", [Choice("yoga", KEEP, override="maybe")])
    with pytest.raises(UserError, match="`maybe` of yoga"):
        choose(tmp_path / "hashtags.csv", HashtagSettings())


@pytest.mark.parametrize(
    "text", ["", "tag;views\n", "tag,views,date\npiano,many,2024-01-01\n", "tag,views,date\npiano,5,yesterday\n"]
)
def test_a_wrong_table_of_views_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "views.csv").write_text(text)
    with pytest.raises(UserError, match=r"views\.csv"):
        read_views(tmp_path / "views.csv")


@pytest.mark.parametrize(
    ("text", "number"),
    [("44.4 Billion", 44.4e9), ("29.4M", 29.4e6), ("1,200", 1200), ("7k", 7000), ("x", None), ("-5", None)],
)
def test_counts_as_people_write_them(text: str, number: float | None) -> None:
    assert parse_count(text) == (pytest.approx(number) if number is not None else None)


def test_an_estimate_holds_the_truth_95_times_of_100() -> None:
    import random

    hits = 0
    for seed in range(200):
        chance = random.Random(seed)
        days = [(day, int(chance.lognormvariate(10, 1))) for day in range(365)]
        estimate = estimate_views(days[:60], 365, seed=seed, draws=400)
        assert estimate is not None
        expected = 365 * 36_315  # the mean of this distribution, exp(10.5)
        hits += estimate.low <= expected <= estimate.high
    assert 170 <= hits <= 200


def test_an_interval_around_the_minimum_is_left_to_people() -> None:
    estimate = estimate_views([(0, 10_000), (1, 30_000), (2, 5_000)], 365)
    assert estimate is not None and popular(estimate, 5_000_000) is None
    assert popular(estimate, 100) is True
    assert popular(estimate, 1e12) is False
    assert estimate.low >= 45_000
    assert estimate_views([], 365) is None


def test_flowchart_balances_and_is_an_svg(tmp_path: Path, views: Path) -> None:
    (tmp_path / "list.txt").write_text("#flowerchallenge\nballroom dance\n")
    chosen = choose(tmp_path / "h.csv", HashtagSettings(), views=views, user_list=tmp_path / "list.txt")
    number = counts(chosen)
    replaced = sum(count for name, count in number["replaced"].items() if name != "social / cultural")
    assert number["outcome"]["candidates"] + sum(number["new"].values()) - replaced == number["outcome"]["left"]
    outcome = number["outcome"]
    assert outcome["left"] == outcome["kept"] + outcome["dropped"] + outcome["to be reviewed"]
    assert sum(number["categories"].values()) == outcome["kept"] == len(kept(chosen.choices))
    assert number["categories"]["challenge"] == 1
    for suffix in ("svg", "png"):
        save_flowchart(tmp_path / f"flow.{suffix}", chosen, "5M")
    assert re.search("<svg[^>]+width=", (tmp_path / "flow.svg").read_text())
    assert Image.open(tmp_path / "flow.png").size == (600, 860)


def test_rises_are_of_shares_not_of_numbers() -> None:
    found = rises({"spoonchallenge": 60, "fyp": 1000}, {"spoonchallenge": 10, "fyp": 500}, at_least=20)
    assert found["spoonchallenge"].low > 1
    assert found["fyp"].ratio == pytest.approx(0.96, abs=0.05)


@pytest.mark.parametrize(("word", "base"), [("playing", "play"), ("cutting", "cut"), ("riding", "ride"), ("dribbling", "dribble"), ("shoes", "shoe"), ("knives", "knife"), ("waltzes", "waltz"), ("chess", "chess"), ("tying", "tie"), ("king", "king"), ("swing", "swing"), ("gas", "gas")])  # fmt: skip
def test_base_forms(word: str, base: str) -> None:
    assert lemma(word) == base


@pytest.mark.parametrize("verb", ["play", "cut", "ride", "dribble", "tie", "ski", "dye", "repair"])
def test_gerunds_lead_back(verb: str) -> None:
    assert lemma(gerund(verb)) == verb


def test_unknown_views_can_be_left_to_people(tmp_path: Path) -> None:
    chosen = choose(tmp_path / "h.csv", HashtagSettings(unknown_views=REVIEW))
    assert {choice.decision for choice in chosen.choices} == {REPLACE, REVIEW}
