"""Choosing hashtags as one function: gather candidates and evidence, decide, write the CSV and the flowchart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashtag2action.catalog.posts import co_occurring, daily_views, latest_post, tag_counts
from hashtag2action.catalog.store import Catalog
from hashtag2action.hashtags.candidates import Candidate, from_classes, from_tags, merge, read_list, vocabulary
from hashtag2action.hashtags.knowledge import Facts, Knowledge, Rise, load_knowledge
from hashtag2action.hashtags.popularity import Views, estimate_views, read_views
from hashtag2action.hashtags.selection import Choice, read_overrides, select, write_choices
from hashtag2action.hashtags.settings import HashtagSettings

DAY_S = 86_400


@dataclass(frozen=True)
class Chosen:
    """What was chosen from which candidates."""

    candidates: tuple[Candidate, ...]
    choices: tuple[Choice, ...]


def choose(
    out: Path,
    settings: HashtagSettings,
    *,
    user_list: Path | None = None,
    views: Path | None = None,
    catalog: Catalog | None = None,
) -> Chosen:
    """Choose hashtags and write them to `out` (CSV); overrides that people wrote there before are honoured.

    `views` is a CSV of view counts; a tag that it lacks is estimated from the posts in `catalog`, where there are any.
    Raises `UserError` for a file that cannot be read.
    """
    knowledge = load_knowledge()
    overrides = read_overrides(out) if out.is_file() else {}
    candidates = from_classes(settings.datasets, knowledge.parse)
    words = vocabulary(candidates)
    if user_list is not None:
        candidates = merge([*candidates, *from_tags(read_list(user_list), "list", knowledge.parse, words)])
    counts = read_views(views) if views is not None else {}
    facts = Facts(knowledge, counts)
    if catalog is not None:
        candidates, facts = _with_metadata(catalog, candidates, knowledge, counts, settings, words)
    choices = select(candidates, facts, settings, overrides)
    write_choices(out, choices)
    return Chosen(tuple(candidates), tuple(choices))


def rises(now: Mapping[str, int], before: Mapping[str, int], at_least: int) -> dict[str, Rise]:
    """Return how each tag's share of posts has changed, with the interval of a ratio of two Poisson counts.

    Only tags with `at_least` posts now. Half a post is added to each count, so that a tag that is new has a ratio too.
    """
    scale = (sum(before.values()) + 1) / (sum(now.values()) + 1)
    found = {}
    for tag, count in now.items():
        if count < at_least:
            continue
        earlier = before.get(tag, 0)
        ratio = (count + 0.5) / (earlier + 0.5) * scale
        spread = 1.96 * math.sqrt(1 / (count + 0.5) + 1 / (earlier + 0.5))
        found[tag] = Rise(ratio, ratio * math.exp(-spread), ratio * math.exp(spread), count, earlier)
    return found


def _with_metadata(
    catalog: Catalog,
    candidates: Sequence[Candidate],
    knowledge: Knowledge,
    counts: Mapping[str, Views],
    settings: HashtagSettings,
    words: frozenset[str],
) -> tuple[list[Candidate], Facts]:
    """Add the tags that posts carry as candidates, and what posts say of views, company and rise."""
    seen = tag_counts(catalog)
    often = [tag for tag, count in sorted(seen.items()) if count >= settings.min_posts]
    every = merge([*candidates, *from_tags(often, "metadata", knowledge.parse, words)])
    newest = latest_post(catalog) or 0
    middle, oldest = newest - settings.rise_days * DAY_S, newest - 2 * settings.rise_days * DAY_S
    rising = rises(
        tag_counts(catalog, since=middle), tag_counts(catalog, since=oldest, before=middle), settings.min_posts
    )
    views = dict(counts)
    for candidate in every:
        if candidate.tag in seen and candidate.tag not in views:
            estimate = estimate_views(daily_views(catalog, candidate.tag), settings.views_span_days)
            if estimate is not None:
                views[candidate.tag] = estimate
    known = [candidate.tag for candidate in every if candidate.tag in seen]
    return every, Facts(knowledge, views, co_occurring(catalog, known), rising)
