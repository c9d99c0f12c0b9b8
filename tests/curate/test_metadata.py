from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.posts import NewPost, add_posts
from hashtag2action.catalog.schema import Reason, Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.curate.metadata import MetadataFilter, PostFacts, objection
from hashtag2action.curate.run import curate
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.engine import make_engine

POST = PostFacts("Dancer_1", "Das ist #Tanzen, ganz toll", "DE", "de", "CC BY 4.0", 1200)


@pytest.mark.parametrize(
    ("wanted", "reason", "detail"),
    [
        (MetadataFilter(languages=("en", "FR")), Reason.LANGUAGE, "de"),
        (MetadataFilter(languages=("DE",)), None, ""),
        (MetadataFilter(regions=("US",)), Reason.REGION, "de"),
        (MetadataFilter(licences=("cc0",)), Reason.LICENCE, "cc by 4.0"),
        (MetadataFilter(licences=("CC BY 4.0", "CC0")), None, ""),
        (MetadataFilter(min_duration_s=13), Reason.DURATION, "12.5, under 13"),
        (MetadataFilter(max_duration_s=12), Reason.DURATION, "12.5, over 12"),
        (MetadataFilter(min_duration_s=12, max_duration_s=13), None, ""),
        (MetadataFilter(min_views=1201), Reason.VIEWS, "1200, under 1201"),
        (MetadataFilter(max_views=1000), Reason.VIEWS, "1200, over 1000"),
        (MetadataFilter(blocked_words=("tanz",)), None, ""),
        (MetadataFilter(blocked_words=("#TANZEN",)), Reason.BLOCKED_WORD, "tanzen"),
        (MetadataFilter(blocked_words=("ganz toll",)), Reason.BLOCKED_WORD, "ganz toll"),
        (MetadataFilter(blocked_words=("title",)), Reason.BLOCKED_WORD, "title"),
        (MetadataFilter(blocked_words=("(", "", "#")), None, ""),
        (MetadataFilter(blocked_users=("@dancer_1",)), Reason.BLOCKED_USER, "Dancer_1"),
        (MetadataFilter(blocked_users=("dancer",)), None, ""),
    ],
)
def test_objections(wanted: MetadataFilter, reason: Reason | None, detail: str) -> None:
    found = objection(wanted, 12.5, ["A title", "tag"], [POST])
    assert found == ((reason, detail) if reason else None)


def test_words_of_scripts_without_spaces() -> None:
    wanted = MetadataFilter(blocked_words=("舞蹈",))
    assert objection(wanted, 1.0, ["今天的舞蹈视频"], []) == (Reason.BLOCKED_WORD, "舞蹈")


@pytest.mark.parametrize("wanted", [{"languages": ("en",)}, {"min_views": 1}, {"licences": ("CC0",)}])
def test_what_no_post_says(wanted: dict[str, object]) -> None:
    keep, reject = (MetadataFilter.model_validate({**wanted, "unknown": unknown}) for unknown in ("keep", "reject"))
    assert objection(keep, 1.0, [], []) is None
    found = objection(reject, 1.0, [], [])
    assert found is not None and found[1] == "not known"


def test_of_several_posts() -> None:
    posts = [POST, PostFacts("other", None, "US", "en", None, 5)]
    assert objection(MetadataFilter(languages=("en",)), 1.0, [], posts) is None
    assert objection(MetadataFilter(min_views=1000), 1.0, [], posts) is None
    assert objection(MetadataFilter(blocked_users=("other",)), 1.0, [], posts) == (Reason.BLOCKED_USER, "other")


def test_idle() -> None:
    assert MetadataFilter(unknown="reject").idle and not MetadataFilter(min_views=0).idle


def _say(catalog: Catalog, name: str, **said: object) -> None:
    with catalog.session() as session:
        post = NewPost(name, **said)  # type: ignore[arg-type]
        add_posts(session, Pseudonyms(catalog.workspace), "manifest", [post], now=1.0)
        video = sa.select(Video.id).where(Video.path.endswith(f"{name}.mp4")).scalar_subquery()
        session.execute(sa.update(Post).where(Post.platform_id == name).values(video_id=video))


def test_a_filter_and_its_loosening(registered: Callable[[str], Catalog], demo_settings: CurateSettings) -> None:
    """What a filter turns down is not read; loosened, the catalog becomes what it would have been without."""
    free, filtered = registered("free"), registered("filtered")
    engine = make_engine("local", 2)
    curate(free, free.workspace, demo_settings, engine)
    for catalog in (filtered,):
        _say(catalog, "yoga", language="de", view_count=3)
        _say(catalog, "again", username="somebody", view_count=3)
    wanted = MetadataFilter(languages=("en",), blocked_users=("somebody",), blocked_words=("delayed",))
    settings = demo_settings.model_copy(update={"metadata": wanted})
    curate(filtered, filtered.workspace, settings, engine)
    reasons = {Path(video.path).stem: (video.reason, video.detail) for video in filtered.videos()}
    assert reasons["yoga"] == ("language", "de") and reasons["delayed"] == ("blocked_word", "delayed")
    assert reasons["again"] == ("blocked_user", "somebody") and reasons["goldeneye"][0] == "person"
    assert not any(
        video.report or video.clips for video in filtered.videos() if video.reason in ("language", "blocked_word")
    )
    before = filtered.digest()
    assert curate(filtered, filtered.workspace, settings, engine).curated == 0
    assert filtered.digest() == before

    curate(filtered, filtered.workspace, demo_settings, engine)
    assert {Path(v.path).stem: v.decision for v in filtered.videos()} == {
        **{Path(v.path).stem: v.decision for v in free.videos()}, "again": "accepted", "goldeneye": "rejected"
    }  # fmt: skip
