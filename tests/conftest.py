"""Real videos for every test that needs some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from absent import absent
from hashtag2action.demo import fetch_samples
from hashtag2action.errors import UserError
from hashtag2action.wheels import cache_folder

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str, what: str) -> Path:
    """Return a folder that does not come with the project. Without it tests skip, unless `variable` names it wrongly."""
    folder = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not folder.is_dir():
        fault = pytest.fail if variable in os.environ else pytest.skip
        fault(f"{what} not found at {folder}; {variable} names another folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that parallel workers end together."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    """Folder of test recordings that the project does not ship, described by its own README."""
    return _folder("H2A_TEST_VIDEOS", "data", "test recordings")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference output that the project does not ship, such as the official model's."""
    return _folder("H2A_REFERENCE", "reference", "reference output")


@pytest.fixture(scope="session")
def sample_videos() -> Path:
    """CSV that lists the demo's videos, made once and kept in the cache."""
    from filelock import FileLock

    folder = cache_folder() / "test-samples"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock"):
            return fetch_samples(folder)
    except UserError as error:
        absent(f"sample videos cannot be fetched: {error}")
