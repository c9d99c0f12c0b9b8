"""Where hashtags come from: class names of public data sets, a user's list, and the metadata of collected posts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.hashtags.language import Phrase, segment, split_name

DATASETS = {"ucf101": 101, "hmdb51": 51, "kinetics400": 400}  # names of classes, and how many there are

Parse = Callable[[Iterable[str]], Phrase]  # such as `Knowledge.parse`


@dataclass(frozen=True)
class Candidate:
    """A hashtag that may be collected, its words, and everything that suggested it."""

    tag: str
    phrase: Phrase
    sources: tuple[str, ...]  # such as "kinetics400: playing piano"


def class_names(dataset: str) -> list[str]:
    """Return the names of a data set's classes, in its own order and spelling."""
    file = resources.files("hashtag2action.hashtags") / "classes" / f"{dataset}.txt"
    return file.read_text(encoding="utf-8").splitlines()


def from_classes(datasets: Iterable[str], parse: Parse) -> list[Candidate]:
    """Return the candidates that class names stand for, each tag once."""
    return merge(
        Candidate(to_tag(words), parse(words.split()), (f"{dataset}: {name}",))
        for dataset in datasets
        for name in class_names(dataset)
        for words in split_name(name)
    )


def from_tags(tags: Iterable[str], source: str, parse: Parse, vocabulary: frozenset[str]) -> list[Candidate]:
    """Return candidates for tags or phrases of a user's list or of metadata; words written in one are told apart."""
    found = []
    for text in tags:
        words = text.replace("_", " ").lstrip("#").split()
        if tag := to_tag(text):
            parts = words if len(words) > 1 else segment(tag, vocabulary)
            found.append(Candidate(tag, parse(parts), (f"{source}: {text.strip()}",)))
    return merge(found)


def read_list(path: Path) -> list[str]:
    """Read a user's list: one tag or phrase a line, `#` before a tag is allowed. Raises `UserError`."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as a list of hashtags ({error}); name a text file, one tag a line"
        ) from error
    tags = [line for line in lines if to_tag(line)]
    if not tags:
        raise UserError(f"{path}: no hashtag in it; one a line, such as #basketball")
    return tags


def to_tag(text: str) -> str:
    """Return a phrase as a hashtag: lower case, letters and digits only."""
    return "".join(character for character in text.casefold() if character.isalnum())


def vocabulary(candidates: Sequence[Candidate]) -> frozenset[str]:
    """Return the words that candidates are made of."""
    return frozenset(word for candidate in candidates for word in candidate.phrase.words if len(word) > 2)


def merge(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates with one entry a tag, in order; sources are joined."""
    merged: dict[str, Candidate] = {}
    for candidate in candidates:
        known = merged.get(candidate.tag)
        if known is None:
            merged[candidate.tag] = candidate
        else:
            merged[candidate.tag] = replace(known, sources=tuple(dict.fromkeys((*known.sources, *candidate.sources))))
    return list(merged.values())
