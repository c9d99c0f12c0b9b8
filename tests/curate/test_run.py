from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.collect.register import register
from hashtag2action.curate.run import CurateSummary, curate
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.engine import make_engine
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of

Make = Callable[[str], Catalog]


def go(catalog: Catalog, settings: CurateSettings, engine: str = "local", workers: int = 2) -> CurateSummary:
    return curate(catalog, catalog.workspace, settings, make_engine(engine, workers))


def by_name(catalog: Catalog) -> dict[str, tuple[str, str | None]]:
    return {Path(video.path).stem: (video.decision, video.reason) for video in catalog.videos()}


EXPECTED = {
    "again": ("accepted", "person"),
    "goldeneye": ("rejected", "duplicate"),
    "yoga": ("accepted", "person"),
    "empty_room": ("review", "few_person_frames"),
    "delayed": ("rejected", "scene_too_short"),
    "text": ("rejected", "unreadable"),
    "broken": ("rejected", "unreadable"),
}


def test_the_catalog_and_the_files(registered: Make, demo_settings: CurateSettings) -> None:
    catalog = registered("workspace")
    summary = go(catalog, demo_settings)
    assert by_name(catalog) == EXPECTED
    assert summary == CurateSummary(
        5, 2, 1, 2, {"person": 2, "duplicate": 1, "few_person_frames": 1, "scene_too_short": 1}
    )
    (again,) = [video for video in catalog.videos() if video.path.endswith("again.mp4")]
    (goldeneye,) = [video for video in catalog.videos() if video.path.endswith("goldeneye.mp4")]
    assert goldeneye.duplicate_of == again.id and not goldeneye.clips
    assert [Path(clip.video.path).stem for clip in catalog.clips(Decision.ACCEPTED)] in (
        ["again", "yoga"],
        ["yoga", "again"],
    )
    for clip in catalog.clips(Decision.ACCEPTED, Decision.REVIEW):
        assert clip.path == f"clips/{clip.video.sha256[:16]}.mp4"
        assert sha256_of(catalog.workspace / clip.path) == clip.sha256
    for video in catalog.videos():
        if video.reason != Reason.DUPLICATE.value:
            record = json.loads((catalog.workspace / "videos" / f"{video.sha256[:16]}.json").read_text())
            assert record["title"] == Path(video.path).stem
            assert (record["decision"], record["reason"], record["detail"]) == (
                video.decision,
                video.reason,
                video.detail,
            )
            assert record["hashtags"] == [Path(video.path).parent.name]
    assert len(list((catalog.workspace / "clips").iterdir())) == 3
    assert again.report and again.report["cuts"] == [60, 140] and again.report["detections"][0]["boxes"]

    before = catalog.digest()
    assert go(catalog, demo_settings) == CurateSummary(0, 0, 0, 0, {})
    assert catalog.digest() == before


def test_both_engines_reach_the_same_catalog(registered: Make, demo_settings: CurateSettings) -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    local, ray = registered("local"), registered("ray")
    assert go(local, demo_settings) == go(ray, demo_settings, "ray")
    assert local.digest() == ray.digest()
    names = sorted(path.name for path in (local.workspace / "clips").iterdir())
    assert names == sorted(path.name for path in (ray.workspace / "clips").iterdir())
    for folder in ("clips", "videos"):
        for path in (local.workspace / folder).iterdir():
            assert path.read_bytes() == (ray.workspace / folder / path.name).read_bytes()


def test_other_settings_decide_again(registered: Make, demo_settings: CurateSettings) -> None:
    catalog = registered("workspace")
    go(catalog, demo_settings)
    summary = go(catalog, demo_settings.model_copy(update={"min_clip_s": 5.5}))
    assert summary.curated == 5
    assert by_name(catalog)["again"] == ("rejected", "scene_too_short")
    clips = catalog.clips(Decision.ACCEPTED, Decision.REVIEW)
    files = sorted(f"clips/{path.name}" for path in (catalog.workspace / "clips").iterdir())
    assert files == [clip.path for clip in clips] and len(files) < 3


def test_a_duplicate_takes_the_place_of_a_lost_original(registered: Make, demo_settings: CurateSettings) -> None:
    catalog = registered("workspace")
    go(catalog, demo_settings)
    (again,) = [Path(video.path) for video in catalog.videos() if video.path.endswith("again.mp4")]
    entries = find_videos(again.parent.parent)
    again.unlink()
    register(catalog, entries, make_engine("local", 1))
    summary = go(catalog, demo_settings)
    assert summary.reasons == {"person": 1}
    assert by_name(catalog)["again"] == ("rejected", "missing")
    assert by_name(catalog)["goldeneye"] == ("accepted", "person")


def test_a_file_that_takes_too_long_costs_itself_only(registered: Make, demo_settings: CurateSettings) -> None:
    catalog = registered("workspace")
    curate(catalog, catalog.workspace, demo_settings, make_engine("local", 2, timeout_s=0.05))
    assert {reason for _, reason in by_name(catalog).values()} <= {
        "timeout",
        "duplicate",
        "unreadable",
        "scene_too_short",
    }
    assert not catalog.clips(Decision.ACCEPTED, Decision.REVIEW)


def test_without_a_detector_nothing_is_touched(registered: Make, tmp_path: Path) -> None:
    catalog = registered("workspace")
    before = catalog.digest()
    with pytest.raises(UserError, match="none"):
        go(catalog, CurateSettings(detector=f"onnx:{tmp_path}/none.onnx"))
    assert catalog.digest() == before


def _curate_in_a_process(workspace: Path, settings: CurateSettings) -> None:
    os.setsid()  # so that it can be killed with its workers, as a machine that loses power would
    go(Catalog(workspace), settings)


def test_kill_and_go_on(registered: Make, demo_settings: CurateSettings) -> None:
    """Killed at random moments and started again, a run ends in the catalog and files of an undisturbed one."""
    undisturbed = registered("undisturbed")
    start = time.monotonic()
    go(undisturbed, demo_settings)
    whole_s = time.monotonic() - start
    killed = registered("killed")
    context = multiprocessing.get_context("spawn")
    for wait_s in np.random.default_rng(3).uniform(0.2, 1.0, 3) * whole_s:
        process = context.Process(target=_curate_in_a_process, args=(killed.workspace, demo_settings))
        process.start()
        process.join(wait_s)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL) if os.getpgid(process.pid) == process.pid else process.kill()
        process.join()
        assert not [
            video for video in killed.videos() if video.clips and not (killed.workspace / video.clips[0].path).is_file()
        ]
    go(killed, demo_settings)
    assert killed.digest() == undisturbed.digest()
    for folder in ("clips", "videos"):
        names = sorted(path.name for path in (undisturbed.workspace / folder).iterdir())
        assert names == sorted(path.name for path in (killed.workspace / folder).iterdir())
    shutil.rmtree(killed.workspace)
