from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from file_host import FAST, FILE

from hashtag2action.collect.addresses import ForbiddenAddress, Network, check_url, is_public, resolve
from hashtag2action.collect.fetch import Problem, fetch
from hashtag2action.collect.settings import DownloadSettings


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/a.mp4", "data:video/mp4;base64,AAAA", "//example.org/a", "javascript:alert(1)",
        "http://", "http://user:secret@example.org/a.mp4", "http://exa mple.org/a", "http://example.org:99999/", "http://[::1/", "",
    ],
)  # fmt: skip
def test_only_plain_http_urls_are_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenAddress):
        check_url(url)
    done = fetch(url, tmp_path / "file", DownloadSettings(**FAST))
    assert [failure.problem for failure in done.failures] == [Problem.FORBIDDEN]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("127.8.8.8", False), ("10.1.2.3", False),
        ("192.168.0.1", False), ("172.20.0.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


LOOPBACKS = [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0.0.0.0",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1.", "LOCALHOST", "①②⑦.⓪.⓪.①",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOPBACKS)
def test_loopback_in_every_spelling_is_refused(host: Any, tmp_path: Path, name: str) -> None:
    done = fetch(host.url.replace("127.0.0.1", name) + "/video/1", tmp_path / "file", DownloadSettings(**FAST))
    assert done.path is None
    assert done.failures[-1].problem in (Problem.FORBIDDEN, Problem.CONNECTION)
    assert not host.asked


class Names:
    """A name server for tests: names ending in .public are at 127.0.0.2, which counts as public here; all else is real."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, name: str, port: int) -> list[str]:
        self.asked.append(name)
        if name.endswith(".public"):
            return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]
        return resolve(name, port)


def seen_as_public(address: str) -> bool:
    return address == "127.0.0.2" or is_public(address)


@pytest.mark.parametrize("hops", range(4))
@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_a_redirect_to_a_private_address_is_refused_at_every_hop(
    host: Any, public: Any, tmp_path: Path, name: str, hops: int
) -> None:
    names = Names("127.0.0.2")
    network = Network(resolve=names, is_public=seen_as_public)
    where = f"http://a.public:{public.port}/hops/{hops}/{name}"
    done = fetch(where, tmp_path / "file", DownloadSettings(**FAST), network=network)
    refused = Problem.CONNECTION if name.startswith("0177") else Problem.FORBIDDEN  # httpx takes no octal numbers
    assert {failure.problem for failure in done.failures} == {refused}
    assert sum(public.asked.values()) == (hops + 1) * len(done.failures)
    assert not host.asked
    assert {"a.public", *(f"b{n}.public" for n in range(hops))} == {asked for asked in names.asked if "public" in asked}


def test_redirects_among_public_addresses_are_followed(host: Any, public: Any, tmp_path: Path) -> None:
    network = Network(resolve=Names("127.0.0.2"), is_public=seen_as_public)
    done = fetch(
        f"http://a.public:{public.port}/hops/3/c.public", tmp_path / "f", DownloadSettings(**FAST), network=network
    )
    assert done.path is not None and done.path.read_bytes() == FILE
    assert not host.asked


def test_a_name_that_changes_its_address_is_pinned(host: Any, public: Any, tmp_path: Path) -> None:
    """A name that is public when it is checked and private ever after: the connection goes where the check was."""
    names = Names("127.0.0.2", "127.0.0.1")
    network = Network(resolve=names, is_public=seen_as_public)
    settings = DownloadSettings(**FAST)
    where = f"http://rebinding.public:{public.port}"
    assert fetch(f"{where}/video/1", tmp_path / "one", settings, network=network).path is not None
    assert names.asked == ["rebinding.public"]
    assert public.asked["/video/1"] == 1
    again = fetch(f"{where}/video/1", tmp_path / "two", settings, network=network)
    assert [failure.problem for failure in again.failures] == [Problem.FORBIDDEN]
    assert not host.asked


def test_a_name_with_one_private_address_among_others_is_refused() -> None:
    mixed = Network(resolve=lambda name, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.1, no public address"):
        mixed.addresses("http://mixed.example/")
