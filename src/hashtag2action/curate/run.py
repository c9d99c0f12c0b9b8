"""Curating a catalog: an engine maps `curate_video` over what is undecided, one writer records what comes back.

What need not be read is set aside first (`screen`), what looks like another video last, when all have been seen. Both
are worked out anew by every run, so a filter that is loosened, a video that is lost or a folder that is no longer held
out brings back what it had kept away. Nothing is held in memory for each video but its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from hashtag2action.catalog.fingerprints import fingerprints_of, standing
from hashtag2action.catalog.reviews import Review, verdicts
from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.worklist import Shard, alone, amount, batches, parts, reopen, undecided
from hashtag2action.console import progress
from hashtag2action.curate.duplicates import DuplicateSettings, find_alike
from hashtag2action.curate.exclude import HeldOut, held_out
from hashtag2action.curate.fingerprint import METHOD
from hashtag2action.curate.leftovers import remove_leftovers
from hashtag2action.curate.metadata import MetadataFilter
from hashtag2action.curate.pace import Pace
from hashtag2action.curate.people import detector_file, detector_identity
from hashtag2action.curate.record import clip_path, describe_unread, record_report, set_alike_aside
from hashtag2action.curate.screen import Screen
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.shared_detector import Address, detector_at, shared_detector
from hashtag2action.curate.video import VideoReport, curate_video
from hashtag2action.engine import Engine, Failure, Outcome
from hashtag2action.errors import UserError
from hashtag2action.files import write_json
from hashtag2action.settings import digest

FAILED = tuple(Reason(failure.value) for failure in Failure)


@dataclass(frozen=True)
class CurateSummary:
    """What one call did: how many videos it decided, and how."""

    curated: int
    accepted: int
    review: int
    rejected: int
    reasons: dict[str, int]  # of everything decided, most frequent first
    held_out: int = 0  # files of `exclude_like`
    held_out_unreadable: int = 0  # of them, those that nothing can be compared with
    seconds: float = field(default=0.0, compare=False)
    videos_per_s: float = field(default=0.0, compare=False)  # of those read
    video_hours: float = field(default=0.0, compare=False)
    video_hours_per_hour: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Job:
    """A video to curate, and where its clip goes; one that a reviewer accepted gets a clip whatever its scenes are."""

    video: int
    path: Path
    clip: Path
    accepted: bool = False


def parse_shard(text: str) -> Shard:
    """Return the part `i/n` of all videos, such as 0/4 to 3/4. Raises `UserError`."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UserError(f"--shard {text}: expected I/N with I from 0 to N-1, such as 0/4")
    return Shard(int(index), int(count))


def curate(
    catalog: Catalog,
    workspace: Path,
    settings: CurateSettings,
    engine: Engine,
    *,
    shard: Shard | None = None,
    retry_failed: bool = False,
) -> CurateSummary:
    """Decide every readable video that these settings have not decided yet; write its clip and its JSON file.

    Each video is recorded on its own as soon as it is done, so a run that is killed goes on where it was. `shard`
    leaves the other videos to other processes; the one that ends last compares all. `retry_failed` takes up those that
    hung, crashed or ran out of memory. Raises `UserError` where there is no detector to be had, or nothing in a
    held-out folder, before any video of the catalog is read.
    """
    shard, pace = shard or Shard(), Pace()
    key = settings_key(settings)
    with alone(catalog, "tables"):
        reviews = verdicts(catalog)
    remove_leftovers(catalog, workspace, shard)
    held = held_out(catalog, settings.duplicates.exclude_like, engine)
    if retry_failed:
        failed = Video.reason.in_([reason.value for reason in FAILED]) & Video.codec.is_not(None)
        for videos in batches(catalog, failed, shard=shard):
            reopen(catalog, (video.id for video in videos))
    Screen(catalog, workspace, shard, reviews, key, pace).apply(settings.metadata)
    run = _Run(catalog, workspace, settings, engine, reviews, key, pace)
    run.read(batches(catalog, undecided(key), shard=shard), amount(catalog, undecided(key), shard))
    while again := run.compare(held):
        run.read(_these(catalog, undecided(key), again), len(again))
    describe_unread(catalog, workspace)
    summary = _summary(pace, held)
    name = f"curate-{shard.index}-of-{shard.count}.json" if shard.count > 1 else "curate.json"
    write_json(workspace / name, asdict(summary))
    return summary


def settings_key(settings: CurateSettings) -> str:
    """Return what stands for these settings on a decision, without those that do not need a video to be read again."""
    how = {
        name: CurateSettings.model_fields[name].default
        for name in ("detector_device", "detector_batch", "detector_threads")
    }
    of_pixels = settings.model_copy(update={"metadata": MetadataFilter(), "duplicates": DuplicateSettings(), **how})
    return digest(of_pixels, detector_identity(settings), METHOD)


@dataclass
class _Run:
    """The part of a run that reads videos, and what it decided."""

    catalog: Catalog
    workspace: Path
    settings: CurateSettings
    engine: Engine
    reviews: dict[str, Review]
    key: str
    pace: Pace
    counted: dict[int, tuple[Decision, Reason]] = field(default_factory=dict)

    def read(self, videos: Iterable[list[Video]], count: int) -> None:
        """Curate `count` videos that come in batches."""
        if not count:
            return
        detector_file(self.settings)
        waiting: dict[int, Video] = {}
        with shared_detector(self.settings, self.engine) as address, progress() as bar:
            function = partial(_curate_job, settings=self.settings, address=address)
            task = bar.add_task("curate", total=count, note="")
            for outcome in self.engine.map(function, self._jobs(videos, waiting)):
                video = waiting.pop(outcome.item.video)
                report = outcome.result or _failed(outcome)
                review = self.reviews.get(video.sha256 or "")
                self._count(video.id, *record_report(self.catalog, self.workspace, video, report, review, self.key))
                self.pace.finish_reading(video.duration_s or 0.0)
                bar.update(task, advance=1, note=self.pace.note())

    def compare(self, held: HeldOut) -> list[int]:
        """Set aside what looks like another video; return the rows of those that no longer do, to be read again."""
        with alone(self.catalog, "compare"):
            videos = standing(self.catalog, METHOD, self.key)
            find = partial(fingerprints_of, self.catalog)
            found = find_alike(videos, held.videos, self.settings.duplicates, find)
            for video in videos:
                if video.id in found and set_alike_aside(
                    self.catalog, self.workspace, video, found[video.id], self.key
                ):
                    self._count(video.id, Decision.REJECTED, found[video.id].reason)
            again = [video.id for video in videos if video.id not in found and _was_alike(video.reason)]
            reopen(self.catalog, again)
        return again

    def _jobs(self, videos: Iterable[list[Video]], waiting: dict[int, Video]) -> Iterator[Job]:
        for batch in videos:
            for video in batch:
                review = self.reviews.get(video.sha256 or "")
                accepted = review is not None and review.decision is Decision.ACCEPTED
                waiting[video.id] = video
                yield Job(video.id, Path(video.path), clip_path(self.workspace, video.sha256 or ""), accepted)

    def _count(self, video: int, decision: Decision, reason: Reason) -> None:
        """Count a decision, in place of an earlier one of this run on the same video."""
        if video in self.counted:
            self.pace.count(*self.counted[video], by=-1)
        self.counted[video] = (decision, reason)
        self.pace.count(decision, reason)


def _these(catalog: Catalog, condition: sa.ColumnElement[bool], rows: list[int]) -> Iterator[list[Video]]:
    for some in parts(rows):
        yield from batches(catalog, condition & Video.id.in_(some))


def _curate_job(job: Job, settings: CurateSettings, address: Address | None) -> VideoReport:
    detector = detector_at(address, settings) if address else None
    if job.accepted:
        settings = settings.model_copy(update={"min_clip_s": 0.0, "low_quality": "review"})
    return curate_video(job.path, settings, job.clip, detector)


def _failed(outcome: Outcome[Job, VideoReport]) -> VideoReport:
    assert outcome.failure is not None
    return VideoReport(outcome.item.path.stem, Decision.REJECTED, Reason(outcome.failure.value))


def _was_alike(reason: str | None) -> bool:
    return reason in (Reason.NEAR_DUPLICATE.value, Reason.HELD_OUT.value)


def _summary(pace: Pace, held: HeldOut) -> CurateSummary:
    return CurateSummary(
        curated=sum(pace.decisions.values()),
        accepted=pace.decisions[Decision.ACCEPTED],
        review=pace.decisions[Decision.REVIEW],
        rejected=pace.decisions[Decision.REJECTED],
        reasons=pace.most_frequent(),
        held_out=held.files,
        held_out_unreadable=held.unreadable,
        seconds=round(pace.seconds, 3),
        videos_per_s=round(pace.videos_per_s, 3),
        video_hours=round(pace.video_s / 3600, 4),
        video_hours_per_hour=round(pace.hours_per_hour, 2),
    )
