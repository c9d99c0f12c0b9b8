"""What curation measured in the pictures of videos that are kept: how bright they are, and how many people they show."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from hashtag2action.catalog.schema import Decision, Video
from hashtag2action.catalog.store import Catalog

FETCH = 10_000  # rows in memory at a time


@dataclass(frozen=True, slots=True)
class Traits:
    """Of one video; None where it was not measured."""

    brightness: float | None  # mean luma, 0 to 1
    people: int | None  # most in one checked frame


def traits(catalog: Catalog) -> dict[str, Traits]:
    """Return the traits of every accepted video, by the hash of its content."""
    brightness = Video.report["quality"]["brightness"].as_float()
    query = sa.select(Video.sha256, brightness, Video.report["people"].as_integer()).where(
        Video.decision == Decision.ACCEPTED.value, Video.sha256.is_not(None)
    )
    with catalog.session() as session:
        rows = session.execute(query.execution_options(yield_per=FETCH))
        return {str(sha256): Traits(bright, people) for sha256, bright, people in rows}
