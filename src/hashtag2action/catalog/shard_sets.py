"""Where shards of snapshots were written, so that what is forgotten can be taken out of them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from hashtag2action.catalog.schema import Base
from hashtag2action.catalog.store import Catalog


class ShardFolder(Base):
    """One folder of shards."""

    __tablename__ = "shard_folders"

    folder: Mapped[str] = mapped_column(String(4096), primary_key=True)
    snapshot: Mapped[str] = mapped_column(String(64))


def record_shards(catalog: Catalog, folder: Path, snapshot: str) -> None:
    """Note that shards of a snapshot are about to be written to a folder."""
    with catalog.session() as session:
        session.merge(ShardFolder(folder=str(folder.resolve()), snapshot=snapshot))


def shard_folders(catalog: Catalog) -> dict[Path, str]:
    """Return the folders that shards were written to, and the snapshot of each."""
    with catalog.session() as session:
        rows = session.execute(sa.select(ShardFolder.folder, ShardFolder.snapshot).order_by(ShardFolder.folder))
        return {Path(folder): snapshot for folder, snapshot in rows}
