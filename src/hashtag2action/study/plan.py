"""From a study's settings to its jobs: which clips, which seeds, and what can be shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import Cell, Job
from hashtag2action.catalog.snapshot import Snapshot
from hashtag2action.catalog.store import Catalog
from hashtag2action.errors import UserError
from hashtag2action.settings import digest
from hashtag2action.study.settings import NOTHING, ConditionSettings, StudySettings
from hashtag2action.study.sources import Labelled, choose_clips, open_labelled, open_merged, open_source
from hashtag2action.train.finetune_settings import EvaluateSettings, FinetuneSettings
from hashtag2action.train.settings import HardwareSettings, LoopSettings, PretrainSettings

SCRATCH = "from scratch"


def plan_size(
    catalog: Catalog, name: str, settings: StudySettings, labelled: str, snapshot: str | None = None, source: str = ""
) -> list[Cell]:
    """Plan the data-size study (paper, section 5): every size in every run, and random weights as size 0.

    The clips are those of a snapshot, or of another `source` (see `sources.open_source`). Raises `UserError` where
    clips or labels do not suffice.
    """
    arm = ConditionSettings(name="pre-trained", source=source or "snapshot", choose=settings.choose)
    none = ConditionSettings(name=SCRATCH, source=NOTHING)
    arms = [*([(none, 0)] if settings.scratch else []), *((arm, size) for size in sorted(settings.sizes))]
    return _plan(catalog, name, "size", settings, labelled, snapshot, arms)


def plan_compare(
    catalog: Catalog, name: str, settings: StudySettings, labelled: str, snapshot: str | None = None
) -> list[Cell]:
    """Plan a comparison (paper, section 6): every condition at one size, with the same seeds in each run."""
    if len(settings.conditions) < 2:
        raise UserError("study: a comparison needs two conditions; name a recipe, or give --a and --b")
    if len(settings.sizes) != 1:
        raise UserError(f"study: a comparison is made at one size, not at {len(settings.sizes)}; give --size N")
    arms = [(arm, 0 if arm.source == NOTHING else settings.sizes[0]) for arm in settings.conditions]
    return _plan(catalog, name, "compare", settings, labelled, snapshot, arms)


def _plan(
    catalog: Catalog,
    name: str,
    kind: str,
    settings: StudySettings,
    labelled: str,
    snapshot: str | None,
    arms: list[tuple[ConditionSettings, int]],
) -> list[Cell]:
    between = settings.between
    if any(arm.through for arm, _ in arms) != bool(between.labelled):
        raise UserError(
            "study: conditions that go through labelled sets and the sets themselves need each other; "
            "use --recipe progressive --through KIND:ROOT"
        )
    held = open_labelled(catalog, _absolute(labelled), settings.finetune.split, settings.labelled_split)
    sources = {arm.source: open_source(catalog, arm.source, snapshot) for arm, _ in arms if arm.source != NOTHING}
    through = None
    if between.labelled:
        through = open_merged(catalog, [_absolute(s) for s in between.labelled], between.finetune.split, held)
    planned: list[Job] = []
    cells: list[Cell] = []
    for run in range(settings.runs):
        for arm, size in arms:
            chain = [_pretrain_job(sources[arm.source], arm, size, run, settings, held)] if size else []
            if arm.through and through:
                seed = settings.seed + run
                chain.append(_finetune_job(chain, seed, between.finetune, between.evaluate, through))
            chain.append(_finetune_job(chain, settings.seed + run, settings.finetune, settings.evaluate, held))
            planned += chain
            cells.append(Cell(arm.name, size, run, chain[-1].key))
    facts = {
        "settings": settings.model_dump(mode="json"),
        "labelled": _facts(labelled, held),
        "between": _facts(" + ".join(between.labelled), through) if through else None,
        "snapshots": {
            source: {"name": s.name, "digest": s.digest, "clips": len(s.clips)} for source, s in sources.items()
        },
    }
    jobs.plan(catalog, name, kind, facts, planned, cells)
    return cells


def _facts(source: str, labelled: Labelled) -> dict[str, Any]:
    return {
        "source": source,
        "folder": labelled.folder,
        "classes": len(labelled.classes),
        "train": len(labelled.split.train),
        "test": len(labelled.split.test),
        "notes": labelled.split.notes,
    }


def _pretrain_job(
    snapshot: Snapshot, arm: ConditionSettings, size: int, run: int, settings: StudySettings, labelled: Labelled
) -> Job:
    seed = settings.seed + run
    pretrain = settings.pretrain.model_copy(update={"seed": seed})
    left_out = frozenset() if settings.keep_test_clips else labelled.test_content
    clips = choose_clips(snapshot, arm, size, seed, left_out)
    content = digest(pretrain, [clip.sha256 for clip in clips])
    spec: dict[str, Any] = {
        "snapshot": snapshot.name,
        "digest": snapshot.digest,
        "condition": arm.model_dump(mode="json"),
        "size": size,
        "seed": seed,
        "labelled": None if settings.keep_test_clips else labelled.folder,
        "content": content,
        "settings": pretrain.model_dump(mode="json"),
    }
    return Job(digest(_deciding(pretrain), [clip.sha256 for clip in clips]), "pretrain", spec)


def _finetune_job(
    before: list[Job], seed: int, finetune: FinetuneSettings, evaluate: EvaluateSettings, labelled: Labelled
) -> Job:
    finetune = finetune.model_copy(update={"seed": seed})
    spec = {
        "labelled": labelled.folder,
        "settings": finetune.model_dump(mode="json"),
        "evaluate": evaluate.model_dump(mode="json"),
        "after": before[-1].stage if before else None,
    }
    needs = before[-1].key if before else None
    return Job(digest(_deciding(finetune), evaluate, labelled.folder, needs), "finetune", spec, needs)


def _absolute(labelled: str) -> str:
    """Make the path of a labelled set independent of where a worker is started."""
    kind, colon, root = labelled.rpartition(":")
    return labelled if labelled == "workspace" else f"{kind}{colon}{Path(root).resolve()}"


def _deciding(settings: Any) -> Any:
    """Leave out what does not change a training's result: where it runs, how often it saves and speaks."""
    assert isinstance(settings, (PretrainSettings, FinetuneSettings))
    return settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})
