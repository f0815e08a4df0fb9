"""Steps that do more than compute: hooks, kept gradients, and the ways out of the graph; for both libraries.

Both sides spell them alike, so one function per step serves this library and PyTorch.  On plain arrays, where a program
is tried while it is drawn, they only compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinygrad_bn as tg


class Log:
    """What a run saw: gradients in hooks and kept ones, by the number of the step."""

    def __init__(self) -> None:
        self.hooks: dict[int, list[np.ndarray]] = {}
        self.kept: dict[int, Any] = {}

    def watch(self, step: int, factor: float | None) -> Callable[[Any], Any]:
        """A hook that writes down the gradient, and scales it where a factor is given."""

        def hook(g: Any) -> Any:
            if g is None:  # PyTorch calls hooks also where a second derivative is known to be 0
                return None
            self.hooks.setdefault(step, []).append(
                np.array(g.numpy(force=True) if isinstance(g, torch.Tensor) else g.numpy())
            )
            return None if factor is None else g * factor

        return hook


def _wants(x: Any) -> bool:
    return bool(getattr(x, "requires_grad", False))


def hook(x: Any, log: Log, step: int, factor: float | None) -> Any:
    """A hook that looks, or one that replaces."""
    y = x * 1.0
    if _wants(y):
        y.register_hook(log.watch(step, factor))
    return y


def hooks(x: Any, log: Log, step: int, factor: float | None) -> Any:
    """Three hooks, the second of which is taken off again."""
    y = x * 1.0
    if _wants(y):
        y.register_hook(log.watch(step, factor))
        off = y.register_hook(log.watch(step, 7.0))
        y.register_hook(log.watch(step, None))
        off.remove()
    return y


def retain_grad(x: Any, log: Log, step: int) -> Any:
    """An intermediate result that keeps its gradient."""
    y = x * 1.0
    if _wants(y):
        y.retain_grad()
        log.kept[step] = y
    return y


def detach(x: Any, log: Log, step: int) -> Any:
    """Half of it with a gradient, half without."""
    return x * 0.5 + (x * 0.5 if isinstance(x, (np.ndarray, np.generic)) else (x * 0.5).detach())


def no_grad(x: Any, log: Log, step: int) -> Any:
    """Computed twice, once without recording."""
    with torch.no_grad() if isinstance(x, torch.Tensor) else tg.no_grad():
        apart = x * 0.5
    return x * 0.5 + apart


def cut(x: Any, log: Log, step: int) -> Any:
    """No gradient at all from here on."""
    return x if isinstance(x, (np.ndarray, np.generic)) else x.detach()


STATEFUL: dict[str, Callable[..., Any]] = {
    "hook": hook,
    "hooks": hooks,
    "retain_grad": retain_grad,
    "detach": detach,
    "no_grad": no_grad,
    "cut": cut,
}
