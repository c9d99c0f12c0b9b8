"""The main job: a folder of videos in, a trained recogniser and the evidence for it out.

`Workspace` is the catalog and the folder around it; each method is one stage, does what is not done yet, and returns a
summary of plain values. `run` calls them one after the other. The stages know nothing of each other: what one of them
leaves in the catalog, the next one finds there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hashtag2action.catalog.schema import Clip, Run, Video
from hashtag2action.catalog.slice_facts import slice_facts
from hashtag2action.catalog.snapshot import read_snapshot
from hashtag2action.catalog.statistics import describe
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.data.benchmarks import parse_source, read_benchmark
from hashtag2action.data.shards import read_shards
from hashtag2action.data.splits import Sample, Split
from hashtag2action.engine import Engine, make_engine
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of, write_json
from hashtag2action.settings import Settings, digest, load, read_json
from hashtag2action.train.classifier_file import weights_file
from hashtag2action.train.finetune_settings import EvaluateSettings, FinetuneSettings
from hashtag2action.train.launcher import first_process
from hashtag2action.train.settings import HardwareSettings, LoopSettings, PretrainSettings

Overrides = Mapping[str, Any] | Sequence[str]
Training = TypeVar("Training", PretrainSettings, FinetuneSettings)
DEFAULT_RECIPE = "tiny_cpu"


class RunSettings(Settings):
    """The settings of every stage of the main job."""

    curate: CurateSettings = CurateSettings()
    pretrain: PretrainSettings = PretrainSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()


STAGES: dict[str, type[Settings]] = {
    "run": RunSettings,
    "curate": CurateSettings,
    "pretrain": PretrainSettings,
    "finetune": FinetuneSettings,
    "evaluate": EvaluateSettings,
}


@dataclass(frozen=True)
class TrainingData:
    """Clips to pre-train on, their SHA-256 in the same order, and which data set they are."""

    clips: tuple[Path, ...]
    hashes: tuple[str, ...]
    about: dict[str, Any]


class Workspace:
    """A folder with its catalog, clips, runs and report, and the stages that fill it.

    The settings last used are kept in `settings.json`: a stage called without a recipe goes on with them.
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: str | Path | None = None,
        overrides: Overrides = (),
        *,
        catalog: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Open or create a workspace.

        `recipe` names settings for the whole job (`h2a recipes run`), `overrides` change single values
        (`{"curate.min_clip_s": 2}`), `catalog` is a database URL in place of the folder's own SQLite file. Raises
        `UserError` for wrong settings before anything is touched, and where the folder cannot be used.
        """
        self.folder = Path(folder).resolve()
        kept = self.folder / "settings.json"
        if recipe is None and kept.is_file():
            self.settings = load(RunSettings, "run", None, read_json(kept), overrides)
        else:
            self.settings = load(RunSettings, "run", recipe or DEFAULT_RECIPE, overrides)
        self.catalog = Catalog(self.folder, catalog)
        self.engine = engine or make_engine()
        if not kept.is_file() or read_json(kept) != self.settings.model_dump(mode="json"):
            write_json(kept, self.settings.model_dump(mode="json"))

    def register(self, source: str | Path) -> dict[str, Any]:
        """Enter the videos of a folder or CSV in the catalog, with content hash and probe results."""
        from hashtag2action.collect.register import register

        return asdict(register(self.catalog, find_videos(Path(source)), self.engine))

    def curate(self, shard: str | None = None, retry_failed: bool = False) -> dict[str, Any]:
        """Decide every video that these settings have not decided yet, and write its clip.

        `shard` is the part `I/N` that this process takes, `retry_failed` takes up videos that hung, crashed or ran out of
        memory.
        """
        from hashtag2action.curate.run import curate, parse_shard

        part = parse_shard(shard) if shard is not None else None
        settings = self.settings.curate
        done = curate(self.catalog, self.folder, settings, self.engine, shard=part, retry_failed=retry_failed)
        return asdict(done) | {"dataset": self.describe()}

    def describe(self) -> dict[str, Any]:
        """Count what the catalog holds: videos and clips by hashtag, decision, reason and length."""
        return asdict(describe(self.catalog))

    def pretrain(self, snapshot: str | None = None, shards: Path | None = None) -> dict[str, Any]:
        """Pre-train VideoMAE V2 without labels: on the accepted clips, a snapshot's, or those packed in a folder of shards."""
        from hashtag2action.train.pretrain import pretrain

        data = self._training_data(snapshot, shards)
        key = self._pretrain_key(data)
        summary = self._run("pretrain", key, partial(pretrain, data.clips, self.settings.pretrain, data=data.about))
        if summary["data"] != data.about:  # done before on the same clips under another name
            summary = summary | {"data": data.about}
            self.catalog.record_run("pretrain", key, summary["folder"], summary)
        return summary

    def finetune(self, data: str | None = None, split: int = 1, pretrained: Path | None = None) -> dict[str, Any]:
        """Fine-tune a classifier of the clips' labels (or hashtags), from the pre-trained encoder where there is one.

        `data` is a labelled data set on disk, `KIND:ROOT`, in place of the workspace's clips (`data.benchmarks`), with its
        official `split`; `pretrained` a checkpoint of any layout in place of the workspace's own.
        """
        from hashtag2action.train.finetune import finetune

        settings = self.settings.finetune
        encoder, begun = self._encoder(pretrained)
        classes: tuple[str, ...] | None = None
        clips: Sequence[Sample] | Split | None = None
        if data is not None:
            benchmark = read_benchmark(*parse_source(data), split)
            shares = settings.split
            clips, classes = benchmark.to_split(shares.val_share, shares.test_share, shares.seed), benchmark.classes
            rows: list[Any] = [
                [(str(s.path), s.label, s.group) for s in part] for part in (clips.train, clips.val, clips.test)
            ]
        elif settings.target.file is not None:
            rows = [sha256_of(settings.target.file)]
        else:
            mine = [clip for clip in self._clips() if _class(clip.video)]
            clips = [Sample(self.folder / c.path, _class(c.video), c.video.group or c.video.sha256 or "") for c in mine]
            rows = [(clip.sha256, sample.label, sample.group) for clip, sample in zip(mine, clips, strict=True)]
        key = digest(_deciding(settings), rows, begun)
        return self._run("finetune", key, partial(finetune, clips, settings, pretrained=encoder, classes=classes))

    def evaluate(
        self,
        data: str | None = None,
        split: int = 1,
        model: Path | None = None,
        classes: Path | None = None,
        targets: Path | None = None,
    ) -> dict[str, Any]:
        """Test a model, by default the latest fine-tuned one on the videos that it was not trained on.

        `data` is a data set on disk, `KIND:ROOT`, whose test part is taken; `model` any checkpoint, with its class names in
        `classes` where it holds none. A model of several labels or of values is tested on the clips of the CSV `targets`, by
        default on those of its own that it was not trained on. Raises `UserError` where a model is named without data.
        """
        from hashtag2action.train.evaluate import evaluate
        from hashtag2action.train.split_file import read_split

        if targets is not None and data is not None:
            raise UserError("evaluate: --data is for classes and --targets for labels and values; name one of them")
        if model is not None and data is None and targets is None:
            raise UserError(f"{model}: nothing to test it on; name labelled videos with --data KIND:ROOT")
        run = self._latest("finetune") if model is None else None
        file = model or self.folder / (run.folder if run else "")
        own = read_split(file).split.test if run else ()
        if data is None and (truth := targets or self._targets_of(run)):
            return self._evaluate_targets(file, truth, None if targets else own)
        if data is not None:
            benchmark = read_benchmark(*parse_source(data), split)
            samples = benchmark.test or benchmark.val or benchmark.train
        else:
            samples = own
        rows = [(str(sample.path), sample.label) for sample in samples] if data is not None else []
        key = digest(self.settings.evaluate, run.key if run else sha256_of(weights_file(file)), *rows)
        columns = slice_facts(self.catalog)
        job = partial(evaluate, samples, file, self.settings.evaluate, columns=columns, classes=classes)
        return self._run("evaluate", key, job)

    def _evaluate_targets(self, model: Path, targets: Path, samples: Sequence[Sample] | None) -> dict[str, Any]:
        from hashtag2action.train.evaluate_targets import evaluate_targets

        rows = [str(sample.path) for sample in samples or ()]
        key = digest(self.settings.evaluate, sha256_of(weights_file(model)), sha256_of(targets), rows)
        job = partial(evaluate_targets, samples, targets, model, self.settings.evaluate)
        return self._run("evaluate_targets", key, job)

    def _targets_of(self, run: Run | None) -> Path | None:
        """Return the CSV that a run of fine-tuning learnt labels or values from."""
        if run is None:
            return None
        told = json.loads((self.folder / run.folder / "settings.json").read_text(encoding="utf-8"))
        file = told["settings"]["target"]["file"]
        return Path(file) if file else None

    def model(self, stage: str = "finetune") -> Path:
        """Return the path of the latest model of a stage, `pretrain` or `finetune`."""
        return self.folder / self._latest(stage).folder / "model.pt"

    def report(self) -> Path:
        """Write `report/index.html`, one page that stands alone, and return its path."""
        from hashtag2action.report.page import build_report

        return build_report(self.folder, self.catalog)

    def run(self, source: str | Path) -> dict[str, Any]:
        """Do the main job and return its summary, which `summary.json` keeps.

        Where there is nothing to recognise or to test (no hashtags, one class, no second source to hold out), the
        summary says so under `not_done`, and the rest is done.
        """
        stages: dict[str, Callable[[], Any]] = {
            "register": lambda: self.register(source),
            "curate": self.curate,
            "pretrain": self.pretrain,
            "finetune": self.finetune,
            "evaluate": self.evaluate,
            "report": self.report,
        }
        seconds: dict[str, float] = {}
        not_done: dict[str, str] = {}
        for name, stage in stages.items():
            start = time.perf_counter()
            try:
                if "finetune" not in not_done or name != "evaluate":
                    stage()
            except UserError as error:
                if name not in ("finetune", "evaluate"):
                    raise
                not_done[name] = str(error)
            seconds[name] = round(time.perf_counter() - start, 2)
        summary = self.summary() | {"not_done": not_done, "seconds": seconds}
        write_json(self.folder / "summary.json", summary)
        return summary

    def summary(self) -> dict[str, Any]:
        """Return the figures of the latest run of every stage."""
        data = self.describe()
        latest = {stage: self.catalog.latest_run(stage) for stage in ("pretrain", "finetune", "evaluate")}
        return {
            "workspace": str(self.folder),
            "videos": data["videos"],
            "clips": data["accepted"],
            "review": data["review"],
            "rejects": data["rejects"],
            **{stage: run.summary for stage, run in latest.items() if run},
            "report": str(self.folder / "report" / "index.html"),
        }

    def _clips(self) -> list[Clip]:
        clips = self.catalog.clips()
        if not clips:
            raise UserError(
                f"{self.folder}: no accepted clips yet; run `h2a register` and `h2a curate` first, or accept reviews"
            )
        return clips

    def _encoder(self, pretrained: Path | None) -> tuple[Path | None, str | None]:
        """Return the weights that fine-tuning starts from, and what names their content: those given, those that the
        present settings and clips made, the latest, or none.
        """
        if pretrained is not None:
            return pretrained, sha256_of(weights_file(pretrained))
        clips = self.catalog.clips()
        matching = self.catalog.run("pretrain", self._pretrain_key(self._training_data(None, None))) if clips else None
        run = matching or self.catalog.latest_run("pretrain")
        return (self.folder / run.folder / "model.pt", run.key) if run else (None, None)

    def _training_data(self, snapshot: str | None, shards: Path | None) -> TrainingData:
        """Return the clips to pre-train on, and what the run's summary says of them."""
        if snapshot is not None and shards is not None:
            raise UserError("pretrain: name a snapshot or a folder of shards, not both")
        if shards is not None:
            packed = read_shards(shards)
            about = {
                "shards": str(shards),
                "snapshot": packed.card.get("snapshot"),
                "digest": packed.card.get("digest"),
            }
            return TrainingData(packed.clips, packed.hashes, about)
        if snapshot is not None:
            frozen = read_snapshot(self.folder, snapshot)
            paths = tuple(self.folder / clip.path for clip in frozen.clips)
            about = {"snapshot": frozen.name, "digest": frozen.digest}
            return TrainingData(paths, tuple(clip.sha256 for clip in frozen.clips), about)
        clips = self._clips()
        hashes = tuple(clip.sha256 for clip in clips)
        about = {"digest": hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()}
        return TrainingData(tuple(self.folder / clip.path for clip in clips), hashes, about)

    def _pretrain_key(self, data: TrainingData) -> str:
        settings = self.settings.pretrain
        start = [sha256_of(settings.start)] if settings.start and settings.start.is_file() else []
        return digest(_deciding(settings), list(data.hashes), *start)

    def _latest(self, stage: str) -> Run:
        run = self.catalog.latest_run(stage)
        if run is None:
            raise UserError(f"{self.folder}: nothing to use yet; run `h2a {stage} --workspace {self.folder}` first")
        return run

    def _run(self, stage: str, key: str, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the summary of the run with this key, doing it (or the rest of it) if it is not finished."""
        known = self.catalog.run(stage, key)
        if known is not None and (self.folder / known.folder / "summary.json").is_file():
            return known.summary
        folder = Path("runs") / f"{stage}-{key[:8]}"
        summary = asdict(function(folder=self.folder / folder)) | {"folder": str(folder)}
        if first_process():
            self.catalog.record_run(stage, key, str(folder), summary)
        return summary


def run(
    videos: str | Path,
    workspace: str | Path,
    recipe: str | Path | None = None,
    overrides: Overrides = (),
    **options: Any,
) -> dict[str, Any]:
    """Do the main job on a folder of videos (or a CSV that lists them) and return its summary.

    The arguments are those of `Workspace`. Run it again to go on where it stopped.
    """
    return Workspace(workspace, recipe, overrides, **options).run(videos)


def _deciding(settings: Training) -> Training:
    """Leave out what does not change a training's result: where it runs, how often it saves and speaks."""
    return settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})


def _class(video: Video) -> str:
    """Return what a clip of this video is to be recognised as: its label, else its first hashtag, else nothing."""
    return video.label or (video.hashtags[0].hashtag if video.hashtags else "")
