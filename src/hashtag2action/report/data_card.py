"""The data card: Datasheets for Datasets (Gebru et al., 2021), filled from a snapshot and the catalog behind it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hashtag2action.catalog.clip_facts import SnapshotClip, clip_facts
from hashtag2action.catalog.snapshot import Snapshot, count, digest_of, read_snapshot, snapshot_names
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.traits import Traits, traits
from hashtag2action.report.cards import Card, Section, quantiles, shares
from hashtag2action.report.words import duration, number, percent, size

NOT_MEASURED = (
    "age, gender, skin tone, disability and identity of the people shown",
    "whether the people shown, other than the one who posted, agreed to be filmed or to this use",
    "whether a hashtag names what happens in its clip: hashtags are what posters wrote, and no person checked them",
    "what was posted and is not public, was removed before collection, or carries no hashtag",
    "speech and music: clips have no sound",
)
MANY_PEOPLE = 3


@dataclass(frozen=True)
class DataSet:
    """The clips that a card describes; without a name they are those of the catalog as it stands."""

    name: str | None
    digest: str
    facts: Mapping[str, Any]
    clips: tuple[SnapshotClip, ...]


def described(catalog: Catalog, name: str | None = None) -> DataSet:
    """Return the snapshot called `name`, else the one frozen last by a person, else the catalog's clips."""
    chosen = read_snapshot(catalog.workspace, name) if name else _newest(catalog)
    if chosen is not None:
        return DataSet(chosen.name, chosen.digest, chosen.card, chosen.clips)
    clips = tuple(clip_facts(catalog).clips)
    return DataSet(None, digest_of(clips), count(clips), clips)


def data_card(catalog: Catalog, data: DataSet) -> Card:
    """Write the card of a data set."""
    facts, clips = data.facts, data.clips
    seconds = sum(clip.duration_s for clip in clips)
    measured = traits(catalog)
    what = f"snapshot {data.name}" if data.name else "the catalog as it stands, not frozen"
    videos = number(len({clip.video_sha256 for clip in clips}), "video")
    lead = f"{number(len(clips), 'clip')} of {videos}, {duration(seconds)} in all: {what}."
    sections = (
        Section("Motivation", _MOTIVATION),
        Section("Composition", rows=tuple(_composition(data, seconds))),
        Section("Collection process", _COLLECTION, tuple(_collection(data))),
        Section("Preprocessing, cleaning and labelling", _CLEANING, tuple(_cleaning(facts))),
        Section("Known biases", rows=tuple(_biases(clips, measured))),
        Section("What is not known", tuple(_unknowns(clips, measured))),
        Section("Uses", _USES),
        Section("Distribution", (_distribution(clips),)),
        Section("Maintenance", _MAINTENANCE, tuple(_maintenance(data))),
    )
    return Card("data_card", f"Data card: {data.name or 'catalog'}", lead, sections)


_MOTIVATION = (
    "Short clips with people in them, for pre-training video models without labels and fine-tuning them to recognise actions.",
    "Made with hashtag2action, after the procedure of Hashtag2Action (Qian et al., ICCV 2025 Workshops).",
)
_COLLECTION = (
    "Posts were found by hashtag on their platform, or files were given by the user; each post's answer is kept in the catalog.",
)
_CLEANING = (
    "The longest scene of each video is kept, cut to the liveliest part where it is too long; a person detector looks at some of its "
    "frames, and too few with a person send the video to a reviewer. Files of equal content, and those that look alike where that is set, are kept once.",
    "Labels are hashtags, or what the user's list says; they were not checked against the pictures.",
)
_USES = (
    "Meant for self-supervised pre-training and for studies of data curation.",
    "Not for recognising who somebody is, for judging people, or for decisions about them; not as a sample of what people do: it is one "
    "of what is posted under chosen hashtags.",
    "What a person asks to have forgotten is removed from catalog, clips and snapshots by `h2a forget`; models trained before keep what they learnt.",
)
_MAINTENANCE = (
    "A snapshot does not change but where something is forgotten, which its card then says; a new state of the catalog is a new snapshot.",
)


def _composition(data: DataSet, seconds: float) -> Iterator[tuple[str, str]]:
    clips = data.clips
    tags = Counter(tag for clip in clips for tag in clip.hashtags)
    labels = Counter(clip.label for clip in clips if clip.label)
    yield "clips, videos", f"{len(clips):,}, {len({clip.video_sha256 for clip in clips}):,}"
    yield "length and size", f"{duration(seconds)}, {size(sum(clip.size_bytes for clip in clips))}"
    if clips:
        yield "clip length, median (middle half)", f"{quantiles([clip.duration_s for clip in clips])} s"
        yield "scene length before the cap", f"{quantiles([clip.scene_s for clip in clips])} s"
        yield "frames per second", quantiles([clip.fps for clip in clips], 1)
        yield "upright, square, wide", shares(dict(Counter(_shape(clip) for clip in clips)))
    yield "hashtags", f"{len(tags):,}" + (f": {shares(dict(tags), 5)}" if tags else "")
    yield "labels", f"{len(labels):,}" + (f": {shares(dict(labels), 5)}" if labels else "")
    yield "SHA-256 of the list", data.digest


def _collection(data: DataSet) -> Iterator[tuple[str, str]]:
    yield "sources", shares(dict(Counter(clip.source for clip in data.clips)))
    posted = data.facts.get("posted")
    yield "posted between", " and ".join(posted) if posted else "not known"
    views = [clip.views for clip in data.clips if clip.views is not None]
    yield "views of a post, median (middle half)", quantiles(views, 0) if views else "not known"
    if filters := data.facts.get("filters"):
        yield "taken only", _short(filters)


def _cleaning(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    left: Mapping[str, Any] = facts.get("left_out") or {}
    for key, words in (
        ("review", "waiting for a reviewer"),
        ("pending", "not looked at"),
        ("filtered", "left out by the filters above"),
        ("vanished", "gone from their platform"),
        ("forgotten", "forgotten"),
    ):
        if left.get(key):
            yield words, f"{left[key]:,}"
    if left.get("rejected"):
        yield "rejected videos", shares({reason.replace("_", " "): n for reason, n in left["rejected"].items()}, 12)
    if facts.get("settings"):
        yield "settings of curation", _short(facts["settings"])


def _biases(clips: Sequence[SnapshotClip], measured: Mapping[str, Traits]) -> Iterator[tuple[str, str]]:
    yield "region of the post", shares(dict(Counter(clip.region or "not known" for clip in clips)))
    yield "language of the post", shares(dict(Counter(clip.language or "not known" for clip in clips)))
    known = [found for clip in clips if (found := measured.get(clip.video_sha256))]
    bright = [found.brightness for found in known if found.brightness is not None]
    yield "brightness (mean luma, 0 to 1)", quantiles(bright) if bright else "not measured"
    people = [found.people for found in known if found.people is not None]
    groups = Counter(f"{MANY_PEOPLE}+" if n >= MANY_PEOPLE else str(n) for n in people)
    yield "most people in one frame", shares(dict(groups)) if people else "not measured"
    quality = [clip.quality for clip in clips if clip.quality is not None]
    yield "quality score (0 to 1)", quantiles(quality) if quality else "not measured"
    tags = Counter(tag for clip in clips for tag in clip.hashtags)
    if len(tags) > 1:
        largest = sum(count for _, count in tags.most_common(max(1, len(tags) // 10)))
        yield "hashtags of the largest tenth hold", f"{percent(largest / sum(tags.values()))} of all mentions"


def _unknowns(clips: Sequence[SnapshotClip], measured: Mapping[str, Traits]) -> Iterator[str]:
    total = len(clips) or 1
    missing = {
        "licence": sum(clip.licence is None for clip in clips),
        "region": sum(clip.region is None for clip in clips),
        "language": sum(clip.language is None for clip in clips),
        "quality": sum(clip.quality is None for clip in clips),
        "brightness": sum((found := measured.get(clip.video_sha256)) is None or found.brightness is None for clip in clips),
        "number of people": sum((found := measured.get(clip.video_sha256)) is None or found.people is None for clip in clips),
        "group (who or what it must not be parted from)": sum(clip.group is None for clip in clips),
    }  # fmt: skip
    for name, lacking in missing.items():
        if lacking:
            yield f"{name}: not known of {lacking:,} of {len(clips):,} clips ({percent(lacking / total)})"
    for sentence in NOT_MEASURED:
        yield f"not measured: {sentence}"


def _distribution(clips: Sequence[SnapshotClip]) -> str:
    licences = shares(dict(Counter(clip.licence or "not known" for clip in clips)))
    return (
        f"Licences: {licences or 'no clips'}. A licence that is not known permits nothing: pass on lists and hashes, not clips, unless you have the "
        "right to, and follow the platform's terms."
    )


def _maintenance(data: DataSet) -> Iterator[tuple[str, str]]:
    if data.name:
        yield "snapshot, frozen", f"{data.name}, {data.facts.get('frozen_at', 'not known')}"
    if versions := data.facts.get("versions"):
        yield "made with", ", ".join(f"{name} {version}" for name, version in versions.items())
    if changes := data.facts.get("changes") or data.facts.get("forgotten_since"):
        yield "changed since", _short(changes)


def _shape(clip: SnapshotClip) -> str:
    return "upright" if clip.height > clip.width else "wide" if clip.width > clip.height else "square"


def _short(value: Any, most: int = 1200) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[:most] + " ..."


def _newest(catalog: Catalog) -> Snapshot | None:
    """Return the snapshot frozen last, those that a study made for itself left out."""
    cards = {}
    for name in snapshot_names(catalog.workspace):
        card = json.loads((catalog.workspace / "snapshots" / name / "card.json").read_text(encoding="utf-8"))
        if card.get("made_by") is None:
            cards[name] = str(card.get("frozen_at"))
    return read_snapshot(catalog.workspace, max(cards, key=lambda name: (cards[name], name))) if cards else None
