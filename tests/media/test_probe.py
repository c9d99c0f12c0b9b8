from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import Probe, probe_video


def write_video(
    path: Path, frames: int, *, size: tuple[int, int] = (64, 48), codec: str = "libx264", **options: str
) -> Path:
    """Write noise at 10 frames a second."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as output:
        stream = output.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            image = noise.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode())
    return path


SHOTS = {  # width and height as displayed, frames, duration, fps, rotation, audio
    "testvideo.mp4": (1280, 720, 720, 24.024, 29.97, 0, False),
    "issue-195-aspect-ratio.mp4": (1024, 576, 628, 25.12, 25.0, 0, True),
    "issue-134-rotate.mp4": (544, 1280, 240, 10.01, 23.976, 90, True),
    "goldeneye-vfr-drop3.mp4": (1280, 544, 160, 9.9683, 16.0509, 0, False),
    "delayed_start.mp4": (480, 320, 24, 0.96, 25.0, 0, False),
}


@pytest.mark.parametrize("name", SHOTS)
def test_facts(name: str, shared_videos: Path) -> None:
    probe = probe_video(shared_videos / "shots" / name)
    facts = (probe.width, probe.height, probe.frames, probe.duration_s, probe.fps, probe.rotation, probe.has_audio)
    assert facts == SHOTS[name]
    assert probe.container == "mov"


def test_the_name_does_not_matter(shared_videos: Path, tmp_path: Path) -> None:
    shutil.copyfile(shared_videos / "shots" / "testvideo.mp4", tmp_path / "notes.txt")
    assert probe_video(tmp_path / "notes.txt") == probe_video(shared_videos / "shots" / "testvideo.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov", ".flv", ".ts"])
def test_containers(suffix: str, tmp_path: Path) -> None:
    probe = probe_video(write_video(tmp_path / f"video{suffix}", 25))
    assert (probe.frames, probe.width, probe.height, probe.codec) == (25, 64, 48, "h264")
    assert probe.duration_s == pytest.approx(2.5, abs=0.11)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_rotation(turn: int, tmp_path: Path) -> None:
    plain, turned = write_video(tmp_path / "plain.mp4", 5), tmp_path / "turned.mp4"
    with av.open(str(plain)) as source, av.open(str(turned), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(-turn)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    probe = probe_video(turned)
    assert probe.rotation == turn
    assert (probe.width, probe.height) == ((48, 64) if turn % 180 else (64, 48))


def test_broken_off(shared_videos: Path, tmp_path: Path) -> None:
    source = shared_videos / "shots" / "testvideo.mp4"
    fast = tmp_path / "fast.mp4"
    with av.open(str(source)) as container, av.open(str(fast), "w", options={"movflags": "+faststart"}) as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    kinds = {}
    for path in (source, fast):
        content = path.read_bytes()
        for share in (5, 60, 97):
            broken = tmp_path / "broken.mp4"
            broken.write_bytes(content[: len(content) * share // 100])
            try:
                kinds[path.name, share] = probe_video(broken).frames
            except MediaError as error:
                kinds[path.name, share] = error.kind
    assert kinds["testvideo.mp4", 5] == kinds["testvideo.mp4", 60] == kinds["testvideo.mp4", 97] == "unreadable"
    assert kinds["fast.mp4", 5] == kinds["fast.mp4", 60] == "truncated"
    assert 648 <= kinds["fast.mp4", 97] < 720


def test_a_single_frame_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="still_image"):
        probe_video(write_video(tmp_path / "one.mp4", 1))


def test_sound_with_or_without_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, number * 1024, Fraction(1, 16000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with pytest.raises(MediaError, match="no video stream"):
        probe_video(path)


def test_a_header_that_claims_hours_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "hours.mp4", 20)
    content = bytearray(path.read_bytes())
    at = content.index(b"mdhd") + 4 + 12  # version, flags, two dates; then time scale and duration
    scale = int.from_bytes(content[at : at + 4], "big")
    content[at + 4 : at + 8] = (scale * 36_000).to_bytes(4, "big")
    path.write_bytes(content)
    assert probe_video(path).duration_s == pytest.approx(2.0)


def test_noise_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    content = write_video(tmp_path / "good.mp4", 30).read_bytes()
    random = np.random.default_rng(7)
    outcomes: list[Probe | str] = []
    for number in range(60):
        damaged = bytearray(content)
        for at in random.integers(0, len(damaged), 1 + number):
            damaged[at] = random.integers(0, 256)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(damaged)
        try:
            outcomes.append(probe_video(path))
        except MediaError as error:
            outcomes.append(error.kind)
    assert any(isinstance(outcome, Probe) for outcome in outcomes)
    assert {outcome for outcome in outcomes if isinstance(outcome, str)} <= {
        "unreadable", "empty", "truncated", "too_large", "still_image",
    }  # fmt: skip
