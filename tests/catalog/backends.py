"""Every test of the catalog runs on SQLite and on a real PostgreSQL server, started for the session in a temporary folder."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hashtag2action.catalog.store import Catalog

OpenCatalog = Callable[[Path], Catalog]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that listens on a socket in its own folder alone."""
    try:
        import pgserver
    except ImportError:
        if os.environ.get("CI") and sys.version_info < (3, 13):  # newer ones have no wheel of it
            raise
        pytest.skip("no PostgreSQL server: pip install pgserver 'psycopg[binary]'")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def open_catalog(request: pytest.FixtureRequest) -> Iterator[OpenCatalog]:
    """Open a workspace's catalog; the same folder has the same catalog again."""
    opened: list[Catalog] = []
    urls: dict[Path, str] = {}

    def open_at(folder: Path) -> Catalog:
        if request.param == "postgresql" and folder not in urls:
            urls[folder] = new_schema(request.getfixturevalue("postgresql"))
        opened.append(Catalog(folder, urls.get(folder)))
        return opened[-1]

    yield open_at
    for catalog in opened:
        catalog.close()


def new_schema(server: str) -> str:
    """Return the address of a schema of its own on the server."""
    name = f"s{uuid.uuid4().hex}"
    engine = sa.create_engine(server, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    return f"{server}&options=-csearch_path%3D{name}"
