"""The published detector and workspaces of real videos."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from absent import absent
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.collect.register import register
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.weights import yolov8n_onnx
from hashtag2action.engine import make_engine
from hashtag2action.errors import UserError
from hashtag2action.settings import load
from hashtag2action.wheels import cache_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "catalog"))
from backends import postgresql

__all__ = ["postgresql"]


@pytest.fixture(scope="session")
def weights() -> Path:
    """YOLOv8n as an ONNX file, fetched and exported as a user's would be."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / ".weights.lock"):
            return yolov8n_onnx(None, cache)
    except UserError as error:
        absent(f"no detector to test with: {error}")


@pytest.fixture(scope="session")
def demo_settings(weights: Path) -> CurateSettings:
    return load(CurateSettings, "curate", "demo")


@pytest.fixture
def registered(shared_videos: Path, tmp_path: Path) -> Callable[[str], Catalog]:
    """Return a function that makes a workspace with a few real videos: good, repeated, broken."""
    source = tmp_path / "source"
    smallest = min((shared_videos / "panda" / "no_person").glob("*.mp4"), key=lambda path: path.stat().st_size)
    yoga = min((shared_videos / "yoga").rglob("*.mp4"), key=lambda path: path.stat().st_size)
    picked = {
        "dance/goldeneye.mp4": shared_videos / "shots" / "goldeneye-vfr-drop3.mp4",
        "dance/again.mp4": shared_videos / "shots" / "goldeneye-vfr-drop3.mp4",
        "talk/yoga.mp4": yoga,
        "talk/delayed.mp4": shared_videos / "shots" / "delayed_start.mp4",
        "dance/empty_room.mp4": smallest,
    }
    for name, original in picked.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, source / name)
    (source / "talk" / "text.mp4").write_text("no video\n")
    (source / "talk" / "broken.mp4").write_bytes((source / "dance" / "again.mp4").read_bytes()[:300_000])
    for path in source.rglob("*.mp4"):
        os.utime(path, ns=(0, 0))

    def make(name: str) -> Catalog:
        catalog = Catalog(tmp_path / name)
        register(catalog, find_videos(source), make_engine("local", 2))
        return catalog

    return make
