"""Pre-training, a merged label set, the target: one study, its jobs in a chain."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from small_study import OVERRIDES, SETTINGS

from hashtag2action.catalog import jobs
from hashtag2action.catalog.store import Catalog
from hashtag2action.errors import UserError
from hashtag2action.settings import load
from hashtag2action.study.compare import compare_results
from hashtag2action.study.plan import plan_compare
from hashtag2action.study.results import run_rows, total_cost
from hashtag2action.study.settings import StudySettings
from hashtag2action.study.sources import open_labelled, open_merged
from hashtag2action.study.work import Crew, do_jobs
from hashtag2action.train.split_file import read_split

BETWEEN = [f"between.{stage}.{key}={value}" for stage in ("finetune", "evaluate") for key, value in SETTINGS[stage].items()]  # fmt: skip
SHRUNK = ["between.finetune.split.val_share=0", "between.finetune.split.test_share=0.3"]


def listed(path: Path, rows: list[tuple[Path, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group"), *rows])
    return path


@pytest.fixture
def lists(small_clips: list[Path], tmp_path: Path) -> dict[str, Path]:
    """A target of two classes, and two sets that name those classes otherwise and hold some of its files again."""
    again = tmp_path / "again"
    again.mkdir()
    copies = [Path(shutil.copy(clip, again / f"copy-of-{clip.name}")) for clip in small_clips]
    label = {clip: clip.stem.split("-")[0] for clip in small_clips}
    rows = [(clip, label[clip], clip.stem) for clip in small_clips]
    first = [(copy, label[clip].upper(), copy.stem) for copy, clip in zip(copies, small_clips, strict=True)]
    second = [(clip, f"{label[clip][:4]} {label[clip][4:]}", clip.stem) for clip in small_clips]
    return {
        "target": listed(tmp_path / "target.csv", rows),
        "first": listed(tmp_path / "first.csv", first),
        "second": listed(tmp_path / "second.csv", second),
    }


def settings(lists: dict[str, Path], *more: str) -> StudySettings:
    through = {"between.labelled": [str(lists["first"]), str(lists["second"])], "sizes": [3], "runs": 1}
    return load(StudySettings, "study", "tiny_progressive", through, [*OVERRIDES, *BETWEEN, *SHRUNK, *more])


def test_merged_sets_have_one_class_a_name_and_no_clip_of_any_test(lists: dict[str, Path], tmp_path: Path) -> None:
    catalog, told = Catalog(tmp_path / "workspace"), settings(lists)
    target = open_labelled(catalog, str(lists["target"]), told.finetune.split)
    merged = open_merged(catalog, told.between.labelled, told.between.finetune.split, target)
    assert len(merged.classes) == 2
    tested = {sample.path.stem.removeprefix("copy-of-") for sample in (*target.split.test, *merged.split.test)}
    trained = {sample.path.stem.removeprefix("copy-of-") for sample in merged.split.train}
    assert trained and tested and not trained & tested
    assert any("left out, for they are in a test part" in note for note in merged.split.notes)
    catalog.close()


def test_the_chain_is_done_in_order_shared_and_paid_for_once(
    lists: dict[str, Path], small_clips: list[Path], tmp_path: Path
) -> None:
    catalog = Catalog(tmp_path / "workspace")
    told = settings(lists)
    arms = [arm.model_copy(update={"source": arm.source.replace("snapshot", f"files:{small_clips[0].parent}")}) for arm in told.conditions]  # fmt: skip
    told = told.model_copy(update={"conditions": tuple(arms)})
    plan_compare(catalog, "steps", told, str(lists["target"]))
    assert jobs.progress(catalog, "steps").waiting == 6
    do_jobs(0, Crew(catalog.workspace, None, "steps", lease_s=60, poll_s=0.1))
    assert jobs.progress(catalog, "steps").done == 6
    progressive, direct, supervised = jobs.cells(catalog, "steps")
    assert [len(cell.costs) for cell in (progressive, direct, supervised)] == [3, 2, 2]
    assert progressive.pretrained == direct.pretrained and progressive.pretrained and supervised.pretrained is None
    assert total_cost([progressive, direct, supervised])["jobs"] == 6
    seen = {row["condition"]: row["clips_seen"] for row in run_rows([progressive, direct, supervised])}
    assert seen == {"progressive": 12 + 8 + 8, "direct": 12 + 8, "supervised only": 8 + 8}

    run = catalog.workspace / "runs" / "study" / f"finetune-{progressive.job}"
    start = json.loads((run / "summary.json").read_text())["pretrained"]
    assert read_split(Path(start).parent).classes == ("BIKES", "CARPHONE")
    assert set(compare_results(catalog, "steps")["differences"]) >= {"progressive - direct"}
    catalog.close()


def test_sets_and_conditions_need_each_other(lists: dict[str, Path], tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "workspace")
    for recipe, changes in (("tiny_progressive", {}), ("tiny_compare", {"between.labelled": [str(lists["first"])]})):
        told = load(StudySettings, "study", recipe, changes)
        with pytest.raises(UserError, match="need each other"):
            plan_compare(catalog, "steps", told, str(lists["target"]))
    catalog.close()
