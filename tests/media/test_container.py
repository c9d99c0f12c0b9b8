from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashtag2action.media import container
from hashtag2action.media.container import MediaError, open_video, video_stream
from hashtag2action.media.probe import probe_video


def kind_of(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        probe_video(path)
    assert "\n" not in str(caught.value)
    return caught.value.kind


@pytest.fixture(scope="session")
def server() -> str:
    """Address of a server on this machine that fails the test if anything asks it for a video."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bool] = []

    def listen() -> None:
        while True:
            try:
                listener.accept()
            except OSError:
                return
            asked.append(True)

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    assert not asked, "a file made the reader open a connection"


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{target}</BaseURL></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:{target}\n",
    "m3u": "{target}\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
@pytest.mark.parametrize("style", PLAYLISTS)
def test_a_playlist_opens_nothing_else(
    style: str, suffix: str, server: str, shared_videos: Path, tmp_path: Path
) -> None:
    for number, target in enumerate([f"{server}/video.mp4", str(shared_videos / "shots" / "testvideo.mp4")]):
        path = tmp_path / f"{style}{number}{suffix}"
        path.write_text(PLAYLISTS[style].format(target=target))
        assert kind_of(path) == "unreadable"


def test_an_address_or_a_pattern_is_no_file(tmp_path: Path, server: str) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "1.png")
    for name in [f"{server}/a.mp4", f"concat:{tmp_path}/1.png|{tmp_path}/1.png", str(tmp_path / "%d.png")]:
        assert kind_of(Path(name)) == "missing"


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello " * 1000)
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "picture.jpg")
    (tmp_path / "picture.jpg").rename(tmp_path / "picture.mp4")
    found = {path.stem: kind_of(path) for path in sorted(tmp_path.iterdir())}
    assert found == {
        "empty": "empty",
        "folder": "unreadable",
        "picture": "still_image",
        "pipe": "unreadable",
        "text": "unreadable",
    }


def test_frames_beyond_the_bound_are_not_decoded(shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_videos / "shots" / "testvideo.mp4"
    monkeypatch.setattr(container, "MAX_PIXELS", 1280 * 720 - 1)
    with pytest.raises(MediaError) as caught, open_video(path) as opened:
        video_stream(opened)
    assert caught.value.kind in ("too_large", "unreadable")


def test_a_bound_met_only_while_decoding_holds_too(shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_video(shared_videos / "shots" / "testvideo.mp4") as opened:
        monkeypatch.setattr(container, "MAX_PIXELS", 1280 * 720)
        stream = video_stream(opened)
        assert stream.codec_context.options["max_pixels"] == str(1280 * 720)
        assert next(opened.decode(stream)).width == 1280


def test_the_error_keeps_its_parts_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MediaError("truncated", "half of it")))
    assert (error.kind, error.detail) == ("truncated", "half of it")


def test_a_stream_that_appears_on_the_way_ends_the_packets_and_fails_nothing() -> None:
    class Appearing:
        def demux(self) -> Iterator[int]:
            yield from (1, 2)
            raise IndexError("list index out of range")  # as PyAV 18 does of a stream that it does not list

    assert list(container.packets(Appearing())) == [1, 2]  # type: ignore[arg-type]
