"""The Research API's query language, typed: a condition that the platform would refuse cannot be built."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from typing import Any

MAX_WINDOW_DAYS = 30
MAX_COUNT = 100  # videos a page
FIELDS = [
    "id",
    "video_description",
    "create_time",
    "region_code",
    "share_count",
    "view_count",
    "like_count",
    "comment_count",
    "music_id",
    "hashtag_names",
    "username",
    "effect_ids",
    "playlist_id",
    "voice_to_text",
    "is_stem_verified",
    "favorites_count",
    "video_duration",
    "hashtag_info_list",
    "sticker_info_list",
    "effect_info_list",
    "video_mention_list",
    "video_label",
    "video_tag",
]


class Operation(str, enum.Enum):
    """How a field is compared."""

    EQ = "EQ"
    IN = "IN"
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"


class Field(str, enum.Enum):
    """What may be compared."""

    CREATE_DATE = "create_date"
    USERNAME = "username"
    REGION_CODE = "region_code"
    VIDEO_ID = "video_id"
    HASHTAG_NAME = "hashtag_name"
    KEYWORD = "keyword"
    MUSIC_ID = "music_id"
    EFFECT_ID = "effect_id"
    VIDEO_LENGTH = "video_length"


_LENGTHS = ("SHORT", "MID", "LONG", "EXTRA_LONG")  # < 15 s, 15-60 s, 1-5 min, > 5 min


@dataclass(frozen=True)
class Condition:
    """One comparison. Raises `ValueError` where the platform would refuse it."""

    field: Field
    operation: Operation
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(self.values):
            raise ValueError(f"{self.field.value}: a condition needs values that are not empty")
        if len(self.values) > 1 and self.operation is not Operation.IN:
            raise ValueError(f"{self.field.value} {self.operation.value}: more than one value needs IN")
        if self.operation not in (Operation.EQ, Operation.IN) and self.field is not Field.CREATE_DATE:
            raise ValueError(f"{self.field.value} {self.operation.value}: only dates are compared by size")
        if self.field is Field.VIDEO_LENGTH and (wrong := [v for v in self.values if v not in _LENGTHS]):
            raise ValueError(f"video_length {wrong[0]}: choose of {', '.join(_LENGTHS)}")

    def to_json(self) -> dict[str, Any]:
        """Return the condition as the platform reads it."""
        return {"operation": self.operation.value, "field_name": self.field.value, "field_values": list(self.values)}


@dataclass(frozen=True)
class Query:
    """Conditions that must all hold, of which one must hold, and of which none may."""

    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not (self.all_of or self.any_of or self.none_of):
            raise ValueError("a query needs a condition")

    def to_json(self) -> dict[str, Any]:
        """Return the query as the platform reads it."""
        parts = {"and": self.all_of, "or": self.any_of, "not": self.none_of}
        return {name: [condition.to_json() for condition in part] for name, part in parts.items() if part}


@dataclass(frozen=True)
class VideoRequest:
    """A request for one page of videos. Raises `ValueError` for a window or count that the platform refuses."""

    query: Query
    start: date
    end: date
    max_count: int = MAX_COUNT
    cursor: int = 0
    search_id: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= (self.end - self.start).days <= MAX_WINDOW_DAYS:
            raise ValueError(f"{self.start} to {self.end}: a window has 0 to {MAX_WINDOW_DAYS} days")
        if not 1 <= self.max_count <= MAX_COUNT:
            raise ValueError(f"max_count {self.max_count}: 1 to {MAX_COUNT}")

    def to_json(self) -> dict[str, Any]:
        """Return the body of the request."""
        body: dict[str, Any] = {
            "query": self.query.to_json(),
            "start_date": f"{self.start:%Y%m%d}",
            "end_date": f"{self.end:%Y%m%d}",
            "max_count": self.max_count,
            "cursor": self.cursor,
        }
        return body | ({"search_id": self.search_id} if self.search_id else {})


def with_hashtag(hashtag: str, regions: tuple[str, ...] = ()) -> Query:
    """Return the query for posts with a hashtag, in some regions (two-letter codes) or all."""
    conditions = [Condition(Field.HASHTAG_NAME, Operation.EQ, (hashtag,))]
    if regions:
        conditions.append(Condition(Field.REGION_CODE, Operation.IN, regions))
    return Query(all_of=tuple(conditions))


def with_ids(video_ids: tuple[str, ...]) -> Query:
    """Return the query for the posts with these ids."""
    return Query(all_of=(Condition(Field.VIDEO_ID, Operation.IN, video_ids),))
