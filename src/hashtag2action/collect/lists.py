"""The lists of hashtags that a harvest takes: chosen ones, plain ones, and a budget of requests."""

from __future__ import annotations

import csv
from pathlib import Path

from hashtag2action.collect.text import clean_tag
from hashtag2action.errors import UserError


def read_hashtags(path: Path) -> list[str]:
    """Read the tags of a CSV with the columns `tag` and `decision` (those to keep), or of a text file, one a line.

    What a person wrote in the CSV's column `override` counts: keep, drop, or `use` and other tags. Raises `UserError`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if path.suffix.lower() != ".csv":
                words = [line.strip() for line in file]
            else:
                rows = csv.DictReader(file)
                if not {"tag", "decision"} <= set(rows.fieldnames or ()):
                    raise UserError(f"{path}: no columns `tag` and `decision`; name a file of `h2a hashtags choose`")
                words = [word for row in rows for word in _of_row(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a list of hashtags ({error})") from error
    tags = list(dict.fromkeys(tag for word in words if (tag := clean_tag(word))))
    if not tags:
        raise UserError(f"{path}: no hashtag to collect in it")
    return tags


def read_budget(path: Path) -> dict[str, int]:
    """Read the requests for each tag from a CSV with the columns `hashtag` and `requests`. Raises `UserError`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {row["hashtag"]: int(row["requests"]) for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a budget; name a file of `h2a hashtags budget`") from error


def _of_row(row: dict[str, str]) -> list[str]:
    override = (row.get("override") or "").split()
    if override[:1] == ["use"]:
        return override[1:]
    keep = override[0] == "keep" if override else row["decision"] == "keep"
    return [row["tag"]] if keep else []
