from __future__ import annotations

from small_clips import small_clips

__all__ = ["small_clips"]
