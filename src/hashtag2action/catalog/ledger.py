"""How far every search has come and what of the daily allowance is used: a harvest's memory across kills and midnights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hashtag2action.catalog.harvest import Harvest, Page, Quota, Search, SearchState
from hashtag2action.catalog.posts import NewPost, add_posts
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.catalog.windows import (
    add,
    add_newer,
    as_date,
    as_text,
    brought,
    exhausted,
    fails_for,
    halve,
    ready_longest,
)

EMPTY = "empty_page"  # noted as a search's fault, since a platform may promise more and deliver nothing
HASHTAGS_AGREE = 2  # that a window fails, before it is cut for others without asking


@dataclass(frozen=True)
class Answer:
    """What one request for a page of posts brought."""

    posts: Sequence[NewPost]
    received: int  # entries in the answer, usable or not: the number that counts as records
    cursor: int  # where the next page begins
    has_more: bool
    search_id: str | None


@dataclass(frozen=True)
class Progress:
    """Where a hashtag stands."""

    hashtag: str
    wanted: int
    found: int
    requests: int
    complete: bool


@dataclass(frozen=True)
class Unreachable:
    """A day on which the platform fails for a hashtag, however small the window: its posts cannot be had."""

    hashtag: str
    start: str  # YYYYMMDD
    end: str  # the day after; as with all windows, it is not documented whether it counts


class Ledger:
    """The searches and quotas of one platform in a catalog. All times are seconds since 1970, all days are UTC."""

    def __init__(self, catalog: Catalog, platform: str = "tiktok") -> None:
        self.catalog, self.platform = catalog, platform
        self.pseudonyms = Pseudonyms(catalog.workspace)
        self._hashtags: dict[int, str] = {}

    # Searches

    def want(self, hashtags: Mapping[str, int], start: date, end: date, window_days: int = 30) -> None:
        """Note how many posts of each hashtag are wanted, between two dates; what was found before counts.

        Dates before or after those that a hashtag was searched for are added to them.
        """
        with self.catalog.session() as session:
            known = {
                row.hashtag: row for row in session.scalars(sa.select(Harvest).where(Harvest.platform == self.platform))
            }
            for hashtag, wanted in hashtags.items():
                row = known.get(hashtag)
                if row is None:
                    row = Harvest(
                        platform=self.platform,
                        hashtag=hashtag,
                        found=0,
                        requests=0,
                        next_end=as_text(end),
                        oldest=as_text(start),
                    )
                    session.add(row)
                row.wanted, row.oldest = wanted, min(row.oldest, as_text(start))
                session.flush()
                add_newer(session, row, end, window_days)
                row.complete = row.found >= wanted or exhausted(session, row)

    def try_again(self, hashtags: Iterable[str]) -> int:
        """Let windows on which the platform has failed be asked for once more; return how many there are."""
        mine = sa.select(Harvest.id).where(Harvest.platform == self.platform, Harvest.hashtag.in_(list(hashtags)))
        with self.catalog.session() as session:
            failed = list(
                session.scalars(
                    sa.select(Search).where(Search.harvest_id.in_(mine), Search.state == SearchState.FAILED.value)
                )
            )
            for search in failed:
                search.state, search.faults, search.fault, search.ready_at = SearchState.OPEN.value, 0, None, 0.0
                harvest = session.get_one(Harvest, search.harvest_id)
                harvest.complete = harvest.found >= harvest.wanted
        return len(failed)

    def unreachable(self) -> list[Unreachable]:
        """Return the days that no window could bring, by hashtag and date."""
        query = (
            sa.select(Harvest.hashtag, Search)
            .join(Search, Search.harvest_id == Harvest.id)
            .where(Harvest.platform == self.platform, Search.state == SearchState.FAILED.value)
            .where(Search.start_date != Search.end_date)
            .order_by(Harvest.hashtag, Search.start_date)
        )
        with self.catalog.session() as session:
            rows = [(hashtag, search) for hashtag, search in session.execute(query)]
            return [
                Unreachable(hashtag, search.start_date, search.end_date)
                for hashtag, search in rows
                if not brought(session, search.harvest_id, search.start_date)
            ]

    def progress(self) -> list[Progress]:
        """Return where every hashtag stands, by name."""
        query = sa.select(Harvest).where(Harvest.platform == self.platform).order_by(Harvest.hashtag)
        with self.catalog.session() as session:
            return [Progress(h.hashtag, h.wanted, h.found, h.requests, h.complete) for h in session.scalars(query)]

    def next_search(self, hashtags: Iterable[str] | None, open_at_once: int, window_days: int) -> Search | None:
        """Return the search of one of `hashtags` (None: of any) that has been ready longest; None when nothing is left.

        Windows are opened from the newest date back, one at a time for each hashtag and for at most `open_at_once` of
        them. A window that fails for other hashtags is cut in halves before it is asked for.
        """
        unfinished = (Harvest.platform == self.platform) & Harvest.complete.is_(False)
        if hashtags is not None:
            unfinished &= Harvest.hashtag.in_(list(hashtags))
        with self.catalog.session() as session:
            while True:
                search = ready_longest(session, unfinished, open_at_once, window_days)
                if search is None or search.used_at or search.days <= 1:
                    return search
                if fails_for(session, search) < HASHTAGS_AGREE:
                    return search
                halve(session, search)
                session.flush()

    def is_suspect(self, search: Search) -> bool:
        """Whether the platform failed on a longer window around it, or fails on the same one for another hashtag."""
        around = sa.select(Search.id).where(
            Search.harvest_id == search.harvest_id,
            Search.state == SearchState.SPLIT.value,
            Search.start_date <= search.start_date,
            Search.end_date >= search.end_date,
        )
        with self.catalog.session() as session:
            return session.scalar(around.limit(1)) is not None or fails_for(session, search) > 0

    def hashtag_of(self, search: Search) -> str:
        """Return the hashtag that a search is for."""
        if search.harvest_id not in self._hashtags:
            with self.catalog.session() as session:
                rows = session.execute(sa.select(Harvest.id, Harvest.hashtag).where(Harvest.platform == self.platform))
                self._hashtags = {number: hashtag for number, hashtag in rows}
        return self._hashtags[search.harvest_id]

    def store(self, search: Search, answer: Answer, *, reserved: int, day: str, now: float, ready_at: float) -> int:
        """Commit a page's posts, its cursor and its records together; return how many posts are new to the hashtag."""
        with self.catalog.session() as session:
            harvest = session.get_one(Harvest, search.harvest_id)
            _, new = add_posts(session, self.pseudonyms, self.platform, answer.posts, now, harvest.hashtag)
            session.add(
                Page(
                    search_id=search.id, restart=search.restarts, cursor=search.cursor, received=answer.received,
                    new=new, malformed=answer.received - len(answer.posts), stored_at=now,
                )
            )  # fmt: skip
            state = SearchState.OPEN if answer.has_more else SearchState.DONE
            empty = 0 if answer.received else 1 + (search.faults if search.fault == EMPTY else 0)
            self._move(
                session, search, cursor=answer.cursor, search_id=answer.search_id, state=state.value,
                ready_at=ready_at, used_at=now, faults=empty, fault=EMPTY if empty else None,
            )  # fmt: skip
            harvest.found += new
            session.flush()
            harvest.complete = harvest.found >= harvest.wanted or exhausted(session, harvest)
            self._settle(session, day, answer.received - reserved)
        return new

    def fault(self, search: Search, kind: str, *, reserved: int, day: str, now: float, ready_at: float) -> None:
        """Note that a request brought nothing, and when the search may be asked again; its records are given back."""
        with self.catalog.session() as session:
            in_a_row = search.faults if search.fault == kind else 0
            self._move(session, search, faults=in_a_row + 1, fault=kind, used_at=now, ready_at=ready_at)
            self._settle(session, day, -reserved)

    def restart(self, search: Search, *, keep_cursor: bool) -> None:
        """Let a search go on without its search id, or begin again where the platform refuses its cursor too."""
        with self.catalog.session() as session:
            if keep_cursor:
                self._move(session, search, search_id=None)
            else:
                self._move(session, search, search_id=None, cursor=0, restarts=search.restarts + 1)

    def give_up(self, search: Search) -> None:
        """Replace a window on which the platform fails by its two halves; a single day is noted as failed.

        That day is asked for once more as a window that begins and ends with it, since the window that ends with the
        day after may have failed for that one.
        """
        with self.catalog.session() as session:
            if search.days > 1:
                halve(session, session.get_one(Search, search.id))
            else:
                self._move(session, search, state=SearchState.FAILED.value)
                if search.days == 1:
                    add(session, search.harvest_id, as_date(search.start_date), as_date(search.start_date))
            session.flush()
            harvest = session.get_one(Harvest, search.harvest_id)
            harvest.complete = harvest.found >= harvest.wanted or exhausted(session, harvest)

    # Quotas

    def reserve(self, search: Search, day: str, records: int, limits: tuple[int, int]) -> bool:
        """Take a request and its most records from the day's allowance before it is sent; False where it is used up."""
        with self.catalog.session() as session:
            quota = session.get(Quota, (self.platform, day)) or self._new_day(session, day)
            if quota.spent or quota.requests + 1 > limits[0] or quota.records + records > limits[1]:
                return False
            quota.requests += 1
            quota.records += records
            session.execute(
                sa.update(Harvest).where(Harvest.id == search.harvest_id).values(requests=Harvest.requests + 1)
            )
        return True

    def return_request(self, day: str, records: int) -> None:
        """Give back a request that never reached the platform."""
        with self.catalog.session() as session:
            self._settle(session, day, -records)
            quota = session.get_one(Quota, (self.platform, day))
            quota.requests -= 1

    def spend(self, day: str) -> None:
        """Note that the platform gives nothing more on this day, whatever was counted here."""
        with self.catalog.session() as session:
            (session.get(Quota, (self.platform, day)) or self._new_day(session, day)).spent = True

    def used(self, day: str) -> tuple[int, int]:
        """Return the requests and records of a day."""
        with self.catalog.session() as session:
            quota = session.get(Quota, (self.platform, day))
            return (quota.requests, quota.records) if quota else (0, 0)

    def _new_day(self, session: Session, day: str) -> Quota:
        quota = Quota(platform=self.platform, day=day, requests=0, records=0, spent=False)
        session.add(quota)
        return quota

    def _settle(self, session: Session, day: str, records: int) -> None:
        quota = session.get_one(Quota, (self.platform, day))
        quota.records += records

    def _move(self, session: Session, search: Search, **columns: object) -> None:
        session.execute(sa.update(Search).where(Search.id == search.id).values(**columns))
        for name, value in columns.items():
            sa.orm.attributes.set_committed_value(search, name, value)
