"""What is known about actions and their tags: the shipped table, and what views and metadata add to it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from hashtag2action.hashtags.language import Phrase, lemma, parse
from hashtag2action.hashtags.popularity import Views

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CATEGORIES = ("dance", "sports", "fitness", "daily life", "challenge")


@dataclass(frozen=True)
class Knowledge:
    """The shipped table: verbs, kinds of things, umbrella terms, styles and categories."""

    light_verbs: frozenset[str]
    base_verbs: frozenset[str]
    compounds: frozenset[str]
    verbs_that_are_nouns: frozenset[str]
    verbs_of_one_motion: frozenset[str]
    same: Mapping[str, str]  # a form -> the form it is written as
    kind_of: Mapping[str, str]  # a noun -> its kind
    umbrellas: frozenset[str]
    umbrella_of: Mapping[str, str]
    mixed: Mapping[str, tuple[str, ...]]
    styles: Mapping[str, frozenset[str]]  # "dance" -> tags that need no "dance"
    categories: Mapping[str, tuple[str, ...]]

    def parse(self, words: Iterable[str]) -> Phrase:
        """Return what the words of a tag are."""
        return parse(words, self.base_verbs, self.compounds)

    def category(self, phrase: Phrase) -> str:
        """Return the category that the words of a tag speak for, in the order of the table; "daily life" without any."""
        forms = {phrase.key, "".join(phrase.words), *phrase.words, *(lemma(word) for word in phrase.words)}
        for name, words in self.categories.items():
            if not forms.isdisjoint(words):
                return name
        return "daily life"


@dataclass(frozen=True)
class Facts:
    """Everything that a principle may look at, apart from the candidates."""

    knowledge: Knowledge
    views: Mapping[str, Views] = field(default_factory=dict)
    together: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # tag -> tag -> posts that carry both
    rising: Mapping[str, Rise] = field(default_factory=dict)

    def value(self, tag: str) -> float | None:
        """Return the views of a tag, where they are known."""
        return self.views[tag].value if tag in self.views else None

    def share(self, tag: str, other: str) -> float:
        """Return the part of a tag's posts that carry another tag too, 0 where too few are known to say."""
        counts = self.together.get(tag, {})
        own = counts.get(tag, 0)
        return counts.get(other, 0) / own if own >= 20 else 0.0


@dataclass(frozen=True)
class Rise:
    """How much more often a tag is used now than before, with a 95 % interval."""

    ratio: float
    low: float
    high: float
    now: int
    before: int


@lru_cache(maxsize=1)
def load_knowledge() -> Knowledge:
    """Read the shipped table."""
    text = resources.files("hashtag2action.hashtags").joinpath("knowledge.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    return Knowledge(
        light_verbs=frozenset(table["light_verbs"]),
        base_verbs=frozenset(table["base_verbs"]),
        compounds=frozenset(table["compounds"]),
        verbs_that_are_nouns=frozenset(table["verbs_that_are_nouns"]),
        verbs_of_one_motion=frozenset(table["verbs_of_one_motion"]),
        same={form: name for name, forms in table["same"].items() for form in forms},
        kind_of={noun: kind for kind, nouns in table["kinds"].items() for noun in nouns},
        umbrellas=frozenset(table["umbrellas"]),
        umbrella_of={child: name for name, children in table["umbrellas"].items() for child in children},
        mixed={name: tuple(children) for name, children in table["mixed"].items()},
        styles={name: frozenset(tags) for name, tags in table["styles"].items()},
        categories={name: tuple(words) for name, words in table["categories"].items()},
    )
