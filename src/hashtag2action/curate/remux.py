"""A part of a video copied packet by packet: no pixel changes, at the cost of reading it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hashtag2action.curate.scan import Scan
from hashtag2action.curate.window import Window
from hashtag2action.media.container import open_video, packets, video_stream
from hashtag2action.media.probe import Probe

if TYPE_CHECKING:
    from av.packet import Packet


def copy_packets(path: Path, scan: Scan, probe: Probe, window: Window, size: tuple[int, int], clip_path: Path) -> int:
    """Copy a window into an mp4 file and return its number of frames; 0, and nothing written, where it cannot be.

    It can where the window begins at a keyframe, `size` is the source's, the picture stands upright, the codec is H.264 and
    no frame outside is needed to decode those inside. Raises `MediaError`.
    """
    import av

    upright = probe.rotation == 0 and (probe.width, probe.height) == size
    if not upright or probe.codec != "h264" or window.start_frame not in scan.keys:
        return 0
    with open_video(path) as source:
        stream = video_stream(source)
        chosen = _chosen(packets(source, stream), scan, window)
        if chosen is None or (stream.codec_context.width, stream.codec_context.height) != size:
            return 0
        with av.open(str(clip_path), "w", format="mp4", options={"movflags": "+faststart"}) as clip:
            copy = clip.add_stream_from_template(stream)
            first = min(packet.pts or 0 for packet in chosen)
            for packet in chosen:
                packet.pts, packet.dts = (packet.pts or 0) - first, (packet.dts or 0) - first
                packet.stream = copy
                clip.mux(packet)
    return len(chosen)


def _chosen(source: Iterable[Packet], scan: Scan, window: Window) -> list[Packet] | None:
    """Return the packets of a window's frames in order of decoding, or None where they cannot stand alone."""
    wanted = set(scan.stamps[window.start_frame : window.end_frame])
    start = scan.stamps[window.start_frame]
    chosen: list[Packet] = []
    begun = closed = False
    for packet in source:
        begun = begun or (packet.pts == start and packet.is_keyframe)
        if not begun:
            continue
        if packet.pts in wanted and packet.dts is not None:
            if closed:
                return None  # decoded after a frame outside, on which it may depend
            chosen.append(packet)
        elif packet.size and packet.pts is not None and start is not None and packet.pts > start:
            closed = True
    return chosen if len(chosen) == window.end_frame - window.start_frame else None
