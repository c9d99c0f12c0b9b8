"""The page that tells what became of the videos and of the model: one HTML file that needs nothing but itself.

Everything a reader sees is computed from the catalog and from the folders of finished runs. Titles, hashtags and file
names come from strangers; the templates escape them. A page that is up to date is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hashtag2action
from hashtag2action.catalog.schema import Decision, Run, Video
from hashtag2action.catalog.statistics import Statistics, describe, examples, paths, titles
from hashtag2action.catalog.store import Catalog
from hashtag2action.files import atomic_write
from hashtag2action.report import data_figures, runs
from hashtag2action.report.cards import Card, markdown
from hashtag2action.report.clip_figures import sample_clips
from hashtag2action.report.data_card import DataSet, data_card, described
from hashtag2action.report.embed import inline_svg
from hashtag2action.report.facts import evaluation_facts, finetuning_facts, pretraining_facts
from hashtag2action.report.figures import Figure, save_figure
from hashtag2action.report.flow import gates
from hashtag2action.report.limits import limits
from hashtag2action.report.model_card import model_card
from hashtag2action.report.pictures import Picture, thumbnail
from hashtag2action.report.stories import tell, why
from hashtag2action.report.studies import StudyPart, read_studies
from hashtag2action.report.words import FILTERS

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_STORIES = 12  # of each decision
MAX_REJECTS = 60
MAX_PREDICTIONS = 24
MAX_HERO = 14
HERO_PX = 300
MAX_SETTINGS_CHARS = 40_000
STAGES = ("pretrain", "finetune", "evaluate")
PACKAGES = (
    "av",
    "jinja2",
    "lightning-fabric",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "scenedetect-headless",
    "sqlalchemy",
    "torch",
)


@dataclass(frozen=True)
class Facts:
    """All that the page is made from, but for pixels."""

    statistics: Statistics
    kept: Sequence[Video]
    review: Sequence[Video]
    rejected: Sequence[Video]
    runs: Mapping[str, Run | None]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    data: DataSet
    studies: Sequence[StudyPart]


def build_report(workspace: Path, catalog: Catalog) -> Path:
    """Write `report/index.html` and the figures beside it (SVG and CSV), and return the page's path.

    Stages that have not run yet are named as such. The same facts give the same bytes.
    """
    page = workspace / "report" / "index.html"
    facts = _gather(workspace, catalog)
    stamp = _stamp(facts)
    if not _is_current(page, stamp):
        html, drawn, cards = _render(workspace, catalog, facts, stamp)
        for figure in drawn:
            save_figure(figure, page.parent / "figures")
        for card in cards:
            atomic_write(page.parent / f"{card.name}.md", markdown(card))
        atomic_write(page, html)
    return page


def _gather(workspace: Path, catalog: Catalog) -> Facts:
    return Facts(
        statistics=describe(catalog),
        kept=sorted(examples(catalog, Decision.ACCEPTED, MAX_STORIES), key=_by_hashtag),
        review=sorted(examples(catalog, Decision.REVIEW, MAX_STORIES), key=_by_hashtag),
        rejected=sorted(
            examples(catalog, Decision.REJECTED, MAX_REJECTS), key=lambda video: (video.reason or "", video.path)
        ),
        runs={stage: catalog.latest_run(stage) for stage in STAGES},
        settings=runs.read_json(workspace / "settings.json"),
        versions={"hashtag2action": hashtag2action.__version__, "Python": platform.python_version(), **_installed()},
        data=described(catalog),
        studies=read_studies(workspace),
    )


def _render(workspace: Path, catalog: Catalog, facts: Facts, stamp: str) -> tuple[str, list[Figure], list[Card]]:
    counts = facts.statistics
    pretraining = runs.read_pretraining(workspace, facts.runs["pretrain"])
    finetuning = runs.read_finetuning(workspace, facts.runs["finetune"])
    evaluation = runs.read_evaluation(workspace, facts.runs["evaluate"])
    curate = facts.settings.get("curate") or {}
    needed = curate.get("min_person_frames")
    shown_figures = _data_figures(counts, facts.data, workspace)
    written = (data_card(catalog, facts.data) if facts.data.clips else None, model_card(catalog))
    cards = [card for card in written if card is not None]
    predictions = _spread(evaluation.predictions) if evaluation else []
    rebuilt = pretraining.reconstructions if pretraining else ()
    shown = [_relative(workspace, row.path) for row in predictions] + [f"clips/{clip.name}.mp4" for clip in rebuilt]
    html = (
        _environment()
        .get_template("page.html")
        .render(
            stamp=stamp,
            counts=counts,
            gates=gates(counts),
            curate=curate,
            hero=_hero(workspace, facts.kept),
            kept=[tell(video, workspace, needed) for video in facts.kept],
            review=[tell(video, workspace, needed) for video in facts.review],
            rejected=_rejects(catalog, facts.rejected),
            rejects_shown=len(facts.rejected),
            data_figures=shown_figures,
            studies=facts.studies,
            cards=cards,
            pretraining=pretraining,
            finetuning=finetuning,
            evaluation=evaluation,
            predictions=[(row, _relative(workspace, row.path), thumbnail(workspace / row.path)) for row in predictions],
            titles=titles(catalog, shown),
            pretraining_facts=pretraining_facts(pretraining) if pretraining else [],
            finetuning_facts=finetuning_facts(finetuning) if finetuning else [],
            evaluation_facts=evaluation_facts(evaluation) if evaluation else [],
            limits=limits(counts, curate.get("min_clip_s"), pretraining, finetuning, evaluation),
            settings=[(name, _as_text(value)) for name, value in _settings(facts, pretraining, finetuning, evaluation)],
            versions=facts.versions,
        )
    )
    curves = [stage.curve for stage in (pretraining, finetuning) if stage and stage.curve]
    matrix = [evaluation.confusion] if evaluation and evaluation.confusion else []
    return html, [*shown_figures, *curves, *matrix], cards


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hashtag2action.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["inline_svg"] = inline_svg
    return environment


def _data_figures(counts: Statistics, data: DataSet, workspace: Path) -> list[Figure]:
    drawn = []
    if counts.hashtags:
        drawn.append(data_figures.hashtags(counts.hashtags))
    if len(counts.hashtags) > data_figures.MAX_BARS:
        drawn += [data_figures.count_ranges(counts.count_ranges()), data_figures.count_pie(counts.count_ranges())]
    if counts.clips:
        drawn += [data_figures.durations(counts.durations), data_figures.duration_table(counts.durations)]
    if data.clips:
        drawn.append(sample_clips(data.clips, workspace))
    if counts.rejects:
        drawn.append(data_figures.rejects(counts.rejects))
    return drawn


def _rejects(catalog: Catalog, videos: Sequence[Video]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return each reason with its meaning and its files, each of them with what is known in detail."""
    originals = paths(catalog, [video.duplicate_of for video in videos if video.duplicate_of])
    table: dict[str, list[tuple[str, str]]] = {}
    for video in videos:
        detail = video.detail or ""
        if video.duplicate_of in originals:
            detail = f"the same as {_name(originals[video.duplicate_of])}"
        table.setdefault(video.reason or "", []).append((_name(video.path), detail))
    return [(reason.replace("_", " ") or "rejected", why(reason), files) for reason, files in table.items()]


def _name(path: str) -> str:
    """Return a file's name with its folder, which tells apart files of the same name."""
    return "/".join(Path(path).parts[-2:])


def _hero(workspace: Path, videos: Sequence[Video]) -> list[Picture]:
    clips = sorted((clip for video in videos for clip in video.clips), key=lambda clip: clip.sha256)[:MAX_HERO]
    pictures = [thumbnail(workspace / clip.path, HERO_PX) for clip in clips]
    return [picture for picture in pictures if picture]


def _relative(workspace: Path, path: Path) -> str:
    """Return a clip's path as the catalog has it, or as it is where it lies elsewhere."""
    folder = workspace.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _spread(predictions: Sequence[runs.Prediction]) -> list[runs.Prediction]:
    """Return at most `MAX_PREDICTIONS` predictions, chosen by a hash of their paths and so without regard to outcome."""
    chosen = sorted(predictions, key=lambda row: hashlib.sha256(row.path.name.encode()).digest())[:MAX_PREDICTIONS]
    return sorted(chosen, key=lambda row: (row.label, row.path.name))


def _settings(facts: Facts, *finished: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each stage's settings: those that a run used where there is one, else those of the workspace."""
    used = {name: stage.settings for name, stage in zip(STAGES, finished, strict=True) if stage}
    known = {name: value for name, value in facts.settings.items() if isinstance(value, dict)} | used
    return [(name, known[name]) for name in ("curate", *STAGES) if known.get(name)]


def _as_text(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SETTINGS_CHARS else text[:MAX_SETTINGS_CHARS] + "\n... (cut here)"


def _installed() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _by_hashtag(video: Video) -> tuple[str, str]:
    return (video.hashtags[0].hashtag if video.hashtags else "", video.path)


def _stamp(facts: Facts) -> str:
    """Return a digest of the facts and of the code that tells them."""
    digest = hashlib.sha256()
    for file in sorted(_files(resources.files("hashtag2action.report")), key=lambda item: item.name):
        digest.update(file.read_bytes())
    rows = [
        [
            video.path,
            video.title,
            video.sha256,
            video.decision,
            video.reason,
            video.detail,
            video.report,
            [row.hashtag for row in video.hashtags],
        ]
        for video in (*facts.kept, *facts.review, *facts.rejected)
    ]
    done = {stage: [run.key, run.folder, run.summary] if run else None for stage, run in facts.runs.items()}
    told = [
        asdict(facts.statistics),
        rows,
        done,
        facts.settings,
        facts.versions,
        facts.data.name,
        facts.data.digest,
        [(s.name, s.figure.svg) for s in facts.studies],
    ]
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


def _files(folder: Any) -> list[Any]:
    found = []
    for item in folder.iterdir():
        if item.is_dir():
            found += _files(item) if item.name != "__pycache__" else []
        else:
            found.append(item)
    return found


def _is_current(page: Path, stamp: str) -> bool:
    try:
        with page.open(encoding="utf-8") as file:
            return f'content="{stamp}"' in file.read(2000)
    except (OSError, UnicodeDecodeError):
        return False
