"""How long the catalog takes for as many videos as the paper's: to register them, list what is pending, count, freeze.

    python benchmarks/catalog.py [--videos 340000] [--server sqlite|postgresql|both] [--json FILE]

The rows are synthetic (two hashtags each, a decision, a report of 1.5 kB, a clip for nine in ten, a post); no video is
read. PostgreSQL is the server that the wheel `pgserver` brings, started in a temporary folder on a socket.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.reviews import Review, record, verdicts
from hashtag2action.catalog.schema import Clip, Decision, Reason, Video
from hashtag2action.catalog.snapshot import freeze, read_snapshot, subset
from hashtag2action.catalog.snapshot_changes import diff
from hashtag2action.catalog.statistics import describe
from hashtag2action.catalog.store import BATCH, Catalog, Entry
from hashtag2action.catalog.worklist import Shard, amount, batches, undecided
from hashtag2action.catalog.yields import tag_yields

TAGS = 386


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--videos", type=int, default=340_000)
    options.add_argument("--server", choices=["sqlite", "postgresql", "both"], default="both")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    servers = ["sqlite", "postgresql"] if given.server == "both" else [given.server]
    figures = {server: measure(server, given.videos) for server in servers}
    for server, rows in figures.items():
        print(f"\n{server}, {given.videos:,} videos")
        for name, value in rows.items():
            print(f"  {name:24} {value:10.2f}")
    if given.json:
        given.json.write_text(json.dumps({"videos": given.videos, **figures}, indent=2) + "\n")


def measure(server: str, videos: int) -> dict[str, float]:
    """Return seconds by step, and the largest memory of the process so far in MB."""
    with tempfile.TemporaryDirectory() as folder, address(server, Path(folder)) as url:
        catalog = Catalog(Path(folder) / "work", url)
        seconds: dict[str, float] = {}

        def timed(name: str, step: Callable[[], Any]) -> Any:
            start = time.perf_counter()
            result = step()
            seconds[name] = time.perf_counter() - start
            return result

        assert timed("register_s", lambda: catalog.register(entries(videos))) == videos
        assert timed("register_again_s", lambda: catalog.register(entries(videos))) == 0
        decide(catalog, videos)
        assert timed("count_pending_s", lambda: amount(catalog, undecided("new"), Shard())) == videos
        assert len(timed("first_batch_s", lambda: next(batches(catalog, undecided("new"))))) == BATCH
        assert timed("walk_pending_s", lambda: sum(map(len, batches(catalog, undecided("new"))))) == videos
        assert timed("statistics_s", lambda: describe(catalog)).videos == videos
        assert len(timed("yields_s", lambda: tag_yields(catalog))) == TAGS
        frozen = timed("freeze_s", lambda: freeze(catalog, "whole"))
        assert timed("read_snapshot_s", lambda: read_snapshot(catalog.workspace, "whole")) == frozen
        half = timed("subset_s", lambda: subset(frozen, len(frozen.clips) // 2, 0, per_hashtag=True))
        assert len(half) == len(frozen.clips) // 2
        assert timed("diff_s", lambda: diff(frozen, frozen)).unchanged == len(frozen.clips)
        words = [Review(f"{number:064x}", Decision.REJECTED, "me") for number in range(0, videos, 20)]
        timed("review_5_percent_s", lambda: record(catalog, words))
        assert len(timed("verdicts_s", lambda: verdicts(catalog))) == len(words)
        seconds["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        catalog.close()
        return seconds


class address:
    """The URL of a fresh database; a server is stopped at the end."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server: Any = None
        if server == "postgresql":
            import pgserver

            self.server = pgserver.get_server(folder / "postgresql", cleanup_mode="stop")

    def __enter__(self) -> str | None:
        return self.server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1) if self.server else None

    def __exit__(self, *_: object) -> None:
        if self.server:
            self.server.cleanup()


def entries(videos: int) -> Iterator[Entry]:
    for number in range(videos):
        tags = (f"tag{number % TAGS}", f"tag{number * 7 % TAGS}")
        yield Entry(Path(f"/videos/tag{number % TAGS}/{number:08}.mp4"), tags, title=f"title of {number}")


def decide(catalog: Catalog, videos: int) -> None:
    """Fill in what probing and curation would have recorded, past the functions that record one video each."""
    with catalog.session() as session:
        ids = list(session.scalars(sa.select(Video.id).order_by(Video.id)))
        for start in range(0, videos, 5000):
            part = list(enumerate(ids[start : start + 5000], start))
            facts = [
                {
                    "id": row, "sha256": f"{n:064x}", "size_bytes": 3_000_000, "codec": "h264", "duration_s": 15.0, "frames": 450,
                    "decision": (Decision.ACCEPTED if n % 10 else Decision.REVIEW).value, "reason": (Reason.PERSON if n % 10 else Reason.FEW_PERSON_FRAMES).value,
                    "settings_digest": "s" if n % 10 else None, "report": {"cuts": list(range(200)), "quality": {"score": n % 100 / 100}, "text": "x" * 400},
                }
                for n, row in part
            ]  # fmt: skip
            session.execute(sa.update(Video), facts)
            clips = [
                {
                    "video_id": row, "path": f"clips/{n:016x}.mp4", "start_s": 1.0, "end_s": 9.0, "scene_s": 12.0, "frames": 240, "fps": 30.0,
                    "width": 320, "height": 568, "size_bytes": 1_000_000, "sha256": f"{n + 2**200:064x}",
                }
                for n, row in part
            ]  # fmt: skip
            session.execute(sa.insert(Clip), clips)
            posts = [
                {
                    "platform": "tiktok", "platform_id": str(7 * 10**18 + n), "view_count": n * 1000, "licence": "CC BY", "language": "en",
                    "seen_at": 1.0, "checked_at": 1.0, "create_time": 1_700_000_000 + n, "video_id": row, "raw": {"id": n},
                }
                for n, row in part
            ]  # fmt: skip
            session.execute(sa.insert(Post), posts)


if __name__ == "__main__":
    main()
