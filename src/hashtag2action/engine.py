"""Map a function over work, on this machine's processes or on Ray, with the same outcome.

An engine yields one `Outcome` an item, in the order in which they finish. A file that hangs, crashes its worker or
takes too much memory costs its own item and nothing else. An exception of the function itself is a fault of the
program and is raised.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from hashtag2action.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

TIMEOUT_S = 600.0
MEMORY_MB = 4096


class Failure(str, enum.Enum):
    """Why an item has no result."""

    TIMEOUT = "timeout"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item with its result, or with the failure that it had instead."""

    item: Item
    result: Result | None = None
    failure: Failure | None = None


class Engine(Protocol):
    """What both engines do."""

    name: str
    workers: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Yield an outcome for each item as it finishes, with at most two items a worker handed out at a time."""
        ...


def make_engine(
    name: str = "local",
    workers: int = 0,
    *,
    timeout_s: float = TIMEOUT_S,
    memory_mb: int = MEMORY_MB,
    ray_address: str | None = None,
) -> Engine:
    """Return the engine called `name`. `workers` 0 takes every core; `timeout_s` and `memory_mb` bound one item."""
    if name == "local":
        return LocalEngine(workers or _cores(), timeout_s, memory_mb)
    if name == "ray":
        return RayEngine(workers, timeout_s, memory_mb, ray_address)
    raise UserError(f"--engine {name}: no such engine; choose local or ray")


class LocalEngine:
    """Worker processes of this machine, started afresh so that no thread or lock is inherited."""

    name = "local"

    def __init__(self, workers: int, timeout_s: float, memory_mb: int) -> None:
        self.workers, self.timeout_s, self.memory_mb = workers, timeout_s, memory_mb

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Yield an outcome for each item as it finishes."""
        pending: dict[Any, Item] = {}
        source = iter(items)
        pool = _pool(self.workers, self.memory_mb)
        try:
            while True:
                while len(pending) < 2 * self.workers and (item := next(source, _END)) is not _END:
                    pending[pool.schedule(function, args=[item], timeout=self.timeout_s)] = item
                if not pending:
                    pool.close()
                    return
                for future in futures.wait(pending, return_when=futures.FIRST_COMPLETED).done:
                    yield _settle(pending.pop(future), future.result)
        finally:
            pool.stop()
            pool.join()


class RayEngine:
    """A Ray cluster: the one at `address`, or one started on this machine and ended with the map."""

    name = "ray"

    def __init__(self, workers: int, timeout_s: float, memory_mb: int, address: str | None) -> None:
        self.workers, self.timeout_s, self.memory_mb, self.address = workers, timeout_s, memory_mb, address

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Yield an outcome for each item as it finishes."""
        if self.address is not None and (Path.home() / ".ray" / "auth_token").is_file():
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray's servers ask for it, its clients do not offer it
        try:
            import ray
        except ImportError as error:
            raise UserError("--engine ray: Ray is not installed; pip install 'hashtag2action[ray]'") from error
        started = not ray.is_initialized()
        if started:
            _connect(ray, self.address, self.workers)
        try:
            yield from self._map(ray, function, items)
        finally:
            if started:
                ray.shutdown()

    def _map(
        self, ray: Any, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Outcome[Item, Result]]:
        workers = self.workers or int(ray.cluster_resources().get("CPU", 1))
        task = ray.remote(max_retries=0, num_cpus=1)(_run_in_child)
        shared = ray.put(function)
        pending: dict[Any, Item] = {}
        source = iter(items)
        while True:
            while len(pending) < 2 * workers and (item := next(source, _END)) is not _END:
                pending[task.remote(shared, item, self.timeout_s, self.memory_mb)] = item
            if not pending:
                return
            for reference in ray.wait(list(pending), num_returns=1)[0]:
                item = pending.pop(reference)
                try:
                    yield ray.get(reference)
                except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
                    yield Outcome(item, failure=Failure.CRASHED)
                except ray.exceptions.OutOfMemoryError:
                    yield Outcome(item, failure=Failure.OUT_OF_MEMORY)


_END: Any = object()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _settle(item: Item, result: Callable[[], Result]) -> Outcome[Item, Result]:
    from pebble import ProcessExpired

    try:
        return Outcome(item, result=result())
    except futures.TimeoutError:
        return Outcome(item, failure=Failure.TIMEOUT)
    except ProcessExpired:
        return Outcome(item, failure=Failure.CRASHED)
    except MemoryError:
        return Outcome(item, failure=Failure.OUT_OF_MEMORY)


def _connect(ray: Any, address: str | None, workers: int) -> None:
    """Join the cluster at `address`, or start one on this machine."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        with _on_loopback():
            ray.init(num_cpus=workers or _cores(), include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--ray-address {address}: no Ray cluster answers there; start one or leave the option out"
        ) from error


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have a node that Ray starts listen on loopback alone, as it does of itself on macOS and Windows.

    Ray reads the variable when it is imported, which may be long past, and its processes when they start.
    """
    from ray._private import ray_constants

    variable, cluster = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    before = os.environ.get(variable)
    os.environ[variable], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = cluster
        os.environ.pop(variable) if before is None else os.environ.update({variable: before})


class _Worker(SpawnProcess):
    """A process that does not run the caller's script again: what it is given to do lies in importable modules.

    So a plain script or a session at the prompt may call the library without the usual guard around its main part.
    """

    @staticmethod
    def _Popen(process: Any) -> Any:
        main = vars(sys.modules["__main__"])
        hidden: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
        main["__spec__"] = None
        try:
            return SpawnProcess._Popen(process)
        finally:
            main.update(hidden)


class _Context(SpawnContext):
    Process = _Worker


def fresh_processes() -> SpawnContext:
    """Return what makes processes that inherit nothing and do not run the caller's script again."""
    return _Context()


def _pool(workers: int, memory_mb: int) -> Any:
    from pebble import ProcessPool

    return ProcessPool(
        max_workers=workers,
        context=fresh_processes(),
        initializer=_start_worker,
        initargs=[memory_mb],
    )


def _start_worker(memory_mb: int) -> None:
    """Bound this process's memory, and leave Ctrl-C to the parent."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    except (ImportError, ValueError, OSError):
        pass  # Windows has no such limit, macOS none on data


@lru_cache(maxsize=1)
def _child_pool(memory_mb: int) -> Any:
    return _pool(1, memory_mb)


def _run_in_child(
    function: Callable[[Item], Result], item: Item, timeout_s: float, memory_mb: int
) -> Outcome[Item, Result]:
    """Run one item in a bounded child of this Ray worker; the child serves the worker's next items too."""
    return _settle(item, _child_pool(memory_mb).schedule(function, args=[item], timeout=timeout_s).result)
