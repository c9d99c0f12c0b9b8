"""Where everything is recorded: videos, clips, runs."""

from hashtag2action.catalog import (  # the tables that a new catalog gets
    fingerprints,
    harvest,
    jobs,
    reviews,
    shard_sets,
)

__all__ = ["fingerprints", "harvest", "jobs", "reviews", "shard_sets"]
