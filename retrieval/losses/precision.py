"""Losses compute in float32 whatever the autocast state: exponentials and small differences do not survive 8 bits."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from retrieval.functional.distances import widened

P = ParamSpec("P")
Result = TypeVar("Result", bound=Tensor | tuple[Tensor, ...])


def full_precision(loss: Callable[P, Result]) -> Callable[P, Result]:
    """Switch autocast off inside ``loss`` and widen half-precision tensors that it gets; float64 stays float64.

    The first positional argument is a tensor, and says which device's autocast is meant.
    """
    call: Any = loss

    @wraps(loss)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Result:
        first: Any = args[0]
        if not torch.is_autocast_enabled(first.device.type):
            # Entering and leaving the context takes longer than a small loss.
            plain: Result = call(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
            return plain
        with torch.autocast(first.device.type, enabled=False):
            result: Result = call(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
        return result

    return inside


def _wide(value: Any) -> Any:
    return widened(value) if isinstance(value, Tensor) else value
