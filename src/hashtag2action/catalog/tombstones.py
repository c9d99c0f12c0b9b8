"""What was forgotten stays forgotten: keyed hashes that recognise a post, a user or a file without naming it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hashtag2action.catalog.harvest import Tombstone
from hashtag2action.errors import UserError

KEY_FILE = "pseudonyms.key"


class Pseudonyms:
    """Keyed hashes of a workspace. The key is a file of mode 600; copy it with the workspace, never publish it.

    Post numbers and user names are few enough to be guessed from a plain hash; with the key they cannot.
    """

    def __init__(self, workspace: Path) -> None:
        """Read the workspace's key, making one at the first use; `UserError` where that cannot be done."""
        path = workspace / KEY_FILE
        try:
            self._key = path.read_bytes() if path.is_file() else _make_key(path)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read or written ({error.strerror}); give yourself access to it"
            ) from error

    def digest(self, kind: str, value: str) -> str:
        """Return the 64 hexadecimal digits that stand for `value`, a "post", "user" or "file"."""
        return hmac.new(self._key, f"{kind}:{value}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def name(self, username: str | None) -> str | None:
        """Return the pseudonym of a user name: the same name has the same one throughout the workspace."""
        return f"user-{self.digest('user', username)[:16]}" if username else None


def bury(session: Session, pseudonyms: Pseudonyms, kind: str, values: Iterable[str], now: float) -> int:
    """Leave a tombstone for each of `values`; return how many there were."""
    digests = {pseudonyms.digest(kind, value) for value in values}
    known = forgotten(session, digests)
    session.add_all(Tombstone(digest=digest, kind=kind, at=now) for digest in sorted(digests - known))
    return len(digests)


def forgotten(session: Session, digests: Iterable[str]) -> set[str]:
    """Return those of `digests` that have a tombstone."""
    wanted = list(digests)
    if not wanted or session.scalar(sa.select(Tombstone.digest).limit(1)) is None:
        return set()
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        query = sa.select(Tombstone.digest).where(Tombstone.digest.in_(wanted[start : start + 500]))
        found.update(session.scalars(query))
    return found


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
