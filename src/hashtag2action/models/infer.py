"""Which network a file of weights was trained with, where it does not say: official checkpoints hold tensors alone."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from hashtag2action.errors import UserError
from hashtag2action.models.config import ClassifierConfig
from hashtag2action.models.sizes import ENCODERS


def infer_classifier(state: dict[str, Tensor], path: Path, frames: int = 16) -> ClassifierConfig:
    """Return the settings of an official fine-tuned classifier from the shapes of its tensors.

    The input is 224 pixels square, as all published ones are. Raises `UserError` where there is no head, or the shapes
    are of no known size.
    """
    patch, head = state.get("patch_embed.proj.weight"), state.get("head.weight")
    if head is None or patch is None:
        raise UserError(f"{path}: holds no classifier (no patch_embed and head); give a fine-tuned model")
    dim = patch.shape[0]
    depth = 1 + max((int(key.split(".")[1]) for key in state if key.startswith("blocks.")), default=-1)
    size = next((values for values in ENCODERS.values() if (values["dim"], values["depth"]) == (dim, depth)), None)
    if size is None:
        raise UserError(f"{path}: an encoder of dimension {dim} and depth {depth} is none of the known sizes")
    return ClassifierConfig(
        frames=frames,
        tubelet=patch.shape[2],
        patch=patch.shape[3],
        dim=dim,
        depth=depth,
        heads=size["heads"],
        mlp_ratio=size.get("mlp_ratio", 4.0),
        learnable_positions="pos_embed" in state,
        num_classes=head.shape[0],
    )
