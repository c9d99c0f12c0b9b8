"""A fine-tuned classifier as it lies on disk: a run's folder, its `model.pt`, or an official checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.models import VideoClassifier

MAX_CLASSES_BYTES = 16 << 20


@dataclass(frozen=True)
class ClassifierFile:
    """A classifier and what its file tells of how it was trained."""

    network: VideoClassifier
    classes: tuple[str, ...]
    rate: int
    sampling: str
    kind: str


def read_classifier(path: Path, classes: Path | None = None) -> ClassifierFile:
    """Read a classifier, the file but once. `classes` names the outputs of a file that does not: an official one.

    Raises `UserError` where the file is no classifier, or the names are missing or of another number.
    """
    from hashtag2action.models import VideoClassifier, load_model
    from hashtag2action.models.checkpoints import CONFIG_KEY, read_checkpoint

    content: dict[str, Any] = read_checkpoint(path)
    network: Any = load_model(path, content) if CONFIG_KEY in content else official_classifier(content, path)
    if not isinstance(network, VideoClassifier):
        raise UserError(f"{path}: is no classifier with class names; give a model that `h2a finetune` wrote")
    return ClassifierFile(
        network,
        class_names(content.get("classes"), classes, network.config.num_classes, path),
        int(content.get("rate", 4)),
        str(content.get("sampling", "dense")),
        str(content.get("kind", "classes")),
    )


def official_classifier(content: dict[str, Any], path: Path) -> VideoClassifier:
    """Build the network of an official fine-tuned checkpoint from what `read_checkpoint` returned for it.

    Raises `UserError` where it holds no classifier of a known size.
    """
    from hashtag2action.models import VideoClassifier
    from hashtag2action.models.blank import undrawn
    from hashtag2action.models.checkpoints import load_pretrained, unwrap_state
    from hashtag2action.models.infer import infer_classifier

    state = {key.removeprefix("encoder."): value for key, value in unwrap_state(content, path).items()}
    with undrawn():
        network = VideoClassifier(infer_classifier(state, path))
    report = load_pretrained(network, path, content=content)
    if report.new:
        raise UserError(f"{path}: lacks {report.new[0]} and {len(report.new) - 1} more tensors of a classifier")
    return network


def class_names(own: Any, file: Path | None, outputs: int, model: Path) -> tuple[str, ...]:
    """Return the names in the model's file, or those of `file`, one a line. Raises `UserError` for another number."""
    if file is not None:
        if not file.is_file() or file.stat().st_size > MAX_CLASSES_BYTES:
            raise UserError(f"{file}: no list of classes; write one name a line, in the order of the outputs")
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if len(names) != outputs:
            raise UserError(f"{file}: names {len(names)} classes, {model} has {outputs} outputs; give its own list")
        return tuple(names)
    if not own:
        raise UserError(f"{model}: does not name its {outputs} classes; give --classes FILE, one name a line")
    if len(own) != outputs:
        raise UserError(f"{model}: names {len(own)} classes for {outputs} outputs; it is damaged")
    return tuple(map(str, own))


def weights_file(model: Path) -> Path:
    """Return the weights of a run folder, or the file itself. Raises `UserError` where there are none."""
    model = Path(model)
    if model.is_dir():
        if not (model / "model.pt").is_file():
            raise UserError(f"{model}: holds no model.pt; is it the folder of a finished fine-tuning run?")
        return model / "model.pt"
    if not model.is_file():
        raise UserError(f"{model}: no such model; give a fine-tuning run's folder or its model.pt")
    return model
