"""Freed memory is reused instead of being fetched from the kernel again."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from hashtag2action.models.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**23)  # 32 MiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_large_blocks_cost_no_page_faults_the_second_time() -> None:
    faults = {
        mode: int(
            subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, check=True, text=True).stdout
        )
        for mode in ("keep", "default")
    }
    assert faults["keep"] * 10 < faults["default"]
