"""Fetching many files: a bounded number at a time, few from any one host, and every outcome in the catalog."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hashtag2action.catalog.downloads import Attempted, Wanted, arrived, record
from hashtag2action.catalog.harvest import DownloadState, Post
from hashtag2action.catalog.posts import hashtags_of, link_videos
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.tombstones import Pseudonyms, forgotten
from hashtag2action.collect.fetch import Fetched, fetch
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.collect.text import clean_text
from hashtag2action.console import track

TITLE_CHARACTERS = 200

Fetch = Callable[[str, Path, DownloadSettings], Fetched]


@dataclass(frozen=True)
class DownloadSummary:
    """How many files were asked for, and what became of them."""

    wanted: int
    fetched: int
    bytes: int
    to_retry: int
    refused: int
    problems: dict[str, int]  # of the attempts that failed


def download(
    catalog: Catalog, wanted: Iterable[Wanted], settings: DownloadSettings, fetch_one: Fetch = fetch
) -> DownloadSummary:
    """Fetch files into the workspace's `videos/` and record each; files that were forgotten are not kept.

    The name of a file comes from a hash of the post's id, never from what its platform says.
    """
    items = list(wanted)
    counts: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    size = 0
    pseudonyms = Pseudonyms(catalog.workspace)
    for item, done in track(_in_turn(catalog.workspace, items, settings, fetch_one), len(items), "download"):
        outcome = _outcome(catalog, pseudonyms, item, done)
        record(catalog, outcome)
        counts[outcome.state.value] += 1
        size += outcome.size_bytes or 0
        problems.update(failure.problem.value for failure in done.failures)
    return DownloadSummary(
        len(items), counts[DownloadState.DONE.value], size, counts[DownloadState.RETRY.value],
        counts[DownloadState.REFUSED.value], dict(problems.most_common()),
    )  # fmt: skip


def entries(catalog: Catalog) -> dict[int, Entry]:
    """Return the catalog entries of files that have arrived, by post; posts of one user share a group."""
    paths, pseudonyms = arrived(catalog), Pseudonyms(catalog.workspace)
    found = {}
    with catalog.session() as session:
        tags = hashtags_of(session, paths)
        for post_id, path in paths.items():
            post = session.get_one(Post, post_id)
            group = pseudonyms.name(f"{post.platform}:{post.username}" if post.username else None)
            label = clean_text(post.raw.get("label") if post.raw else None, 256)
            entry = Entry(
                catalog.workspace / path, tuple(tags.get(post_id, ()))[:64], label, group,
                (post.caption or "")[:TITLE_CHARACTERS],
            )  # fmt: skip
            found[post_id] = entry
    return found


def link(catalog: Catalog, registered: dict[int, Entry]) -> None:
    """Note which registered video is the file of which post."""
    link_videos(catalog, {post_id: str(entry.path) for post_id, entry in registered.items()})


def _in_turn(
    workspace: Path, items: list[Wanted], settings: DownloadSettings, fetch_one: Fetch
) -> Iterable[tuple[Wanted, Fetched]]:
    """Yield outcomes as they come; a host that is slow or large holds up its own files alone."""
    queues: dict[str, deque[Wanted]] = {}
    for item in items:
        queues.setdefault(_host(item.url), deque()).append(item)
    busy: Counter[str] = Counter()
    running: dict[futures.Future[Fetched], Wanted] = {}
    with futures.ThreadPoolExecutor(settings.workers, thread_name_prefix="download") as pool:
        while queues or running:
            for host in [host for host in queues if busy[host] < settings.per_host]:
                while queues[host] and busy[host] < settings.per_host and len(running) < settings.workers:
                    item = queues[host].popleft()
                    busy[host] += 1
                    running[pool.submit(fetch_one, item.url, workspace / _target(item), settings)] = item
                if not queues[host]:
                    del queues[host]
            for future in futures.wait(running, return_when=futures.FIRST_COMPLETED).done:
                item = running.pop(future)
                busy[_host(item.url)] -= 1
                yield item, future.result()


def _outcome(catalog: Catalog, pseudonyms: Pseudonyms, item: Wanted, done: Fetched) -> Attempted:
    failures = tuple((failure.at, failure.problem.value, failure.detail) for failure in done.failures)
    if done.path is None:
        may_pass = bool(done.failures) and done.failures[-1].problem.may_pass
        return Attempted(item.post_id, DownloadState.RETRY if may_pass else DownloadState.REFUSED, failures=failures)
    with catalog.session() as session:
        buried = forgotten(session, [pseudonyms.digest("file", done.sha256)])
    if buried:
        done.path.unlink(missing_ok=True)
        return Attempted(item.post_id, DownloadState.REFUSED, failures=failures)
    path = os.path.relpath(done.path, catalog.workspace)
    return Attempted(item.post_id, DownloadState.DONE, path, done.size_bytes, done.sha256, failures)


def _target(item: Wanted) -> Path:
    name = hashlib.sha256(f"{item.platform}:{item.platform_id}".encode()).hexdigest()[:32]
    return Path("videos") / name[:2] / name


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
