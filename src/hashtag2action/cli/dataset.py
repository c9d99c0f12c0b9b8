"""`h2a dataset`: freeze what curation kept, compare, divide and pack it, and see what each hashtag gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action.cli.check import check
from hashtag2action.cli.common import require, show
from hashtag2action.cli.options import CatalogUrl, Folder, Json

if TYPE_CHECKING:
    from hashtag2action.catalog.snapshot import Snapshot
    from hashtag2action.catalog.store import Catalog

app = typer.Typer(help="Freeze, compare, divide and pack the curated clips.", no_args_is_help=True)
app.command()(check)

Name = Annotated[str, typer.Argument(help="Snapshot, as `h2a dataset show` lists them.")]
Several = list[str] | None


@app.command()
def freeze(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    workspace: Folder,
    hashtag: Annotated[Several, typer.Option("--hashtag", help="Only clips of this hashtag. May be repeated.")] = None,
    licence: Annotated[Several, typer.Option("--licence", help="Only of this licence. May be repeated.")] = None,
    language: Annotated[Several, typer.Option("--language", help="Only in this language. May be repeated.")] = None,
    region: Annotated[Several, typer.Option("--region", help="Only from this region. May be repeated.")] = None,
    min_quality: Annotated[float, typer.Option(min=0, max=1, help="Only clips that score so much.")] = 0.0,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Write an immutable snapshot of the accepted clips, with a digest of its content and a data card."""
    from hashtag2action.catalog.snapshot import Only
    from hashtag2action.catalog.snapshot import freeze as freeze_clips
    from hashtag2action.settings import read_json

    opened = _open(workspace, catalog)
    kept = workspace / "settings.json"
    settings = read_json(kept).get("curate", {}) if kept.is_file() else {}
    hashtags, licences, languages, regions = (tuple(words or ()) for words in (hashtag, licence, language, region))
    only = Only(hashtags, licences, languages, regions, min_quality)
    _show_card("Frozen", freeze_clips(opened, name, settings, only), json)


@app.command(name="show")
def show_snapshot(
    workspace: Folder,
    name: Annotated[str | None, typer.Argument(help="Snapshot; all are listed without one.")] = None,
    json: Json = None,
) -> None:
    """Show a snapshot's card and prove its content; without a name, list the snapshots."""
    from hashtag2action.catalog.snapshot import read_snapshot, snapshot_names

    require(workspace)
    if name is not None:
        _show_card("Snapshot", read_snapshot(workspace, name), json)
        return
    found = [read_snapshot(workspace, each) for each in snapshot_names(workspace)]
    rows = {one.name: f"{one.digest[:16]}  {len(one.clips)} clips  {one.card['frozen_at']}" for one in found}
    show("Snapshots", rows or {"": "none yet; `h2a dataset freeze NAME` makes one"}, json)


@app.command()
def diff(old: Name, new: Name, workspace: Folder, json: Json = None) -> None:
    """Say which clips one snapshot has and another has not, and which changed; counts by hashtag."""
    from hashtag2action.catalog.snapshot import read_snapshot
    from hashtag2action.catalog.snapshot_changes import diff as compare
    from hashtag2action.catalog.snapshot_changes import facts_changed

    require(workspace)
    found = compare(read_snapshot(workspace, old), read_snapshot(workspace, new))
    tags = {
        f"#{tag}" if tag else "no hashtag": f"+{more} -{less} ~{other}"
        for tag, (more, less, other) in found.by_hashtag().items()
    }
    counts = {"added": len(found.added), "removed": len(found.removed), "changed": len(found.changed)}
    result = {
        **counts,
        "unchanged": found.unchanged,
        "hashtags": tags,
        "added_clips": [clip.path for clip in found.added],
        "removed_clips": [clip.path for clip in found.removed],
        "changed_clips": [{"path": now.path, "facts": facts_changed(was, now)} for was, now in found.changed],
    }
    show(f"{old} -> {new}", result, json)


@app.command()
def subset(
    snapshot: Name,
    name: Annotated[str, typer.Argument(help="What to call the new snapshot.")],
    workspace: Folder,
    size: Annotated[int, typer.Option("--size", "-n", min=1, help="Clips wanted.")],
    seed: Annotated[int, typer.Option("--seed", help="Subsets of one seed lie within each other.")] = 0,
    per_hashtag: Annotated[bool, typer.Option("--per-hashtag", help="As evenly over hashtags as can be.")] = False,
    top_quality: Annotated[bool, typer.Option("--top-quality", help="The best by quality score.")] = False,
    json: Json = None,
) -> None:
    """Write a part of a snapshot as a snapshot of its own."""
    from hashtag2action.catalog.snapshot import read_snapshot, save
    from hashtag2action.catalog.snapshot import subset as choose

    require(workspace)
    whole = read_snapshot(workspace, snapshot)
    clips = choose(whole, size, seed, per_hashtag, top_quality)
    way = "top_quality" if top_quality else "per_hashtag" if per_hashtag else "random"
    of = {"name": whole.name, "digest": whole.digest, "clips": len(whole.clips), "size": size, "seed": seed, "by": way}
    more = {"subset_of": of, "settings": whole.card.get("settings", {})}
    _show_card("Subset", save(workspace, name, clips, more), json)


@app.command()
def shards(
    snapshot: Name,
    out: Annotated[Path, typer.Argument(help="Folder for the shards.")],
    workspace: Folder,
    shard_mb: Annotated[float, typer.Option(min=0.01, help="Size of a shard in 10^6 bytes.")] = 1000.0,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Pack a snapshot's clips in WebDataset shards; `h2a pretrain --shards` reads them in place."""
    from hashtag2action.catalog.shard_sets import record_shards
    from hashtag2action.catalog.snapshot import read_snapshot
    from hashtag2action.console import progress
    from hashtag2action.data.shards import ShardClip, write_shards

    opened = _open(workspace, catalog)
    frozen = read_snapshot(workspace, snapshot)
    clips = [ShardClip(workspace / clip.path, clip.sha256, clip.size_bytes, clip.about()) for clip in frozen.clips]
    record_shards(opened, out, frozen.name)
    about = {"snapshot": frozen.name, "digest": frozen.digest}
    number = 0
    with progress() as bar:
        task = bar.add_task("shards", total=len(clips), note="")
        for shard, packed in write_shards(clips, out, shard_mb, about):
            bar.update(task, advance=packed, note=shard)
            number += 1
    show("Packed", {**about, "clips": len(clips), "shards": number, "folder": out}, json)


@app.command()
def yields(
    workspace: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV to write; else yields.csv in it.")] = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Write what each hashtag gave: kept of seen, people, duplicates, quality; `h2a hashtags budget` goes by it."""
    from dataclasses import asdict

    from hashtag2action.catalog.yields import tag_yields, write_yields
    from hashtag2action.console import table

    rows = tag_yields(_open(workspace, catalog))
    path = out or workspace / "yields.csv"
    write_yields(path, rows)
    best = sorted(rows, key=lambda row: (-row.kept_share, row.hashtag))[:20]
    table(
        "Yields (best 20)",
        {f"#{row.hashtag}": f"{row.kept_share:.0%}: {row.kept} of {row.decided} decided" for row in best},
    )
    show("Written", {"hashtags": len(rows), "file": path}, None)
    if json is not None:
        from hashtag2action.files import write_json

        write_json(json, [asdict(row) | {"kept_share": row.kept_share} for row in rows])


def _show_card(title: str, snapshot: Snapshot, json: Path | None) -> None:
    from hashtag2action.cli.common import write
    from hashtag2action.console import table

    card = snapshot.card
    rows: dict[str, Any] = {key: card[key] for key in ("name", "digest", "frozen_at", "clips", "videos", "hours")}
    for key in ("hashtags", "licences", "sources"):
        words = [f"{name} {number}" for name, number in card[key].items()]
        rows[key] = ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
    if part := card.get("subset_of"):
        rows["part of"] = f"{part['name']} ({part['by']}, seed {part['seed']})"
    if gone := card.get("forgotten"):
        rows["forgotten since"] = sum(entry["clips"] for entry in gone)
    table(title, rows | {"folder": snapshot.folder})
    write(card, json)


def _open(workspace: Path, url: str | None) -> Catalog:
    from hashtag2action.catalog.store import Catalog

    require(workspace)
    return Catalog(workspace, url)
