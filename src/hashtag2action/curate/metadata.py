"""What posts say of a video, and whether that speaks against it, before any pixel is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import Field

from hashtag2action.catalog.schema import Reason
from hashtag2action.settings import Settings

REASONS = (
    Reason.LANGUAGE, Reason.REGION, Reason.LICENCE, Reason.DURATION, Reason.VIEWS, Reason.BLOCKED_WORD, Reason.BLOCKED_USER
)  # fmt: skip


class MetadataFilter(Settings):
    """Which videos are looked into at all. Empty lists and missing bounds turn nothing down; case never matters."""

    languages: tuple[str, ...] = ()  # as the platform writes them, such as "en"
    regions: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    min_duration_s: float | None = Field(default=None, ge=0)
    max_duration_s: float | None = Field(default=None, gt=0)
    min_views: int | None = Field(default=None, ge=0)
    max_views: int | None = Field(default=None, ge=0)
    blocked_words: tuple[str, ...] = ()  # words or phrases of titles, captions and hashtags
    blocked_users: tuple[str, ...] = ()
    unknown: Literal["keep", "reject"] = "keep"  # a video of which no post says what is asked for

    @property
    def idle(self) -> bool:
        """Whether it turns nothing down."""
        return self.model_copy(update={"unknown": "keep", "description": ""}) == MetadataFilter()


@dataclass(frozen=True, slots=True)
class PostFacts:
    """What one post says of its video."""

    username: str | None = None
    caption: str | None = None
    region: str | None = None
    language: str | None = None
    licence: str | None = None
    views: int | None = None


def objection(
    wanted: MetadataFilter, duration_s: float | None, texts: Sequence[str], posts: Sequence[PostFacts]
) -> tuple[Reason, str] | None:
    """Return why a video is turned down, and by what; None where nothing speaks against it.

    `texts` are its title and hashtags. A blocked word or user in any post counts; of language, region and licence it is
    enough that one post has an allowed one; of views the highest number counts.
    """
    for user in (post.username for post in posts if post.username):
        if _plain(user) in map(_plain, wanted.blocked_users):
            return Reason.BLOCKED_USER, user
    if pattern := _words(wanted.blocked_words):
        for text in [*texts, *(post.caption for post in posts if post.caption)]:
            if found := pattern.search(text.casefold()):
                return Reason.BLOCKED_WORD, found[0]
    for reason, allowed, said in (
        (Reason.LANGUAGE, wanted.languages, {post.language for post in posts}),
        (Reason.REGION, wanted.regions, {post.region for post in posts}),
        (Reason.LICENCE, wanted.licences, {post.licence for post in posts}),
    ):
        known = {word.casefold() for word in said if word}
        if allowed and not known.intersection(map(str.casefold, allowed)) and (known or wanted.unknown == "reject"):
            return reason, ", ".join(sorted(known)) or "not known"
    views = max((post.views for post in posts if post.views is not None), default=None)
    for reason, value, low, high in (
        (Reason.DURATION, duration_s, wanted.min_duration_s, wanted.max_duration_s),
        (Reason.VIEWS, views, wanted.min_views, wanted.max_views),
    ):
        if value is None and wanted.unknown == "reject" and (low is not None or high is not None):
            return reason, "not known"
        if value is not None and low is not None and value < low:
            return reason, f"{value:g}, under {low:g}"
        if value is not None and high is not None and value > high:
            return reason, f"{value:g}, over {high:g}"
    return None


def _plain(user: str) -> str:
    return user.casefold().lstrip("@")


@lru_cache(maxsize=8)
def _words(blocked: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return a pattern of whole words; in scripts that leave no space between words, any occurrence counts."""
    words = sorted({word.casefold().lstrip("#") for word in blocked} - {""}, key=len, reverse=True)
    parts = [re.escape(word) if max(word) >= "\u0e00" else rf"(?<!\w){re.escape(word)}(?!\w)" for word in words]
    return re.compile("|".join(parts)) if parts else None
