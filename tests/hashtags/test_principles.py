from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from hashtag2action.hashtags.candidates import DATASETS, Candidate, from_classes, merge, to_tag, vocabulary
from hashtag2action.hashtags.knowledge import Facts, Rise, load_knowledge
from hashtag2action.hashtags.language import segment, split_name
from hashtag2action.hashtags.popularity import Views, parse_count
from hashtag2action.hashtags.principles import PRINCIPLES
from hashtag2action.hashtags.selection import REPLACE, select
from hashtag2action.hashtags.settings import HashtagSettings

with (Path(__file__).parent / "principle_cases.csv").open(encoding="utf-8") as file:
    CASES = list(csv.DictReader(file))

KNOWN = load_knowledge()
WORDS = vocabulary(from_classes(DATASETS, KNOWN.parse))


def candidate(name: str) -> Candidate:
    words = split_name(name)[0].split()
    return Candidate(
        to_tag("".join(words)), KNOWN.parse(words if len(words) > 1 else segment(words[0], WORDS)), (f"case: {name}",)
    )


def outcome(case: dict[str, str]) -> tuple[str, str]:
    """Principle and tags that the selection gives a case, ("none", "") where it leaves it as it is."""
    mine = candidate(case["name"])
    others = [candidate(name) for name in case["beside"].split("|") if name]
    counts = dict(pair.split(":") for pair in case["views"].split())
    views = {tag: Views(n, n, n, "table") for tag, text in counts.items() if (n := parse_count(text)) is not None}
    choices = select(merge([mine, *others]), Facts(KNOWN, views), HashtagSettings(min_views=0))
    choice = next(choice for choice in choices if choice.tag == mine.tag)
    if choice.decision == REPLACE:
        return choice.principle, choice.into
    return (choice.principle, choice.tag) if choice.principle else ("none", "")


def test_there_are_at_least_120_cases() -> None:
    assert len(CASES) >= 120
    assert len({tuple(case.values()) for case in CASES}) == len(CASES)
    assert set(PRINCIPLES) <= {case["principle"] for case in CASES}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["source"].startswith("paper")], ids=lambda case: case["name"]
)
def test_every_example_of_the_paper(case: dict[str, str]) -> None:
    assert outcome(case) == (case["principle"], case["into"])


def test_precision_and_recall_over_all_cases(capsys: pytest.CaptureFixture[str]) -> None:
    expected, given, right, wrong = Counter[str](), Counter[str](), Counter[str](), []
    for case in CASES:
        principle, into = outcome(case)
        expected[case["principle"]] += 1
        given[principle] += 1
        if (principle, into) == (case["principle"], case["into"]):
            right[principle] += 1
        else:
            wrong.append(f"  {case['name']}: {principle} {into}, expected {case['principle']} {case['into']}")
    with capsys.disabled():
        print(f"\n{len(CASES)} cases, principle and tag must both be right")
        for name in (*PRINCIPLES, "none"):
            print(
                f"  {name:18} precision {right[name] / max(1, given[name]):.3f}  recall {right[name] / expected[name]:.3f}  ({expected[name]})"
            )
        print("\n".join(wrong))
    for name in PRINCIPLES:
        assert right[name] >= 0.9 * given[name], f"precision of {name}"
        assert right[name] >= 0.9 * expected[name], f"recall of {name}"


def test_a_mixed_umbrella_is_seen_in_the_metadata() -> None:
    tags = ["gymnastics", "vaulting", "tumbling", "beamrouting"]
    even = {"gymnastics": {"gymnastics": 100, "vaulting": 30, "tumbling": 30, "beamrouting": 30}}
    uneven = {"gymnastics": {"gymnastics": 100, "vaulting": 90, "tumbling": 10, "beamrouting": 10}}
    candidates = [Candidate(tag, KNOWN.parse([tag]), ("case",)) for tag in tags]
    [found] = PRINCIPLES["specification"](candidates, Facts(KNOWN, together=even))
    assert found.into == ("beamrouting", "tumbling", "vaulting")
    assert PRINCIPLES["specification"](candidates, Facts(KNOWN, together=uneven)) == []
    assert PRINCIPLES["specification"](candidates, Facts(KNOWN)) == []


def test_an_umbrella_is_seen_in_the_metadata() -> None:
    candidates = [candidate("alleyoop")]
    together = {"alleyoop": {"alleyoop": 40, "basketball": 30}}
    [found] = PRINCIPLES["generalisation"](candidates, Facts(KNOWN, together=together))
    assert found.into == ("basketball",)
    assert "75%" in found.evidence
    too_few = {"alleyoop": {"alleyoop": 4, "basketball": 4}}
    assert PRINCIPLES["generalisation"](candidates, Facts(KNOWN, together=too_few)) == []


@pytest.mark.parametrize(("low", "taken"), [(1.4, True), (0.8, False)])
def test_only_rising_challenges_of_the_metadata_are_taken(low: float, taken: bool) -> None:
    tag = Candidate("spoonchallenge", KNOWN.parse(["spoon", "challenge"]), ("metadata: spoonchallenge",))
    found = PRINCIPLES["social / cultural"]([tag], Facts(KNOWN, rising={"spoonchallenge": Rise(2.0, low, 3.0, 40, 20)}))
    assert bool(found) is taken
