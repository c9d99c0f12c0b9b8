"""What a test does without something that it needs from outside."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """Skip, but fail where `CI` is set: everything is to be had there, and a suite that skips it would prove little."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
