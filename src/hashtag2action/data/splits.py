"""Who learns and who is tested: clips are held out by the source that they come from, never one by one.

Two clips of one video share a person, a room and a camera; with one in training and the other in the test, a model
that recognises rooms looks like one that recognises actions. A group (a source video, a person, a family of duplicates
and of videos joined from the same pieces) is therefore always on one side.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Part = Literal["train", "val", "test"]

_ATTEMPTS = 16


@dataclass(frozen=True)
class Sample:
    """One clip with its class and with the source that it must not be parted from."""

    path: Path
    label: str
    group: str


@dataclass(frozen=True)
class Split:
    """Three lists of clips that share no group; `notes` says in sentences what could not be had, and why."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the training part, sorted: the order of the model's outputs."""
        return tuple(sorted({sample.label for sample in self.train}))

    def untested(self) -> tuple[str, ...]:
        """Classes that are learnt but have no clip in the test."""
        return tuple(sorted(set(self.classes) - {sample.label for sample in self.test}))

    def shared_groups(self) -> tuple[str, ...]:
        """Groups on more than one side: none in a split made here, possibly some in a list from elsewhere."""
        sides = [{sample.group for sample in part} for part in (self.train, self.val, self.test)]
        seen = Counter(group for side in sides for group in side)
        return tuple(sorted(group for group, count in seen.items() if count > 1))


def split_by_group(samples: Sequence[Sample], seed: int = 0, val_share: float = 0.1, test_share: float = 0.25) -> Split:
    """Hold out whole groups, so that every class has about its share of clips in each part.

    A class of two groups or more has at least one in training and one in the test; a class with a single group is only
    trained on. The validation part takes groups of classes that have three or more, and is left empty where fewer than
    two classes could be in it. Where groups hold several classes, these wishes can contradict each other: the best of
    several deterministic orders is taken, and `notes` names what is missing. The result depends on the set of samples
    and on `seed`, not on their order; each part keeps the order of `samples`.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        counts[sample.group][sample.label] += 1
    wanted = {label for label, number in _groups_per_class(counts).items() if number >= 2}
    best: tuple[int, set[str], set[str]] | None = None
    for attempt in range(_ATTEMPTS):
        order = sorted(counts, key=lambda group: _rank(seed, attempt, group))
        spare = 1 if val_share > 0 else 0
        test = _hold_out(counts, order, wanted if test_share > 0 else set(), test_share, held=set(), spare=spare)
        missing = len(wanted - _classes_of(test, counts)) if test_share > 0 else 0
        if best is None or missing < best[0]:
            free = _groups_per_class(counts, set(counts) - test)
            plenty = {label for label in wanted if free[label] >= 2}
            val = _hold_out(counts, order, plenty if val_share > 0 else set(), val_share, held=test)
            best = (missing, test, val if len(_classes_of(val, counts) & plenty) >= 2 else set())
        if missing == 0:
            break
    _, test, val = best if best is not None else (0, set(), set())
    held = test | val
    split = Split(
        train=tuple(sample for sample in samples if sample.group not in held),
        val=tuple(sample for sample in samples if sample.group in val),
        test=tuple(sample for sample in samples if sample.group in test),
    )
    return Split(split.train, split.val, split.test, tuple(_notes(split, counts, val_share, test_share)))


def class_numbers(samples: Sequence[Sample], classes: Sequence[str]) -> list[int]:
    """Return each sample's place of its label in `classes`, -1 where it is none of them."""
    number = {name: i for i, name in enumerate(classes)}
    return [number.get(sample.label, -1) for sample in samples]


def _hold_out(
    counts: dict[str, Counter[str]],
    order: Sequence[str],
    wanted: set[str],
    share: float,
    held: set[str],
    spare: int = 0,
) -> set[str]:
    """Choose groups, never the last of a class: first one for each wanted class, rarest first, then up to `share`.

    The second round leaves each class `spare` groups more.
    """
    members: dict[str, list[str]] = defaultdict(list)
    goal: dict[str, float] = defaultdict(float)
    for group in order:
        for label, number in counts[group].items():
            goal[label] += number * share if label in wanted else 0
            if group not in held:
                members[label].append(group)
    free = Counter({label: len(groups) for label, groups in members.items()})
    chosen: set[str] = set()
    have: Counter[str] = Counter()

    def able(group: str, leave: int) -> bool:
        return group not in chosen and all(free[label] > leave for label in counts[group])

    def gain(group: str) -> float:
        """How much nearer all classes come to their goals; rounded, so that the order of a sum decides nothing."""
        nearer = (
            abs(have[label] - goal[label]) - abs(have[label] + n - goal[label]) for label, n in counts[group].items()
        )
        return round(sum(nearer), 6)

    def take(group: str) -> None:
        chosen.add(group)
        have.update(counts[group])
        free.subtract(counts[group].keys())

    rarest_first = sorted(wanted, key=lambda label: (len(members[label]), label))
    for label in rarest_first:
        candidates = [group for group in members[label] if able(group, leave=1)]
        if candidates and not have[label]:
            take(max(candidates, key=gain))
    for label in rarest_first:
        for group in members[label]:
            if have[label] < goal[label] and able(group, leave=1 + spare) and gain(group) > 0:
                take(group)
    return chosen


def _rank(seed: int, attempt: int, group: str) -> str:
    return hashlib.sha256(f"{seed}/{attempt}/{group}".encode()).hexdigest()


def _groups_per_class(counts: dict[str, Counter[str]], groups: Iterable[str] | None = None) -> Counter[str]:
    return Counter(label for group in (counts if groups is None else groups) for label in counts[group])


def _classes_of(groups: Iterable[str], counts: dict[str, Counter[str]]) -> set[str]:
    return {label for group in groups for label in counts[group]}


def _notes(split: Split, counts: dict[str, Counter[str]], val_share: float, test_share: float) -> list[str]:
    notes = []
    groups = _groups_per_class(counts)
    single = sorted(label for label, number in groups.items() if number == 1)
    if single:
        notes.append(f"{_listed(single)}: clips of one source only, so trained on and not tested")
    if test_share > 0 and (rest := [label for label in split.untested() if label not in single]):
        notes.append(f"{_listed(rest)}: not tested, for their sources are tied to those of other classes")
    if val_share > 0 and not split.val:
        notes.append("no validation split: fewer than two classes have three sources or more")
    elif val_share > 0 and (rest := sorted(set(split.classes) - {sample.label for sample in split.val})):
        notes.append(f"{_listed(rest)}: not in the validation split, for want of sources")
    return notes


def _listed(labels: Sequence[str], most: int = 8) -> str:
    noun = "1 class" if len(labels) == 1 else f"{len(labels)} classes"
    more = ", ..." if len(labels) > most else ""
    return f"{noun} ({', '.join(labels[:most])}{more})"
