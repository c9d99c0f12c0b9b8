"""Documents for people: the data card and figures of a snapshot, and the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashtag2action.cli.common import require, show
from hashtag2action.cli.options import CatalogUrl, Folder, Json
from hashtag2action.errors import UserError

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write to; the workspace's report without it.")]


def data(
    workspace: Folder,
    name: Annotated[str | None, typer.Argument(help="Snapshot; the newest, or all clips, without one.")] = None,
    out: Out = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Write a data card (Datasheets for Datasets) as Markdown, and the paper's figures as SVG and CSV."""
    from hashtag2action.catalog.store import Catalog
    from hashtag2action.files import atomic_write
    from hashtag2action.report.cards import markdown
    from hashtag2action.report.clip_figures import clip_figures
    from hashtag2action.report.data_card import data_card, described
    from hashtag2action.report.figures import save_figure

    require(workspace)
    opened = Catalog(workspace, catalog)
    described_set = described(opened, name)
    if not described_set.clips:
        raise UserError(f"{workspace}: no clips to describe yet; curate some first")
    folder = out or opened.workspace / "report" / "snapshots" / (described_set.name or "catalog")
    card = data_card(opened, described_set)
    atomic_write(folder / f"{card.name}.md", markdown(card))
    drawn = clip_figures(described_set.clips, opened.workspace)
    files = [str(path) for figure in drawn for path in save_figure(figure, folder)]
    show("Data card", {"clips": len(described_set.clips), "digest": described_set.digest, "card": folder / f"{card.name}.md", "figures": len(drawn), "files": files}, json)  # fmt: skip


def model(
    workspace: Folder,
    out: Out = None,
    watts: Annotated[
        float | None, typer.Option("--watts", min=0, help="Power of one device at work, if known.")
    ] = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Write a card of the latest model as Markdown: data, settings, compute, energy, results with intervals."""
    from hashtag2action.catalog.store import Catalog
    from hashtag2action.files import atomic_write
    from hashtag2action.report.cards import markdown
    from hashtag2action.report.model_card import model_card

    require(workspace)
    opened = Catalog(workspace, catalog)
    card = model_card(opened, watts)
    if card is None:
        raise UserError(f"{workspace}: no model yet; run `h2a pretrain` or `h2a finetune` first")
    path = (out or opened.workspace / "report") / f"{card.name}.md"
    atomic_write(path, markdown(card))
    show("Model card", {"card": path}, json)
