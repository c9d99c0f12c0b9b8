"""What long work shows: a progress bar with rate and ETA on standard error, tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Rate(ProgressColumn):
    """Items a second since the start."""

    def render(self, task: Task) -> Text:
        """Return the rate as text, such as `3.2/s`."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


def progress() -> Progress:
    """Return a progress display to be used as a context manager."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=err, transient=not err.is_terminal,
    )  # fmt: skip


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Yield `items` while a bar shows how many of `total` are done, at what rate, and how long the rest will take."""
    if not total:
        yield from items
        return
    with progress() as bar:
        task = bar.add_task(description, total=total, note="")
        for item in items:
            yield item
            bar.advance(task)


def table(title: str, rows: Mapping[str, object]) -> None:
    """Print a two-column table: what was done, and how much or where."""
    shown = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2, 0, 0)
    )
    for name, value in rows.items():
        shown.add_row(name, Text(str(value)))
    out.print(shown)
    out.print()
