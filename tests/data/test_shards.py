"""Shards hold what the files hold: the same bytes, the same training, at every kill and every rewrite."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch

from hashtag2action.data.clips import ClipDataset, Share, ViewPlan, clip_batches
from hashtag2action.data.shards import ShardClip, read_shards, remove_from_shards, write_shards
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import read_frames
from hashtag2action.media.shard import index_path

ABOUT = {"snapshot": "one", "digest": "d" * 64}


def items(clips: list[Path]) -> list[ShardClip]:
    return [
        ShardClip(clip, sha256_of(clip), clip.stat().st_size, {"title": clip.stem, "views": 2**60}) for clip in clips
    ]


def pack(clips: list[Path], folder: Path, shard_mb: float = 0.06) -> list[tuple[str, int]]:
    return list(write_shards(items(clips), folder, shard_mb, ABOUT))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def packed(small_clips, tmp_path) -> Path:
    done = pack(small_clips, tmp_path / "shards")
    assert len(done) > 1 and sum(number for _, number in done) == len(small_clips)
    return tmp_path / "shards"


def test_a_shard_is_what_webdataset_expects(small_clips, packed):
    members = []
    for shard in sorted(packed.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                members.append((member.name, archive.extractfile(member).read()))
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
    assert [name for name, _ in members] == [f"{c.stem}.{kind}" for c in small_clips for kind in ("mp4", "json")]
    assert [data for name, data in members[::2]] == [clip.read_bytes() for clip in small_clips]
    assert json.loads(members[1][1]) == {"title": small_clips[0].stem, "views": 2**60}
    for row in json.loads((packed / "shards.json").read_text())["shards"]:
        assert (row["sha256"], row["size_bytes"]) == (
            sha256_of(packed / row["file"]),
            (packed / row["file"]).stat().st_size,
        )


def test_webdataset_itself_reads_them(small_clips, packed):
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset([str(path) for path in sorted(packed.glob("*.tar"))], shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [clip.stem for clip in small_clips]
    assert [sample["mp4"] for sample in samples] == [clip.read_bytes() for clip in small_clips]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_on_shards_is_training_on_files(small_clips, packed, workers):
    plan = ViewPlan(frames=4, rate=2, views=2, size=64)
    shards = read_shards(packed)
    assert [clip.name for clip in shards.clips] == [clip.name for clip in small_clips]
    one, two = (
        [s for batch in clip_batches(ClipDataset(clips, plan, 7), Share(4), 0, 4, workers) for s in batch]
        for clips in (small_clips, shards.clips)
    )
    for file, member in zip(one, two, strict=True):
        assert (file.path.name, file.boxes, file.bad) == (member.path.name, member.boxes, member.bad)
        assert torch.equal(file.frames, member.frames)


def test_equal_clips_give_equal_bytes_and_a_killed_run_goes_on(small_clips, packed, tmp_path):
    whole = content(packed)
    assert pack(small_clips, packed) and content(packed) == whole
    begun = write_shards(items(small_clips), tmp_path / "killed", 0.06, ABOUT)
    next(begun)
    begun.close()
    (tmp_path / "killed" / ".clips-000001-x.part.tar").write_bytes(b"half")
    with pytest.raises(UserError, match="no finished shards"):
        read_shards(tmp_path / "killed")
    first = tmp_path / "killed" / "clips-000000.tar"
    written = first.stat().st_mtime_ns
    pack(small_clips, tmp_path / "killed")
    assert content(tmp_path / "killed") == whole
    assert first.stat().st_mtime_ns == written
    (tmp_path / "killed" / "clips-000001.tar").write_bytes(b"x")
    pack(small_clips, tmp_path / "killed")
    assert content(tmp_path / "killed") == whole


def test_other_shards_and_other_clips_are_refused(small_clips, packed, tmp_path):
    with pytest.raises(UserError, match="holds shards of one"):
        list(write_shards(items(small_clips), packed, 0.06, {"snapshot": "two", "digest": "e" * 64}))
    with pytest.raises(UserError, match="is not of these shards"):
        pack(small_clips, packed, shard_mb=100)
    changed = items(small_clips)
    changed[3] = ShardClip(small_clips[3], "0" * 64, 10, {})
    with pytest.raises(UserError, match="not the clip that was frozen"):
        list(write_shards(changed, tmp_path / "changed", 1, ABOUT))
    with pytest.raises(UserError, match="No such file"):
        list(write_shards([ShardClip(tmp_path / "gone.mp4", "0" * 64, 10, {})], tmp_path / "gone", 1, ABOUT))
    with pytest.raises(UserError, match="same name"):
        list(write_shards(items(small_clips[:1] * 2), tmp_path / "twice", 1, ABOUT))


def test_what_is_forgotten_leaves_its_shard(small_clips, packed):
    gone = small_clips[2]
    assert remove_from_shards(packed, [sha256_of(gone), "0" * 64]) == 1
    shards = read_shards(packed)
    assert [clip.name for clip in shards.clips] == [clip.name for clip in small_clips if clip != gone]
    assert (shards.card["clips"], shards.card["forgotten"]) == (len(small_clips) - 1, 1)
    assert all(gone.stem.encode() not in data for data in content(packed).values())
    for clip, file in zip(shards.clips, [clip for clip in small_clips if clip != gone], strict=True):
        assert (read_frames(clip, [0, 5]) == read_frames(file, [0, 5])).all()
    assert remove_from_shards(packed, [sha256_of(gone)]) == 0


def test_a_shard_without_an_index_is_looked_through(small_clips, packed):
    shard = packed / "clips-000000.tar"
    index_path(shard).unlink()
    name = small_clips[0].name
    assert (read_frames(shard / name, [3]) == read_frames(small_clips[0], [3])).all()
    with pytest.raises(MediaError, match="has no other"):
        read_frames(shard / "other.mp4", [0])


@pytest.mark.parametrize(
    "index",
    [b"", b"[]", b"{", b'{"members": [["NAME", -5, 10]]}', b'{"members": [["NAME", 0, 99999999999]]}', b'{"members": [["NAME", "x", 1]]}', b"[" * 100_000, b'{"members": [["NAME", 0, 0]]}'],
)  # fmt: skip
def test_a_damaged_index_is_a_fault_of_the_data(small_clips, packed, index):
    shard = packed / "clips-000000.tar"
    index_path(shard).write_bytes(index.replace(b"NAME", small_clips[0].name.encode()))
    with shard.open("ab") as file:  # another size: indexes are remembered by it
        file.write(b"\0" * (512 + len(index)))
    with pytest.raises(MediaError):
        read_frames(shard / small_clips[0].name, [0])


def test_no_tar_is_a_fault_of_the_data(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no archive" * 200)
    with pytest.raises(MediaError, match="not a tar"):
        read_frames(tmp_path / "x.tar" / "a.mp4", [0])
    with pytest.raises(MediaError, match="gone"):
        read_frames(tmp_path / "none.tar" / "a.mp4", [0])
