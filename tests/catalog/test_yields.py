from __future__ import annotations

import csv
from pathlib import Path

import pytest
import sqlalchemy as sa
from backends import OpenCatalog
from test_store import add

from hashtag2action.catalog.harvest import Harvest, Post, PostHashtag
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.yields import tag_yields, write_yields

OUTCOMES = [
    (Decision.ACCEPTED, Reason.PERSON, 0.5), (Decision.ACCEPTED, Reason.REVIEWER, 1.0), (Decision.REVIEW, Reason.FEW_PERSON_FRAMES, 0.1),
    (Decision.REJECTED, Reason.DUPLICATE, None), (Decision.REJECTED, Reason.TRUNCATED, None), (Decision.REJECTED, Reason.REVIEWER, 0.9),
    (Decision.PENDING, None, None),
]  # fmt: skip


@pytest.mark.parametrize("searched", [True, False])
def test_yields_by_search_and_by_folder(tmp_path: Path, open_catalog: OpenCatalog, searched: bool) -> None:
    catalog = open_catalog(tmp_path)
    for number, (decision, reason, score) in enumerate(OUTCOMES):
        video = add(catalog, f"v{number}", sha256=f"{number:064}")
        report = {"quality": {"score": score}} if score is not None else {"quality": None}
        catalog.set_decision(video, decision, reason, report=report)
        if searched:
            with catalog.session() as session:
                post = Post(platform="tiktok", platform_id=str(number), seen_at=1.0, checked_at=1.0, video_id=video)
                session.add(post)
                session.flush()
                session.add(PostHashtag(post_id=post.id, hashtag="dance", found=True))
    if searched:
        with catalog.session() as session:
            session.execute(sa.insert(Harvest), [{"platform": "tiktok", "hashtag": tag, "wanted": 9, "found": 7, "requests": 3, "oldest": "20250101", "next_end": "20250201", "complete": False} for tag in ("dance", "empty")])  # fmt: skip
    row = tag_yields(catalog)[0]
    assert (row.hashtag, row.searched, row.requests, row.complete) == ("dance", searched, 3 * searched, not searched)
    assert (row.seen, row.decided, row.kept, row.people, row.review) == (7, 6, 2, 1, 1)
    assert (row.duplicates, row.poor, row.quality) == (1, 1, pytest.approx(0.75))
    assert row.kept_share == pytest.approx(1 / 3)
    assert [row.hashtag for row in tag_yields(catalog, searched=True)] == (["dance", "empty"] if searched else [])
    write_yields(tmp_path / "y.csv", tag_yields(catalog))
    with (tmp_path / "y.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["hashtag"], first["kept"], first["kept_share"]) == ("dance", "2", "0.3333")
