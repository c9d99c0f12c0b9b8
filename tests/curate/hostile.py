"""Files that nobody should have to open: real videos that were damaged, and things that only look like videos."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from hashtag2action.collect.register import inspect_file
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import curate_video

Change = Callable[[bytes, list[bytes], np.random.Generator], bytes]


def examine(path: Path, settings: CurateSettings) -> tuple[str, str | None, int]:
    """Do what the pipeline does with a file; return the reason, the detail, and this worker's highest memory in MB."""
    inspection = inspect_file(path)
    if inspection.error is not None:
        reason, detail = str(inspection.error.kind), inspection.error.detail
    else:
        report = curate_video(path, settings, path.parent / "clips" / f"{path.name}.mp4")
        reason, detail = report.reason.value, report.detail
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return reason, detail, int(own.split()[1]) >> 10  # ru_maxrss would hold that of the process it was forked from


def remuxed(source: Path, folder: Path) -> list[Path]:
    """Return a video in every kind of container that is read."""
    made = []
    for suffix in (".mp4", ".mkv", ".flv", ".ts", ".mov"):
        target = folder / f"{source.stem}{suffix}"
        with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
            stream = writing.add_stream_from_template(reading.streams.video[0])
            for packet in reading.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    writing.mux(packet)
        made.append(target)
    for suffix, codec in (
        (".avi", "mpeg4"),
        (".mpg", "mpeg2video"),
        (".wmv", "msmpeg4v2"),
        (".gif", "gif"),
        (".ogv", "mpeg4"),
        (".3gp", "mpeg4"),
    ):
        target = folder / f"{source.stem}{suffix}"
        options = {"format": "matroska"} if suffix == ".ogv" else {}
        with av.open(str(source)) as reading, av.open(str(target), "w", **options) as writing:  # type: ignore[arg-type]
            stream = writing.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 128, 128, "rgb8" if codec == "gif" else "yuv420p"
            for number, frame in enumerate(reading.decode(video=0)):
                if number % (8 if codec == "gif" else 1) == 0:
                    small = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24", width=128, height=128))
                    writing.mux(stream.encode(small))
            writing.mux(stream.encode(None))
        made.append(target)
    return made


def _flip(content: bytes, _others: list[bytes], chance: np.random.Generator) -> bytes:
    data = np.frombuffer(content, np.uint8).copy()
    some = chance.integers(0, len(data), int(10 ** chance.uniform(0, 3)))
    data[some] ^= chance.integers(1, 256, len(some), dtype=np.uint8)
    return data.tobytes()


def _flip_head(content: bytes, _others: list[bytes], chance: np.random.Generator) -> bytes:
    data = np.frombuffer(content, np.uint8).copy()
    area = data[:400] if chance.random() < 0.5 else data[-2000:]  # where headers and indices are
    some = chance.integers(0, len(area), int(chance.integers(1, 12)))
    area[some] = chance.choice(np.array([0, 1, 0x7F, 0x80, 0xFF], np.uint8), len(some))
    return data.tobytes()


def _truncate(content: bytes, _others: list[bytes], chance: np.random.Generator) -> bytes:
    return content[: int(chance.integers(1, len(content)))]


def _splice(content: bytes, others: list[bytes], chance: np.random.Generator) -> bytes:
    other = others[int(chance.integers(len(others)))]
    return content[: int(chance.integers(len(content)))] + other[int(chance.integers(len(other))) :]


def _drop(content: bytes, _others: list[bytes], chance: np.random.Generator) -> bytes:
    start = int(chance.integers(len(content)))
    return content[:start] + content[start + int(chance.integers(1, 5000)) :]


def _repeat(content: bytes, _others: list[bytes], chance: np.random.Generator) -> bytes:
    start = int(chance.integers(len(content)))
    return content[:start] + content[start : start + 3000] * int(chance.integers(2, 20)) + content[start:]


CHANGES: tuple[Change, ...] = (_flip, _flip_head, _truncate, _splice, _drop, _repeat)


def mutated(originals: list[Path], folder: Path, count: int) -> Iterator[Path]:
    """Write damaged copies, one in ten of them under another container's extension."""
    contents = [path.read_bytes() for path in originals]
    for number in range(count):
        chance = np.random.default_rng(number)
        at = number % len(originals)
        data = CHANGES[int(chance.integers(len(CHANGES)))](contents[at], contents, chance)
        other = originals[int(chance.integers(len(originals)))] if chance.random() < 0.1 else originals[at]
        path = folder / f"mutated-{number}{other.suffix}"
        path.write_bytes(data)
        yield path


def contrived(original: Path, folder: Path, canary: Path, port: int) -> Iterator[Path]:
    """Write what is built to lead astray: lists that name addresses and files, sizes and lengths that are none."""
    address, secret = f"http://127.0.0.1:{port}/x.ts", str(canary)
    relative = os.path.relpath(canary, folder)
    for number, target in enumerate((address, f"file://{secret}", secret, relative, f"tcp://127.0.0.1:{port}")):
        texts = {
            "m3u8": f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{target}"\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n',
            "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
            "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=control:{target}\n",
            "mpd": f'<?xml version="1.0"?><MPD type="static" mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType='
            f'"video/mp4"><Representation id="1" bandwidth="9"><BaseURL>{target}</BaseURL></Representation></AdaptationSet>'
            "</Period></MPD>",
            "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
            "pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
            "ism": f'<SmoothStreamingMedia><StreamIndex Url="{target}"/></SmoothStreamingMedia>',
            "ram": f"{target}\n",
        }
        for kind, text in texts.items():
            for suffix in (kind, "mp4", "mkv"):
                path = folder / f"list-{number}-{kind}.{suffix}"
                path.write_text(text)
                yield path
        path = folder / f"reference-{number}.mov"
        path.write_bytes(_reference_movie(target.encode()))
        yield path
        path = folder / f"alias-{number}.mov"
        path.write_bytes(_with_alias(original.read_bytes(), target.encode()))
        yield path
    for name, data in {
        "empty.mp4": b"", "one-byte.mkv": b"\0", "text.mp4": b"no video\n" * 99, "page.mp4": b"<html>" + b"x" * 5000,
        "zip.mp4": b"PK\3\4" + bytes(500), "png.mp4": b"\x89PNG\r\n\x1a\n" + bytes(99), "jpeg.avi": b"\xff\xd8\xff\xe0" + bytes(99),
        "zeros.mp4": bytes(100_000), "ones.ts": b"\xff" * 100_000, "sync.ts": (b"\x47" + bytes(187)) * 500,
        "huge.gif": b"GIF89a\xff\xff\xff\xff\xf0\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;",
        "promise.mp4": struct.pack(">I4s", 0xFFFFFFF0, b"ftyp") + b"isom" * 9,
        "deep.mp4": b"".join(struct.pack(">I4s", 8 * (9000 - n), b"moov") for n in range(9000)),
        "script.avs": b'DirectShowSource("' + secret.encode() + b'")', "image-%03d.mp4": b"x" * 50,
    }.items():  # fmt: skip
        path = folder / name
        path.write_bytes(data)
        yield path
    renamed = folder / "video.txt"
    renamed.write_bytes(original.read_bytes())
    yield renamed
    yield _long_header(original, folder / "ten-hours.mp4")
    yield _encoded(folder / "8k.mp4", (7680, 4320), 2, [0, 1])
    yield _encoded(folder / "one-fps.mp4", (128, 96), 8, range(8), rate=1)
    yield _encoded(folder / "no-frames.mp4", (128, 96), 0, [])
    yield _encoded(folder / "one-frame.mkv", (128, 96), 1, [0])
    yield _encoded(folder / "ten-hours-apart.mkv", (128, 96), 4, [0, 1, 2, 36_000])
    yield _encoded(folder / "strip.mp4", (4096, 16), 4, range(4))
    os.mkfifo(folder / "pipe.mp4")
    yield folder / "pipe.mp4"
    (folder / "folder.mp4").mkdir()
    yield folder / "folder.mp4"
    yield folder / "gone.mp4"


def _encoded(path: Path, size: tuple[int, int], frames: int, seconds: object, rate: int = 25) -> Path:
    times = list(seconds)  # type: ignore[call-overload]
    with av.open(str(path), "w") as writing:
        stream = writing.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        picture = np.indices((size[1] // 2, size[0] // 2)).sum(0).astype(np.uint8)
        for number in range(frames):
            luma = np.roll(picture, number).repeat(2, 0).repeat(2, 1)
            planes = np.concatenate([luma, np.full((size[1] // 2, size[0]), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = times[number] * (rate if rate == 25 and times[-1] > 100 else 1)
            writing.mux(stream.encode(frame))
        if frames:
            writing.mux(stream.encode(None))
        else:
            writing.start_encoding()
    return path


def _long_header(original: Path, path: Path) -> Path:
    """Copy an mp4 whose header spreads its frames over ten hours."""
    data = bytearray(original.read_bytes())
    scale = struct.unpack_from(">I", data, data.find(b"mdhd") + 16)[0]
    times = data.find(b"stts") + 12  # of the first run of frames: how many, and how long each lasts
    frames = struct.unpack_from(">I", data, times)[0]
    struct.pack_into(">I", data, times + 4, 36_000 * scale // frames)
    path.write_bytes(data)
    return path


def _reference_movie(target: bytes) -> bytes:
    """Return a QuickTime file that says no more than where the video is."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), name) + content

    location = box(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(target) + 1) + target + b"\0")
    return box(b"ftyp", b"qt  " + bytes(8)) + box(b"moov", box(b"rmra", box(b"rmda", location)))


def _with_alias(data: bytes, target: bytes) -> bytes:
    """Return an mp4 whose track says that its samples are in another file."""
    at = data.find(b"url \0\0\0\1")
    alias = b"alis" + bytes(4) + target[:60].ljust(60, b"\0")
    return data if at < 0 else data[: at - 4] + struct.pack(">I", len(alias) + 4) + alias + data[at + 8 :]
