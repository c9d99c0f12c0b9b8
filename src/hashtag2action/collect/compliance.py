"""Keeping to the terms: ask the platform every 15 days which posts are still there, and note which have vanished.

A validation task takes a file of ids and gives back a text file of those that are valid
(developers.tiktok.com/doc/batch-compliance-apis), so what is not in it has vanished. A cut or changed file would
look like many deletions; therefore a post is only marked when a second task, with posts among it that the first one
has found, does not list it either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.posts import due_for_check, mark_checked
from hashtag2action.collect.clock import Clock
from hashtag2action.collect.research_api import ApiFault, Fault, ResearchApi
from hashtag2action.collect.text import clean_text
from hashtag2action.errors import UserError

REFRESH_DAYS = 15.0  # the terms: data older than this must be refreshed
IDS_A_TASK = 10_000
CONTROLS = 100  # posts known to be there, in the task that confirms what has vanished
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

    Raises `UserError` where the platform's answer has a form that is not known: none of that task's posts is marked.
    """
    due = due_for_check(ledger.catalog, ledger.platform, clock.now() - days * 86_400)
    checked = vanished = 0
    for start in range(0, len(due), IDS_A_TASK):
        ids = due[start : start + IDS_A_TASK]
        try:
            gone = _gone(api, ids, clock)
        except ApiFault as error:
            return RefreshSummary(len(due), checked, vanished, str(error))
        vanished += mark_checked(ledger.catalog, ledger.platform, ids, gone, clock.now())
        checked += len(ids)
    return RefreshSummary(len(due), checked, vanished, None)


def is_ready(answer: dict[str, Any]) -> bool:
    """Whether a validation task is completed, by its status. Raises `ApiFault` where it failed, `UserError` for other words."""
    status = clean_text(str(answer.get("task_status") or answer.get("status") or ""), 32) or "no status"
    if status.lower() in ("completed", "complete", "done", "success"):
        return True
    if status.lower() in ("processing", "pending", "running", "created", "queued", "in_progress"):
        return False
    if status.lower() in ("failed", "error", "expired"):
        raise ApiFault(Fault.SERVER, f"the validation task is {status}")
    raise _unknown(f"status `{status}`")


def valid_ids(body: bytes, asked: Iterable[str]) -> set[str]:
    """Return the ids in the file of a completed task: numbers with anything but letters between them, a heading allowed.

    Raises `UserError` for a file that is empty, or has anything else than `asked` ids in it.
    """
    text = body.decode("utf-8-sig", "replace")
    tokens = [token for token in re.split(r"[\s,;\"'\[\]]+", text) if token]
    if tokens and re.fullmatch("[A-Za-z_ ]{1,32}", tokens[0]):
        del tokens[0]
    found = set(tokens)
    if not found:
        raise _unknown("an empty file")
    if strange := found - set(asked):
        raise _unknown(f"`{clean_text(min(strange), 20)}` in the file, which was not asked for")
    return found


def _gone(api: ResearchApi, ids: Sequence[str], clock: Clock) -> set[str]:
    """Return those of `ids` that two tasks do not list."""
    valid = _validate(api, ids, clock)
    gone = [name for name in ids if name not in valid]
    if not gone:
        return set()
    controls = sorted(valid)[:CONTROLS]
    again = _validate(api, [*gone[: IDS_A_TASK - len(controls)], *controls], clock)
    if missing := set(controls) - again:
        raise _unknown(f"{len(missing)} posts listed by one task and not by the next")
    return set(gone[: IDS_A_TASK - len(controls)]) - again


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
        if is_ready(patience(api.validation_status, task)):
            return valid_ids(patience(api.validation_file, task), ids)
        clock.sleep(POLL_S)
    raise ApiFault(Fault.SERVER, f"the validation task does not end in {POLLS * POLL_S / 3600:.0f} h")


def _unknown(what: str) -> UserError:
    return UserError(
        f"the platform's answer has an unknown form ({what}), so no post is marked; "
        "write the ids that are gone to a file and use --gone FILE"
    )
