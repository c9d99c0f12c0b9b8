from __future__ import annotations

import os
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from altered import ALTERATIONS, alter

from hashtag2action.curate.duplicates import DuplicateSettings
from hashtag2action.curate.fingerprint import Fingerprinter, fingerprint_file
from hashtag2action.curate.similar import candidates, looks_of, similarity

COPIES = 500 if os.environ.get("H2A_SLOW") else 56
AT_LEAST = DuplicateSettings().similarity
SAME = {frozenset(("signs/028.mp4", "signs/029.mp4"))}  # one recording under two names, seen by eye
SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")


@pytest.fixture(scope="module")
def originals(shared_videos: Path) -> dict[str, bytes]:
    """Fingerprints of different clips, many of them of one person before one wall or of one room without anybody."""
    paths = [path for path in sorted(shared_videos.rglob("*")) if path.suffix in SUFFIXES]
    chosen = paths if COPIES > 100 else [path for path in paths if path.parts[-2] in ("nofight", "signs")]
    found = {path.relative_to(shared_videos).as_posix(): fingerprint_file(path) for path in chosen}
    return {name: data for name, data in found.items() if data is not None}


def test_different_clips_do_not_pair(originals: dict[str, bytes]) -> None:
    names = list(originals)
    pairs = candidates(looks_of(list(originals.values())))
    alike = {
        frozenset((names[a], names[b]))
        for a, b in pairs
        if similarity(originals[names[a]], originals[names[b]]) >= AT_LEAST
    }
    assert alike >= SAME
    in_false_pairs = {name for pair in alike - SAME for name in pair}
    print(f"{len(names)} clips, {len(alike - SAME)} false pairs: {sorted(map(sorted, alike - SAME))}")
    assert len(in_false_pairs) <= 0.01 * len(names)


@pytest.mark.timeout(3600)
def test_altered_copies_are_found(originals: dict[str, bytes], shared_videos: Path, tmp_path: Path) -> None:
    names = [list(originals)[at] for at in np.random.default_rng(0).permutation(len(originals))]
    looks = looks_of(list(originals.values()))
    found: Counter[str] = Counter()
    missed, wrong = [], []
    for number in range(COPIES):
        name, alteration = names[number % len(names)], ALTERATIONS[number % len(ALTERATIONS)]
        copy = tmp_path / f"{number}.mp4"
        alter(shared_videos / name, copy, alteration, seed=number)
        data = fingerprint_file(copy)
        assert data is not None
        near = candidates(looks, looks_of([data]))[:, 0]
        alike = {list(originals)[at] for at in near if similarity(list(originals.values())[at], data) >= AT_LEAST}
        found[alteration] += name in alike
        missed += [] if name in alike else [(alteration, name)]
        wrong += [(alteration, name, other) for other in alike - {name} if frozenset((name, other)) not in SAME]
        copy.unlink()
    print(f"found {sum(found.values())} of {COPIES}: {dict(found)}; missed {missed}; like another clip {wrong}")
    assert sum(found.values()) >= (0.95 if COPIES > 100 else 0.9) * COPIES  # of 56, three more or less are chance
    assert len(wrong) <= max(1, 0.01 * COPIES)


def test_a_turned_copy(shared_videos: Path, tmp_path: Path) -> None:
    """A rotation flag and pixels that are turned for good look the same."""
    source = shared_videos / "shots" / "issue-134-rotate.mp4"
    with av.open(str(source)) as reading, av.open(str(tmp_path / "upright.mp4"), "w") as writing:
        stream = writing.add_stream("libx264", rate=reading.streams.video[0].average_rate)
        stream.width, stream.height, stream.pix_fmt = 272, 640, "yuv420p"
        for frame in reading.decode(video=0):
            picture = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))
            upright = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(272, 640, "yuv420p")
            writing.mux(stream.encode(upright))
        writing.mux(stream.encode(None))
    one, other = fingerprint_file(source), fingerprint_file(tmp_path / "upright.mp4")
    assert one is not None and other is not None
    assert similarity(one, other) >= AT_LEAST


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_video_has_none(level: int) -> None:
    taking = Fingerprinter(fps=25)
    for index in range(50):
        taking.add(np.full((96, 128), level, np.uint8), index / 25)
    assert taking.finish() is None


def test_what_nothing_moves_in_is_told_by_its_look() -> None:
    chance = np.random.default_rng(0)

    def still(picture: np.ndarray) -> bytes:
        taking = Fingerprinter(fps=10)
        for index in range(30):
            taking.add(picture, index / 10)
        data = taking.finish()
        assert data is not None
        return data

    one, other = (chance.integers(0, 256, (32, 32), dtype=np.uint8).repeat(3, 0).repeat(3, 1) for _ in range(2))
    assert similarity(still(one), still(one // 2 + 60)) == 1.0
    assert similarity(still(one), still(np.ascontiguousarray(one[:, ::-1]))) == 1.0
    assert similarity(still(one), still(other)) == 0.0


@pytest.mark.parametrize(
    "times", [[0.0] * 30, [None] * 30, [5.0 - n for n in range(30)], [n * 3600.0 for n in range(30)]]
)
def test_odd_times(times: list[float | None]) -> None:
    """Timestamps that stand still, are missing, run backwards or jump by hours neither fail nor cost memory."""
    taking = Fingerprinter(fps=25)
    for index, time_s in enumerate(times):
        taking.add(np.random.default_rng(index).integers(0, 256, (96, 128), dtype=np.uint8), time_s)
    data = taking.finish()
    assert data is not None and len(data) <= 16 + 240 * 16


def test_candidates_among_many() -> None:
    """Copies, mirrored or not, are among the candidates, and few others are."""
    chance = np.random.default_rng(0)
    looks = chance.integers(0, 2, (20_000, 128), dtype=np.uint8)
    copies = looks[:200] ^ (chance.random((200, 128)) < 0.06)
    packed = np.packbits(np.concatenate([looks, copies]), axis=1)
    pairs = candidates(packed)
    expected = {(n, 20_000 + n) for n in range(200)}
    assert len(expected & {(int(a), int(b)) for a, b in pairs}) >= 196
    assert len(pairs) <= 210
    across = candidates(packed[:20_000], packed[20_000:])
    assert {(int(a), int(b)) for a, b in across} == {(int(a), int(b)) for a, b in pairs}


def test_thousands_of_one_look_stay_quick() -> None:
    looks = np.zeros((5000, 16), np.uint8)
    looks[:, 15] = np.arange(5000) % 4
    started = time.monotonic()
    tracemalloc.start()  # of this call alone, whatever the process held before
    pairs = candidates(looks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - started < 60
    assert peak < 1 << 30
    assert len(np.unique(pairs)) == 5000 and len(pairs) < 500 * 5000
