"""How many videos passed each gate on the way to a clip."""

from __future__ import annotations

from dataclasses import dataclass

from hashtag2action.catalog.schema import Reason
from hashtag2action.catalog.statistics import Statistics

_GATES = (
    ("can be read", (Reason.DUPLICATE, Reason.SCENE_TOO_SHORT), "cannot be read"),
    ("are no duplicates", (Reason.SCENE_TOO_SHORT,), "duplicates"),
    ("have a scene that is long enough", (), "too short"),
)  # what remains, the reasons that come later, what is lost


@dataclass(frozen=True)
class Gate:
    """Videos that are left after a gate, and those that it held back; shares are of all registered videos, 0 to 100."""

    words: str
    left: int
    lost: int
    lost_words: str
    left_share: float
    lost_share: float
    kind: str  # rejected, review or accepted: what the held-back ones became


def gates(counts: Statistics) -> list[Gate]:
    """Return the gates in order, from all registered videos to the clips; those that held nothing back included."""
    everything = max(1, counts.videos)
    passed = counts.videos
    flow = [Gate("videos registered", passed, 0, "", 100.0, 0.0, "rejected")]

    def add(words: str, lost: int, lost_words: str, kind: str) -> None:
        nonlocal passed
        passed -= lost
        lost_words = lost_words.removesuffix("s") if lost == 1 else lost_words
        flow.append(Gate(words, passed, lost, lost_words, 100 * passed / everything, 100 * lost / everything, kind))

    if counts.pending:
        add("looked at so far", counts.pending, "not looked at yet", "pending")
    later = sum(counts.rejects.values())
    for words, still_to_come, lost_words in _GATES:
        left_over = sum(counts.rejects.get(reason.value, 0) for reason in still_to_come)
        add(words, later - left_over, lost_words, "rejected")
        later = left_over
    add("show a person: these are the clips", counts.review, "waiting for a reviewer", "review")
    return flow
