"""Which addresses may be asked for a file: public ones, over HTTP(S), and the very address that was checked.

A name is resolved once, every address that it has is checked, and the connection goes to the checked address, so that
a name server cannot answer differently the second time. Redirects pass through here again, hop by hop.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """An address that is not asked, and why."""


def check_url(url: str) -> str:
    """Return the host of a URL that may be asked for. Raises `ForbiddenAddress`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ForbiddenAddress(f"not a URL ({error})") from error
    if parts.scheme not in ("http", "https"):
        raise ForbiddenAddress(f"{(parts.scheme or 'no scheme')[:20]}: only http and https are fetched")
    if not host:
        raise ForbiddenAddress("no host")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("a URL with a user name or password")
    if len(url) > 4096 or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise ForbiddenAddress("too long, or with spaces or control characters")
    return host.lower()


def is_public(address: str) -> bool:
    """Whether an IP address is of the public internet, whatever wraps it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host. Raises `OSError` where it has none."""
    return list(dict.fromkeys(str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


@dataclass(frozen=True)
class Network:
    """How names become addresses, and which of these may be asked."""

    allow_private: bool = False
    resolve: Callable[[str, int], list[str]] = resolve
    is_public: Callable[[str], bool] = is_public

    def addresses(self, url: str) -> list[str]:
        """Return the addresses of a URL's host, resolved once. Raises `ForbiddenAddress`, and `OSError` without any."""
        host = check_url(url)
        parts = urlsplit(url)
        try:
            found = self.resolve(host, parts.port or (443 if parts.scheme == "https" else 80))
        except UnicodeError as error:
            raise OSError(f"{host}: not a name") from error
        if not self.allow_private and (private := [address for address in found if not self.is_public(address)]):
            raise ForbiddenAddress(f"{host} is {private[0]}, no public address")
        return found


class PinnedTransport(httpx.BaseTransport):
    """Sends each request to an address that was checked for it; raises `ForbiddenAddress`, `httpx.ConnectError`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._inner = httpx.HTTPTransport(retries=0, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Resolve, check, connect."""
        host = request.url.host
        try:
            addresses = self._network.addresses(str(request.url))
        except OSError as error:
            raise httpx.ConnectError(f"{host}: no address", request=request) from error
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=addresses[0]),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return self._inner.handle_request(pinned)

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()
