"""What a run writes down as it goes: JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hashtag2action.files import atomic_write

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Logbook:
    """`log.jsonl` of a run, one object a line with its `step`; lines past the step resumed from are taken back."""

    def __init__(self, folder: Path, resumed_at: int, *, tensorboard: bool = True) -> None:
        self.path = folder / "log.jsonl"
        self._file: TextIO | None = None
        self._board: SummaryWriter | None = None
        self.rewind(resumed_at)
        if tensorboard and find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at + 1)

    def rewind(self, step: int) -> None:
        """Take back the lines of later steps."""
        self.close()
        kept = [line for line, record in _lines(self.path) if int(str(record["step"])) <= step]
        atomic_write(self.path, "".join(f"{line}\n" for line in kept))
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, record: Mapping[str, float | int | str | None]) -> None:
        """Append one record, which has a `step`."""
        assert self._file is not None
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
        if self._board:
            for name, value in record.items():
                if name != "step" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Close the files."""
        if self._file:
            self._file.close()
        if self._board:
            self._board.flush()


def read_log(folder: Path) -> list[dict[str, float | int | str | None]]:
    """Return the records of a run's `log.jsonl`, a torn last line left out."""
    return [record for _, record in _lines(folder / "log.jsonl")]


def _lines(path: Path) -> list[tuple[str, dict[str, float | int | str | None]]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append((line, json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found
