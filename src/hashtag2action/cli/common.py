"""What every command does: open a workspace, show a result, write it as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.pipeline import Workspace


def open_workspace(
    folder: Path,
    recipe: str | None,
    overrides: list[str] | None,
    engine: str = "local",
    workers: int = 0,
    ray_address: str | None = None,
    catalog: str | None = None,
    detector: str | None = None,
    weights: Path | None = None,
) -> Workspace:
    """Open or create a workspace; recipe and overrides are of the whole job."""
    from hashtag2action.engine import make_engine
    from hashtag2action.pipeline import Workspace

    changes = list(overrides or ())
    changes += [f"curate.detector={detector}"] if detector else []
    changes += [f"curate.weights={weights.resolve()}"] if weights else []
    made = make_engine(engine, workers, ray_address=ray_address)
    return Workspace(folder, recipe, changes, catalog=catalog, engine=made)


def open_stage(
    folder: Path, stage: str, recipe: str | None, overrides: list[str] | None, *more: Any, **options: Any
) -> Workspace:
    """Open an existing workspace, with a recipe and settings that belong to one stage."""
    require(folder)
    changes = [f"{stage}.recipe={recipe}"] if recipe else []
    changes += [text if text.startswith(f"{stage}.") else f"{stage}.{text}" for text in overrides or ()]
    return open_workspace(folder, None, changes, *more, **options)


def existing(folder: Path, catalog: str | None = None) -> Workspace:
    """Open a workspace that is there; raise `UserError` where it is not."""
    require(folder)
    return open_workspace(folder, None, None, catalog=catalog)


def require(folder: Path) -> None:
    """Raise `UserError` where there is no such workspace."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such workspace; begin with `h2a run VIDEOS --workspace {folder}`")


def show(title: str, result: Mapping[str, Any], json: Path | None = None) -> None:
    """Print the scalar values of a result as a table, and write the whole of it to `json`."""
    from hashtag2action.console import table

    table(title, _flat(result))
    write(result, json)


def write(result: Mapping[str, Any], json: Path | None) -> None:
    """Write a result to a JSON file, if one is named."""
    if json is not None:
        from hashtag2action.files import write_json

        write_json(json, result)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the scalar values of nested mappings under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and not isinstance(value, (list, tuple)):
            flat[prefix + str(key)] = f"{value:.4g}" if isinstance(value, float) else value
    return flat
