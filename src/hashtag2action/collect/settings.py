"""Settings of collecting: how much to ask for, how patiently, and what files may be like."""

from __future__ import annotations

from datetime import date

from pydantic import Field, model_validator

from hashtag2action.collect.query import MAX_COUNT, MAX_WINDOW_DAYS
from hashtag2action.settings import Settings


class HarvestSettings(Settings):
    """How posts are searched for. The defaults follow the paper (900 a hashtag) and the platform's published limits."""

    per_hashtag: int = Field(900, ge=1)
    start: date  # no post is older
    end: date  # the day after the newest one
    regions: tuple[str, ...] = ()  # two-letter codes; none means all
    page_size: int = Field(MAX_COUNT, ge=1, le=MAX_COUNT)
    window_days: int = Field(MAX_WINDOW_DAYS, ge=1, le=MAX_WINDOW_DAYS)
    requests_per_day: int = Field(1000, ge=1)
    records_per_day: int = Field(100_000, ge=1)
    open_searches: int = Field(8, ge=1)  # taken in turn, so that a new search id has time to become valid
    settle_s: float = Field(25.0, ge=0)  # platforms reject a search id for its first 5 to 25 s
    search_id_s: float = Field(3600.0, ge=0)  # a search id that was not used for so long is not sent again
    retry_s: float = Field(5.0, gt=0)  # wait after a first fault; doubles with each in a row
    max_retry_s: float = Field(600.0, gt=0)
    rate_s: float = Field(60.0, gt=0)  # wait after "too many requests"
    rate_tries: int = Field(3, ge=1)  # after so many in a row it is the day's quota
    faults_before_split: int = Field(2, ge=1)  # server errors in a row after which a window is cut in halves
    faults_before_restart: int = Field(2, ge=1)  # refusals of a cursor in a row after which its search begins again

    @model_validator(mode="after")
    def _in_order(self) -> HarvestSettings:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        return self


class DownloadSettings(Settings):
    """What files may be fetched, and how hard to try."""

    max_bytes: int = Field(500_000_000, ge=1)
    workers: int = Field(8, ge=1)
    per_host: int = Field(2, ge=1)  # downloads from one host at the same time
    attempts: int = Field(4, ge=1)
    retry_s: float = Field(2.0, ge=0)  # wait after a first failure; doubles with each in a row
    max_retry_s: float = Field(120.0, ge=0)
    read_timeout_s: float = Field(30.0, gt=0)  # without a byte
    file_timeout_s: float = Field(900.0, gt=0)  # for the whole file
    max_redirects: int = Field(5, ge=0)
    allow_private: bool = False  # addresses of this machine and of private networks
