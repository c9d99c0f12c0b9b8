"""A workspace of real videos, before and after training."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from report_workspace import HOSTILE, HOSTILE_TAG, SETTINGS, curate, evaluate, finetune, pretrain

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.collect.register import inspect_file
from hashtag2action.files import write_json


@pytest.fixture(scope="session")
def curated(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated workspace: two accepted videos, one for review, a duplicate, a text file; its videos lie in `source`."""
    with sample_videos.open(newline="") as table:
        files = {Path(row["file"]).stem: sample_videos.parent / row["file"] for row in csv.DictReader(table)}
    workspace = tmp_path_factory.mktemp("workspace")
    source = workspace / "source"
    source.mkdir()
    names = {"talk": "carphone", "ride": "bikes", "rabbit": "bunny", "twin": "carphone", "only-text": "only-text"}
    for name, original in names.items():
        shutil.copyfile(files[original], source / f"{name}.mp4")
    tags = {"talk": ("talking",), "ride": ("cycling", HOSTILE_TAG), "rabbit": ("animation",), "twin": ("talking",)}
    titles = {"ride": HOSTILE}
    catalog = Catalog(workspace)
    catalog.register(Entry(source / f"{n}.mp4", tags.get(n, ()), title=titles.get(n, "")) for n in names)
    write_json(workspace / "settings.json", {"curate": SETTINGS.model_dump(mode="json")})
    ids = {Path(video.path).stem: video.id for video in catalog.videos()}
    curate(catalog, ids["talk"], source / "talk.mp4", people=10)
    curate(catalog, ids["ride"], source / "ride.mp4", people=5)
    curate(catalog, ids["rabbit"], source / "rabbit.mp4", people=0)
    facts = inspect_file(source / "twin.mp4").facts
    catalog.set_decision(ids["twin"], Decision.REJECTED, Reason.DUPLICATE, duplicate_of=ids["talk"], facts=facts)
    broken = inspect_file(source / "only-text.mp4")
    assert broken.error is not None
    catalog.set_decision(ids["only-text"], Decision.REJECTED, Reason(broken.error.kind), detail=broken.error.detail)
    catalog.close()
    return workspace


@pytest.fixture
def workspace(curated: Path, tmp_path: Path) -> Path:
    """A copy of the curated workspace that a test may change; its source videos stay where they are."""
    copy = tmp_path / "workspace"
    shutil.copytree(curated, copy, ignore=shutil.ignore_patterns("source", "report"))
    return copy


@pytest.fixture
def trained(workspace: Path) -> Path:
    """The workspace with finished runs: pre-training, fine-tuning, evaluation."""
    catalog = Catalog(workspace)
    clips = [clip.path for clip in catalog.clips()]
    pretrain(workspace, catalog, clips)
    finetune(workspace, catalog, clips)
    evaluate(workspace, catalog, clips)
    catalog.close()
    return workspace
