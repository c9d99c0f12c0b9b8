from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hashtag2action.files import atomic_path, atomic_write, sha256_of, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    atomic_write(path, b"old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_whole_file_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"path": Path("x"), "text": "ü"})
    assert path.read_text(encoding="utf-8") == '{\n  "path": "x",\n  "text": "ü"\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert "ü" in path.read_text(encoding="utf-8")


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 3_000_001)
    assert sha256_of(path) == hashlib.sha256(b"x" * 3_000_001).hexdigest()
