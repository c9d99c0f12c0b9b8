"""The figures of the paper from a list of clips, such as a snapshot: clips per hashtag, ranges, lengths, samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from hashtag2action.catalog.clip_facts import SnapshotClip
from hashtag2action.catalog.statistics import COUNT_RANGES, DURATION_BINS
from hashtag2action.report import data_figures
from hashtag2action.report.figures import INK, PAPER, Figure, shorten
from hashtag2action.report.pictures import thumbnail

SAMPLES, COLUMNS = 12, 4
CELL_PX, PICTURE_PX, CAPTION_PX, TITLE_PX = 148, 140, 24, 34  # at 600 px wide


def clip_figures(clips: Sequence[SnapshotClip], workspace: Path) -> list[Figure]:
    """Return every figure that these clips give; what needs hashtags is left out where there are none."""
    tags = Counter(tag for clip in clips for tag in clip.hashtags)
    lengths = bins([clip.scene_s for clip in clips], DURATION_BINS)
    drawn = [per_hashtag(tags)] if tags else []
    if tags:
        ranges = bins(list(tags.values()), COUNT_RANGES)
        drawn += [data_figures.count_ranges(ranges), data_figures.count_pie(ranges)]
    drawn += [data_figures.durations(lengths), data_figures.duration_table(lengths)]
    return [*drawn, sample_clips(clips, workspace)]


def bins(values: Sequence[float], edges: Sequence[tuple[str, float]]) -> dict[str, int]:
    """Count values by bins, each named with its lower edge."""
    counts = dict.fromkeys((name for name, _ in edges), 0)
    for value in values:
        counts[[name for name, edge in edges if value >= edge][-1]] += 1
    return counts


def per_hashtag(tags: Counter[str]) -> Figure:
    """Clips of each hashtag (paper, Figure 1); the most frequent ones where there are many, the CSV has all."""
    ranked = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    shown = {shorten(name, 18): count for name, count in ranked[: data_figures.MAX_BARS]}
    figure = data_figures.ranking(
        "clips-per-hashtag", f"Clips per hashtag: {len(tags):,} hashtags, {min(tags.values()):,} to {max(tags.values()):,} clips", shown
    )  # fmt: skip
    return replace(figure, rows=[("hashtag", "clips"), *ranked])


def sample_clips(clips: Sequence[SnapshotClip], workspace: Path) -> Figure:
    """A frame of each of a dozen clips, spread over hashtags; which ones follows from their hashes."""
    chosen = _spread(clips)
    rows_down = -(-len(chosen) // COLUMNS)
    height = TITLE_PX + rows_down * (PICTURE_PX + CAPTION_PX)
    title = f"{len(chosen)} of {len(clips):,} clips"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="450pt" height="{0.75 * height:g}pt" '
        f'viewBox="0 0 600 {height}" version="1.1">',
        f"<title>{escape(title)}</title>",
        f'<rect width="600" height="{height}" style="fill: {PAPER}"/>',
        f'<text x="8" y="22" style="font-size: 16px; font-weight: bold; font-family: \'DejaVu Sans\'; fill: {INK}">{escape(title)}</text>',
    ]
    for place, clip in enumerate(chosen):
        x, y = 4 + place % COLUMNS * CELL_PX, TITLE_PX + place // COLUMNS * (PICTURE_PX + CAPTION_PX)
        name = shorten(" ".join(f"#{tag}" for tag in clip.hashtags[:1]) or clip.label or clip.title, 17)
        picture = thumbnail(workspace / clip.path, PICTURE_PX)
        if picture is not None:
            left, top = x + (CELL_PX - picture.width) / 2, y + (PICTURE_PX - picture.height) / 2
            parts.append(f'<image x="{left:g}" y="{top:g}" width="{picture.width}" height="{picture.height}" xlink:href={quoteattr(picture.uri)}/>')  # fmt: skip
        parts.append(f"<text x=\"{x + CELL_PX / 2:g}\" y=\"{y + PICTURE_PX + 16}\" text-anchor=\"middle\" style=\"font-size: 13px; font-family: 'DejaVu Sans'; fill: {INK}\">{escape(name)}</text>")  # fmt: skip
    alt = ", ".join(" ".join(clip.hashtags[:1]) or clip.title for clip in chosen)
    header = ("clip", "title", "hashtags", "duration_s", "sha256")
    table = [(c.path, c.title, " ".join(c.hashtags), round(c.duration_s, 2), c.sha256) for c in chosen]
    return Figure("sample-clips", title, alt, "\n".join([*parts, "</svg>"]), [header, *table])


def _spread(clips: Sequence[SnapshotClip]) -> list[SnapshotClip]:
    """Return at most `SAMPLES` clips, of as many hashtags as can be."""
    used: Counter[str] = Counter()
    ranked = []
    for order, clip in enumerate(sorted(clips, key=lambda clip: clip.sha256)):
        tag = clip.hashtags[0] if clip.hashtags else ""
        ranked.append((used[tag], order, clip))
        used[tag] += 1
    return [clip for _, _, clip in sorted(ranked, key=lambda item: item[:2])[:SAMPLES]]
