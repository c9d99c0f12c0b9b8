"""One detector for all workers of a machine: frames of different videos that wait at the same time are looked at together.

The detector lives in a process of its own. Workers connect to it by a socket in a folder that only this user can
enter, send frames and get boxes. Whatever has come while the network ran makes the next batch. A worker whose
detector is gone looks on its own from then on; the process ends with the one that started it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from hashtag2action.curate.people import Box, Detector, load_detector
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.engine import Engine, fresh_processes
from hashtag2action.errors import UserError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Address:
    """Where a shared detector listens, and the key that it asks for."""

    place: Any
    key: bytes


@dataclass
class Asked:
    """Pictures of one worker, at least one, (H, W, 3) RGB uint8 and of one size, and where their boxes go."""

    images: list[Array]
    answer: Connection


@contextmanager
def shared_detector(settings: CurateSettings, engine: Engine) -> Iterator[Address | None]:
    """Have a detector run for the workers of `engine` where the settings want one, and on a GPU always; give its address.

    Raises `UserError` where it cannot be loaded, or workers may be on other machines.
    """
    if settings.detector_batch == 1 and settings.detector_device == "cpu":
        yield None
        return
    if engine.name != "local":
        raise UserError(
            f"--engine {engine.name}: workers share a detector only with --engine local; take that, or leave detector_batch and detector_device alone"
        )
    processes = fresh_processes()
    ours, theirs = processes.Pipe()
    key = os.urandom(32)
    process = processes.Process(target=_serve, args=(theirs, settings, key), daemon=True)
    process.start()
    theirs.close()
    try:
        started = _first_word(ours)
        if isinstance(started, UserError):
            raise started
        yield Address(started, key)
    finally:
        ours.close()
        process.join()


@lru_cache(maxsize=1)
def detector_at(address: Address, settings: CurateSettings) -> Detector:
    """Return the shared detector at an address, or this process's own where it cannot be reached."""
    try:
        return _RemoteDetector(Client(address.place, authkey=address.key), settings)
    except (OSError, EOFError):
        return load_detector(settings)


class _RemoteDetector:
    """What a worker has of a shared detector."""

    def __init__(self, connection: Connection, settings: CurateSettings) -> None:
        self._connection, self._settings = connection, settings
        self._own: Detector | None = None

    def detect(self, images: Sequence[Array]) -> list[list[Box]]:
        """Return the people in each of the images, (H, W, 3) RGB uint8, all of one size; the surest first."""
        if self._own is None and images:
            try:
                self._connection.send(list(images))
                found: list[list[Box]] = self._connection.recv()
                return found
            except (OSError, EOFError):
                self._own = load_detector(self._settings)
            except BaseException:  # no memory, say; the unread answer must not go to the next question
                self._connection.close()
                raise
        return self._own.detect(images) if self._own else []


def _first_word(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError as error:
        raise UserError("the process that looks for people ended at its start; try `detector_batch` 1") from error


def _serve(parent: Connection, settings: CurateSettings, key: bytes) -> None:
    """Look at what workers send until the process that started this one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        detector = load_detector(settings)
    except UserError as error:
        parent.send(error)
        return
    waiting: SimpleQueue[Asked] = SimpleQueue()
    folder = tempfile.mkdtemp(prefix="h2a-detector-")  # multiprocessing's own would be the parent's too
    place = None if os.name == "nt" else f"{folder}/socket"
    with Listener(place, backlog=128, authkey=key) as listener:
        parent.send(listener.address)
        threading.Thread(target=_end_with, args=(parent, folder), daemon=True).start()
        threading.Thread(target=_accept, args=(listener, waiting), daemon=True).start()
        while True:
            for asked, found in look_together(detector, _gather(waiting, settings.detector_batch)):
                with contextlib.suppress(OSError):  # a worker that is gone
                    asked.answer.send(found)


def look_together(detector: Detector, asked: Sequence[Asked]) -> Iterator[tuple[Asked, list[list[Box]]]]:
    """Yield each request with the boxes of its pictures; those of one size go through the network together."""
    sizes: dict[tuple[int, ...], list[Asked]] = {}
    for one in asked:
        sizes.setdefault(one.images[0].shape, []).append(one)
    for same in sizes.values():
        found = iter(detector.detect([image for one in same for image in one.images]))
        for one in same:
            yield one, list(itertools.islice(found, len(one.images)))


def _gather(waiting: SimpleQueue[Asked], enough: int) -> list[Asked]:
    """Wait for a request and take those that are there already, up to `enough` pictures or the first that makes it more."""
    asked = [waiting.get()]
    with contextlib.suppress(Empty):
        while sum(len(one.images) for one in asked) < enough:
            asked.append(waiting.get_nowait())
    return asked


def _accept(listener: Listener, waiting: SimpleQueue[Asked]) -> None:
    while True:
        try:
            connection = listener.accept()
        except (OSError, EOFError, AuthenticationError):
            continue
        threading.Thread(target=_listen, args=(connection, waiting), daemon=True).start()


def _listen(connection: Connection, waiting: SimpleQueue[Asked]) -> None:
    """Take in what one worker sends, until it is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            waiting.put(Asked(connection.recv(), connection))


def _end_with(parent: Connection, folder: str) -> None:
    """End this process, and remove its folder, when the one that started it closes its end or dies."""
    try:
        with contextlib.suppress(EOFError, OSError):
            parent.recv()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)
