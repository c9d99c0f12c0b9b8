"""The words of a class name or hashtag: their base forms, and which of them is the verb."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import simplemma

SMALL_WORDS = frozenset(["a", "an", "the", "of", "in", "on", "into", "with", "to", "through", "s", "and", "or", "not"])
PARTICLES = frozenset(["up", "ups", "down", "downs"])
IRREGULAR = {
    "clothes": "clothes",
    "leaves": "leaf",
    "knives": "knife",
    "feet": "foot",
    "teeth": "tooth",
    "children": "child",
    "people": "people",
}
PREPOSITIONS = frozenset(["on", "in", "into", "with", "to", "through", "from", "out"])


@dataclass(frozen=True)
class Phrase:
    """The words of a tag and what they are: in "playing the piano" the verb is play, the noun piano."""

    words: tuple[str, ...]  # without articles and prepositions, as written
    verb: str | None  # base form
    nouns: tuple[str, ...]  # as written
    verb_first: bool
    adverbial: bool  # the noun hangs on a preposition, as in "running on treadmill"

    @property
    def key(self) -> str:
        """The tag in base forms, the same for #cuttingcakes and #cutcake."""
        return "".join(lemma(word) for word in self.words)


def split_name(name: str) -> list[str]:
    """Return the phrases that a class name stands for: "catching or throwing frisbee" is two of them.

    A remark in brackets is dropped, but for one word that says what it is about: "shooting goal (soccer)" is shooting
    a soccer goal.
    """
    remark = re.search(r"\((\w+)\)", name)
    text = re.sub(r"\(.*?\)", " ", name)
    if remark and remark[1] != "sport":
        text = " ".join([*text.split()[:-1], remark[1], text.split()[-1]])
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    words = re.sub(r"[^\w\s]", " ", text.replace("'s", "")).lower().split()
    if "or" not in words[1:-1]:
        return [" ".join(words)]
    place = words.index("or")
    before, after = words[: place - 1], words[place + 2 :]
    return [" ".join([*before, words[side], *after]) for side in (place - 1, place + 1)]


def parse(words: Iterable[str], base_verbs: frozenset[str], compounds: frozenset[str] = frozenset()) -> Phrase:
    """Return what the words of a tag are; `base_verbs` may stand without -ing, `compounds` are nouns for all their looks."""
    written = [word.lower() for word in words]
    kept = tuple(word for word in written if word not in SMALL_WORDS and word != "out")
    adverbial = any(word in PREPOSITIONS for word in written[1:])
    if not kept:
        return Phrase(tuple(written), None, tuple(written), False, False)
    if "".join(kept) in compounds or (len(kept) > 1 and PARTICLES.issuperset(kept[1:])):
        return Phrase(kept, None, kept, False, adverbial)
    if len(kept) > 1 and (is_gerund(kept[0]) or (kept[0] in base_verbs and not is_gerund(kept[-1]))):
        return Phrase(kept, lemma(kept[0]), kept[1:], True, adverbial)
    if is_gerund(kept[-1]) or (len(kept) > 1 and kept[-1] in base_verbs):
        return Phrase(kept, lemma(kept[-1]), kept[:-1], False, adverbial)
    return Phrase(kept, None, kept, False, adverbial)


@lru_cache(maxsize=65536)
def lemma(word: str) -> str:
    """Return the base form of an English word, verbs before nouns: "shoes" gives shoe, "cutting" cut."""
    if (stem := _stem_of_gerund(word)) is not None:
        return stem
    if word in IRREGULAR or word.endswith("ss") or len(word) < 3:
        return IRREGULAR.get(word, word)
    if word.endswith("s") and len(word) > 3 and simplemma.is_known(word[:-1], lang="en"):
        return word[:-1] if not word.endswith(("ches", "shes", "xes")) else word[:-2]
    return simplemma.lemmatize(word, lang="en").lower()


def is_gerund(word: str) -> bool:
    """Whether a word is a verb with -ing: "cutting" is, "king", "swing" and "ceiling" are not."""
    return _stem_of_gerund(word) is not None


def gerund(verb: str) -> str:
    """Return a verb's form with -ing."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if _short(verb) else "") + "ing"


def singular(word: str) -> str:
    """Return a noun without the plural's -s."""
    return IRREGULAR.get(word) or (lemma(word) if word.endswith("s") else word)


@lru_cache(maxsize=65536)
def segment(tag: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """Return the words of a tag that is written in one, where they can be told; words of `vocabulary` come first."""
    if tag in vocabulary or len(tag) > 40:
        return (tag,)
    splits = [(tag[:place], tag[place:]) for place in range(3, len(tag) - 2)]
    for known in (vocabulary.__contains__, lambda word: word in vocabulary or simplemma.is_known(word, lang="en")):
        pairs = [pair for pair in splits if all(known(word) for word in pair)]
        if known is not vocabulary.__contains__ and simplemma.is_known(tag, lang="en"):
            return (tag,)
        if pairs:
            return max(
                pairs,
                key=lambda pair: (
                    any(is_gerund(word) for word in pair),
                    sum(word in vocabulary for word in pair),
                    len(pair[0]),
                ),
            )
    return (tag,)


_NO_GERUNDS = frozenset(
    [
        "king",
        "ring",
        "string",
        "spring",
        "swing",
        "thing",
        "wing",
        "sling",
        "evening",
        "morning",
        "ceiling",
        "wedding",
        "pudding",
        "building",
        "clothing",
    ]
)


@lru_cache(maxsize=65536)
def _stem_of_gerund(word: str) -> str | None:
    """Return the verb of a word with -ing. The dictionary says which of play, playe; cut, cutt is a word."""
    if not word.endswith("ing") or len(word) < 5 or word in _NO_GERUNDS:
        return None
    stem = word[:-3]
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "sl" and _known(stem[:-1]):
        return stem[:-1]
    if stem.endswith("y") and stem[:-1] in ("l", "t", "d"):
        return "dye" if stem == "dy" else stem[:-1] + "ie"
    if (
        _short(stem) or stem.endswith(("dl", "bl", "gl", "tl", "kl", "pl", "zl", "fl", "c", "v", "rg", "dg", "ng", "u"))
    ) and _known(stem + "e"):
        return stem + "e"
    if _known(stem):
        return stem
    if len(stem) > 3 and stem[-1] == stem[-2] and _known(stem[:-1]):
        return stem[:-1]
    return stem + "e" if _known(stem + "e") else None


def _known(word: str) -> bool:
    return len(word) > 1 and simplemma.is_known(word, lang="en")


def _short(stem: str) -> bool:
    """Whether a stem is one syllable of consonant, vowel, consonant: rid(e), cut."""
    return re.fullmatch(r"[^aeiou]*[aeiouy][^aeiouwxy]", stem) is not None
