"""Typed settings: one loader turns a named recipe and overrides into a frozen model.

A recipe is a TOML file that holds only what differs from the model's defaults. A table in it, or in the model, is a
nested settings block; the key `recipe` inside such a table names the recipe of that stage to start from.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hashtag2action.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Settings(BaseModel):
    """Base of every settings block: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""


T = TypeVar("T", bound=Settings)


def load(
    model: type[T],
    stage: str,
    recipe: str | Path | None = None,
    *overrides: Mapping[str, Any] | Sequence[str],
) -> T:
    """Read a recipe of `stage` (a shipped name or a path to a TOML file) and apply overrides, the last one wins.

    Each of `overrides` is a mapping, dotted keys allowed (`{"curate.min_clip_s": 1}`), or texts as the command line gives them
    (`["curate.min_clip_s=1"]`, values in TOML notation, bare words are strings). Raises `UserError` that names the
    wrong key and the nearest right one, before any work starts.
    """
    values = read_recipe(model, stage, recipe) if recipe is not None else {}
    for more in overrides:
        for key, value in _pairs(more):
            _assign(values, key, value)
    return _validate(
        model, _resolve(model, values), source=f"{stage} recipe {recipe}" if recipe else f"{stage} settings"
    )


def read_recipe(model: type[Settings], stage: str, recipe: str | Path) -> dict[str, Any]:
    """Return a recipe's own values, unvalidated, with the recipes that it names filled in."""
    if str(recipe).endswith(".toml"):
        path = Path(recipe)
        if not path.is_file():
            raise UserError(f"{path}: no such recipe file; `h2a recipes` lists the named ones")
        text = path.read_text(encoding="utf-8")
    else:
        folder = resources.files("hashtag2action") / "recipes" / stage
        if recipe not in recipe_names(stage):
            raise UserError(f"{recipe}: no such {stage} recipe{_nearest(str(recipe), recipe_names(stage))}")
        text = folder.joinpath(f"{recipe}.toml").read_text(encoding="utf-8")
    try:
        return _resolve(model, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{recipe}: not valid TOML: {error}") from error


def recipe_names(stage: str) -> list[str]:
    """Return the names of the shipped recipes of a stage, sorted."""
    folder = resources.files("hashtag2action") / "recipes" / stage
    return sorted(item.name[: -len(".toml")] for item in folder.iterdir() if item.name.endswith(".toml"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the settings that an earlier run wrote. Raises `UserError` where the file is damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as settings ({error}); remove it or name a recipe") from error


def digest(settings: Settings, *more: Any) -> str:
    """Return 16 hexadecimal digits that change when a setting (or anything in `more`) does; `description` is not one."""
    content = [settings.model_dump(mode="json", exclude={"description"}), *more]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _pairs(overrides: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for text in overrides:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--set {text}: expected key=value, such as min_clip_s=2.5")
        try:
            pairs.append((key.strip(), tomllib.loads(f"value = {value}")["value"]))
        except tomllib.TOMLDecodeError:
            pairs.append((key.strip(), value.strip()))
    return pairs


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for table in tables:
        inner = values.setdefault(table, {})
        if not isinstance(inner, dict):
            raise UserError(f"{key}: `{table}` is a value, not a block of settings")
        values = inner
    values[last] = value


def _resolve(model: type[Settings], values: dict[str, Any]) -> dict[str, Any]:
    """Replace `recipe = "name"` inside each nested settings block by that recipe's values, under the block's own."""
    resolved = dict(values)
    for name, field in model.model_fields.items():
        block = resolved.get(name)
        inner = field.annotation
        if not (isinstance(inner, type) and issubclass(inner, Settings) and isinstance(block, dict)):
            continue
        block = dict(block)
        base = read_recipe(inner, name, block.pop("recipe")) if "recipe" in block else {}
        resolved[name] = _resolve(inner, _merge(base, block))
    return resolved


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _validate(model: type[T], values: dict[str, Any], source: str) -> T:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(f"{source}: unknown key `{key}`{_nearest(key, _keys(model))}") from error
        raise UserError(f"{source}: `{key}` = {first['input']!r}: {first['msg']}") from error


def _keys(model: type[Settings], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, Settings)
        keys += _keys(inner, f"{prefix}{name}.") if nested else [prefix + name]  # type: ignore[arg-type]
    return keys


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(known)}"
