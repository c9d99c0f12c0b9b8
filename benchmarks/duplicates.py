"""What looking for videos that look alike costs: in the scan of each video, and in the comparison of all of them.

    python benchmarks/duplicates.py [--fingerprints 340000] [--rows 340000] [--videos FOLDER] [--json FILE]

The comparison is of synthetic fingerprints of 15 s, whose looks have the skew of real ones' bits; one in 50 is a copy with
6 % of its look's and a tenth of its moves' signs wrong, every other one mirrored. With `--rows` a whole `curate` is measured
that finds nothing to read in a catalog of that many videos, all fingerprinted. With `--videos` the fingerprint's share of
the scan (decoding, cuts, quality, fingerprint) is measured on the files of a folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from hashtag2action.catalog.fingerprints import Standing, VideoFingerprint
from hashtag2action.catalog.schema import Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.curate.duplicates import DuplicateSettings, find_alike
from hashtag2action.curate.fingerprint import LOOK_BITS, METHOD, MOVE_BITS, Fingerprinter, lowest
from hashtag2action.curate.run import curate, settings_key
from hashtag2action.curate.scan import scan_video
from hashtag2action.curate.scenes import small_frame
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.similar import candidates, looks_of
from hashtag2action.engine import make_engine
from hashtag2action.media.container import open_video, video_stream
from hashtag2action.media.frames import decode
from hashtag2action.media.probe import probe_video

STEPS = 120  # 15 s
SKEW = 0.067  # how far from one half the share of ones is, on average over a look's bits, among 488 real videos


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fingerprints", type=int, default=340_000)
    options.add_argument("--rows", type=int, default=0)
    options.add_argument("--videos", type=Path)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    figures = compare(given.fingerprints)
    if given.rows:
        figures |= idle_run(given.rows)
    if given.videos:
        figures |= share_of_scan(sorted(path for path in given.videos.rglob("*") if path.suffix in (".mp4", ".avi")))
    for name, value in figures.items():
        print(f"{name:28} {value:12,.3f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(count: int) -> dict[str, float]:
    """Return CPU seconds, memory and what is found among `count` fingerprints."""
    chance = np.random.default_rng(0)
    ones = np.clip(0.5 + chance.choice((-1, 1), LOOK_BITS) * chance.exponential(SKEW, LOOK_BITS), 0.02, 0.98)
    originals = count - count // 51
    bits = (chance.random((count, LOOK_BITS), dtype=np.float32) < ones).astype(np.uint8)
    copied = chance.choice(originals, count - originals, replace=False)
    bits[originals:] = bits[copied] ^ (chance.random((len(copied), LOOK_BITS)) < 0.06)
    bits[originals::2] ^= (lowest(LOOK_BITS)[1] % 2).astype(np.uint8)
    looks = np.packbits(bits, axis=1)
    del bits
    source = {originals + number: int(original) for number, original in enumerate(copied)}

    def fingerprints(rows: Iterable[int]) -> dict[int, bytes]:
        return {row: looks[row].tobytes() + _moves(row, source.get(row, row), originals) for row in rows}

    videos = [
        Standing(n, f"{n}.mp4", -1, count - n, "accepted", "person", None, looks[n].tobytes()) for n in range(count)
    ]
    start = time.process_time()
    pairs = candidates(looks_of([video.look for video in videos]))
    searched_s = time.process_time() - start
    found = find_alike(videos, (), DuplicateSettings(), fingerprints)
    all_s = time.process_time() - start - searched_s
    right = sum(row in found and found[row].duplicate_of == original for row, original in source.items())
    return {
        "fingerprints": count,
        "search_s": searched_s,
        "whole_s": all_s,
        "candidates": len(pairs),
        "copies": len(source),
        "copies_found": right / len(source),
        "false": len(found) - right,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def idle_run(count: int) -> dict[str, float]:
    """Return the CPU seconds and the growth of memory of a run on a catalog in which all is decided."""
    settings, chance = CurateSettings(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder) / "work")
        about = {"codec": "h264", "duration_s": 15.0, "size_bytes": 1, "decision": "accepted", "reason": "person"}
        about |= {"settings_digest": settings_key(settings), "report": {"filler": "x" * 1500}}
        for start in range(1, count + 1, 10_000):
            rows = range(start, min(start + 10_000, count + 1))
            with catalog.session() as session:
                hashes = {row: chance.bytes(32).hex() for row in rows}
                videos = [
                    {"id": row, "path": f"{row}.mp4", "title": "", "sha256": hashes[row], **about} for row in rows
                ]
                session.execute(sa.insert(Video), videos)
                data = [chance.bytes(16 + 16 * STEPS) for _ in rows]
                prints = [
                    {"video_id": row, "sha256": hashes[row], "method": METHOD, "data": content}
                    for row, content in zip(rows, data, strict=True)
                ]
                session.execute(sa.insert(VideoFingerprint), prints)
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start_s = time.process_time()
        summary = curate(catalog, catalog.workspace, settings, make_engine("local", 1))
        assert summary.curated == 0
        idle_s = time.process_time() - start_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        catalog.close()
    return {"rows": count, "idle_run_s": idle_s, "idle_run_before_mb": before_mb, "idle_run_peak_mb": peak_mb}


def share_of_scan(paths: list[Path]) -> dict[str, float]:
    """Return the CPU seconds that scanning takes, and of them those for fingerprints; best of three."""
    settings, scans, prints = CurateSettings(), 0.0, 0.0
    for path in paths:
        probe = probe_video(path)
        with open_video(path) as container:
            frames = [(small_frame(f)[1], f.time) for f in decode(container, video_stream(container))]
        taken = []
        for _ in range(3):
            start = time.process_time()
            taking = Fingerprinter(probe.fps)
            for luma, time_s in frames:
                taking.add(luma, time_s)
            taking.finish(probe.rotation)
            middle = time.process_time()
            scan_video(path, probe, settings)
            taken.append((time.process_time() - middle, middle - start))
        scans, prints = scans + min(taken)[0], prints + min(taken, key=lambda pair: pair[1])[1]
    return {"scan_s": scans, "fingerprint_s": prints, "fingerprint_share": prints / scans}


def _moves(row: int, original: int, originals: int) -> bytes:
    """Return the moves of a synthetic video, a third of them still, those of a copy noisy and mirrored where its look is."""
    moves = np.random.default_rng(original).integers(-1, 2, (STEPS, MOVE_BITS + 1)).astype(np.int8)
    if row != original:
        moves[np.random.default_rng(row).random(moves.shape) < 0.1] *= -1
        if (row - originals) % 2 == 0:
            moves[:, :MOVE_BITS][:, lowest(MOVE_BITS)[1] % 2 == 1] *= -1
    return np.packbits(np.stack([moves > 0, moves != 0], 1), axis=-1).tobytes()


if __name__ == "__main__":
    main()
