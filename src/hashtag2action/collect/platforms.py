"""Platforms whose terms do not allow downloading video files, so that nobody does it unawares."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from hashtag2action.errors import UserError

# Domain -> name. Their terms of service forbid downloading videos except where they themselves offer it.
NO_DOWNLOAD = {
    "tiktok.com": "TikTok",
    "youtube.com": "YouTube",
    "youtu.be": "YouTube",
    "instagram.com": "Instagram",
    "facebook.com": "Facebook",
    "twitter.com": "X",
    "x.com": "X",
    "snapchat.com": "Snapchat",
    "douyin.com": "Douyin",
    "kuaishou.com": "Kuaishou",
    "bilibili.com": "Bilibili",
}


def platform_of(url: str) -> str | None:
    """Return the name of the platform in the table that a URL leads to."""
    try:
        host = (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return None
    return next((name for domain, name in NO_DOWNLOAD.items() if host == domain or host.endswith("." + domain)), None)


def require_permission(urls: Iterable[str], *, have_permission: bool) -> None:
    """Raise `UserError` where a URL leads to a platform that allows no download and nobody has said that they may."""
    names = sorted({name for url in urls if (name := platform_of(url)) is not None})
    if names and not have_permission:
        raise UserError(
            f"{', '.join(names)}: the terms of service do not allow downloading videos; if you have permission "
            "(from the platform, the creators or the law), add --i-have-permission"
        )
