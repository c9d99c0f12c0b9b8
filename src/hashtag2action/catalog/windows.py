"""The windows of dates in which a hashtag is searched: opened from the newest back, cut in halves where the platform fails."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from hashtag2action.catalog.harvest import Harvest, Page, Search, SearchState

LATE_DAYS = 2  # posts enter TikTok's search up to 48 hours late, so added days overlap those that were searched


def ready_longest(
    session: Session, unfinished: sa.ColumnElement[bool], open_at_once: int, window_days: int
) -> Search | None:
    """Return the search to ask next: the newest window of a hashtag, an opened one before one that is to be opened."""
    newer = aliased(Search)
    is_newest = ~sa.exists().where(
        newer.harvest_id == Search.harvest_id,
        newer.state == SearchState.OPEN.value,
        (newer.start_date > Search.start_date) | ((newer.start_date == Search.start_date) & (newer.id < Search.id)),
    )
    opened = (
        sa.select(Search)
        .join(Harvest, Harvest.id == Search.harvest_id)
        .where(unfinished, Search.state == SearchState.OPEN.value, is_newest)
        .order_by(Search.ready_at, Search.used_at, Search.id)
        .limit(open_at_once)
    )
    searches = list(session.scalars(opened))
    busy = sa.select(Search.harvest_id).where(Search.state == SearchState.OPEN.value)
    waiting = sa.select(Harvest).where(unfinished, Harvest.id.not_in(busy)).order_by(Harvest.id).limit(1)
    while len(searches) < open_at_once and (harvest := session.scalar(waiting)) is not None:
        if (search := _open_window(session, harvest, window_days)) is not None:
            return search
        harvest.complete = True
        session.flush()
    return searches[0] if searches else None


def add_newer(session: Session, harvest: Harvest, end: date, window_days: int) -> None:
    """Add windows for the days up to `end` that are newer than all that were searched."""
    newest = session.scalar(sa.select(sa.func.max(Search.end_date)).where(Search.harvest_id == harvest.id))
    if newest is None:
        harvest.next_end = max(harvest.next_end, as_text(end))
        return
    start = max(as_date(newest) - timedelta(days=LATE_DAYS), as_date(harvest.oldest))
    while as_text(end) > newest:
        begin = max(start, end - timedelta(days=window_days))
        add(session, harvest.id, begin, end)
        end = begin


def halve(session: Session, search: Search) -> None:
    """Put two windows in the place of one on which the platform fails; posts that it brought before are known again."""
    start, end = as_date(search.start_date), as_date(search.end_date)
    middle = start + (end - start) // 2
    search.state = SearchState.SPLIT.value
    add(session, search.harvest_id, middle, end)
    add(session, search.harvest_id, start, middle)


def add(session: Session, harvest_id: int, start: date, end: date) -> Search:
    """Add a search of a window, unless the hashtag has had it."""
    same = (Search.harvest_id == harvest_id) & (Search.start_date == as_text(start)) & (Search.end_date == as_text(end))
    search = session.scalar(sa.select(Search).where(same))
    if search is None:
        search = Search(
            harvest_id=harvest_id, start_date=as_text(start), end_date=as_text(end), state=SearchState.OPEN.value,
            cursor=0, restarts=0, ready_at=0.0, used_at=0.0, faults=0,
        )  # fmt: skip
        session.add(search)
        session.flush()
    return search


def fails_for(session: Session, search: Search) -> int:
    """Return for how many other hashtags the platform fails on the same window; 0 where it works for one."""
    query = sa.select(Search.state, Search.cursor).where(
        Search.start_date == search.start_date,
        Search.end_date == search.end_date,
        Search.harvest_id != search.harvest_id,
    )
    others = [(state, cursor) for state, cursor in session.execute(query)]
    if any(cursor or state == SearchState.DONE.value for state, cursor in others):
        return 0
    return sum(state in (SearchState.SPLIT.value, SearchState.FAILED.value) for state, _ in others)


def brought(session: Session, harvest_id: int, day: str) -> bool:
    """Whether a window that begins and ends with this day has brought posts."""
    query = (
        sa.select(sa.func.sum(Page.received))
        .join(Search, Search.id == Page.search_id)
        .where(Search.harvest_id == harvest_id, Search.start_date == day, Search.end_date == day)
    )
    return bool(session.scalar(query))


def exhausted(session: Session, harvest: Harvest) -> bool:
    """Whether no window of a hashtag is left to be opened or asked."""
    if harvest.next_end > harvest.oldest:
        return False
    query = sa.select(Search.id).where(Search.harvest_id == harvest.id, Search.state == SearchState.OPEN.value)
    return session.scalar(query.limit(1)) is None


def as_text(day: date) -> str:
    """Return a day as YYYYMMDD."""
    return f"{day:%Y%m%d}"


def as_date(text: str) -> date:
    """Return the day that YYYYMMDD stands for."""
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _open_window(session: Session, harvest: Harvest, window_days: int) -> Search | None:
    """Add the harvest's next window; None past the oldest date.

    Neighbouring windows share a day: whether the platform counts the last day of a window in is not documented.
    """
    end, oldest = as_date(harvest.next_end), as_date(harvest.oldest)
    if end <= oldest:
        return None
    start = max(oldest, end - timedelta(days=window_days))
    harvest.next_end = as_text(start)
    return add(session, harvest.id, start, end)
