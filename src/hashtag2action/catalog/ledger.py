"""How far every search has come and what of the daily allowance is used: a harvest's memory across kills and midnights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hashtag2action.catalog.harvest import Harvest, Page, Quota, Search, SearchState
from hashtag2action.catalog.posts import NewPost, add_posts, create_tables
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms

EMPTY = "empty_page"  # noted as a search's fault, since a platform may promise more and deliver nothing


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


class Ledger:
    """The searches and quotas of one platform in a catalog. All times are seconds since 1970, all days are UTC."""

    def __init__(self, catalog: Catalog, platform: str = "tiktok") -> None:
        create_tables(catalog)
        self.catalog, self.platform = catalog, platform
        self.pseudonyms = Pseudonyms(catalog.workspace)
        self._hashtags: dict[int, str] = {}

    # Searches

    def want(self, hashtags: Mapping[str, int], start: date, end: date) -> None:
        """Note how many posts of each hashtag are wanted, between two dates; what was found before counts."""
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
                        next_end=_text(end),
                        oldest=_text(start),
                    )
                    session.add(row)
                row.wanted, row.oldest = wanted, min(row.oldest, _text(start))
                session.flush()
                row.complete = row.found >= wanted or _exhausted(session, row)

    def progress(self) -> list[Progress]:
        """Return where every hashtag stands, by name."""
        query = sa.select(Harvest).where(Harvest.platform == self.platform).order_by(Harvest.hashtag)
        with self.catalog.session() as session:
            return [Progress(h.hashtag, h.wanted, h.found, h.requests, h.complete) for h in session.scalars(query)]

    def next_search(self, hashtags: Iterable[str] | None, open_at_once: int, window_days: int) -> Search | None:
        """Return the search of one of `hashtags` (None: of any) that has been ready longest; None when nothing is left.

        Windows are opened from the newest date back, at most `open_at_once` of them at a time.
        """
        unfinished = (Harvest.platform == self.platform) & Harvest.complete.is_(False)
        if hashtags is not None:
            unfinished &= Harvest.hashtag.in_(list(hashtags))
        with self.catalog.session() as session:
            opened = (
                sa.select(Search)
                .join(Harvest, Harvest.id == Search.harvest_id)
                .where(unfinished, Search.state == SearchState.OPEN.value)
                .order_by(Search.ready_at, Search.used_at, Search.id)
            )
            searches = list(session.scalars(opened.limit(open_at_once)))
            if len(searches) < open_at_once:
                busy = sa.select(Search.harvest_id).where(Search.state == SearchState.OPEN.value)
                waiting = session.scalar(
                    sa.select(Harvest).where(unfinished, Harvest.id.not_in(busy)).order_by(Harvest.id).limit(1)
                )
                if waiting is not None and (search := _open_window(session, waiting, window_days)) is not None:
                    return search
                if waiting is not None:
                    waiting.complete = True
                    session.flush()
                    return self.next_search(hashtags, open_at_once, window_days) if not searches else searches[0]
            return searches[0] if searches else None

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
            harvest.complete = harvest.found >= harvest.wanted or _exhausted(session, harvest)
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
        """Replace a window on which the platform fails by its two halves; one begun, or a single day, is noted as failed."""
        start, end = _date(search.start_date), _date(search.end_date)
        with self.catalog.session() as session:
            if search.cursor or (end - start).days <= 1:
                self._move(session, search, state=SearchState.FAILED.value)
            else:
                self._move(session, search, state=SearchState.SPLIT.value)
                _add_halves(session, search.harvest_id, start, end)
            session.flush()
            harvest = session.get_one(Harvest, search.harvest_id)
            harvest.complete = harvest.found >= harvest.wanted or _exhausted(session, harvest)

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


def _open_window(session: Session, harvest: Harvest, window_days: int) -> Search | None:
    """Add the harvest's next window; None past the oldest date.

    Neighbouring windows share a day: whether the platform counts the last day of a window in is not documented.
    """
    end, oldest = _date(harvest.next_end), _date(harvest.oldest)
    if end <= oldest:
        return None
    start = max(oldest, end - timedelta(days=window_days))
    harvest.next_end = _text(start)
    return _add_searches(session, harvest.id, start, end)[0]


def _add_searches(session: Session, harvest_id: int, start: date, end: date) -> list[Search]:
    """Add a search of a window, or of its halves where the platform has failed on these dates before."""
    failed = sa.select(Search.id).where(
        Search.start_date == _text(start), Search.end_date == _text(end), Search.state == SearchState.SPLIT.value
    )
    if session.scalar(failed.limit(1)) is not None:
        return _add_halves(session, harvest_id, start, end)
    search = _new_search(harvest_id, start, end)
    session.add(search)
    session.flush()
    return [search]


def _add_halves(session: Session, harvest_id: int, start: date, end: date) -> list[Search]:
    middle = start + (end - start) // 2
    return _add_searches(session, harvest_id, middle, end) + _add_searches(session, harvest_id, start, middle)


def _new_search(harvest_id: int, start: date, end: date) -> Search:
    return Search(
        harvest_id=harvest_id, start_date=_text(start), end_date=_text(end), state=SearchState.OPEN.value,
        cursor=0, restarts=0, ready_at=0.0, used_at=0.0, faults=0,
    )  # fmt: skip


def _exhausted(session: Session, harvest: Harvest) -> bool:
    if harvest.next_end > harvest.oldest:
        return False
    query = sa.select(Search.id).where(Search.harvest_id == harvest.id, Search.state == SearchState.OPEN.value)
    return session.scalar(query.limit(1)) is None


def _text(day: date) -> str:
    return f"{day:%Y%m%d}"


def _date(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
