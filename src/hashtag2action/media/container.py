"""Opening a video file that nobody vouches for.

FFmpeg reads far more than videos: playlists that name addresses, scripts that name other files, patterns of images.
Only containers that hold their own pictures are opened here, from the one file named, and no frame larger than a
bound is ever allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hashtag2action.media.shard import ShardError, in_shard, read_member

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

Kind = Literal["missing", "unreadable", "empty", "still_image", "too_large", "truncated"]

MAX_PIXELS = 8192 * 4320  # 8K, in either orientation
DEMUXERS = "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,ivf,gif,mxf,rm"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*")  # JPEG, PNG, BMP, TIFF


class MediaError(Exception):
    """What is wrong with a video file: a fault of the data, to be recorded and not to end a run."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind: Kind = kind
        self.detail = detail

    @classmethod
    def from_ffmpeg(cls, error: Exception) -> MediaError:
        """Return what an FFmpeg error in the middle of a file means; a lack of memory is no fault of the file and raised."""
        if isinstance(error, MemoryError):
            raise error
        return cls("unreadable", f"damaged ({getattr(error, 'strerror', None) or error})")

    def __reduce__(self) -> tuple[type[MediaError], tuple[Kind, str]]:
        """Let the error travel between processes with both its parts."""
        return MediaError, (self.kind, self.detail)


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Open a video file for reading and close it again; `SHARD.tar/NAME.mp4` is read inside its archive.

    Raises `MediaError` where the file is missing, empty, no container of `DEMUXERS`, or damaged; an FFmpeg error inside
    the block, as from decoding, becomes one as well.
    """
    import av

    source = _member(path) if in_shard(path) else _file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, "max_pixels": str(MAX_PIXELS)}
    try:
        container = av.open(source, "r", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise MediaError("unreadable", f"not a video file that can be read ({error.strerror})") from error
    try:
        with container:
            yield container
    except av.FFmpegError as error:
        raise MediaError.from_ffmpeg(error) from error


def packets(container: InputContainer, *streams: VideoStream) -> Iterator[Packet]:
    """Yield the packets of streams (of all without any) to the end, as `demux` does.

    PyAV ends with an `IndexError` where a damaged file makes a stream appear that its header did not announce.
    """
    with suppress(IndexError):
        yield from container.demux(*streams)


def video_stream(container: InputContainer, threads: int = 1) -> VideoStream:
    """Return the first video stream that is no cover picture, set to decode with `threads` threads (0: all cores).

    Raises `MediaError` where there is none, no decoder for it, or its frames are larger than `MAX_PIXELS`.
    """
    from av.stream import Disposition

    pictures = [stream for stream in container.streams.video if stream.disposition & Disposition.attached_pic]
    streams = [stream for stream in container.streams.video if stream not in pictures]
    if not streams:
        raise MediaError("still_image" if pictures else "unreadable", "no video stream")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise MediaError("unreadable", "no decoder for its video stream")
    if context.width * context.height > MAX_PIXELS:
        raise MediaError("too_large", f"frames of {context.width}x{context.height}")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = threads
    context.thread_type = "AUTO" if threads != 1 else "NONE"
    return stream


def _file(path: Path) -> str:
    """Return a file's address; `MediaError` for what is no file (opening a pipe would wait for ever)."""
    try:
        if not path.is_file():
            raise MediaError(*(("unreadable", "not a file") if path.exists() else ("missing", "the file is gone")))
        with path.open("rb") as file:
            _check_head(file.read(16))
    except OSError as error:
        raise MediaError("unreadable", error.strerror or str(error)) from error
    return f"file:{path.resolve()}"


def _member(path: Path) -> BytesIO:
    try:
        content = read_member(path)
    except ShardError as error:
        raise MediaError("unreadable", str(error)) from error
    _check_head(content.getbuffer()[:16].tobytes())
    return content


def _check_head(head: bytes) -> None:
    """Raise `MediaError` for a file without bytes, or a picture."""
    if not head:
        raise MediaError("empty", "the file has no bytes")
    if head.startswith(PICTURES):
        raise MediaError("still_image", "a picture, not a video")
