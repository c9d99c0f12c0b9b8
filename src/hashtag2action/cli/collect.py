"""`h2a collect`: from hashtags or lists to videos on disk, within the rules; and `h2a forget`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action.cli.common import show
from hashtag2action.cli.options import CatalogUrl, Folder, Json, Set
from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.catalog.store import Catalog

app = typer.Typer(help="Collect posts and their videos.", no_args_is_help=True)

Secrets = Annotated[Path | None, typer.Option("--credentials", help="File of mode 600 with client key and secret.")]
ApiUrl = Annotated[str, typer.Option("--api-url", help="The platform's address.")]
Private = Annotated[
    bool, typer.Option("--allow-private", help="Also ask addresses of this machine and private networks.")
]
Permission = Annotated[
    bool, typer.Option("--i-have-permission", help="You may download where a platform's terms do not allow it.")
]
Ytdlp = Annotated[bool, typer.Option("--ytdlp", help="Addresses are video pages: fetch with yt-dlp.")]
API_URL = "https://open.tiktokapis.com"


@app.command()
def tiktok(
    hashtags: Annotated[Path, typer.Argument(help="CSV of `h2a hashtags choose`, or a text file, one tag a line.")],
    workspace: Folder,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="No post is older than this day.")],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day after the newest post.")],
    per_hashtag: Annotated[int, typer.Option(min=1, help="Posts wanted of each hashtag.")] = 900,
    plan: Annotated[bool, typer.Option("--plan", help="Say what is needed, and send nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Sleep through midnights (UTC) until all is done.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also ask for days on which the platform always failed before.")
    ] = False,
    budget: Annotated[
        Path | None, typer.Option(help="CSV of `h2a hashtags budget`: spend just these requests.")
    ] = None,
    credentials: Secrets = None,
    api_url: ApiUrl = API_URL,
    overrides: Set = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Search the Research API for posts of each hashtag, newest first. Run it again to go on."""
    from hashtag2action.catalog.ledger import Ledger
    from hashtag2action.collect import harvest as harvests
    from hashtag2action.collect.clock import SystemClock
    from hashtag2action.collect.lists import read_budget, read_hashtags
    from hashtag2action.collect.settings import HarvestSettings
    from hashtag2action.console import progress
    from hashtag2action.settings import load

    if end <= start:
        raise UserError(f"--end {end:%Y-%m-%d}: must be after --start {start:%Y-%m-%d}")
    given = {"start": start.date(), "end": end.date(), "per_hashtag": per_hashtag}
    settings = load(HarvestSettings, "collect", None, given, overrides or [])
    wanted = dict.fromkeys(read_hashtags(hashtags), settings.per_hashtag)
    requests = read_budget(budget) if budget is not None else None
    ledger, clock = Ledger(_open(workspace, catalog)), SystemClock()
    needed = harvests.plan(ledger, wanted, settings, clock.now())
    if plan:
        show("Least needed", asdict(needed), json)
        return
    api = _connect(credentials, api_url)
    with harvests.only_one(workspace), progress() as bar:
        task = bar.add_task("harvest", total=needed.posts, note="")

        def on_page(hashtag: str, new: int) -> None:
            bar.update(task, advance=new, note=f"#{hashtag}")

        result = harvests.harvest(
            ledger, api, wanted, settings, clock, wait=wait, again=again, budget=requests, on_page=on_page
        )
    show("Harvested", asdict(result), json)
    if result.unreachable:
        typer.echo("On some days the platform always fails; `h2a collect status` lists them, --again asks once more.")


@app.command()
def files(
    source: Annotated[
        Path, typer.Argument(help="Folder of videos, or a CSV or JSON lines manifest of files and URLs.")
    ],
    workspace: Folder,
    download: Annotated[bool, typer.Option("--download", help="Fetch the URLs that the manifest lists.")] = False,
    ytdlp: Ytdlp = False,
    allow_private: Private = False,
    permission: Permission = False,
    overrides: Set = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Enter videos of a folder or manifest, with licence and origin; with --download fetch what has a URL."""
    from hashtag2action.collect.sources import add_folder, add_manifest

    opened = _open(workspace, catalog)
    if source.is_dir():
        show("Entered", add_folder(opened, source), json)
        return
    result = add_manifest(opened, source)
    if not download:
        show("Entered", result, json)
        return
    show("Entered", result, None)
    _download(opened, None, None, ytdlp, None, allow_private, permission, overrides, json)


@app.command()
def download(
    workspace: Folder,
    hashtags: Annotated[Path | None, typer.Option("--hashtags", help="Only posts of these: CSV or text file.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many files.")] = None,
    ytdlp: Ytdlp = False,
    url: Annotated[str | None, typer.Option(help="Where files are, instead: an address with {id} in it.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also try what was refused before.")] = False,
    allow_private: Private = False,
    permission: Permission = False,
    overrides: Set = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Fetch the files of collected posts, register them, and list them for `h2a run`."""
    _download(
        _existing(workspace, catalog), hashtags, limit, ytdlp, url, allow_private, permission, overrides, json, again
    )


@app.command()
def refresh(
    workspace: Folder,
    days: Annotated[float, typer.Option(min=0, help="Check posts last seen longer ago than this.")] = 15.0,
    gone: Annotated[
        Path | None, typer.Option(help="Take the ids that are gone from this file; the platform is not asked.")
    ] = None,
    credentials: Secrets = None,
    api_url: ApiUrl = API_URL,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Ask the platform which posts are still there, and mark those that are not; `h2a forget --vanished` removes them."""
    from hashtag2action.catalog.ledger import Ledger
    from hashtag2action.catalog.posts import mark_checked
    from hashtag2action.collect import compliance
    from hashtag2action.collect.clock import SystemClock

    ledger, clock = Ledger(_existing(workspace, catalog)), SystemClock()
    if gone is not None:
        ids = gone.read_text(encoding="utf-8").split() if gone.is_file() else None
        if ids is None:
            raise UserError(f"{gone}: no such file; write one id a line")
        show("Marked", {"vanished": mark_checked(ledger.catalog, ledger.platform, ids, set(ids), clock.now())}, json)
        return
    show("Refreshed", asdict(compliance.refresh(ledger, _connect(credentials, api_url), clock, days=days)), json)


@app.command()
def export(
    workspace: Folder,
    out: Annotated[Path, typer.Argument(help="CSV to write.")],
    usernames: Annotated[bool, typer.Option("--usernames", help="Real user names, in place of pseudonyms.")] = False,
    catalog: CatalogUrl = None,
) -> None:
    """Write all posts to a CSV; users have pseudonyms."""
    from hashtag2action.collect.export import export_posts

    show(
        "Exported", {"posts": export_posts(_existing(workspace, catalog), out, usernames=usernames), "file": out}, None
    )


@app.command()
def status(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Count searches, requests, downloads and failures."""
    from hashtag2action.collect.sources import describe_collection

    result = describe_collection(_existing(workspace, catalog))
    show("Collection", result, json)
    for day in result["unreachable"]:
        typer.echo(f"#{day['hashtag']}: the platform fails on every window with {day['start']}")


def forget(
    workspace: Folder,
    target: Annotated[str | None, typer.Argument(help="A video: post id, address, path or SHA-256; or @user.")] = None,
    vanished: Annotated[
        bool, typer.Option("--vanished", help="All posts that `h2a collect refresh` found gone.")
    ] = False,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Remove a video, all of a user, or what vanished: files, clips, features and rows. A keyed hash remains."""
    from hashtag2action.collect import forget as forgets
    from hashtag2action.collect.clock import SystemClock

    if (target is None) == (not vanished):
        raise UserError("forget: name one video or @user, or give --vanished")
    opened, now = _existing(workspace, catalog), SystemClock().now()
    if target is None:
        gone = forgets.forget_vanished(opened, now)
    elif target.startswith("@"):
        gone = forgets.forget_user(opened, target[1:], now)
    else:
        gone = forgets.forget_video(opened, target, now)
    rows = asdict(gone) | {"files": len(gone.files), "removed": list(gone.files), "outside": list(gone.outside)}
    show(
        "Forgotten",
        {name: value for name, value in rows.items() if name != "seen_by"} | {"seen_by": gone.seen_by},
        json,
    )
    for path in gone.outside:
        typer.echo(f"Not in the workspace, so yours to remove: {path}")
    for run, clips in gone.seen_by.items():
        typer.echo(
            f"{run} was trained or tested on {clips} of these clips; a model cannot unlearn them: retrain, or delete it."
        )
    typer.echo(
        "Run `h2a curate` and `h2a report` to bring clips and report up to date."
        if gone.videos
        else "No file was held of these."
    )


def _download(
    catalog: Catalog,
    hashtags: Path | None,
    limit: int | None,
    ytdlp: bool,
    url: str | None,
    allow_private: bool,
    permission: bool,
    overrides: list[str] | None,
    json: Path | None,
    again: bool = False,
) -> None:
    from hashtag2action.collect.lists import read_hashtags
    from hashtag2action.collect.settings import DownloadSettings
    from hashtag2action.collect.sources import fetch_files
    from hashtag2action.settings import load

    settings = load(
        DownloadSettings, "collect", None, {"allow_private": True} if allow_private else {}, overrides or []
    )
    tags = read_hashtags(hashtags) if hashtags is not None else None
    show(
        "Downloaded",
        fetch_files(
            catalog, settings, hashtags=tags, limit=limit, ytdlp=ytdlp, url=url, permission=permission, again=again
        ),
        json,
    )


def _connect(credentials: Path | None, api_url: str) -> Any:
    from hashtag2action.collect.clock import SystemClock
    from hashtag2action.collect.credentials import load_credentials
    from hashtag2action.collect.research_api import ResearchApi

    return ResearchApi(load_credentials(credentials), SystemClock(), api_url)


def _open(workspace: Path, url: str | None) -> Catalog:
    from hashtag2action.catalog.store import Catalog

    catalog = Catalog(workspace, url)
    return catalog


def _existing(workspace: Path, url: str | None) -> Catalog:
    if not workspace.is_dir():
        raise UserError(f"{workspace}: no such workspace; begin with `h2a collect tiktok` or `h2a collect files`")
    return _open(workspace, url)
