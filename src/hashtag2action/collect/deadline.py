"""A limit on how long a whole exchange may take, however slowly a server sends its headers or its body."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def end_after(client: httpx.Client, seconds: float) -> Iterator[None]:
    """Close `client` if the block takes longer, so that what it waits for raises `httpx.HTTPError` at the next byte.

    httpx limits the time between two bytes, not the whole. A block that ends in time leaves the client open.
    """
    alarm = threading.Timer(seconds, client.close)
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
