from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from absent import absent
from hashtag2action.engine import Engine, Failure, make_engine
from hashtag2action.errors import UserError

ENGINES = ["local", "ray"]


def needs_ray() -> None:
    if find_spec("ray") is None:
        absent("Ray is not installed")


def behave(item: str) -> str:
    if item == "hang":
        time.sleep(60)
    if item == "crash":
        os._exit(9)
    if item == "swell":
        return str(len(bytearray(4 << 30)))
    if item == "fault":
        raise KeyError("a fault of the program")
    return item.upper()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if request.param == "ray":
        needs_ray()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where Ray's workers find `behave`
    return make_engine(request.param, 2, timeout_s=6, memory_mb=1500)


def test_a_bad_item_costs_itself_alone(engine: Engine) -> None:
    items = ["a", "hang", "b", "crash", "c", "swell", *"defgh"]
    outcomes = {outcome.item: outcome for outcome in engine.map(behave, items)}
    assert set(outcomes) == set(items)
    assert {item: outcome.failure for item, outcome in outcomes.items() if outcome.failure} == {
        "hang": Failure.TIMEOUT,
        "crash": Failure.CRASHED,
        "swell": Failure.OUT_OF_MEMORY,
    }
    assert [outcomes[item].result for item in "abcdefgh"] == list("ABCDEFGH")


def test_a_fault_of_the_program_is_raised(engine: Engine) -> None:
    with pytest.raises(KeyError):
        list(engine.map(behave, ["a", "fault"]))


def test_a_ray_node_of_ours_listens_on_loopback_alone() -> None:
    needs_ray()
    import ray  # noqa: F401  # as a program that uses Ray itself has done long before

    outcomes = make_engine("ray", 1).map(str.upper, ["a", "b"])
    next(outcomes)
    family = psutil.Process().children(recursive=True)
    sockets = [
        c.laddr.ip for process in family for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN
    ]
    assert [outcome.result for outcome in outcomes] == ["B"]
    assert sockets
    assert {ip.removeprefix("::ffff:") for ip in sockets} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("from_file", [True, False])
def test_a_script_needs_no_guard(tmp_path: Path, from_file: bool) -> None:
    script = "from hashtag2action.engine import make_engine as m\nprint([o.result for o in m('local', 1).map(str.upper, ['a'])])\n"
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py"] if from_file else [sys.executable, "-"]
    done = subprocess.run(command, input=script, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("['A']\n", "")


def test_work_is_taken_only_as_it_is_done() -> None:
    taken = []

    def source() -> Iterator[str]:
        for item in "abcdefghijkl":
            taken.append(item)
            yield item

    outcomes = make_engine("local", 1).map(behave, source())
    next(outcomes)
    assert len(taken) <= 4
    assert len(list(outcomes)) == 11


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(UserError, match="slurm"):
        make_engine("slurm")
