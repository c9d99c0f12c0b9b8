from __future__ import annotations

from backends import open_catalog, postgresql

__all__ = ["open_catalog", "postgresql"]
