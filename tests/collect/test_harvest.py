from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from fake_platform import ALL_FAULTS, KEY, SECRET, FakePlatform, Faults
from virtual_clock import VirtualClock

from hashtag2action.catalog.harvest import Harvest, Page, Post, PostHashtag, Quota, Search
from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.credentials import Credentials
from hashtag2action.collect.harvest import harvest, plan
from hashtag2action.collect.research_api import ResearchApi
from hashtag2action.collect.settings import HarvestSettings

START, END = date(2025, 8, 1), date(2025, 12, 31)
MORNING = datetime(2026, 1, 1, 5, tzinfo=timezone.utc).timestamp()
slow = pytest.mark.skipif(os.environ.get("H2A_SLOW") != "1", reason="takes minutes: set H2A_SLOW=1")


def platform(tmp_path: Path, tags: int, each: int = 300, **options: object) -> FakePlatform:
    clock = VirtualClock(tmp_path / "clock", MORNING)
    return FakePlatform(clock, [f"tag{number}" for number in range(tags)], each, START, END, **options)


def connect(fake: FakePlatform, tmp_path: Path) -> tuple[Ledger, ResearchApi]:
    return Ledger(Catalog(tmp_path / "work")), ResearchApi(Credentials(KEY, SECRET), fake.clock, fake.url)


def settings(**changes: object) -> HarvestSettings:
    return HarvestSettings(**({"per_hashtag": 250, "start": START, "end": END} | changes))


def stored(ledger: Ledger) -> dict[str, set[int]]:
    """The platform ids found for each hashtag; fails if a post or a find is there twice."""
    found: dict[str, list[int]] = defaultdict(list)
    with ledger.catalog.session() as session:
        query = sa.select(PostHashtag.hashtag, Post.platform_id).join(Post).where(PostHashtag.found)
        for tag, number in session.execute(query):
            found[tag].append(int(number))
        ids = list(session.scalars(sa.select(Post.platform_id)))
        counts = {row.hashtag: row.found for row in session.scalars(sa.select(Harvest))}
    assert len(ids) == len(set(ids))
    assert all(len(numbers) == len(set(numbers)) for numbers in found.values())
    assert {tag: len(numbers) for tag, numbers in found.items()} == {tag: n for tag, n in counts.items() if n}
    return {tag: set(numbers) for tag, numbers in found.items()}


def assert_none_lost(fake: FakePlatform, found: dict[str, set[int]], wanted: int) -> None:
    """Each hashtag has as many as wanted, or all; and up to the last one found, all that the platform can show."""
    for tag in fake.hashtags:
        shown = [fake.id_of(tag, place) for place in range(fake.videos_each) if fake.reachable(tag, place)]
        assert len(found[tag]) >= min(wanted, len(shown))
        last = max(place for place, number in enumerate(shown) if number in found[tag])
        assert found[tag] == set(shown[: last + 1])


def assert_the_unreachable_is_recorded(fake: FakePlatform, ledger: Ledger, found: dict[str, set[int]]) -> int:
    """The days on which the platform always fails are noted, those and no others; return how many there are."""
    failing = set()
    for tag in fake.hashtags:
        day = fake.failing_day(tag)
        oldest = max(place for place in range(fake.videos_each) if fake.id_of(tag, place) in found[tag])
        if day is not None and day >= datetime.fromtimestamp(fake.time_of(tag, oldest), timezone.utc).date():
            failing.add((tag, f"{day:%Y%m%d}"))
    assert {(row.hashtag, row.start) for row in ledger.unreachable()} == failing
    return len(failing)


def harvest_through_kills(fake: FakePlatform, tmp_path: Path, wanted: int, kills: int, **more: object) -> int:
    """Harvest in processes of which `kills` are ended by SIGKILL at random places; return how many were."""
    job = {
        "clock": str(tmp_path / "clock"), "credentials": [KEY, SECRET], "url": fake.url, "hashtags": fake.hashtags,
        "workspace": str(tmp_path / "work"), "settings": {"per_hashtag": wanted, "start": str(START), "end": str(END)} | more,
    }  # fmt: skip
    least = fake.least_requests(wanted)
    chance = random.Random(fake.seed)
    places = sorted(chance.randrange(least * 95 // 100) for _ in range(kills))
    done = 0
    for place in [*places, None]:
        process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "harvest_process.py"), json.dumps(job)])
        while process.poll() is None:
            if place is not None and fake.requests >= place:
                time.sleep(chance.random() * 0.2)
                process.send_signal(signal.SIGKILL)
                done += process.wait() == -signal.SIGKILL
            time.sleep(0.005)
        if place is None:
            assert process.returncode == 0
    return done


@pytest.mark.parametrize(
    ("tags", "each", "wanted", "kills", "midnights", "faults"),
    [
        pytest.param(12, 600, 450, 3, 1, replace(ALL_FAULTS, failing_day=0.5), id="12 hashtags"),
        pytest.param(386, 1200, 900, 20, 4, ALL_FAULTS, id="386 hashtags", marks=[slow, pytest.mark.timeout(3600)]),
    ],
)
def test_faults_kills_and_midnights_lose_and_repeat_nothing(
    tmp_path: Path, tags: int, each: int, wanted: int, kills: int, midnights: int, faults: Faults
) -> None:
    started = time.monotonic()
    quota = 50 if tags < 100 else 1000
    with platform(tmp_path, tags, each, faults=faults, seed=tags, quota=(quota, 100_000)) as fake:
        assert harvest_through_kills(fake, tmp_path, wanted, kills, requests_per_day=quota) == kills
        ledger = Ledger(Catalog(tmp_path / "work"))
        found = stored(ledger)
        assert_none_lost(fake, found, wanted)
        unreachable = assert_the_unreachable_is_recorded(fake, ledger, found)
        least = fake.least_requests(wanted)
        passed = len({day for day, number in fake.by_day.items() if number}) - 1
        repeated = sum(number - 1 for number in fake.served.values())
        print(
            f"\n{tags} hashtags: {sum(map(len, found.values()))} finds, {fake.requests} requests, least {least}, "
            f"{100 * (fake.requests / least - 1):.2f} % more; by chance {dict(fake.injected)}; rejected {dict(fake.rejected)}; "
            f"{unreachable} days unreachable; {kills} kills, {passed} midnights, {repeated} pages delivered twice, "
            f"{time.monotonic() - started:.0f} s"
        )
        small = kills + 30 * unreachable + 10 * passed  # finding out costs the same for few hashtags as for many
        assert fake.requests <= (1.03 * least if tags > 100 else 1.1 * least + small)
        assert passed >= midnights
        assert fake.rejected["quota"] == 0
        with ledger.catalog.session() as session:
            assert session.scalar(sa.select(sa.func.max(Quota.requests))) <= quota


def test_the_same_harvest_again_asks_nothing(tmp_path: Path) -> None:
    with platform(tmp_path, 3) as fake:
        ledger, api = connect(fake, tmp_path)
        wanted = dict.fromkeys(fake.hashtags, 250)
        assert harvest(ledger, api, wanted, settings(), fake.clock).complete == 3
        asked = fake.requests
        assert harvest(ledger, api, wanted, settings(), fake.clock).requests == 0
        assert fake.requests == asked
        more = harvest(ledger, api, dict.fromkeys(fake.hashtags, 300), settings(), fake.clock)
        assert more.complete == 3
        assert max(fake.served.values()) == 1


@pytest.mark.parametrize(
    "faults",
    [
        Faults(settle_s=(5, 25)),
        Faults(search_id_lives_s=20),
        Faults(search_id_lives_s=20, cursor_needs_search_id=1.0),
        Faults(settle_s=(5, 25), search_id_lives_s=20),
        Faults(settle_s=(5, 25), short_life=0.5, cursor_needs_search_id=1.0),
        Faults(search_id_lives_s=0),
        Faults(missing_cursor=1.0, short_page=0.3, hidden_video=0.1),
        Faults(nul_bytes=1.0),
        Faults(server_error=0.3),
        Faults(lost_answer=0.2, cut_answer=0.2),
        Faults(too_many=0.3),
        Faults(fails_before=date(2025, 12, 1)),
        Faults(end_inclusive=1.0),
        Faults(failing_day=1.0),
        Faults(failing_day=1.0, end_inclusive=1.0),
        Faults(failing_day=1.0, end_inclusive=0.5, fails_before=date(2025, 12, 31), server_error=0.2),
    ],
    ids=lambda faults: ",".join(name for name, value in vars(faults).items() if value != vars(Faults())[name]),
)
def test_each_fault_alone(tmp_path: Path, faults: Faults) -> None:
    with platform(tmp_path, 6, 150, faults=faults) as fake:
        ledger, api = connect(fake, tmp_path)
        chosen = settings(open_searches=2, page_size=50)
        summary = harvest(ledger, api, dict.fromkeys(fake.hashtags, 125), chosen, fake.clock, wait=True)
        assert summary.complete == 6
        found = stored(ledger)
        assert_none_lost(fake, found, 125)
        assert summary.unreachable == assert_the_unreachable_is_recorded(fake, ledger, found)


def test_more_is_found_than_there_is(tmp_path: Path) -> None:
    with platform(tmp_path, 4, 120, faults=Faults(hidden_video=0.1)) as fake:
        ledger, api = connect(fake, tmp_path)
        summary = harvest(ledger, api, dict.fromkeys(fake.hashtags, 900), settings(), fake.clock)
        assert summary.complete == 4
        assert_none_lost(fake, stored(ledger), 900)


def test_quota_ends_a_run_and_the_next_day_goes_on(tmp_path: Path) -> None:
    with platform(tmp_path, 5, quota=(7, 100_000)) as fake:
        ledger, api = connect(fake, tmp_path)
        wanted, chosen = dict.fromkeys(fake.hashtags, 250), settings(requests_per_day=7)
        first = harvest(ledger, api, wanted, chosen, fake.clock)
        assert first.requests == 7
        assert first.stopped is not None and "00:00 UTC" in first.stopped
        assert harvest(ledger, api, wanted, chosen, fake.clock).requests == 0
        fake.clock.sleep(86_400)
        assert harvest(ledger, api, wanted, chosen, fake.clock).requests == 7
        assert harvest(ledger, api, wanted, chosen, fake.clock, wait=True).complete == 5
        assert fake.rejected["quota"] == 0


def test_a_quota_that_others_used_up_is_noticed(tmp_path: Path) -> None:
    with platform(tmp_path, 5, quota=(6, 100_000)) as fake:
        ledger, api = connect(fake, tmp_path)
        summary = harvest(ledger, api, dict.fromkeys(fake.hashtags, 250), settings(), fake.clock, wait=True)
        assert summary.complete == 5
        assert len(fake.by_day) >= 3


def test_a_later_end_and_an_earlier_start_reopen_a_hashtag(tmp_path: Path) -> None:
    with platform(tmp_path, 6) as fake:
        ledger, api = connect(fake, tmp_path)
        wanted = dict.fromkeys(fake.hashtags, 300)
        middle = settings(start=date(2025, 11, 20), end=date(2025, 12, 10))
        first = harvest(ledger, api, wanted, middle, fake.clock)
        assert first.complete == 6
        before, asked = stored(ledger), fake.requests
        assert harvest(ledger, api, wanted, middle, fake.clock).requests == 0
        later = harvest(ledger, api, wanted, settings(start=date(2025, 11, 20), end=END), fake.clock)
        assert later.complete == 6
        assert 0 < later.new < later.found
        for tag, numbers in stored(ledger).items():
            inside = {fake.id_of(tag, place) for place in fake.places(tag, date(2025, 11, 20), END)}
            assert numbers == inside and before.get(tag, set()) <= numbers
        assert harvest(ledger, api, wanted, settings(start=START, end=END), fake.clock).found == 1800
        assert_none_lost(fake, stored(ledger), 300)
        assert fake.requests - asked < 60
        assert harvest(ledger, api, wanted, settings(), fake.clock).requests == 0


def test_a_day_on_which_the_platform_failed_can_be_asked_for_again(tmp_path: Path) -> None:
    with platform(tmp_path, 4, faults=Faults(failing_day=1.0)) as fake:
        ledger, api = connect(fake, tmp_path)
        wanted = dict.fromkeys(fake.hashtags, 300)
        summary = harvest(ledger, api, wanted, settings(), fake.clock)
        assert (summary.complete, summary.unreachable) == (4, 4)
        assert harvest(ledger, api, wanted, settings(), fake.clock).requests == 0
        assert harvest(ledger, api, wanted, settings(), fake.clock, again=True).unreachable == 4
        fake._failing_days.clear()
        mended = harvest(ledger, api, wanted, settings(), fake.clock, again=True)
        assert (mended.complete, mended.found, mended.unreachable) == (4, 1200, 0)
        assert_none_lost(fake, stored(ledger), 300)


def test_while_the_platform_is_down_nothing_is_given_up(tmp_path: Path) -> None:
    """Every request fails for an hour: no day is called unreachable, and few requests are spent on finding that out."""
    with platform(tmp_path, 12) as fake:
        ledger, api = connect(fake, tmp_path)
        fake.down_until = fake.clock.now() + 3600
        summary = harvest(ledger, api, dict.fromkeys(fake.hashtags, 250), settings(), fake.clock)
        assert (summary.complete, summary.unreachable) == (12, 0)
        assert_none_lost(fake, stored(ledger), 250)
        assert fake.rejected["down"] < 40


def test_the_plan_says_what_is_needed_before_anything_is_sent(tmp_path: Path) -> None:
    with platform(tmp_path, 1) as fake:
        ledger, _ = connect(fake, tmp_path)
        wanted = dict.fromkeys((f"tag{number}" for number in range(386)), 900)
        needed = plan(ledger, wanted, settings(per_hashtag=900), fake.clock.now())
        assert (needed.requests, needed.records, needed.days) == (3474, 347_400, 4)
        assert fake.requests == 0
        assert fake.tokens == {}


def test_budget_of_requests_is_kept(tmp_path: Path) -> None:
    with platform(tmp_path, 5) as fake:
        ledger, api = connect(fake, tmp_path)
        summary = harvest(ledger, api, dict.fromkeys(fake.hashtags, 250), settings(), fake.clock, max_requests=4)
        assert fake.requests == summary.requests == 4
        assert summary.stopped == "the 4 requests of this run are used"


def test_a_plan_for_each_hashtag_is_kept(tmp_path: Path) -> None:
    with platform(tmp_path, 5) as fake:
        ledger, api = connect(fake, tmp_path)
        wanted = dict.fromkeys(fake.hashtags, 250)
        summary = harvest(ledger, api, wanted, settings(), fake.clock, budget={"tag0": 2, "tag3": 1, "unknown": 9})
        assert summary.stopped is None
        assert {row.hashtag: row.requests for row in ledger.progress() if row.requests} == {"tag0": 2, "tag3": 1}
        assert harvest(ledger, api, wanted, settings(), fake.clock).complete == 5
        assert max(fake.served.values()) == 1


def test_pages_and_cursors_agree_and_secrets_are_nowhere(tmp_path: Path) -> None:
    with platform(tmp_path, 2) as fake:
        ledger, api = connect(fake, tmp_path)
        harvest(ledger, api, dict.fromkeys(fake.hashtags, 250), settings(), fake.clock)
        with ledger.catalog.session() as session:
            for search in session.scalars(sa.select(Search)):
                pages = list(session.scalars(sa.select(Page).where(Page.search_id == search.id).order_by(Page.cursor)))
                assert search.cursor == (pages[-1].cursor + 100 if pages else 0)
            assert session.scalar(sa.select(sa.func.sum(Page.new))) == session.scalar(
                sa.select(sa.func.sum(Harvest.found))
            )
        ledger.catalog.close()
        content = b"".join(path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file())
        assert SECRET.encode() not in content and KEY.encode() not in content and b"clt." not in content
        assert SECRET not in repr(Credentials(KEY, SECRET))
