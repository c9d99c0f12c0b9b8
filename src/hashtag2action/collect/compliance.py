"""Keeping to the terms: ask the platform every 15 days which posts are still there, and note which have vanished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.posts import due_for_check, mark_checked
from hashtag2action.collect.clock import Clock
from hashtag2action.collect.research_api import ApiFault, Fault, ResearchApi
from hashtag2action.collect.text import clean_id
from hashtag2action.errors import UserError

REFRESH_DAYS = 15.0  # the terms: data older than this must be refreshed
IDS_A_TASK = 10_000
POLL_S = 30.0
POLLS = 240
PATIENCE = {Fault.RATE, Fault.SERVER, Fault.TOKEN, Fault.BROKEN, Fault.UNREACHABLE}


@dataclass(frozen=True)
class RefreshSummary:
    """How many posts were due, asked for, and found to be gone; `stopped` says why some were not asked for."""

    due: int
    checked: int
    vanished: int
    stopped: str | None


def refresh(ledger: Ledger, api: ResearchApi, clock: Clock, *, days: float = REFRESH_DAYS) -> RefreshSummary:
    """Check every post that was last seen more than `days` ago, 10,000 a task; each task's result is stored at once.

    Raises `UserError` where the platform's answer has a form that is not known: nothing is marked then.
    """
    due = due_for_check(ledger.catalog, ledger.platform, clock.now() - days * 86_400)
    checked = vanished = 0
    for start in range(0, len(due), IDS_A_TASK):
        ids = due[start : start + IDS_A_TASK]
        try:
            gone = _validate(api, ids, clock)
        except ApiFault as error:
            return RefreshSummary(len(due), checked, vanished, str(error))
        vanished += mark_checked(ledger.catalog, ledger.platform, ids, gone & set(ids), clock.now())
        checked += len(ids)
    return RefreshSummary(len(due), checked, vanished, None)


def gone_in(answer: dict[str, Any]) -> set[str] | None:
    """Return the ids that a finished validation task calls gone, None while it runs. Raises `UserError` for other forms.

    The documentation at hand shows neither field names nor words of the result, so several plain forms are read: lists
    of ids under a name that says "invalid", "unavailable", "deleted" or "removed", and lists of objects that give an id
    and its status. An answer that fits none is an error rather than "nothing is gone".
    """
    status = str(answer.get("status", answer.get("task_status", ""))).lower()
    if status in ("pending", "processing", "running", "created", "in_progress", "queued"):
        return None
    if status in ("failed", "error", "expired"):
        raise ApiFault(Fault.SERVER, f"the validation task is {status}")
    lists = list(_lists(answer))
    if not lists:
        raise UserError(
            f"the platform's answer has an unknown form (fields {', '.join(sorted(answer)[:10])}); "
            "write the ids that are gone to a file and use --gone FILE"
        )
    gone: set[str] = set()
    for name, values in lists:
        if any(word in name for word in _GONE):
            gone.update(
                number
                for value in values
                if (number := clean_id(value.get("id") if isinstance(value, dict) else value))
            )
        for value in values:
            if (
                isinstance(value, dict)
                and str(value.get("status", "")).lower() in _GONE
                and (number := clean_id(value.get("id")))
            ):
                gone.add(number)
    return gone


_GONE = ("invalid", "unavailable", "deleted", "removed", "not_found", "gone")


def _lists(answer: dict[str, Any], name: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in answer.items():
        inner = f"{name}.{key}".lower()
        known = any(word in inner for word in _GONE)
        if isinstance(value, dict):
            yield from _lists(value, inner)
        elif isinstance(value, list) and (
            known or all(isinstance(v, dict) and "id" in v and "status" in v for v in value)
        ):
            yield inner, value


def _validate(api: ResearchApi, ids: Sequence[str], clock: Clock) -> set[str]:
    again = tenacity.retry_if_exception(lambda error: isinstance(error, ApiFault) and error.fault in PATIENCE)
    patience = tenacity.Retrying(
        sleep=clock.sleep,
        stop=tenacity.stop_after_attempt(6),
        wait=tenacity.wait_exponential(5, max=300),
        retry=again,
        reraise=True,
    )
    task = patience(api.create_validation, ids)
    for _ in range(POLLS):
        gone = gone_in(patience(api.validation, task))
        if gone is not None:
            return gone
        clock.sleep(POLL_S)
    raise ApiFault(Fault.SERVER, f"the validation task does not end in {POLLS * POLL_S / 3600:.0f} h")
