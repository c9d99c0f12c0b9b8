"""`h2a hashtags`: which hashtags to collect, and where to spend the next requests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hashtag2action.cli.options import CatalogUrl, Set

app = typer.Typer(help="Choose hashtags, and divide requests among them.", no_args_is_help=True)

Workspace = Annotated[Path | None, typer.Option("--workspace", "-w", help="Workspace whose metadata add evidence.")]


@app.command()
def choose(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="CSV to write; what its column `override` says is kept.")
    ] = Path("hashtags.csv"),
    user_list: Annotated[Path | None, typer.Option("--list", help="Your own tags or phrases, one a line.")] = None,
    views: Annotated[Path | None, typer.Option("--views", help="CSV of view counts: tag,views,date.")] = None,
    workspace: Workspace = None,
    catalog: CatalogUrl = None,
    overrides: Set = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Flowchart to write; beside the CSV without it.")
    ] = None,
) -> None:
    """Choose hashtags by the paper's six principles and popularity; write the decisions and a flowchart."""
    from hashtag2action.catalog.store import Catalog
    from hashtag2action.console import table
    from hashtag2action.hashtags.choose import choose as choose_hashtags
    from hashtag2action.hashtags.flowchart import save_flowchart
    from hashtag2action.hashtags.principles import short
    from hashtag2action.hashtags.selection import kept
    from hashtag2action.hashtags.settings import HashtagSettings
    from hashtag2action.settings import load

    settings = load(HashtagSettings, "hashtags", None, overrides or [])
    opened = Catalog(workspace, catalog) if workspace is not None else None
    chosen = choose_hashtags(out, settings, user_list=user_list, views=views, catalog=opened)
    figure = figure or out.with_suffix(".svg")
    save_flowchart(figure, chosen, short(settings.min_views))
    decisions = Counter(choice.decision for choice in chosen.choices)
    categories = Counter(choice.category for choice in kept(chosen.choices))
    rows: dict[str, object] = {"candidates": len(chosen.candidates), **decisions}
    rows |= {f"keep: {name}": number for name, number in categories.most_common()}
    table("Hashtags", rows | {"list": out, "flowchart": figure})
    if not any(choice.views for choice in chosen.choices):
        typer.echo(
            "No views are known, so no tag was dropped for want of them; give --views FILE or a workspace with metadata."
        )


@app.command()
def budget(
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Workspace with a first round of collected videos.")
    ],
    requests: Annotated[
        int, typer.Option("--requests", "-n", min=1, help="How many requests there are to spend.")
    ] = 1000,
    per_hashtag: Annotated[int, typer.Option(min=1, help="Posts at which a hashtag is full.")] = 900,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV to write; budget.csv in the workspace without it.")
    ] = None,
    catalog: CatalogUrl = None,
    overrides: Set = None,
) -> None:
    """Plan the next requests by what each hashtag has given so far; `h2a collect tiktok --budget` spends them."""
    from hashtag2action.catalog.store import Catalog
    from hashtag2action.catalog.yields import tag_yields
    from hashtag2action.console import out as console
    from hashtag2action.console import table
    from hashtag2action.errors import UserError
    from hashtag2action.hashtags.budget import plan_requests, write_plan
    from hashtag2action.hashtags.settings import BudgetSettings
    from hashtag2action.settings import load

    if not workspace.is_dir():
        raise UserError(f"{workspace}: no such workspace; begin with `h2a collect tiktok`")
    settings = load(BudgetSettings, "hashtags", None, overrides or [])
    opened = Catalog(workspace, catalog)
    yields = tag_yields(opened, searched=True)
    if not yields:
        raise UserError(f"{workspace}: no hashtag has been searched for; begin with `h2a collect tiktok`")
    plan = plan_requests(yields, requests, settings, per_hashtag)
    path = out or workspace / "budget.csv"
    write_plan(path, plan)
    console.print(f"{'hashtag':28} {'requests':>8}  {'clips a video (95 %)':22} {'seen':>6} {'kept':>6} {'dupl.':>6}")
    for share in plan[:20]:
        interval = f"{share.yield_mean:.2f} ({share.yield_low:.2f}-{share.yield_high:.2f})"
        console.print(
            f"{share.hashtag[:28]:28} {share.requests:>8}  {interval:22} {share.seen:>6} {share.kept:>6} {share.duplicates:>6}"
        )
    if len(plan) > 20:
        console.print(f"... and {len(plan) - 20} more in the file")
    spent = sum(share.requests for share in plan)
    table(
        "Plan", {"requests": spent, "clips expected": round(sum(share.expected_kept for share in plan)), "plan": path}
    )
