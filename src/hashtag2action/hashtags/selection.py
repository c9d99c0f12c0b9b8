"""From candidates to the list of hashtags to collect, with the decision, principle and evidence for every one.

The outcome is a CSV that people may edit: what they write in the column `override` wins when it is made again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_write
from hashtag2action.hashtags.candidates import Candidate, merge, to_tag
from hashtag2action.hashtags.knowledge import Facts
from hashtag2action.hashtags.popularity import popular
from hashtag2action.hashtags.principles import PRINCIPLES, Finding, short
from hashtag2action.hashtags.settings import HashtagSettings

KEEP, REPLACE, DROP, REVIEW = "keep", "replace", "drop", "review"


@dataclass(frozen=True)
class Choice:
    """What was decided about one hashtag; the columns of the CSV."""

    tag: str
    decision: str  # keep, replace (by `into`), drop or review
    principle: str = ""
    into: str = ""  # tags, separated by spaces
    category: str = ""
    views: str = ""
    views_low: str = ""
    views_high: str = ""
    views_from: str = ""
    evidence: str = ""
    sources: str = ""
    override: str = ""  # keep, drop, or "use" and the tags to collect instead


def select(
    candidates: Sequence[Candidate], facts: Facts, settings: HashtagSettings, overrides: Mapping[str, str] | None = None
) -> list[Choice]:
    """Decide every candidate: overrides, then the six principles in the order of `PRINCIPLES`, then popularity.

    Tags that a principle brings in are decided too. Tags that only metadata suggest are taken in by the sixth
    principle alone.
    """
    overrides = overrides or {}
    choices: dict[str, Choice] = {}
    waiting = {candidate.tag: candidate for candidate in candidates}
    for tag, word in overrides.items():
        if tag not in waiting:
            waiting[tag] = Candidate(tag, facts.knowledge.parse([tag]), ("by hand",))
        _overrule(waiting, choices, waiting[tag], word, facts)
    brought: set[str] = set()
    for name, principle in PRINCIPLES.items():
        open_candidates = [candidate for tag, candidate in waiting.items() if tag not in choices]
        for finding in principle(open_candidates, facts):
            if finding.into == (finding.tag,):
                brought.add(finding.tag)
                continue
            candidate = waiting[finding.tag]
            choices[finding.tag] = _choice(candidate, facts, REPLACE, name, finding)
            _bring_in(waiting, finding, name, facts)
    for tag, candidate in waiting.items():
        if tag not in choices:
            choices[tag] = _by_views(candidate, facts, settings, is_social=tag in brought)
    return sorted(choices.values(), key=lambda choice: (choice.decision != KEEP, choice.category, choice.tag))


def kept(choices: Sequence[Choice]) -> list[Choice]:
    """Return the hashtags to collect."""
    return [choice for choice in choices if choice.decision == KEEP]


def write_choices(path: Path, choices: Sequence[Choice]) -> None:
    """Write the CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Choice)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(choice) for choice in choices)
    atomic_write(path, text.getvalue())


def read_choices(path: Path) -> list[Choice]:
    """Read the CSV that an earlier choice left, edited or not. Raises `UserError`."""
    names = {field.name for field in fields(Choice)}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"tag", "decision"} <= set(rows.fieldnames or ()):
                raise UserError(
                    f"{path}: no columns `tag` and `decision`; name a file that `h2a hashtags choose` wrote"
                )
            return [Choice(**{name: row[name] or "" for name in row if name in names}) for row in rows if row["tag"]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a list of hashtags ({error})") from error


def read_overrides(path: Path) -> dict[str, str]:
    """Return what people wrote in the column `override`. Raises `UserError` for a word that means nothing."""
    overrides = {}
    for choice in read_choices(path):
        if word := choice.override.strip():
            if word not in (KEEP, DROP) and not (word.startswith("use ") and word.split()[1:]):
                raise UserError(
                    f"{path}: override `{word}` of {choice.tag}: write keep, drop, or use and the tags to collect"
                )
            overrides[to_tag(choice.tag)] = word
    return overrides


def _overrule(
    waiting: dict[str, Candidate], choices: dict[str, Choice], candidate: Candidate, word: str, facts: Facts
) -> None:
    if word in (KEEP, DROP):
        choices[candidate.tag] = replace(_choice(candidate, facts, word, "override"), override=word)
        return
    finding = Finding(candidate.tag, tuple(to_tag(tag) for tag in word.split()[1:]), "overruled by hand")
    choices[candidate.tag] = replace(_choice(candidate, facts, REPLACE, "override", finding), override=word)
    _bring_in(waiting, finding, "override", facts)


def _bring_in(waiting: dict[str, Candidate], finding: Finding, principle: str, facts: Facts) -> None:
    for tag in finding.into:
        words = [tag]
        source = waiting[finding.tag].phrase
        if tag == "".join(source.nouns):
            words = list(source.nouns)
        new = Candidate(tag, facts.knowledge.parse(words), (f"{principle}: {finding.tag}",))
        waiting[tag] = merge([*([waiting[tag]] if tag in waiting else []), new])[0]


def _by_views(candidate: Candidate, facts: Facts, settings: HashtagSettings, *, is_social: bool) -> Choice:
    from_metadata = all(source.startswith("metadata") for source in candidate.sources)
    if from_metadata and not is_social:
        return replace(
            _choice(candidate, facts, DROP, "none"), evidence="only in the metadata, and no rising challenge"
        )
    principle = "social / cultural" if is_social else ""
    enough = popular(facts.views.get(candidate.tag), settings.min_views)
    line = short(settings.min_views)
    if enough is None and candidate.tag not in facts.views:
        choice = _choice(candidate, facts, settings.unknown_views, principle)
        return replace(choice, evidence=_join(facts, candidate, is_social, f"views unknown; the minimum is {line}"))
    decision = REVIEW if enough is None else KEEP if enough else DROP
    says = {
        KEEP: f"at least {line} views",
        DROP: f"fewer than {line} views",
        REVIEW: f"the interval contains {line} views",
    }
    choice = _choice(candidate, facts, decision, principle or ("" if decision == KEEP else "popularity"))
    return replace(choice, evidence=_join(facts, candidate, is_social, says[decision]))


def _join(facts: Facts, candidate: Candidate, is_social: bool, text: str) -> str:
    if not is_social:
        return text
    found = PRINCIPLES["social / cultural"]([candidate], facts)
    return "; ".join([*(finding.evidence for finding in found), text])


def _choice(
    candidate: Candidate, facts: Facts, decision: str, principle: str, finding: Finding | None = None
) -> Choice:
    views = facts.views.get(candidate.tag)
    return Choice(
        tag=candidate.tag,
        decision=decision,
        principle=principle,
        into=" ".join(finding.into) if finding else "",
        category=facts.knowledge.category(candidate.phrase),
        views=f"{views.value:.0f}" if views else "",
        views_low=f"{views.low:.0f}" if views else "",
        views_high=f"{views.high:.0f}" if views else "",
        views_from=f"{views.source} {views.date}".strip() if views else "",
        evidence=finding.evidence if finding else ("overruled by hand" if principle == "override" else ""),
        sources="; ".join(candidate.sources),
    )
