"""Harvesting posts by hashtag: page after page until there are enough, through faults, kills and used-up days.

Every request is taken from the day's allowance before it is sent, and a page is stored in one transaction with the
place that its search has reached. A killed harvest therefore goes on with the next page, and asks again at most the
one page that was under way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from hashtag2action.catalog.harvest import Search
from hashtag2action.catalog.ledger import EMPTY, Ledger
from hashtag2action.catalog.windows import as_date
from hashtag2action.collect.clock import Clock, day_of, next_midnight
from hashtag2action.collect.query import VideoRequest, with_hashtag
from hashtag2action.collect.research_api import ApiFault, Fault, ResearchApi
from hashtag2action.collect.settings import HarvestSettings
from hashtag2action.errors import UserError

MIDNIGHT_MARGIN_S = 60.0  # clocks differ
UNREACHABLE_TRIES = 8
TOKEN_TRIES = 5
RESTARTS = 3
EMPTY_PAGES = 3  # in a row; then a window is taken to be at its end


@dataclass(frozen=True)
class HarvestPlan:
    """What a harvest will need at the least: full pages, no faults."""

    hashtags: int
    posts: int  # still to be found
    requests: int
    records: int
    requests_left_today: int
    days: int  # on which requests are made, today included


@dataclass(frozen=True)
class HarvestSummary:
    """What a harvest did; `stopped` says why there is more to do, if there is."""

    hashtags: int
    complete: int
    found: int
    new: int
    requests: int
    faults: int
    unreachable: int  # days of a hashtag on which the platform always fails
    stopped: str | None


def plan(ledger: Ledger, hashtags: Mapping[str, int], settings: HarvestSettings, now: float) -> HarvestPlan:
    """Return what it takes to find so many posts of each hashtag, after what the catalog has. Nothing is sent."""
    known = {row.hashtag: row for row in ledger.progress()}
    missing = [wanted - (known[tag].found if tag in known else 0) for tag, wanted in hashtags.items()]
    missing = [number for number in missing if number > 0]
    requests = sum(math.ceil(number / settings.page_size) for number in missing)
    records = requests * settings.page_size
    used_requests, used_records = ledger.used(day_of(now))
    left = max(
        0,
        min(settings.requests_per_day - used_requests, (settings.records_per_day - used_records) // settings.page_size),
    )
    per_day = max(1, min(settings.requests_per_day, settings.records_per_day // settings.page_size))
    days = 0 if not requests else (1 if left else 0) + math.ceil(max(0, requests - left) / per_day)
    return HarvestPlan(len(hashtags), sum(missing), requests, records, left, days)


@contextmanager
def only_one(workspace: Path) -> Iterator[None]:
    """Hold the workspace's harvest lock, which a kill releases; `UserError` where another harvest is at work."""
    lock = FileLock(workspace / ".harvest.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{workspace}: another harvest is at work there; wait for it or stop it") from error
    try:
        yield
    finally:
        lock.release()


def harvest(
    ledger: Ledger,
    api: ResearchApi,
    hashtags: Mapping[str, int],
    settings: HarvestSettings,
    clock: Clock,
    *,
    wait: bool = False,
    again: bool = False,
    max_requests: int | None = None,
    budget: Mapping[str, int] | None = None,
    on_page: Callable[[str, int], None] = lambda hashtag, new: None,
) -> HarvestSummary:
    """Find so many posts of each hashtag and enter them in the catalog; call it again to go on.

    When the day's allowance is used up it returns, or with `wait` sleeps until the next one. With `again` days
    on which the platform failed are tried once more. `budget` limits the requests of this run for each hashtag, those
    it does not name get none. `on_page` hears of each stored page. Raises `UserError` where the platform refuses the
    credentials.
    """
    ledger.want(hashtags, settings.start, settings.end, settings.window_days)
    if again:
        ledger.try_again(hashtags)
    run = _Run(ledger, api, settings, clock, on_page)
    only: Iterable[str] | None = None if {row.hashtag for row in ledger.progress()} == set(hashtags) else hashtags
    stopped = None
    while stopped is None:
        if budget is not None:
            only = [tag for tag in hashtags if run.spent[tag] < budget.get(tag, 0)]
        search = ledger.next_search(only, settings.open_searches, settings.window_days)
        if search is None:
            break
        if max_requests is not None and run.requests >= max_requests:
            stopped = f"the {max_requests} requests of this run are used"
        elif search.ready_at > clock.now():
            clock.sleep(search.ready_at - clock.now())
        else:
            stopped = run.step(search, wait)
    rows = [row for row in ledger.progress() if row.hashtag in hashtags]
    return HarvestSummary(
        len(rows),
        sum(row.complete for row in rows),
        sum(row.found for row in rows),
        run.new,
        run.requests,
        run.faults,
        sum(row.hashtag in hashtags for row in ledger.unreachable()),
        stopped,
    )


@dataclass
class _Run:
    """One harvest in progress."""

    ledger: Ledger
    api: ResearchApi
    settings: HarvestSettings
    clock: Clock
    on_page: Callable[[str, int], None]
    new: int = 0
    requests: int = 0
    faults: int = 0
    unreachable: int = 0
    rated: int = 0
    failing: int = 0  # server errors in a row, whatever was asked
    hurry: bool = False  # search ids end before they are settled: use them at once
    spent: Counter[str] = field(default_factory=Counter)

    def step(self, search: Search, wait: bool) -> str | None:
        """Ask for one page of a search; return why to stop, if so."""
        self.api.connect()
        if search.search_id is not None and self.clock.now() - search.used_at > self.settings.search_id_s:
            self.ledger.restart(search, keep_cursor=True)
        size, day = self.settings.page_size, day_of(self.clock.now())
        limits = (self.settings.requests_per_day, self.settings.records_per_day)
        if not self.ledger.reserve(search, day, size, limits):
            return self._end_of_day(wait)
        self.requests += 1
        hashtag = self.ledger.hashtag_of(search)
        self.spent[hashtag] += 1
        try:
            answer = self.api.videos(self._request(search, hashtag))
        except ApiFault as error:
            self.faults += 1
            return self._after(error.fault, error.message, search, day, wait)
        self.unreachable = self.rated = self.failing = 0
        if not answer.received and search.fault == EMPTY and search.faults + 1 >= EMPTY_PAGES:
            answer = replace(answer, has_more=False)
        now = self.clock.now()
        ready_at = now + self.settings.settle_s if answer.search_id != search.search_id else now
        if self.hurry or (ready_at == now and search.restarts):
            ready_at = 0.0  # before all others, so that it ends while its search id is good
        new = self.ledger.store(
            search, answer, reserved=size, day=day, now=now, ready_at=ready_at if answer.has_more else now
        )
        self.new += new
        self.on_page(hashtag, new)
        return None

    def _request(self, search: Search, hashtag: str) -> VideoRequest:
        start, end = as_date(search.start_date), as_date(search.end_date)
        query = with_hashtag(hashtag, self.settings.regions)
        return VideoRequest(query, start, end, self.settings.page_size, search.cursor, search.search_id)

    def _after(self, fault: Fault, message: str, search: Search, day: str, wait: bool) -> str | None:
        """Put a search off after a fault, in the way that this fault asks for."""
        s, now, size = self.settings, self.clock.now(), self.settings.page_size
        in_a_row = search.faults if search.fault == fault.value else 0
        failing = fault in (Fault.SERVER, Fault.BROKEN)
        self.failing += failing
        doublings = max(in_a_row, self.failing - 1 if failing else 0)
        delay = min(s.max_retry_s, s.retry_s * 2.0 ** min(doublings, 30))
        if fault is Fault.SEARCH_ID:
            delay = max(delay, s.settle_s / 2)
        is_new_id = search.ready_at > search.used_at
        self.ledger.fault(search, fault.value, reserved=size, day=day, now=now, ready_at=now + delay)
        if fault is Fault.REFUSED and search.start_date == search.end_date:
            self.ledger.give_up(search)
            return None
        if fault is Fault.REFUSED:
            return f"the platform refuses the request: {message}"
        if fault is Fault.UNREACHABLE:
            self.ledger.return_request(day, 0)
            self.unreachable += 1
            self.requests -= 1
            if self.unreachable >= UNREACHABLE_TRIES:
                return "the platform cannot be reached"
            self.clock.sleep(delay)
        elif fault is Fault.RATE:
            self.rated += 1
            if self.rated >= s.rate_tries:
                self.rated = 0
                self.ledger.spend(day)
                return self._end_of_day(wait)
            self.clock.sleep(s.rate_s * self.rated)
        elif fault is Fault.TOKEN and in_a_row + 1 >= TOKEN_TRIES:
            return "the platform refuses the tokens that it gives"
        elif fault is Fault.SEARCH_ID and (in_a_row or not is_new_id):
            self.hurry = is_new_id and not self.hurry
            self.ledger.restart(search, keep_cursor=True)
        elif fault is Fault.CURSOR:
            self._refused_cursor(search, in_a_row)
        elif failing:
            self._failed(search, in_a_row, delay)
        return None

    def _refused_cursor(self, search: Search, in_a_row: int) -> None:
        """Begin again without the search id, then at the first page, then in smaller windows."""
        if search.search_id is not None:
            if in_a_row + 1 >= self.settings.faults_before_restart:
                self.ledger.restart(search, keep_cursor=True)
        elif search.cursor and search.restarts < RESTARTS:
            self.ledger.restart(search, keep_cursor=False)
        elif search.cursor or in_a_row + 1 >= self.settings.faults_before_restart:
            self.ledger.give_up(search)

    def _failed(self, search: Search, in_a_row: int, delay: float) -> None:
        """Cut a window that keeps failing. Where all requests fail, the platform is down: everything waits, ever longer."""
        s = self.settings
        if self.failing > s.open_searches:
            self.clock.sleep(delay)
        tries = s.faults_before_split
        if not search.cursor:
            if in_a_row + 1 >= tries or (search.days > 1 and self.ledger.is_suspect(search)):
                self.ledger.give_up(search)
        elif in_a_row + 1 >= 2 * tries:
            self.ledger.give_up(search)
        elif in_a_row + 1 == tries:
            self.ledger.restart(search, keep_cursor=True)

    def _end_of_day(self, wait: bool) -> str | None:
        midnight = next_midnight(self.clock.now())
        if not wait:
            hours = (midnight - self.clock.now()) / 3600
            return f"today's allowance is used up; it begins anew at 00:00 UTC, in {hours:.1f} h"
        self.clock.sleep(midnight + MIDNIGHT_MARGIN_S - self.clock.now())
        return None
