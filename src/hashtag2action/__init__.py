"""From hashtags to a trained action recogniser, and the evidence for it.

import hashtag2action as h2a
h2a.run("videos", workspace="work")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashtag2action.errors import UserError
    from hashtag2action.pipeline import Workspace, run

# OpenMP's threads wait without spinning: the steps of a small network are short, and on cores shared with anything else
# a spinning team makes them many times slower. It has to be said before torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# ONNX Runtime 1.29 and later keeps a number for the device in the user's cache and sends Microsoft what it ran. It has to be
# said before ONNX Runtime is first imported; `ORT_DISABLE_TELEMETRY=0` in the environment leaves it as it is.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["UserError", "Workspace", "__version__", "run"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that the command starts at once."""
    if name in ("Workspace", "run"):
        from hashtag2action import pipeline

        return getattr(pipeline, name)
    if name == "UserError":
        from hashtag2action.errors import UserError

        return UserError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
