"""How many videos passed each gate on the way to a clip."""

from __future__ import annotations

from dataclasses import dataclass

from hashtag2action.catalog.schema import Reason
from hashtag2action.catalog.statistics import Statistics

_FILTERED = (
    Reason.LANGUAGE, Reason.REGION, Reason.LICENCE, Reason.DURATION, Reason.VIEWS, Reason.BLOCKED_WORD, Reason.BLOCKED_USER,
)  # fmt: skip
_GATES = (
    ("pass the metadata filter", _FILTERED, "filtered out", False),
    ("can be read", (), "cannot be read", True),
    ("are no duplicates", (Reason.DUPLICATE, Reason.NEAR_DUPLICATE), "duplicates", True),
    ("are not held out", (Reason.HELD_OUT,), "held out", False),
    ("are of the quality asked for", (Reason.LOW_QUALITY,), "of low quality", False),
    ("have a scene that is long enough", (Reason.SCENE_TOO_SHORT,), "too short", True),
    ("were not turned down by a reviewer", (Reason.REVIEWER,), "turned down", False),
)  # what remains, the reasons that hold a video back (those of no other gate: it cannot be read), what is lost, always shown


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
    named = {reason.value for _, reasons, _, _ in _GATES for reason in reasons}
    unread = sum(count for reason, count in counts.rejects.items() if reason not in named)
    for words, reasons, lost_words, always in _GATES:
        lost = sum(counts.rejects.get(reason.value, 0) for reason in reasons) if reasons else unread
        if lost or always:
            add(words, lost, lost_words, "rejected")
    add("show a person: these are the clips", counts.review, "waiting for a reviewer", "review")
    return flow
