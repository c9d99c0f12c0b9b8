from __future__ import annotations

from pathlib import Path

import pytest

from hashtag2action.collect.folder import find_videos
from hashtag2action.errors import UserError


def test_sub_folders_name_the_hashtags(tmp_path: Path) -> None:
    for name in ("loose.mp4", "dance/a.MOV", "sport/tennis/b.webm", "sport/notes.txt", ".hidden/c.mp4", "dance/.d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = {entry.path.relative_to(tmp_path.resolve()).as_posix(): entry.hashtags for entry in find_videos(tmp_path)}
    assert found == {"loose.mp4": (), "dance/a.MOV": ("dance",), "sport/tennis/b.webm": ("tennis",)}


def test_a_csv_names_files_hashtags_labels_and_groups(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(
        "﻿file,hashtags,label,group\nb.mp4,#salsa dance,salsa,studio\n/abs/a.mp4,,,\nsub/../c.mp4,x,,\n",
        encoding="utf-8",
    )
    a, b, c = sorted(find_videos(table), key=lambda entry: entry.path.name)
    assert (a.path, a.hashtags, a.label, a.group) == (Path("/abs/a.mp4"), (), None, None)
    assert (b.path, b.hashtags, b.label, b.group) == (
        tmp_path.resolve() / "b.mp4",
        ("salsa", "dance"),
        "salsa",
        "studio",
    )
    assert c.path == tmp_path.resolve() / "c.mp4"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such folder"),
        ("name,hashtags\na,b\n", "no column `file`"),
        ("file,hastags\n", "`hastags`"),
        ("file\n", "no videos"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_wrong_source_is_one_line(tmp_path: Path, content: str | bytes | None, words: str) -> None:
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=words):
        find_videos(path)


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no videos in it"):
        find_videos(tmp_path)
