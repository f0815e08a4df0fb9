"""Initial values of parameters.

The functions whose names end in an underscore fill a tensor in place, as torch.nn.init's; the others make arrays.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError, explain
from ..functional.settings import number
from ..kinds import Array, DTypeLike, Shape
from ..random import generator, manual_seed
from ..tensor import Tensor

T = TypeVar("T", bound=Tensor)


def uniform(shape: Shape, bound: float, dtype: DTypeLike = np.float32) -> Array:
    """Uniform on [-bound, bound)."""
    return generator().uniform(-bound, bound, shape).astype(dtype)


def normal(shape: Shape, std: float = 1.0, dtype: DTypeLike = np.float32) -> Array:
    """Gaussian with mean 0."""
    return (generator().standard_normal(shape) * std).astype(dtype)


def fan_in_bound(fan_in: int) -> float:
    """1/sqrt(fan_in): PyTorch's bound for linear layers, He et al. 2015 (arXiv:1502.01852) with gain sqrt(1/3)."""
    return 1.0 / math.sqrt(fan_in) if fan_in else 0.0


# -- in place -----------------------------------------------------------------------------------------------------------


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0) -> T:
    """Fill with numbers drawn uniformly from [a, b)."""
    a, b = _finite("uniform_", "a", a), _finite("uniform_", "b", b)
    return _filled(tensor, lambda shape: generator().uniform(a, b, shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0) -> T:
    """Fill with numbers drawn from the normal distribution."""
    mean, std = _finite("normal_", "mean", mean), _finite("normal_", "a standard deviation, std", std, 0.0)
    return _filled(tensor, lambda shape: generator().normal(mean, std, shape))


def constant_(tensor: T, val: float) -> T:
    """Fill with one number."""
    val = number("constant_", "val", val)
    return _filled(tensor, lambda shape: np.full(shape, val))


def zeros_(tensor: T) -> T:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: T, gain: float = 1.0) -> T:
    """Uniform on ±gain · sqrt(6 / (fan_in + fan_out)): keeps the variance of signals and of gradients about equal.

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
    For the fans see ``kaiming_uniform_``.
    """
    bound = _finite("xavier_uniform_", "gain", gain) * math.sqrt(6.0 / _positive(sum(_fans("xavier_uniform_", tensor))))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: T, gain: float = 1.0) -> T:
    """Normal with standard deviation gain · sqrt(2 / (fan_in + fan_out)); see ``xavier_uniform_``."""
    spread = math.sqrt(2.0 / _positive(sum(_fans("xavier_normal_", tensor))))
    return normal_(tensor, 0.0, _finite("xavier_normal_", "gain", gain, 0.0) * spread)


def kaiming_uniform_(tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> T:
    """Uniform on ±gain · sqrt(3 / fan): keeps the variance of signals through layers of rectifiers.

    Source: He et al. 2015, "Delving Deep into Rectifiers" (arXiv:1502.01852), eq. 10 and 15.

    Args:
        tensor: a weight (out, in) or (out, in, window...); fan_in = in · window elements, fan_out = out · the same.
        a: negative slope, used with "leaky_relu" only.
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
        nonlinearity: what follows the layer; see ``calculate_gain``.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentError: an unknown mode or nonlinearity.
    """
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> T:
    """Normal with standard deviation gain / sqrt(fan); see ``kaiming_uniform_``."""
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def orthogonal_(tensor: T, gain: float = 1.0) -> T:
    """Orthonormal rows or columns (whichever are fewer) times gain; further axes count as columns.

    The Q of a QR decomposition of a normal matrix, with the signs that make it uniformly distributed.  Sources: Saxe et
    al. 2013 (arXiv:1312.6120); Mezzadri 2006 (arXiv:math-ph/0609050), section 5.

    Raises:
        ShapeError: fewer than two axes.
    """
    _fans("orthogonal_", tensor)
    gain = _finite("orthogonal_", "gain", gain)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])

    def draw(shape: Shape) -> Array:
        tall = generator().standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return gain * (q if rows >= columns else q.T).reshape(shape)

    return _filled(tensor, draw)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights grow so that a nonlinearity keeps the variance: PyTorch's table.

    1 for "linear", the convolutions and "sigmoid"; 5/3 for "tanh"; sqrt(2) for "relu"; sqrt(2 / (1 + slope²)) for
    "leaky_relu", whose negative slope is ``param`` (0.01 by default); 3/4 for "selu".

    Raises:
        ArgumentError: an unknown nonlinearity.
    """
    gains = {"sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75} | dict.fromkeys(LINEAR, 1.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else _finite("calculate_gain", "param", param)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if not isinstance(nonlinearity, str) or nonlinearity not in gains:
        expected = ", ".join([*gains, "leaky_relu"])
        raise ArgumentError(explain("calculate_gain: unknown nonlinearity", got=repr(nonlinearity), expected=expected))
    return gains[nonlinearity]


LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def _finite(what: str, name: str, value: Any, low: float = -sys.float_info.max) -> float:
    return number(what, name, value, low, sys.float_info.max)


def _kaiming_std(what: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(explain(f"{what}: mode", got=repr(mode), expected="fan_in or fan_out"))
    fan = _fans(what, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(_positive(fan))


def _fans(what: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input has."""
    _check(tensor)
    if tensor.ndim < 2:
        fix = "a bias has no fan: zeros_ or constant_"
        raise ShapeError(explain(f"{what}: at least two axes", got=f"shape {tensor.shape}", fix=fix))
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _positive(fan: int) -> int:
    """An empty weight has nothing to fill; any fan will do."""
    return max(fan, 1)


def _filled(tensor: T, draw: Callable[[tuple[int, ...]], Array]) -> T:
    _check(tensor)
    tensor.data = draw(tensor.shape)
    return tensor


def _check(tensor: Any) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype.kind != "f":
        got = f"a {type(tensor).__name__}" + (f" of dtype {tensor.dtype}" if isinstance(tensor, Tensor) else "")
        raise DTypeError(explain("init fills floating-point tensors in place", got=got, fix="pass a Parameter"))


__all__ = [
    "calculate_gain", "constant_", "fan_in_bound", "generator", "kaiming_normal_", "kaiming_uniform_", "manual_seed",
    "normal", "normal_", "ones_", "orthogonal_", "uniform", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip
