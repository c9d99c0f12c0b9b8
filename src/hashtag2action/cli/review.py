"""`h2a review`: what a person decides about videos outranks the engine, now and at every curation to come."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hashtag2action.cli.common import require, show
from hashtag2action.cli.options import CatalogUrl, Folder, Json

if TYPE_CHECKING:
    from hashtag2action.catalog.schema import Decision
    from hashtag2action.catalog.store import Catalog

app = typer.Typer(help="Look at what the engine could not decide, and decide it.", no_args_is_help=True)

Videos = Annotated[
    list[str], typer.Argument(help="Videos: the first digits (6 or more) of the content's hash, or a path.")
]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")]
Why = Annotated[str, typer.Option("--why", help="The reason, to be kept with the verdict.")]
Every = Annotated[bool, typer.Option("--all", help="Also what is accepted or rejected already.")]


@app.command(name="list")
def list_queue(
    workspace: Folder,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    every: Every = False,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """List the videos that wait for a reviewer, with the clip to look at."""
    from hashtag2action.catalog.reviews import queue, verdicts
    from hashtag2action.catalog.statistics import describe
    from hashtag2action.cli.common import write
    from hashtag2action.console import table

    opened = _open(workspace, catalog)
    told = verdicts(opened)
    rows = []
    for video in queue(opened, *_decisions(every), limit=limit):
        said = told.get(video.sha256 or "")
        rows.append(
            {
                "sha256": video.sha256,
                "decision": video.decision,
                "reason": video.reason,
                "title": video.title,
                "hashtags": [tag.hashtag for tag in video.hashtags],
                "clip": str(workspace / video.clips[0].path) if video.clips else None,
                "by": said.by if said else None,
                "why": said.why if said else None,
            }
        )
    shown = {str(row["sha256"])[:12]: f"{row['reason']}  {row['title']}  {row['clip'] or ''}" for row in rows}
    table("Review", shown or {"": "nothing waits for a reviewer"})
    table("In all", {"waiting": describe(opened).review, "verdicts on record": len(told)})
    write({"videos": rows}, json)


@app.command()
def accept(
    videos: Videos, workspace: Folder, by: By = None, why: Why = "", json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Take videos into the data set, whatever the engine said."""
    from hashtag2action.catalog.schema import Decision

    _decide(Decision.ACCEPTED, videos, workspace, by, why, json, catalog)


@app.command()
def reject(
    videos: Videos, workspace: Folder, by: By = None, why: Why = "", json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Take videos out of the data set, whatever the engine said."""
    from hashtag2action.catalog.schema import Decision

    _decide(Decision.REJECTED, videos, workspace, by, why, json, catalog)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="CSV to write; fill in `verdict` with accept or reject.")],
    workspace: Folder,
    sheets: Annotated[Path | None, typer.Option(help="Folder for a picture of six frames of each clip.")] = None,
    every: Every = False,
    catalog: CatalogUrl = None,
) -> None:
    """Write the queue to a CSV, to be worked through in a spreadsheet."""
    from hashtag2action.catalog.review_list import write_list
    from hashtag2action.catalog.reviews import queue

    opened = _open(workspace, catalog)
    number = write_list(opened.workspace, queue(opened, *_decisions(every)), out, sheets)
    show("Exported", {"videos": number, "list": out, "pictures": sheets})


@app.command(name="import")
def import_list(
    source: Annotated[Path, typer.Argument(help="CSV of `h2a review export`, filled in.")],
    workspace: Folder,
    by: By = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Read the verdicts of a CSV and let them take effect."""
    import time

    from hashtag2action.catalog.review_list import read_list
    from hashtag2action.catalog.reviews import record

    opened = _open(workspace, catalog)
    reviews = read_list(source, by or _me(), time.time())
    show("Imported", {"verdicts": len(reviews), **asdict(record(opened, reviews))}, json)


def _decide(
    decision: Decision, videos: list[str], workspace: Path, by: str | None, why: str, json: Path | None, url: str | None
) -> None:
    from hashtag2action.catalog.reviews import Review, find_content, record

    opened = _open(workspace, url)
    contents = find_content(opened, videos)
    done = record(opened, [Review(sha256, decision, by or _me(), why) for sha256 in contents])
    show("Reviewed", asdict(done), json)
    if done.waiting:
        typer.echo(f"{done.waiting} accepted without a clip yet; run `h2a curate` to cut it.")


def _decisions(every: bool) -> list[Decision]:
    from hashtag2action.catalog.schema import Decision

    return [Decision.REVIEW, Decision.ACCEPTED, Decision.REJECTED] if every else [Decision.REVIEW]


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # a user without a name, as in some containers


def _open(workspace: Path, url: str | None) -> Catalog:
    from hashtag2action.catalog.store import Catalog

    require(workspace)
    return Catalog(workspace, url)
