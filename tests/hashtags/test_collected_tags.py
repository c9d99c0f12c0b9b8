from __future__ import annotations

import random
from pathlib import Path

import pytest

from hashtag2action.catalog.harvest import Harvest, Post
from hashtag2action.catalog.posts import NewPost, add_posts, daily_views
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.catalog.yields import tag_yields
from hashtag2action.hashtags.choose import choose
from hashtag2action.hashtags.selection import DROP, KEEP, REPLACE, REVIEW, read_choices
from hashtag2action.hashtags.settings import HashtagSettings

DAY = 86_400
NOW = 20_000 * DAY


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """120 days of posts: #yoga much viewed, #knitting little, #alleyoop beside #basketball, a challenge that rises."""
    catalog = Catalog(tmp_path / "work")
    chance, number = random.Random(0), 0
    with catalog.session() as session:
        for day in range(120):
            made = [
                ("yoga", 40_000, ()),
                ("knitting", 300, ()),
                ("alleyoop", 9_000, ("basketball",)),
                ("unrelated", 10, ()),
            ]
            made += [("spoonchallenge", 80_000, ())] * (3 if day >= 90 else 1 if day % 4 == 0 else 0)
            for tag, views, others in made:
                number += 1
                post = NewPost(
                    str(number),
                    (tag, *others, "fyp"),
                    create_time=NOW - (119 - day) * DAY - 5,
                    view_count=int(views * chance.uniform(0.5, 1.5)),
                )
                add_posts(session, Pseudonyms(catalog.workspace), "tiktok", [post], float(NOW), found_for=tag)
    return catalog


def test_metadata_bring_candidates_views_and_rises(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "views.csv").write_text("tag,views,date\nyoga,7,2024-01-01\n")
    choose(tmp_path / "h.csv", HashtagSettings(), catalog=catalog)
    rows = {row.tag: row for row in read_choices(tmp_path / "h.csv")}
    assert (rows["yoga"].decision, rows["yoga"].views_from) == (KEEP, "sample")
    assert float(rows["yoga"].views_low) <= float(rows["yoga"].views) <= float(rows["yoga"].views_high)
    assert rows["knitting"].decision == DROP
    assert (rows["alleyoop"].decision, rows["alleyoop"].into, rows["alleyoop"].principle) == (
        REPLACE,
        "basketball",
        "generalisation",
    )
    assert "100% of its posts carry #basketball" in rows["alleyoop"].evidence
    challenge = rows["spoonchallenge"]
    assert (challenge.decision, challenge.principle, challenge.category) == (KEEP, "social / cultural", "challenge")
    assert "times as often as before" in challenge.evidence
    assert (rows["fyp"].decision, rows["unrelated"].decision) == (DROP, DROP)
    choose(tmp_path / "h2.csv", HashtagSettings(), catalog=catalog, views=tmp_path / "views.csv")
    assert {row.tag: row.views_from for row in read_choices(tmp_path / "h2.csv")}["yoga"] == "table 2024-01-01"


def test_an_interval_around_the_minimum_goes_to_review(catalog: Catalog, tmp_path: Path) -> None:
    middle = 365 * 40_000
    choose(tmp_path / "h.csv", HashtagSettings(min_views=middle), catalog=catalog)
    assert {row.tag: row.decision for row in read_choices(tmp_path / "h.csv")}["yoga"] == REVIEW


def test_days_are_summed_in_the_database(catalog: Catalog) -> None:
    days = daily_views(catalog, "yoga")
    assert len(days) == 120
    assert [day for day, _ in days] == list(range(NOW // DAY - 120, NOW // DAY))


def test_yields_count_what_became_of_the_videos(catalog: Catalog) -> None:
    outcomes = [(Decision.ACCEPTED, Reason.PERSON), (Decision.REVIEW, Reason.FEW_PERSON_FRAMES), (Decision.REJECTED, Reason.DUPLICATE), (Decision.REJECTED, Reason.EMPTY)]  # fmt: skip
    catalog.register([Entry(Path(f"/videos/{number}.mp4")) for number in range(4)])
    for video, (decision, reason) in zip(catalog.videos(), outcomes, strict=True):
        catalog.set_decision(video.id, decision, reason)
    with catalog.session() as session:
        session.add(
            Harvest(
                platform="tiktok",
                hashtag="yoga",
                wanted=900,
                found=120,
                requests=2,
                oldest="20240101",
                next_end="20240601",
            )
        )
        posts = session.query(Post).filter(Post.caption.is_(None)).order_by(Post.id).all()
        yoga = [post for post in posts if post.view_count > 15_000 and post.view_count < 61_000][:4]
        for post, video in zip(yoga, catalog.videos(), strict=True):
            post.video_id = video.id
    [row] = tag_yields(catalog, searched=True)
    assert (row.seen, row.requests, row.complete) == (120, 2, False)
    assert row.decided == row.kept + row.review + row.duplicates + row.poor == 4
    assert (row.kept, row.people, row.review, row.duplicates, row.poor) == (1, 1, 1, 1, 1)
