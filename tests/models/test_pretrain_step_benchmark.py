"""The benchmark of one pre-training step runs and writes its rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "pretrain_step.py"


def test_rows_of_ours_and_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    arguments = [
        "--sizes",
        "vit_tiny",
        "--inputs",
        "64",
        "--batch",
        "2",
        "--rounds",
        "2",
        "--json",
        str(tmp_path / "rows.json"),
    ]
    subprocess.run([sys.executable, str(SCRIPT), *arguments], check=True, timeout=240)
    rows = {row["impl"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert rows.keys() == {"ours", "transformers"}
    for row in rows.values():
        assert (row["size"], row["input"], row["batch"]) == ("vit_tiny", 64, 2)
        assert row["seconds"] > 0 and row["peak_mb"] > 0 and 0 < row["peak_share"] < 1.5
    assert rows["ours"]["gflops"] < rows["transformers"]["gflops"], "we decode half as many tokens"


def test_a_missing_checkout_is_named() -> None:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--official", "/no/such/folder"], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 2
    assert "checkout of VideoMAEv2" in result.stderr
