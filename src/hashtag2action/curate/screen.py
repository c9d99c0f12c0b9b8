"""What is decided before a video is read: by a reviewer's no, by its posts, or since another one has the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.reviews import Review
from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.worklist import Shard, batches, copies, parts, posts_of, reopen, video_of
from hashtag2action.curate.duplicates import find_duplicates
from hashtag2action.curate.metadata import REASONS, MetadataFilter, PostFacts, objection
from hashtag2action.curate.pace import Pace
from hashtag2action.curate.record import set_aside


@dataclass(frozen=True)
class Screen:
    """Sets aside what need not be read, and takes back what was set aside and no longer has to be.

    `key` stands for the settings; a video on record with it is not decided again.
    """

    catalog: Catalog
    workspace: Path
    shard: Shard
    reviews: Mapping[str, Review]
    key: str
    pace: Pace

    def apply(self, wanted: MetadataFilter) -> None:
        """Go through the videos that can be read."""
        self._posts(wanted)
        self._copies()
        self._reviewers()

    def _posts(self, wanted: MetadataFilter) -> None:
        readable = Video.codec.is_not(None)
        refused = Video.reason.in_([reason.value for reason in REASONS])
        for videos in batches(self.catalog, readable & refused if wanted.idle else readable, shard=self.shard):
            posts = posts_of(self.catalog, [video.id for video in videos])
            for video in videos:
                facts = [_facts(post) for post in posts.get(video.id, ())]
                texts = [video.title, *(row.hashtag for row in video.hashtags)]
                found = None if self._accepted(video) else objection(wanted, video.duration_s, texts, facts)
                if found is not None:
                    self._reject(video, *found, None)
                elif video.reason in {reason.value for reason in REASONS}:
                    reopen(self.catalog, [video.id])

    def _copies(self) -> None:
        found = find_duplicates(copies(self.catalog, REASONS))
        released = (Video.reason == Reason.DUPLICATE.value) & Video.codec.is_not(None)
        for videos in batches(self.catalog, released, shard=self.shard):
            reopen(self.catalog, (video.id for video in videos if video.id not in found))
        for video_id, kept in found.items():
            video = video_of(self.catalog, video_id)
            if self.shard.has(video.sha256 or ""):
                self._reject(video, Reason.DUPLICATE, None, video_of(self.catalog, kept))

    def _reviewers(self) -> None:
        no = (Video.decision == Decision.REJECTED.value) & (Video.reason == Reason.REVIEWER.value)
        for videos in batches(self.catalog, no, shard=self.shard):
            reopen(self.catalog, (video.id for video in videos if not self._rejected(video)))
        rejected = sorted(sha256 for sha256, review in self.reviews.items() if review.decision is Decision.REJECTED)
        for some in parts(rejected):
            for videos in batches(self.catalog, Video.sha256.in_(some) & Video.codec.is_not(None), shard=self.shard):
                for video in videos:
                    if video.reason not in (Reason.DUPLICATE.value, Reason.REVIEWER.value):
                        self._reject(video, Reason.REVIEWER, self.reviews[video.sha256 or ""].why or None, None)

    def _reject(self, video: Video, reason: Reason, detail: str | None, kept: Video | None) -> None:
        if set_aside(self.catalog, self.workspace, video, reason, detail, kept, self.key):
            self.pace.count(Decision.REJECTED, reason)

    def _accepted(self, video: Video) -> bool:
        review = self.reviews.get(video.sha256 or "")
        return review is not None and review.decision is Decision.ACCEPTED

    def _rejected(self, video: Video) -> bool:
        review = self.reviews.get(video.sha256 or "")
        return review is not None and review.decision is Decision.REJECTED


def _facts(post: Post) -> PostFacts:
    return PostFacts(post.username, post.caption, post.region, post.language, post.licence, post.view_count)
