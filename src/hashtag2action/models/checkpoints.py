"""Weights in files: ours, the official VideoMAE V2 ones and those trained with the official code.

All carry the official parameter names, wrapped in various ways (`model`, `module`, `_orig_mod.`, `backbone.`,
`encoder.`). One adapter unwraps them; files are read with `weights_only=True`, so that a file can never run code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path
from hashtag2action.models.blank import undrawn
from hashtag2action.models.classifier import VideoClassifier
from hashtag2action.models.config import ClassifierConfig, EncoderConfig, Grid, VideoMAEConfig
from hashtag2action.models.positions import interpolate_positions, sinusoid_positions
from hashtag2action.models.videomae import VideoMAE

Model = VideoMAE | VideoClassifier
State = dict[str, Tensor]

CONFIG_KEY = "h2a"
"""Entry of our files that rebuilds the model: `{"kind": "videomae" | "classifier", "config": {...}}`."""

WRAPPERS = ("_orig_mod.", "module.", "model.", "backbone.")
HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class LoadReport:
    """What became of a checkpoint: parameter names, each in one list."""

    path: str
    matched: tuple[str, ...]
    new: tuple[str, ...]
    """In the model, not in the file: they keep their initial values."""
    left: tuple[str, ...]
    """In the file, of no use to the model."""
    notes: tuple[str, ...]
    """What was adapted on the way, in words."""

    def __str__(self) -> str:
        text = f"{self.path}: {len(self.matched)} tensors matched, {len(self.new)} new, {len(self.left)} left"
        return "; ".join((text, *self.notes))


def save_checkpoint(model: Model, path: str | Path, *, extra: dict[str, Any] | None = None) -> None:
    """Write `{"model": state dict, "h2a": config, **extra}` atomically; the official code can load it too.

    `extra` holds plain values and tensors only (class names, an epoch): what `weights_only=True` can read back.
    """
    content = {**(extra or {}), "model": model.state_dict(), CONFIG_KEY: describe(model)}
    with atomic_path(Path(path)) as temporary:
        torch.save(content, temporary)


def load_model(path: str | Path, content: dict[str, Any] | None = None) -> Model:
    """Rebuild a model from a file that `save_checkpoint` wrote. Raises `UserError` for any other file.

    `content` is what `read_checkpoint` returned for it, where that was called before.
    """
    content = read_checkpoint(path) if content is None else content
    config = _saved_config(content, path)
    if config is None:
        raise UserError(f"{path}: holds weights without settings; build the model by name and use load_pretrained")
    with undrawn():
        model = VideoClassifier(config) if isinstance(config, ClassifierConfig) else VideoMAE(config)
    report = load_pretrained(model, path, content=content)
    if report.new or report.left:
        raise UserError(f"{path}: weights and settings do not fit; it is damaged, fetch it again")
    return model


def load_pretrained(
    model: Model, path: str | Path, *, class_index: str | Path | None = None, content: dict[str, Any] | None = None
) -> LoadReport:
    """Load what fits from any checkpoint (its `content`, where it was read before) into `model`, in place.

    A pre-training file's encoder goes into a classifier, whose `fc_norm` and `head` stay new. A head of another
    number of classes is left, unless `class_index` names a JSON file with the list of its rows to keep, one for each
    of the model's classes (as the official lists from K710 to K400, K600 and K700). Positions are interpolated where
    the file's grid differs. Raises `UserError` where the file cannot be read, matches nothing or has a tensor of
    another shape.
    """
    content = read_checkpoint(path) if content is None else content
    state = adapt_keys(unwrap_state(content, path), model)
    notes: list[str] = []
    if class_index is not None:
        _select_classes(state, read_class_index(class_index), path, notes)
    own = model.state_dict()
    if HEAD[0] in state and HEAD[0] in own and state[HEAD[0]].shape != own[HEAD[0]].shape:
        rows, wanted = state[HEAD[0]].shape[0], own[HEAD[0]].shape[0]
        if class_index is not None:
            raise UserError(f"{class_index}: lists {rows} classes, the model has {wanted}; set num_classes={rows}")
        notes.append(f"head of {rows} classes left, the model has {wanted}")
        state = {(f"{key} ({rows} classes)" if key in HEAD else key): value for key, value in state.items()}
    _fit_positions(model, state, _saved_config(content, path), path, notes)

    matched = [key for key in own if key in state]
    if not matched:
        raise UserError(f"{path}: none of its {len(state)} tensors matches the model; is it a VideoMAE checkpoint?")
    for key in matched:
        if state[key].shape != own[key].shape:
            raise UserError(
                f"{path}: {key} is {tuple(state[key].shape)} in the file and {tuple(own[key].shape)} in the model; "
                "choose the size, patch and tubelet that it was trained with"
            )
    model.load_state_dict({key: state[key] for key in matched}, strict=False)
    return LoadReport(
        path=str(path),
        matched=tuple(matched),
        new=tuple(key for key in own if key not in state),
        left=tuple(key for key in state if key not in own),
        notes=tuple(notes),
    )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a PyTorch or safetensors file to the CPU without running its code. Raises `UserError` where that fails."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a checkpoint")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # the official files carry their arguments
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        cause = str(error).splitlines()[0][:160]
        raise UserError(
            f"{path}: holds more than tensors and plain values, which could run code ({cause}); save its state dict"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged or not a PyTorch checkpoint; fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return content


def unwrap_state(content: dict[str, Any], path: str | Path) -> State:
    """Find the state dict in a checkpoint's content and strip what wrapping modules added to its keys."""
    for wrapper in ("model", "module", "state_dict"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    state = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            while (prefix := next((p for p in WRAPPERS if str(key).startswith(p)), None)) is not None:
                key = key[len(prefix) :]
            state[str(key)] = value
    if not state:
        raise UserError(f"{path}: holds no tensors under 'model', 'module' or at its top level")
    return state


def adapt_keys(state: State, model: Model) -> State:
    """Rename keys between the layouts of pre-training (`encoder.blocks...`) and fine-tuning (`blocks...`)."""
    nested = any(key.startswith("encoder.") for key in state)
    if isinstance(model, VideoClassifier) and nested:
        return {key.removeprefix("encoder."): value for key, value in state.items()}
    if isinstance(model, VideoMAE) and not nested:
        shared = ("patch_embed.", "blocks.", "norm.", "pos_embed")
        return {(f"encoder.{key}" if key.startswith(shared) else key): value for key, value in state.items()}
    return dict(state)


def read_class_index(path: str | Path) -> list[int]:
    """Read a JSON list of class numbers. Raises `UserError` for anything else."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a JSON file with a list of class numbers") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); write a list of class numbers") from error
    if not isinstance(rows, list) or not rows or not all(type(row) is int and row >= 0 for row in rows):
        raise UserError(f"{path}: must be a non-empty JSON list of class numbers from 0")
    return rows


def describe(model: Model) -> dict[str, Any]:
    """Return the plain values from which `load_model` rebuilds the model."""
    kind = "classifier" if isinstance(model, VideoClassifier) else "videomae"
    return {"kind": kind, "config": dataclasses.asdict(model.config)}


def _saved_config(content: dict[str, Any], path: str | Path) -> VideoMAEConfig | ClassifierConfig | None:
    saved = content.get(CONFIG_KEY)
    if not isinstance(saved, dict):
        return None
    kinds: dict[Any, type[VideoMAEConfig] | type[ClassifierConfig]] = {
        "videomae": VideoMAEConfig,
        "classifier": ClassifierConfig,
    }
    try:
        values = dict(saved["config"])
        if values.get("position_grid") is not None:
            values["position_grid"] = tuple(values["position_grid"])
        return kinds[saved["kind"]](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: unknown settings ({error}); was it written by a newer version?") from error


def _select_classes(state: State, rows: list[int], path: str | Path, notes: list[str]) -> None:
    if HEAD[0] not in state:
        raise UserError(f"{path}: has no classification head to take classes from; leave the class index away")
    classes = state[HEAD[0]].shape[0]
    if max(rows) >= classes:
        raise UserError(f"{path}: its head has {classes} classes, the class index asks for number {max(rows)}")
    for key in HEAD:
        state[key] = state[key][rows]
    notes.append(f"{len(rows)} of {classes} classes of the head kept")


def _fit_positions(model: Model, state: State, saved: EncoderConfig | None, path: str | Path, notes: list[str]) -> None:
    """Bring the checkpoint's positions to the model's grid.

    A stored table is interpolated in place. Fixed sinusoids are not stored: official files get the table of the model's
    own grid, as the official code does; a file of ours tells its grid, and the model takes that table, interpolated.
    """
    encoder = model.encoder if isinstance(model, VideoMAE) else model
    grid = model.config.grid
    key = "encoder.pos_embed" if isinstance(model, VideoMAE) else "pos_embed"
    if key in state and model.config.learnable_positions:
        source = _grid_of(state[key], saved, grid, path)
        if source != grid:
            state[key] = interpolate_positions(state[key], source, grid)
            notes.append(f"positions interpolated from {_text(source)} to {_text(grid)} tokens")
    elif saved is not None and not model.config.learnable_positions and not saved.learnable_positions:
        source = saved.position_grid or saved.grid
        if source != (model.config.position_grid or grid):
            config = dataclasses.replace(model.config, position_grid=source)
            table = sinusoid_positions(grid, config.dim, source)
            model.config = encoder.config = config
            encoder.pos_embed.copy_(table)
            if isinstance(model, VideoMAE):
                model.decoder_positions.copy_(sinusoid_positions(grid, model.config.decoder_dim, source))
            notes.append(f"positions interpolated from {_text(source)} to {_text(grid)} tokens")


def _grid_of(table: Tensor, saved: EncoderConfig | None, grid: Grid, path: str | Path) -> Grid:
    """The grid of a stored position table: the file's own, or as many frames as divide it into squares."""
    tokens = table.shape[1] if table.ndim == 3 else -1
    if saved is not None and saved.tokens == tokens:
        return saved.grid
    for frames in (grid[0], 8):
        side = round((tokens / frames) ** 0.5) if tokens > 0 else 0
        if side and frames * side * side == tokens:
            return frames, side, side
    raise UserError(
        f"{path}: positions of shape {tuple(table.shape)} are no square grid; leave learnable_positions off"
    )


def _text(grid: Grid) -> str:
    return "x".join(map(str, grid))


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            content: dict[str, Any] = {"model": {key: file.get_tensor(key) for key in file.keys()}}  # noqa: SIM118
            described = (file.metadata() or {}).get(CONFIG_KEY)
        if described is not None:
            content[CONFIG_KEY] = json.loads(described)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error}); fetch it again") from error
    return content
