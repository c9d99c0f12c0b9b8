from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from absent import absent

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_builds_and_works_outside_the_clone(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT], capture_output=True, text=True, check=False
    )
    if built.returncode and "hatchling" in built.stderr:
        absent(f"the build's own requirement cannot be fetched: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    command = [sys.executable, "-m", "hashtag2action", "recipes", "run"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    listed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "demo" in listed.stdout
    where = "import hashtag2action, hashtag2action.report.page as p; print(p.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.stdout.startswith(str(tmp_path / "site")), found.stderr
    assert (tmp_path / "site" / "hashtag2action" / "report" / "templates" / "page.html").is_file()


def test_the_core_asks_for_no_agpl_package() -> None:
    core = [line for line in requires("hashtag2action") or [] if "extra ==" not in line]
    assert core
    assert not [line for line in core if line.lower().startswith(("ultralytics", "lightly"))]


def test_no_library_keeps_or_sends_what_is_done_here(tmp_path: Path) -> None:
    """ONNX Runtime opens its store of events and the device's number in the home folder as soon as it is imported."""
    hidden = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "GITHUB_ACTIONS", "CI")  # in CI it is off of itself
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"HOME": str(tmp_path)}
    for first in (
        "import hashtag2action",
        "import hashtag2action.curate.people",
        "import hashtag2action.train.onnx_model",
    ):
        code = f"{first}; import onnxruntime; onnxruntime.SessionOptions()"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        assert not (tmp_path / ".cache" / "Microsoft").exists()
