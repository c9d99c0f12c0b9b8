"""Settings of choosing hashtags and of spending requests on them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hashtag2action.settings import Settings


class HashtagSettings(Settings):
    """What a hashtag must be like. The minimum of views is the paper's (section 3.2)."""

    datasets: tuple[str, ...] = ("ucf101", "hmdb51", "kinetics400")
    min_views: float = Field(5_000_000, ge=0)
    unknown_views: Literal["keep", "review", "drop"] = "keep"  # what becomes of a tag without a view count
    min_posts: int = Field(20, ge=1)  # of a tag in the metadata, to be a candidate
    rise_days: int = Field(30, ge=1)  # the newest days of the metadata, against as many before
    views_span_days: int = Field(365, ge=1)  # over which sampled views are scaled up


class BudgetSettings(Settings):
    """How the next requests are divided among hashtags."""

    floor: float = Field(0.1, ge=0, le=1)  # of a round's requests, spread evenly over all hashtags whatever they gave
    rounds: int = Field(10, ge=1)  # after each of which the plan is drawn anew
    prior_kept: float = Field(1.0, gt=0)  # of a beta distribution: what is believed of a hashtag not yet seen
    prior_lost: float = Field(1.0, gt=0)
    review_worth: float = Field(0.3, ge=0, le=1)  # of a video that awaits review, as part of a kept one
    videos_a_request: float = Field(95.0, gt=0)
    seed: int = 0
