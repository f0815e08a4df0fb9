"""One or more calls of every public operation and every primitive, each with PyTorch's way of saying the same.

``call(f, *inputs)`` runs with ``f`` the operation, and where NumPy has a function of that name, with that too: the
operations are spelled as in NumPy, so one call serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import tinygrad_bn as tg
from tinygrad_bn import engine, ops
from tinygrad_bn.ops.primitives import (
    along,
    arithmetic,
    check,
    compare,
    elementary,
    factor,
    index,
    linalg,
    reduce,
    shape,
    window,
)

Array = np.ndarray[Any, Any]
Range = tuple[float, float]
F = torch.nn.functional


@dataclass(frozen=True)
class Case:
    """A call of an operation; ``theirs`` is None where there is no derivative."""

    name: str
    operation: Callable[..., Any]
    call: Callable[..., Any]
    theirs: Callable[..., Any] | None
    inputs: tuple[tuple[tuple[int, ...], Range], ...]
    analytic: bool
    numpy: Callable[..., Any] | None

    def __str__(self) -> str:
        return self.name

    @property
    def changes_dtype(self) -> bool:
        return self.operation in (ops.astype, engine.astype)

    @property
    def of_matrices(self) -> bool:
        """Whether LAPACK does the work, which knows neither objects nor halves."""
        return any(self.operation is operation for operation in MATRICES)

    @property
    def pretends(self) -> bool:
        """Whether its derivative is, on purpose, not that of the function it computes."""
        return self.changes_dtype or self.operation is ops.stop_gradient

    def ours(self, *inputs: Any) -> Any:
        return self.call(self.operation, *inputs)

    def arrays(self, seed: int = 0) -> list[Array]:
        """Random inputs, all different, so that nothing ties."""
        rng = np.random.default_rng(seed)
        return [rng.uniform(*limits, size) for size, limits in self.inputs]

    @property
    def unseeded(self) -> Callable[..., Any]:
        """The call, without the seed that one case sets: a program draws anew in every run."""
        return self.operation if self.operation is ops.uniform_like else self.ours

    def example(self, seed: int, dtype: Any) -> tuple[list[Array], Array]:
        """Random inputs, and a cotangent."""
        inputs = [x.astype(dtype) for x in self.arrays(seed)]
        y = self.ours(*inputs)
        return inputs, np.random.default_rng(5 + seed).standard_normal(y.shape).astype(y.dtype)

    def both_orders(self, inputs: list[Any], cotangent: Any) -> Any:
        """The value, the gradients for a cotangent that is an argument, and their own gradients."""
        leaves = [x.detach().requires_grad_() for x in inputs]
        y = self.ours(*leaves)
        if self.theirs is None:
            return y, [], None
        first = tg.grad(y, leaves, cotangent, create_graph=True)
        total = sum(((g * g).sum() for g in first if g is not None), start=tg.Tensor(0.0))
        return y, list(first), list(tg.grad(total, leaves)) if total.requires_grad else None


def straight(f: Any, *inputs: Any) -> Any:
    return f(*inputs)


CASES: list[Case] = []
MATRICES = [getattr(ops.linalg, name) for name in ops.linalg.__all__] + [
    factor.solve, factor.inv, factor.det, factor.logabsdet, factor.signdet, factor.cholesky, factor.eigvalsh,
    factor.eigenvectors,
]  # fmt: skip


def case(
    operation: Any,
    theirs: Callable[..., Any] | None,
    *shapes: tuple[int, ...],
    call: Callable[..., Any] = straight,
    within: Range | tuple[Range, ...] = (-2.0, 2.0),
    analytic: bool = True,
    note: str = "",
) -> None:
    """Add a case; ``within`` is the range of the inputs, or one range for each."""
    name = getattr(operation, "__name__", str(operation))
    public = getattr(ops, name, None) is operation
    of_matrices = name in ops.linalg.__all__ and getattr(ops.linalg, name) is operation
    limits = within if isinstance(within[0], tuple) else (within,) * len(shapes)
    inputs = tuple(zip(shapes, limits))
    label = f"{name if public else 'primitive ' + name}{' ' + note if note else ''}"
    if of_matrices:
        label = f"linalg {label.removeprefix('primitive ')}"
    numpy = getattr(np, name, None) if public else getattr(np.linalg, name, None) if of_matrices else None
    CASES.append(Case(label, operation, call, theirs, inputs, analytic, numpy))


# -- elementwise, one argument ------------------------------------------------------------------------------------------

for operation, theirs, within, analytic in [
    (ops.abs, torch.abs, (-2, 2), False),
    (ops.arccos, torch.arccos, (-0.9, 0.9), True),
    (ops.arccosh, torch.arccosh, (1.2, 3), True),
    (ops.arcsin, torch.arcsin, (-0.9, 0.9), True),
    (ops.arcsinh, torch.arcsinh, (-2, 2), True),
    (ops.arctan, torch.arctan, (-2, 2), True),
    (ops.arctanh, torch.arctanh, (-0.9, 0.9), True),
    (ops.cos, torch.cos, (-3, 3), True),
    (ops.cosh, torch.cosh, (-2, 2), True),
    (ops.elu, F.elu, (-2, 2), True),
    (ops.erf, torch.erf, (-2, 2), False),
    (ops.exp, torch.exp, (-3, 3), True),
    (ops.expm1, torch.expm1, (-2, 2), True),
    (ops.gelu, F.gelu, (-3, 3), False),
    (ops.leaky_relu, F.leaky_relu, (-2, 2), True),
    (ops.log, torch.log, (0.2, 3), True),
    (ops.log10, torch.log10, (0.2, 3), True),
    (ops.log2, torch.log2, (0.2, 3), True),
    (ops.ceil, torch.ceil, (0.1, 0.9), False),
    (ops.floor, torch.floor, (0.1, 0.9), False),
    (ops.rint, torch.round, (0.1, 0.4), False),
    (ops.round, torch.round, (0.1, 0.4), False),
    (ops.trunc, torch.trunc, (0.1, 0.9), False),
    (ops.log1p, torch.log1p, (-0.8, 2), True),
    (ops.negative, torch.neg, (-2, 2), True),
    (ops.reciprocal, torch.reciprocal, (0.5, 2), True),
    (ops.relu, torch.relu, (-2, 2), True),
    (ops.sigmoid, torch.sigmoid, (-4, 4), True),
    (ops.sign, torch.sign, (-2, 2), False),
    (ops.silu, F.silu, (-4, 4), True),
    (ops.sin, torch.sin, (-3, 3), True),
    (ops.sinh, torch.sinh, (-2, 2), True),
    (ops.softplus, F.softplus, (-4, 4), False),
    (ops.sqrt, torch.sqrt, (0.2, 3), True),
    (ops.square, torch.square, (-2, 2), True),
    (ops.tan, torch.tan, (-1.2, 1.2), True),
    (ops.tanh, torch.tanh, (-2, 2), True),
]:
    case(operation, theirs, (2, 3), within=within, analytic=analytic)

case(ops.elu, lambda x: F.elu(x, 0.3), (2, 3), call=lambda f, x: f(x, 0.3), note="alpha")
case(ops.leaky_relu, lambda x: F.leaky_relu(x, 0.2), (2, 3), call=lambda f, x: f(x, 0.2), note="slope")
case(ops.gelu, lambda x: F.gelu(x, approximate="tanh"), (2, 3), call=lambda f, x: f(x, "tanh"), note="tanh")
case(ops.stop_gradient, lambda x: x.detach() * x, (2, 3), call=lambda f, x: f(x) * x, analytic=False)
case(
    ops.astype, lambda x: x.to(torch.float32).to(torch.float64), (2, 3),
    call=lambda f, x: f(f(x, "float32"), np.float64), analytic=False,
)  # fmt: skip
case(
    ops.round, lambda x: torch.round(x, decimals=1), (2, 3), call=lambda f, x: f(x, 1), within=(0.11, 0.14),
    analytic=False, note="1",
)  # fmt: skip
for operation in (ops.isfinite, ops.isinf, ops.isnan, ops.logical_not):
    case(operation, None, (2, 3))

# -- elementwise, several arguments -------------------------------------------------------------------------------------

case(ops.add, torch.add, (2, 3), (2, 3))
case(ops.subtract, torch.subtract, (2, 3), (2, 3))
case(ops.multiply, torch.multiply, (2, 3), (2, 3))
case(ops.divide, torch.divide, (2, 3), (2, 3), within=((-2, 2), (0.5, 2)))
case(ops.power, torch.pow, (2, 3), (2, 3), within=((0.3, 2), (-2, 2)), note="of a variable")
case(ops.power, lambda x: x**3, (2, 3), call=lambda f, x: f(x, 3), note="3")
case(ops.power, lambda x: x**-1.5, (2, 3), call=lambda f, x: f(x, -1.5), within=(0.3, 2), note="-1.5")
case(ops.power, lambda x: 2.0**x, (2, 3), call=lambda f, x: f(2.0, x), note="of a number")
case(ops.arctan2, torch.arctan2, (2, 3), (2, 3), analytic=False)
case(ops.logaddexp, torch.logaddexp, (2, 3), (2, 3), analytic=False)
case(ops.remainder, torch.remainder, (2, 3), (2, 3), within=((0.2, 0.9), (0.3, 0.35)), analytic=False)
case(
    ops.floor_divide, lambda x, y: (x * 0 + y * 0) + torch.floor(x / y).detach(), (2, 3), (2, 3),
    within=((0.75, 0.85), (0.3, 0.35)), analytic=False,
)  # fmt: skip
case(ops.hypot, torch.hypot, (2, 3), (2, 3), analytic=False)
case(ops.maximum, torch.maximum, (2, 3), (2, 3))
case(ops.minimum, torch.minimum, (2, 3), (2, 3))
for operation in (
    ops.equal, ops.greater, ops.greater_equal, ops.less, ops.less_equal, ops.not_equal, ops.logical_and, ops.logical_or,
    ops.logical_xor,
):  # fmt: skip
    case(operation, None, (2, 3), (2, 3))
CONDITION = np.array([[True, False, True], [False, False, True]])
case(
    ops.where, lambda x, y: torch.where(torch.tensor(CONDITION), x, y), (2, 3), (2, 3),
    call=lambda f, x, y: f(CONDITION, x, y),
)  # fmt: skip
case(ops.clip, lambda x: torch.clamp(x, -0.5, 0.8), (2, 3), call=lambda f, x: f(x, -0.5, 0.8))
case(ops.clip, lambda x: torch.clamp(x, min=-0.5), (2, 3), call=lambda f, x: f(x, -0.5, None), note="low")
case(ops.clip, lambda x: torch.clamp(x, max=0.8), (2, 3), call=lambda f, x: f(x, None, 0.8), note="high")
BOUNDS = ((-2.0, 2.0), (-1.0, -0.2), (0.2, 1.0))
case(ops.clip, torch.clamp, (4, 5), (4, 5), (4, 5), within=BOUNDS, note="variable bounds")
case(compare.clip, torch.clamp, (4, 5), (4, 5), (4, 5), within=BOUNDS)
case(arithmetic.power, torch.pow, (2, 3), (2, 3), within=((0.3, 2.0), (-2.0, 2.0)))
case(elementary.identity, lambda x: x.clone(), (2, 3))
case(arithmetic.power_constant, lambda x: x**3, (2, 3), call=lambda f, x: f(x, exponent=3))

# -- reductions ---------------------------------------------------------------------------------------------------------

case(ops.sum, lambda x: x.sum(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.mean, lambda x: x.mean(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.var, lambda x: x.var(1, correction=0), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.std, lambda x: x.std(1, correction=0), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.prod, lambda x: x.prod(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.prod, lambda x: x.prod(1), (2, 6), call=lambda f, x: f(x, axis=1), note="of six")
case(ops.max, lambda x: x.amax(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.min, lambda x: x.amin(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.cumsum, lambda x: x.cumsum(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.cumsum, lambda x: x.flatten().cumsum(0), (2, 3), note="flattened")
for degree, analytic in [(None, True), (2, True), (1, False), (3, False), (1.5, False), (np.inf, False)]:
    case(
        ops.norm, lambda x, p=degree: torch.linalg.vector_norm(x, 2 if p is None else p, 1), (2, 3),
        call=lambda f, x, p=degree: f(x, p, axis=1), analytic=analytic, note=str(degree),
    )  # fmt: skip
case(ops.logsumexp, lambda x: x.logsumexp(1), (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.softmax, lambda x: x.softmax(-1), (2, 3))
case(ops.log_softmax, lambda x: x.log_softmax(-1), (2, 3))
case(ops.all, None, (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.any, None, (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.count_nonzero, None, (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.argsort, None, (2, 5), call=lambda f, x: f(x, axis=1))
case(ops.argmax, None, (2, 3), call=lambda f, x: f(x, axis=1))
case(ops.argmin, None, (2, 3), call=lambda f, x: f(x, axis=1))
case(reduce.sum, lambda x: x.sum((0, 2)), (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
case(reduce.mean, lambda x: x.mean((0, 2)), (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
case(reduce.max, lambda x: x.amax((0, 2)), (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
case(reduce.min, lambda x: x.amin((0, 2)), (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
for reverse in (False, True):
    case(
        reduce.cumsum,
        lambda x, r=reverse: x.flip(1).cumsum(1).flip(1) if r else x.cumsum(1), (2, 3),
        call=lambda f, x, r=reverse: f(x, axis=1, reverse=r), note="reverse" * reverse,
    )  # fmt: skip
case(reduce.all, None, (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
case(reduce.any, None, (2, 3, 2), call=lambda f, x: f(x, axis=(0, 2), keepdims=False))
case(index.argsort, None, (2, 5), call=lambda f, x: f(x, axis=1, kind="stable"))
case(index.argmax, None, (2, 3), call=lambda f, x: f(x, axis=1, keepdims=True))
case(index.argmin, None, (2, 3), call=lambda f, x: f(x, axis=1, keepdims=True))

# -- products -----------------------------------------------------------------------------------------------------------

case(ops.matmul, torch.matmul, (2, 3), (3, 4))
case(ops.dot, torch.dot, (3,), (3,))
case(ops.inner, torch.inner, (2, 3), (4, 3))
case(ops.outer, torch.outer, (2,), (3,))
case(ops.tensordot, lambda x, y: torch.tensordot(x, y, 1), (2, 3), (3, 2), call=lambda f, x, y: f(x, y, 1))
case(
    ops.einsum, lambda x, y: torch.einsum("ij,kj->ik", x, y), (2, 3), (4, 3), call=lambda f, x, y: f("ij,kj->ik", x, y)
)
case(linalg.matmul, torch.matmul, (2, 1, 2, 3), (2, 3, 2))
case(
    linalg.einsum, lambda x, y, z: torch.einsum("ij,jk,k->ik", x, y, z), (2, 3), (3, 2), (2,),
    call=lambda f, *arrays: f(*arrays, inputs=("ij", "jk", "k"), output="ik"),
)  # fmt: skip

# -- matrices -----------------------------------------------------------------------------------------------------------

ROOM = np.array(
    [[4.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 9.0]]
)  # keeps random matrices regular, with distinct eigenvalues


def roomy(x: Any) -> Any:
    return x + (torch.tensor(ROOM) if isinstance(x, torch.Tensor) else ROOM.astype(str(x.dtype)))


def positive(x: Any) -> Any:
    return roomy((x + x.swapaxes(-1, -2)) * 0.5)


for operation, theirs in (
    (ops.linalg.inv, torch.linalg.inv), (factor.inv, torch.linalg.inv),
    (ops.linalg.det, torch.linalg.det), (factor.det, torch.linalg.det),
):  # fmt: skip
    case(
        operation, lambda x, f=theirs: f(roomy(x)), (2, 3, 3), call=lambda f, x: f(roomy(x)), within=(-1.0, 1.0),
    )  # fmt: skip
for operation in (ops.linalg.solve, factor.solve):
    case(
        operation, lambda a, b: torch.linalg.solve(roomy(a), b), (2, 3, 3), (3, 2),
        # NumPy 1 takes one axis fewer for a row of vectors
        call=lambda f, a, b: f(roomy(a), b[None] if f is np.linalg.solve else b), within=(-1.0, 1.0),
    )  # fmt: skip
case(
    ops.linalg.solve, lambda a, b: torch.linalg.solve(roomy(a), b), (3, 3), (3,),
    call=lambda f, a, b: f(roomy(a), b), within=(-1.0, 1.0), note="of a vector",
)  # fmt: skip
case(
    ops.linalg.slogdet, lambda x: torch.linalg.slogdet(roomy(x))[1], (2, 3, 3),
    call=lambda f, x: f(roomy(x))[1], within=(-1.0, 1.0), analytic=False,
)  # fmt: skip
case(
    factor.logabsdet, lambda x: torch.linalg.slogdet(roomy(x))[1], (3, 3),
    call=lambda f, x: f(roomy(x)), within=(-1.0, 1.0), analytic=False,
)  # fmt: skip
case(factor.signdet, None, (2, 3, 3))
for operation in (ops.linalg.cholesky, factor.cholesky):
    case(
        operation, lambda x: torch.linalg.cholesky(positive(x)), (2, 3, 3),
        call=lambda f, x: f(positive(x)), within=(-1.0, 1.0), analytic=False,
    )  # fmt: skip
case(
    ops.linalg.cholesky, lambda x: torch.linalg.cholesky(positive(x)).swapaxes(-1, -2), (3, 3),
    call=lambda f, x: f(positive(x), upper=True) if f is ops.linalg.cholesky else f(positive(x)).T, within=(-1.0, 1.0),
    analytic=False, note="upper",
)  # fmt: skip
for operation in (ops.linalg.eigvalsh, factor.eigvalsh):
    case(
        operation, lambda x: torch.linalg.eigvalsh(positive(x)), (2, 3, 3),
        call=lambda f, x: f(positive(x)), within=(-1.0, 1.0), analytic=False,
    )  # fmt: skip
# Squared: the sign of an eigenvector is arbitrary.
case(
    ops.linalg.eigh, lambda x: torch.linalg.eigh(positive(x))[1] ** 2, (2, 3, 3),
    call=lambda f, x: f(positive(x))[1] ** 2, within=(-1.0, 1.0), analytic=False, note="vectors",
)  # fmt: skip
case(
    ops.linalg.eigh, lambda x: torch.linalg.eigh(positive(x), UPLO="U")[0], (3, 3),
    call=lambda f, x: f(positive(x), UPLO="U")[0], within=(-1.0, 1.0), analytic=False, note="values, upper",
)  # fmt: skip
case(
    factor.eigenvectors, lambda x: torch.linalg.eigh(positive(x))[1] ** 2, (3, 3),
    call=lambda f, x: f(positive(x)) ** 2, within=(-1.0, 1.0), analytic=False,
)  # fmt: skip

# -- shapes -------------------------------------------------------------------------------------------------------------

case(ops.broadcast_to, lambda x: x.expand(2, 2, 3), (2, 1), call=lambda f, x: f(x, (2, 2, 3)))
case(ops.concatenate, lambda x, y: torch.cat([x, y], 1), (2, 3), (2, 2), call=lambda f, x, y: f([x, y], axis=1))
case(ops.diag, lambda x: torch.diag(x, 1), (3,), call=lambda f, x: f(x, 1))
case(ops.diag, lambda x: torch.diag(x, -1), (3, 4), call=lambda f, x: f(x, -1), note="of a matrix")
case(ops.hstack, lambda x, y: torch.hstack([x, y]), (2, 3), (2, 2), call=lambda f, x, y: f([x, y]))
case(ops.hstack, lambda x, y: torch.hstack([x, y]), (3,), (2,), call=lambda f, x, y: f([x, y]), note="of vectors")
case(ops.vstack, lambda x, y: torch.vstack([x, y]), (2, 3), (3,), call=lambda f, x, y: f([x, y]))
case(ops.diagonal, lambda x: x.diagonal(1), (3, 4), call=lambda f, x: f(x, 1))
case(ops.expand_dims, lambda x: x[:, None], (2, 3), call=lambda f, x: f(x, 1))
case(ops.flatten, lambda x: x.flatten(1), (2, 3, 2), call=lambda f, x: f(x, 1))
case(ops.flip, lambda x: x.flip(1), (2, 3), call=lambda f, x: f(x, 1))
case(ops.moveaxis, lambda x: x.movedim(0, 2), (2, 3, 2), call=lambda f, x: f(x, 0, 2))
case(ops.pad, lambda x: F.pad(x, (2, 1)), (2, 3), call=lambda f, x: f(x, ((0, 0), (2, 1))))
case(ops.ravel, torch.ravel, (2, 3))
case(ops.repeat, lambda x: x.repeat_interleave(2, 1), (2, 3), call=lambda f, x: f(x, 2, axis=1))
case(ops.reshape, lambda x: x.reshape(3, 2), (2, 3), call=lambda f, x: f(x, (3, -1)))
case(ops.roll, lambda x: x.roll(1, 1), (2, 3), call=lambda f, x: f(x, 1, axis=1))
case(ops.split, lambda x: x.split(2, 1)[1], (2, 4), call=lambda f, x: f(x, 2, axis=1)[1])
case(ops.squeeze, torch.squeeze, (2, 1, 3))
case(ops.stack, lambda x, y: torch.stack([x, y], 1), (2, 3), (2, 3), call=lambda f, x, y: f([x, y], axis=1))
case(ops.swapaxes, lambda x: x.swapaxes(0, 2), (2, 3, 2), call=lambda f, x: f(x, 0, 2))
case(ops.tile, lambda x: x.tile(2, 2), (2, 3), call=lambda f, x: f(x, (2, 2)))
case(ops.trace, torch.trace, (3, 4))
case(ops.transpose, lambda x: x.permute(1, 2, 0), (2, 3, 2), call=lambda f, x: f(x, (1, 2, 0)))
case(ops.tril, torch.tril, (3, 4))
case(ops.triu, torch.triu, (3, 4))
case(shape.tril, lambda x: torch.tril(x, -1), (2, 3, 4), call=lambda f, x: f(x, k=-1))
case(shape.triu, lambda x: torch.triu(x, 1), (2, 3, 4), call=lambda f, x: f(x, k=1))
case(shape.reshape, lambda x: x.reshape(3, 2), (2, 3), call=lambda f, x: f(x, shape=(3, 2)))
case(shape.transpose, lambda x: x.permute(2, 0, 1), (2, 3, 2), call=lambda f, x: f(x, axes=(2, 0, 1)))
case(shape.concatenate, lambda x, y: torch.cat([x, y], 1), (2, 3), (2, 2), call=lambda f, x, y: f(x, y, axis=1))
case(engine.broadcast_to, lambda x: x.expand(2, 2, 3), (2, 1), call=lambda f, x: f(x, shape=(2, 2, 3)))
case(engine.sum_to, lambda x: x.sum((0, 2), keepdim=True)[0], (2, 2, 3), call=lambda f, x: f(x, shape=(2, 1)))
case(
    engine.astype, lambda x: x.to(torch.float32).to(torch.float64), (2, 3),
    call=lambda f, x: f(f(x, dtype="float32"), dtype="float64"), analytic=False,
)  # fmt: skip


def fold(x: Any) -> Any:
    """2 by 3 windows of 2 by 3 elements put back onto 5 by 5, one element after the other."""
    out = torch.zeros(1, 5, 5, dtype=x.dtype)
    for i, j, a, b in np.ndindex(2, 3, 2, 3):
        unit = torch.zeros(5, 5, dtype=x.dtype)
        unit[2 * i + 2 * a, j + b] = 1.0
        out = out + x[:, i, j, a, b, None, None] * unit
    return out


SLIDE = {"window": (2, 3), "stride": (2, 1), "dilation": (2, 1)}
case(
    ops.sliding_window, lambda x: x.unfold(1, 3, 2)[..., ::2].unfold(2, 3, 1), (1, 5, 5),
    call=lambda f, x: f(x, (2, 3), (2, 1), (2, 1)),
)  # fmt: skip
case(
    window.sliding_window, lambda x: x.unfold(1, 3, 2)[..., ::2].unfold(2, 3, 1), (1, 5, 5), call=lambda f, x: f(x, **SLIDE),
)  # fmt: skip
case(window.overlap_add, fold, (1, 2, 3, 2, 3), call=lambda f, x: f(x, **SLIDE, shape=(1, 5, 5)))

# -- elements -----------------------------------------------------------------------------------------------------------

ROWS = np.array([0, 2, 2])
PLACES = np.array([[0, 2, 2], [1, 1, 0]])
case(ops.getitem, lambda x: x[1:, 0], (3, 2), call=lambda f, x: f(x, (slice(1, None), 0)), note="slices")
case(ops.getitem, lambda x: x[ROWS], (3, 2), call=lambda f, x: f(x, ROWS), note="repeats")
case(ops.take, lambda x: x[:, ROWS], (2, 3), call=lambda f, x: f(x, ROWS, axis=1))
case(
    ops.take_along_axis, lambda x: torch.take_along_dim(x, torch.tensor(PLACES), 1), (2, 3),
    call=lambda f, x: f(x, PLACES, 1),
)  # fmt: skip
case(
    along.take_along_axis, lambda x: torch.take_along_dim(x, torch.tensor(PLACES), 1), (2, 3),
    call=lambda f, x: f(x, PLACES, axis=1),
)  # fmt: skip
for places, note in ((PLACES, "repeats"), (PLACES[:, :1], "one a row")):
    case(
        along.add_along_axis,
        lambda x, at=places: torch.zeros(2, 4, dtype=x.dtype).scatter_add(1, torch.tensor(at), x), places.shape,
        call=lambda f, x, at=places: f(x, at, axis=1, shape=(2, 4)), note=note,
    )  # fmt: skip
LABELS = {"count": 4, "ignore_index": -100, "some": True, "what": "a loss: no such class"}
case(
    check.checked_range, lambda x: x.clone(), (2, 3),
    call=lambda f, x: f(x, low=-9.0, high=9.0, what="a loss: probabilities", fix="none"),
)  # fmt: skip
case(check.checked_index, None, (2, 3), call=lambda f, x: f(ops.argmax(x, axis=1), **LABELS))
case(ops.uniform_like, None, (2, 3), call=lambda f, x: (tg.manual_seed(0), f(x))[1])
case(ops.sort, lambda x: x.sort(1)[0], (2, 5), call=lambda f, x: f(x, axis=1), analytic=False)
case(
    ops.sort,
    lambda x: x.flatten().sort()[0],
    (2, 3),
    call=lambda f, x: f(x, axis=None),
    analytic=False,
    note="flattened",
)
case(index.take_diagonal, lambda x: x.diagonal(1, -2, -1), (2, 3, 4), call=lambda f, x: f(x, offset=1))
case(
    index.put_diagonal, lambda x: torch.diag_embed(x, -1), (2, 3), call=lambda f, x: f(x, offset=-1, shape=(2, 4, 4)),
)  # fmt: skip
case(index.take_slice, lambda x: x[1:, 0], (3, 2), call=lambda f, x: f(x, index=(slice(1, None), 0)))
case(
    index.put_slice, lambda x: F.pad(x, (1, 0)), (3, 2),
    call=lambda f, x: f(x, index=(slice(None), slice(1, None)), shape=(3, 3)),
)  # fmt: skip
case(index.gather, lambda x: x[:, ROWS], (2, 3), call=lambda f, x: f(x, ROWS, pattern=(slice(None), "array")))
case(
    index.scatter_add, lambda x: torch.zeros(2, 4, dtype=x.dtype).index_add(1, torch.tensor(ROWS), x), (2, 3),
    call=lambda f, x: f(x, ROWS, pattern=(slice(None), "array"), shape=(2, 4)),
)  # fmt: skip

DIFFERENTIABLE = [c for c in CASES if c.theirs is not None]
WITHOUT_DERIVATIVE = [c for c in CASES if c.theirs is None]
# These take any shape, single numbers included.
ELEMENTWISE = [
    c
    for c in CASES
    if (getattr(c.operation, "elementwise", False) and c.call is straight)
    or c.operation in (ops.elu, ops.gelu, ops.leaky_relu, ops.silu, ops.power, ops.clip)
]
ANALYTIC = [c for c in DIFFERENTIABLE if c.analytic]
