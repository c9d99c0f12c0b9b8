"""How curation is going: videos a second, hours of video an hour, what is rejected and why."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from hashtag2action.catalog.schema import Decision, Reason


@dataclass
class Pace:
    """What was decided since the start. Videos set aside without being read count, but make no hours of video."""

    decisions: Counter[Decision] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    read: int = 0
    video_s: float = 0.0
    start_s: float = field(default_factory=time.perf_counter)

    def count(self, decision: Decision, reason: Reason, by: int = 1) -> None:
        """Count a decision; by -1 one that another one takes the place of."""
        self.decisions[decision] += by
        self.reasons[reason] += by

    def finish_reading(self, duration_s: float) -> None:
        """Count a video that was read whole."""
        self.read += 1
        self.video_s += duration_s

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start_s

    @property
    def videos_per_s(self) -> float:
        """Videos read a second."""
        return self.read / max(self.seconds, 1e-9)

    @property
    def hours_per_hour(self) -> float:
        """Hours of video read an hour."""
        return self.video_s / max(self.seconds, 1e-9)

    def most_frequent(self) -> dict[str, int]:
        """Return how often each reason was given, most frequent first."""
        counts = ((reason.value, count) for reason, count in self.reasons.items() if count)
        return dict(sorted(counts, key=lambda item: (-item[1], item[0])))

    def note(self) -> str:
        """Return one line for the progress bar: hours of video an hour, and what was rejected."""
        kept = (Reason.PERSON.value, Reason.FEW_PERSON_FRAMES.value, Reason.REVIEWER.value)
        rejects = [f"{count} {reason}" for reason, count in self.most_frequent().items() if reason not in kept]
        return f"{self.hours_per_hour:.1f} h video/h  {self.decisions[Decision.ACCEPTED]} accepted  {', '.join(rejects[:4])}"
