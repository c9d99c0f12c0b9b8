"""Networks whose weights are about to be loaded need not be drawn at random first: that takes longer than the loading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.nn import init

_DRAWS = ("kaiming_uniform_", "trunc_normal_", "uniform_", "normal_", "xavier_uniform_")


@contextmanager
def undrawn() -> Iterator[None]:
    """Let modules that are built inside keep whatever memory they get, for whoever then loads every tensor.

    Not for several threads at once.
    """
    kept = {name: getattr(init, name) for name in _DRAWS}
    try:
        for name in _DRAWS:
            setattr(init, name, _leave)
        yield
    finally:
        for name, function in kept.items():
            setattr(init, name, function)


def _leave(tensor: Tensor, *args: object, **options: object) -> Tensor:
    return tensor
