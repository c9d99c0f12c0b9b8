from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from altered import alter

from absent import absent
from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.reviews import Review, record
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.collect.register import register
from hashtag2action.curate.duplicates import DuplicateSettings
from hashtag2action.curate.metadata import MetadataFilter
from hashtag2action.curate.run import CurateSummary, curate, parse_shard
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
        absent("Ray is not installed")
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


def clip_files(catalog: Catalog) -> list[str]:
    return sorted(f"clips/{path.name}" for path in (catalog.workspace / "clips").iterdir())


def state(catalog: Catalog) -> tuple[str, dict[str, bytes]]:
    """Everything that a run leaves: the catalog's content, and every clip and JSON file."""
    folders = [catalog.workspace / name for name in ("clips", "videos")]
    files = {path.name: path.read_bytes() for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return catalog.digest(), files


@pytest.fixture(scope="session")
def signs(shared_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of videos of a second: different ones, one twice, mirrored and recoloured ones, and junk.

    `small` and `mirrored` are made from 1, `coloured` and, in a folder of its own, `bordered` from 2; `same` is 0.
    """
    folder = tmp_path_factory.mktemp("signs")
    for name in ("sign", "held"):
        (folder / name).mkdir()
    clips = sorted((shared_videos / "signs").glob("*.mp4"), key=lambda path: path.stat().st_size)[:5]
    for number, path in enumerate([*clips, clips[0]]):
        shutil.copyfile(path, folder / "sign" / ("same.mp4" if number == 5 else f"{number}.mp4"))
    alter(clips[1], folder / "sign" / "small.mp4", "scaled", 3)
    alter(clips[1], folder / "sign" / "mirrored.mp4", "mirrored", 1)
    alter(clips[2], folder / "sign" / "coloured.mp4", "colour-shifted", 1)
    alter(clips[2], folder / "held" / "bordered.mp4", "bordered", 1)
    (folder / "held" / "list.txt").write_text("bordered.mp4 1\n")
    (folder / "sign" / "text.mp4").write_text("no video")
    for path in folder.rglob("*.mp4"):
        os.utime(path, ns=(0, 0))
    return folder


@pytest.fixture
def quick(demo_settings: CurateSettings) -> CurateSettings:
    """Return settings that decide a small video at once."""
    return demo_settings.model_copy(update={"detector_size_px": 160, "preset": "ultrafast"})


@pytest.fixture
def tiny(signs: Path, tmp_path: Path) -> Callable[..., Catalog]:
    """Return a function that makes a workspace of the videos of `signs`."""
    source = shutil.copytree(signs / "sign", tmp_path / "source" / "sign")

    def make(name: str, url: str | None = None) -> Catalog:
        catalog = Catalog(tmp_path / name, url)
        register(catalog, find_videos(source.parent), make_engine("local", 2))
        return catalog

    return make


def kept(catalog: Catalog) -> set[str]:
    return {Path(clip.video.path).stem for clip in catalog.clips(Decision.ACCEPTED, Decision.REVIEW)}


def test_one_of_those_that_look_alike_is_kept(tiny: Callable[..., Catalog], quick: CurateSettings) -> None:
    """The largest, or the most viewed; what is taken out of the catalog or the settings comes back."""
    catalog = tiny("workspace")
    sizes = {Path(video.path).stem: video.size_bytes or 0 for video in catalog.videos()}
    largest = {max(names, key=lambda name: sizes[name]) for names in (("1", "small", "mirrored"), ("2", "coloured"))}
    summary = go(catalog, quick)
    assert (summary.reasons["near_duplicate"], summary.reasons["duplicate"]) == (3, 1)
    assert kept(catalog) == {"0", "3", "4", *largest}
    for video in catalog.videos():
        if video.reason == Reason.NEAR_DUPLICATE.value:
            assert video.sha256 and video.duplicate_of and video.detail and not video.clips
            record = json.loads((catalog.workspace / "videos" / f"{video.sha256[:16]}.json").read_text())
            assert (record["decision"], record["reason"]) == ("rejected", "near_duplicate")
    assert clip_files(catalog) == [clip.path for clip in catalog.clips(Decision.ACCEPTED, Decision.REVIEW)]
    before = state(catalog)
    assert go(catalog, quick).curated == 0 and state(catalog) == before
    (smallest,) = (
        {"1", "small", "mirrored"} - largest - {max({"1", "small", "mirrored"} - largest, key=sizes.__getitem__)}
    )
    (popular,) = [video.id for video in catalog.videos() if Path(video.path).stem == smallest]
    with catalog.session() as session:
        session.add(Post(platform="p", platform_id="1", view_count=9, seen_at=0.0, checked_at=0.0, video_id=popular))
    go(catalog, quick)
    assert kept(catalog) == {"0", "3", "4", smallest, *(largest & {"2", "coloured"})}
    go(catalog, quick.model_copy(update={"duplicates": DuplicateSettings(near=False)}))
    assert kept(catalog) == {"0", "1", "2", "3", "4", "small", "mirrored", "coloured"}
    go(catalog, quick)
    assert kept(catalog) == {"0", "3", "4", smallest, *(largest & {"2", "coloured"})}


def test_nothing_that_looks_like_a_held_out_video_is_kept(
    tiny: Callable[..., Catalog], signs: Path, quick: CurateSettings
) -> None:
    catalog = tiny("workspace")
    excluding = quick.model_copy(update={"duplicates": DuplicateSettings(exclude_like=(signs / "held",))})
    summary = go(catalog, excluding)
    assert (summary.held_out, summary.held_out_unreadable) == (1, 0)
    held = {Path(v.path).stem: v.detail or "" for v in catalog.videos() if v.reason == Reason.HELD_OUT.value}
    assert held.keys() == {"2", "coloured"}
    assert all(str(signs.resolve() / "held" / "bordered.mp4") in detail for detail in held.values())
    before = state(catalog)
    assert go(catalog, excluding).curated == 0 and state(catalog) == before
    go(catalog, quick)
    assert len(kept(catalog)) == 5 and kept(catalog) & {"2", "coloured"}
    for folder, message in ((signs / "x", "no such folder"), (catalog.workspace / "videos", "no video in it")):
        with pytest.raises(UserError, match=message):
            go(catalog, quick.model_copy(update={"duplicates": DuplicateSettings(exclude_like=(folder,))}))


def test_a_reviewers_word_outranks_the_engines(tiny: Callable[..., Catalog], quick: CurateSettings) -> None:
    """It overrules a scene that is too short, a likeness and a filter, whatever the settings; a no is not read again."""
    catalog = tiny("workspace")
    strict = quick.model_copy(update={"min_clip_s": 9.0, "metadata": MetadataFilter(min_duration_s=9.0)})
    go(catalog, quick)
    contents = {Path(video.path).stem: video.sha256 or "" for video in catalog.videos()}
    yes = [Review(contents[name], Decision.ACCEPTED, "me") for name in ("1", "mirrored", "3")]
    record(catalog, [*yes, Review(contents["4"], Decision.REJECTED, "me", "blurred")])
    for settings, others in ((quick, 2), (strict, 0), (strict, 0), (quick, 2)):
        go(catalog, settings)
        assert kept(catalog) >= {"1", "mirrored", "3"} and len(kept(catalog)) == 3 + others
        assert by_name(catalog)["4"] == ("rejected", "reviewer")
        assert by_name(catalog)["mirrored"] == ("accepted", "reviewer")
    record(catalog, [Review(contents["3"], Decision.REJECTED, "me"), Review(contents["4"], Decision.ACCEPTED, "you")])
    go(catalog, quick)
    assert kept(catalog) >= {"1", "mirrored", "4"} and len(kept(catalog)) == 5 and "3" not in kept(catalog)


def test_clips_of_changed_videos_go(tiny: Callable[..., Catalog], quick: CurateSettings) -> None:
    catalog = tiny("workspace")
    go(catalog, quick)
    changed = next(Path(video.path) for video in catalog.videos() if video.path.endswith("3.mp4"))
    before = sha256_of(changed)[:16]
    assert (catalog.workspace / "clips" / f"{before}.mp4").is_file()
    changed.write_bytes(changed.with_stem("4").read_bytes())
    register(catalog, find_videos(changed.parent.parent), make_engine("local", 1))
    (catalog.workspace / "clips" / f".{before}-x.part.mp4").write_bytes(b"half")
    mine = catalog.workspace / "clips" / "notes.mp4"
    mine.write_bytes(b"not ours")
    go(catalog, quick)
    assert not list(catalog.workspace.rglob(f"*{before}*")) and mine.exists()
    mine.unlink()
    assert clip_files(catalog) == [clip.path for clip in catalog.clips(Decision.ACCEPTED, Decision.REVIEW)]


def test_failures_are_tried_again_when_asked(tiny: Callable[..., Catalog], quick: CurateSettings) -> None:
    catalog, never_failed = tiny("workspace"), tiny("other")
    curate(catalog, catalog.workspace, quick, make_engine("local", 2, timeout_s=0.01))
    assert "timeout" in {reason for _, reason in by_name(catalog).values()}
    assert go(catalog, quick).curated == 0
    curate(catalog, catalog.workspace, quick, make_engine("local", 2), retry_failed=True)
    go(never_failed, quick)
    assert state(catalog) == state(never_failed)


def test_the_summary_says_how_fast_it_was(tiny: Callable[..., Catalog], quick: CurateSettings) -> None:
    catalog = tiny("workspace")
    summary = go(catalog, quick)
    hours = sum(v.duration_s or 0 for v in catalog.videos() if v.report) / 3600
    assert summary.video_hours == pytest.approx(hours, abs=1e-4)
    assert summary.videos_per_s == pytest.approx(8 / summary.seconds, rel=0.2)
    assert json.loads((catalog.workspace / "curate.json").read_text()) == asdict(summary)


@pytest.mark.parametrize("text", ["1/1", "2/2", "-1/2", "1", "a/b", "1/0", "/", "0/2/3"])
def test_wrong_shards(text: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        parse_shard(text)


def _curate_a_shard(workspace: Path, url: str | None, settings: CurateSettings, text: str) -> None:
    catalog = Catalog(workspace, url)
    curate(catalog, catalog.workspace, settings, make_engine("local", 1), shard=parse_shard(text))
    catalog.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_shards_at_once(
    tiny: Callable[..., Catalog], quick: CurateSettings, database: str, request: pytest.FixtureRequest
) -> None:
    """Two processes on one catalog leave what one alone leaves, copies and videos that look alike in both included."""
    url = request.getfixturevalue("postgresql") if database == "postgresql" else None
    alone, shared = tiny("alone"), tiny("shared", url)
    go(alone, quick)
    context = multiprocessing.get_context("spawn")
    work = [(shared.workspace, url, quick, f"{index}/2") for index in range(2)]
    processes = [context.Process(target=_curate_a_shard, args=args) for args in work]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert state(shared) == state(alone)
    parts = [json.loads((shared.workspace / f"curate-{index}-of-2.json").read_text()) for index in range(2)]
    assert all(part["curated"] for part in parts)
    shared.close()


def _curate_in_a_process(workspace: Path, settings: CurateSettings) -> None:
    os.setsid()  # so that it can be killed with its workers, as a machine that loses power would
    go(Catalog(workspace), settings)


def _start(workspace: Path, settings: CurateSettings) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=_curate_in_a_process, args=(workspace, settings))
    process.start()
    return process


def _whole(workspace: Path) -> bool:
    """Whether every clip that the catalog names is there as it says, and every JSON file can be read."""
    catalog = Catalog(workspace)
    clips = catalog.clips(*Decision)
    catalog.close()
    for path in (workspace / "videos").glob("[0-9a-f]*.json"):
        json.loads(path.read_text())
    return all(sha256_of(workspace / clip.path) == clip.sha256 for clip in clips)


@pytest.mark.timeout(3600)
def test_kill_and_go_on(tiny: Callable[..., Catalog], quick: CurateSettings, tmp_path: Path) -> None:
    """Killed at random moments and started again, a run ends in the catalog and files of an undisturbed one."""
    kills = 100 if os.environ.get("H2A_SLOW") else 4
    fresh = tiny("fresh")
    fresh.close()
    undisturbed = shutil.copytree(fresh.workspace, tmp_path / "undisturbed")
    start = time.monotonic()
    _start(undisturbed, quick).join()
    whole_s = time.monotonic() - start
    expected = state(Catalog(undisturbed))
    assert {"near_duplicate", "duplicate"} <= {reason for _, reason in by_name(Catalog(undisturbed)).values()}
    chance, killed, rounds = np.random.default_rng(3), 0, 0
    while killed < kills:
        rounds += 1
        workspace = Path(shutil.copytree(fresh.workspace, tmp_path / f"round-{rounds}"))
        while killed < kills:
            process = _start(workspace, quick)
            process.join(chance.uniform(0.1, 1.0) * whole_s)
            if not process.is_alive():
                break
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGKILL) if os.getpgid(process.pid) == process.pid else process.kill()
            process.join()
            killed += 1
            assert _whole(workspace)
        go(Catalog(workspace), quick)
        assert state(Catalog(workspace)) == expected
        shutil.rmtree(workspace)
    print(f"{killed} kills in {rounds} runs of {whole_s:.1f} s")
