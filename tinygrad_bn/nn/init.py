"""Initial values of parameters, and the random generator they are drawn from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Make all later draws of initial values repeatable."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that layers draw from."""
    return _generator


def uniform(shape: tuple[int, ...], bound: float, dtype: Any = np.float32) -> Array:
    """Uniform on [-bound, bound)."""
    return _generator.uniform(-bound, bound, shape).astype(dtype)


def normal(shape: tuple[int, ...], std: float = 1.0, dtype: Any = np.float32) -> Array:
    """Gaussian with mean 0."""
    return (_generator.standard_normal(shape) * std).astype(dtype)


def fan_in_bound(fan_in: int) -> float:
    """1/sqrt(fan_in): PyTorch's bound for linear layers, He et al. 2015 (arXiv:1502.01852) with gain sqrt(1/3)."""
    return 1.0 / math.sqrt(fan_in) if fan_in else 0.0
