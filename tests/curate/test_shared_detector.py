from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashtag2action.catalog.store import Catalog
from hashtag2action.curate.people import Box, load_detector
from hashtag2action.curate.run import curate
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.shared_detector import Address, Asked, detector_at, look_together, shared_detector
from hashtag2action.engine import fresh_processes, make_engine
from hashtag2action.errors import UserError
from hashtag2action.media.container import open_video, video_stream
from hashtag2action.media.frames import decode


@pytest.fixture
def pictures(shared_videos: Path) -> list[np.ndarray]:
    made = []
    for path in sorted((shared_videos / "yoga").rglob("*.mp4"))[:3]:
        with open_video(path) as container:
            made.append(next(decode(container, video_stream(container))).to_ndarray(format="rgb24"))
    return made


@pytest.fixture
def settings(weights: Path) -> CurateSettings:
    return CurateSettings(detector=f"onnx:{weights}", detector_batch=4)


class Counting:
    """Finds as many people as a picture's level, and remembers how many pictures it was given at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        assert len({image.shape for image in images}) == 1
        self.batches.append(len(images))
        return [[Box(0, 0, 1, 1, 1)] * int(image.flat[0]) for image in images]


def test_pictures_of_one_size_go_together_and_each_worker_gets_its_own() -> None:
    def asked(sizes: list[int], level: int) -> Asked:
        images = [np.full((side, side, 3), level + n, np.uint8) for n, side in enumerate(sizes)]
        return Asked(images, None)  # type: ignore[arg-type]

    requests = [asked([32, 32], 1), asked([64], 5), asked([32], 7)]
    detector = Counting()
    found = {id(one): [len(boxes) for boxes in boxes] for one, boxes in look_together(detector, requests)}
    assert [found[id(one)] for one in requests] == [[1, 2], [5], [7]]
    assert sorted(detector.batches) == [1, 3]


def test_many_workers_see_what_one_sees_alone(settings: CurateSettings, pictures: list[np.ndarray]) -> None:
    alone = [load_detector(settings).detect([picture])[0] for picture in pictures]
    seen: dict[int, Any] = {}

    def look(number: int, address: Address) -> None:
        detector = detector_at.__wrapped__(address, settings)  # a connection of its own, as a process has
        boxes = [detector.detect([picture])[0] for picture in pictures for _ in range(2)]
        if detector._own is None:  # it did not have to look on its own
            seen[number] = boxes

    with shared_detector(settings, make_engine(workers=1)) as address:
        assert address is not None
        workers = [threading.Thread(target=look, args=(number, address)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert detector_at(address, settings).detect([]) == []
    for boxes in seen.values():
        for expected, found in zip(alone, boxes[::2], strict=True):
            assert len(found) == len(expected)
            assert [box.score for box in found] == pytest.approx([box.score for box in expected], abs=2e-3)
    assert len(seen) == 4


def test_a_worker_looks_on_alone_once_the_detector_is_gone(
    settings: CurateSettings, pictures: list[np.ndarray]
) -> None:
    with shared_detector(settings, make_engine(workers=1)) as address:
        assert address is not None
        detector = detector_at.__wrapped__(address, settings)
        together = detector.detect(pictures[:1])
    assert detector.detect(pictures[:1]) == together
    assert detector_at.__wrapped__(address, settings) is load_detector(settings)  # nobody answers there
    assert not Path(str(address.place)).parent.exists()


def test_an_answer_never_goes_to_the_next_question(settings: CurateSettings, pictures: list[np.ndarray]) -> None:
    class OutOfMemory:
        """A connection on which reading the first answer fails, after the question was sent."""

        def __init__(self, connection: Any) -> None:
            self.send, self.close, self._connection, self._failed = connection.send, connection.close, connection, False

        def recv(self) -> Any:
            if not self._failed:
                self._failed = True
                raise MemoryError
            return self._connection.recv()

    with shared_detector(settings, make_engine(workers=1)) as address:
        assert address is not None
        detector = detector_at.__wrapped__(address, settings)
        detector._connection = OutOfMemory(detector._connection)
        with pytest.raises(MemoryError):
            detector.detect([pictures[0], pictures[0]])
        assert detector.detect(pictures[1:2]) == load_detector(settings).detect(pictures[1:2])


def test_a_run_believes_the_shared_detector(
    registered: Any, demo_settings: CurateSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that sees nobody leaves no video accepted, so the workers do ask it."""

    def answer(connection: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                connection.send([[] for _ in connection.recv()])

    def accept(listener: Listener) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept(),), daemon=True).start()

    @contextlib.contextmanager
    def blind(*_: Any) -> Iterator[Address]:
        with Listener(authkey=b"key") as listener:
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
            yield Address(listener.address, b"key")

    monkeypatch.setattr("hashtag2action.curate.run.shared_detector", blind)
    catalog: Catalog = registered("blind")
    summary = curate(catalog, catalog.workspace, demo_settings, make_engine(workers=2))
    assert (summary.accepted, summary.reasons["few_person_frames"]) == (0, 3)


def _start_and_wait(settings: CurateSettings, place: Path) -> None:
    with shared_detector(settings, make_engine(workers=1)) as address:
        assert address is not None
        place.write_text(str(address.place))
        time.sleep(60)


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
def test_it_ends_with_the_process_that_started_it(settings: CurateSettings, tmp_path: Path) -> None:
    process = fresh_processes().Process(target=_start_and_wait, args=(settings, tmp_path / "place"))
    process.start()
    _until(lambda: (tmp_path / "place").exists() and (tmp_path / "place").read_text())
    socket = Path((tmp_path / "place").read_text())
    assert socket.exists()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    _until(lambda: not socket.parent.exists())


def _until(holds: Any) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_run_decides_the_same(registered: Any, demo_settings: CurateSettings) -> None:
    decisions = []
    for name, batch in (("alone", 1), ("together", 4)):
        catalog: Catalog = registered(name)
        together = demo_settings.model_copy(update={"detector_batch": batch})
        curate(catalog, catalog.workspace, together, make_engine(workers=3))
        decisions.append({Path(v.path).stem: (v.decision, v.reason) for v in catalog.videos()})
        assert (
            curate(catalog, catalog.workspace, demo_settings, make_engine(workers=1)).curated == 0
        )  # the same settings
    assert decisions[0] == decisions[1]


def test_what_cannot_be_is_said(settings: CurateSettings, tmp_path: Path) -> None:
    class Elsewhere:
        name, workers = "ray", 1

    with pytest.raises(UserError, match="--engine local"), shared_detector(settings, Elsewhere()):  # type: ignore[arg-type]
        pass
    (tmp_path / "text.onnx").write_text("no network")
    broken = settings.model_copy(update={"detector": f"onnx:{tmp_path}/text.onnx"})
    with pytest.raises(UserError, match=r"text\.onnx"), shared_detector(broken, make_engine(workers=1)):
        pass
    with pytest.raises(UserError, match="onnxruntime-gpu"):
        load_detector(settings.model_copy(update={"detector_device": "cuda"}))
