"""Random programs of 1 to 20 operations, run by this library and by PyTorch.

A program is data: the shapes of its inputs and a list of steps, each an operation, the values it takes (by position) and
plain parameters.  Hypothesis draws them, and shrinks one that fails to the smallest that still does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

import tinygrad_bn as tg
from tinygrad_bn import ops

LARGEST = 60  # elements of one value
HIGHEST = 8.0  # magnitude above which a value is squashed before it goes on


@dataclass(frozen=True)
class Step:
    """One operation on values computed before."""

    op: str
    takes: tuple[int, ...]
    params: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Program:
    """Inputs of these shapes, filled from the seed; then the steps; the result is the last value."""

    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    seed: int
    dtype: str = "float64"

    def inputs(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return [rng.standard_normal(shape).astype(self.dtype) for shape in self.shapes]


Run = Callable[..., Any]

# name: (this library, PyTorch).  Written apart: neither side calls the other.
UNARY: dict[str, tuple[Run, Run]] = {
    "negative": (ops.negative, torch.neg),
    "exp": (ops.exp, torch.exp),
    "expm1": (ops.expm1, torch.expm1),
    "sin": (ops.sin, torch.sin),
    "cos": (ops.cos, torch.cos),
    "tanh": (ops.tanh, torch.tanh),
    "arctan": (ops.arctan, torch.arctan),
    "arcsinh": (ops.arcsinh, torch.arcsinh),
    "sigmoid": (ops.sigmoid, torch.sigmoid),
    "softplus": (ops.softplus, torch.nn.functional.softplus),
    "square": (ops.square, torch.square),
    "relu": (ops.relu, torch.relu),
    "leaky_relu": (ops.leaky_relu, torch.nn.functional.leaky_relu),
    "elu": (ops.elu, torch.nn.functional.elu),
    "gelu": (ops.gelu, torch.nn.functional.gelu),
    "silu": (ops.silu, torch.nn.functional.silu),
    "erf": (ops.erf, torch.erf),
    "absolute": (ops.abs, torch.abs),
    "cube": (lambda x: x**3, lambda x: x**3),
    "root": (lambda x: ops.sqrt(x * x + 0.5), lambda x: torch.sqrt(x * x + 0.5)),
    "logarithm": (lambda x: ops.log(x * x + 0.5), lambda x: torch.log(x * x + 0.5)),
    "reciprocal": (lambda x: ops.reciprocal(x * x + 0.5), lambda x: torch.reciprocal(x * x + 0.5)),
    "clip": (lambda x: ops.clip(x, -0.5, 0.7), lambda x: torch.clamp(x, -0.5, 0.7)),
    "halve": (lambda x: 0.5 * x, lambda x: 0.5 * x),
    "from one": (lambda x: 1.0 - x, lambda x: 1.0 - x),
}

BINARY: dict[str, tuple[Run, Run]] = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "subtract": (lambda x, y: x - y, lambda x, y: x - y),
    "multiply": (lambda x, y: x * y, lambda x, y: x * y),
    "divide": (lambda x, y: x / (y * y + 0.5), lambda x, y: x / (y * y + 0.5)),
    "power": (lambda x, y: (x * x + 0.5) ** y, lambda x, y: (x * x + 0.5) ** y),
    "maximum": (ops.maximum, torch.maximum),
    "minimum": (ops.minimum, torch.minimum),
    "where": (lambda x, y: ops.where(x > y, x, y * 0.3), lambda x, y: torch.where(x > y, x, y * 0.3)),
}

# Reductions take (axis, keepdims).
REDUCE: dict[str, tuple[Run, Run]] = {
    "sum": (ops.sum, torch.sum),
    "mean": (ops.mean, torch.mean),
    "var": (ops.var, lambda x, a, k: torch.var(x, a, keepdim=k, correction=0)),
    "max": (ops.max, torch.amax),
    "min": (ops.min, torch.amin),
    "logsumexp": (ops.logsumexp, torch.logsumexp),
}

ALONG: dict[str, tuple[Run, Run]] = {
    "softmax": (ops.softmax, torch.softmax),
    "log_softmax": (ops.log_softmax, torch.log_softmax),
    "cumsum": (ops.cumsum, torch.cumsum),
    "flip": (ops.flip, lambda x, a: torch.flip(x, (a,))),
    "roll": (lambda x, a: ops.roll(x, 1, a), lambda x, a: torch.roll(x, 1, a)),
    "expand_dims": (ops.expand_dims, torch.unsqueeze),
    "prod": (ops.prod, torch.prod),
    "tail": (lambda x, a: ops.getitem(x, (slice(None),) * a + (slice(1, None),)), lambda x, a: x.narrow(a, 1, x.shape[a] - 1)),
    "first": (lambda x, a: ops.take(x, [0, 0], a), lambda x, a: torch.index_select(x, a, torch.tensor([0, 0]))),
    "twice": (lambda x, a: ops.concatenate([x, x * 2.0], a), lambda x, a: torch.cat([x, x * 2.0], a)),
    "stacked": (lambda x, a: ops.stack([x, x], a), lambda x, a: torch.stack([x, x], a)),
    "repeat": (lambda x, a: ops.repeat(x, 2, a), lambda x, a: torch.repeat_interleave(x, 2, a)),
}  # fmt: skip

WHOLE: dict[str, tuple[Run, Run]] = {
    "ravel": (ops.ravel, torch.ravel),
    "transpose": (ops.transpose, lambda x: x.permute(tuple(range(x.ndim))[::-1])),
    # Shifted, because at a vector of exact zeros PyTorch's second derivative is NaN and ours, by convention, 0.
    "norm": (lambda x: ops.norm(x + 0.3), lambda x: torch.linalg.vector_norm(x + 0.3)),
}

MATRIX: dict[str, tuple[Run, Run]] = {
    "gram": (lambda x: x @ ops.swapaxes(x, -1, -2), lambda x: x @ x.transpose(-1, -2)),
    "einsum": (lambda x: ops.einsum("...ij,...ij->...i", x, x), lambda x: torch.einsum("...ij,...ij->...i", x, x)),
    "tril": (ops.tril, torch.tril),
    "diagonal": (lambda x: ops.diagonal(x, 0, -2, -1), lambda x: torch.diagonal(x, 0, -2, -1)),
    "outer": (lambda x: ops.tensordot(x, x, 0), lambda x: torch.tensordot(x, x, 0)),
}

TABLES = (UNARY, BINARY, REDUCE, ALONG, WHOLE, MATRIX)
PAIRS: dict[str, tuple[Run, Run]] = {name: pair for table in TABLES for name, pair in table.items()}


def run(program: Program, inputs: Sequence[Any], side: int) -> Any:
    """The program's result: ``side`` 0 is this library, 1 is PyTorch."""
    values = list(inputs)
    for step in program.steps:
        values.append(PAIRS[step.op][side](*(values[i] for i in step.takes), *step.params))
    return values[-1]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs whose every step is defined; NumPy runs along to know shapes and magnitudes."""
    sizes = st.integers(1, 3)
    full = tuple(draw(st.lists(sizes, max_size=3)))
    shapes = [full]
    for _ in range(draw(st.integers(0, 2))):
        other = tuple(draw(st.sampled_from([n, 1])) for n in full)
        shapes.append(other[draw(st.integers(0, len(other))) :])
    seed = draw(st.integers(0, 2**16))
    steps: list[Step] = []
    values = Program(tuple(shapes), (), seed).inputs()
    wanted = draw(st.integers(1, 20))
    while len(steps) < wanted:
        step = draw(_step(values))
        with np.errstate(over="ignore"):  # the last value of a program may be too large; no other is taken further
            result = np.asarray(PAIRS[step.op][0](*(values[i] for i in step.takes), *step.params))
        steps.append(step)
        values.append(result)
        if not np.abs(result).max(initial=0.0) <= HIGHEST and len(steps) < wanted:
            steps.append(Step("tanh", (len(values) - 1,)))
            values.append(np.tanh(result))
    dtype = draw(st.sampled_from(["float64", "float64", "float32"]))
    return Program(tuple(shapes), tuple(steps), seed, dtype)


@st.composite
def _step(draw: st.DrawFn, values: list[np.ndarray]) -> Step:
    # Mostly the latest value, so that programs are deep and few values are left unused; never one that was squashed.
    usable = [j for j, value in enumerate(values) if np.abs(value).max(initial=0.0) <= HIGHEST]
    i = draw(st.one_of(st.just(len(values) - 1), st.sampled_from(usable)))
    shape = values[i].shape
    choices = ["unary", "whole"]
    partners = [j for j in usable if _broadcasts(shape, values[j].shape)]
    choices += ["binary"] * 2 if partners else []
    choices += ["reduce", "along"] if shape else []
    choices += ["matrix"] if len(shape) >= 2 and values[i].size <= 9 else []
    kind = draw(st.sampled_from(choices))
    if kind == "unary":
        return Step(draw(st.sampled_from(list(UNARY))), (i,))
    if kind == "whole":
        return Step(draw(st.sampled_from(list(WHOLE))), (i,))
    if kind == "binary":
        pair = (i, draw(st.sampled_from(partners)))
        return Step(draw(st.sampled_from(list(BINARY))), pair if draw(st.booleans()) else pair[::-1])
    if kind == "matrix":
        return Step(draw(st.sampled_from(list(MATRIX))), (i,))
    axis = draw(st.integers(0, len(shape) - 1))
    if kind == "reduce":
        axes = tuple(sorted({axis, draw(st.integers(0, len(shape) - 1))}))
        return Step(draw(st.sampled_from(list(REDUCE))), (i,), (axes, draw(st.booleans())))
    growing = {"twice", "stacked", "repeat", "expand_dims"}
    names = [n for n in ALONG if n not in growing or (values[i].size * 2 <= LARGEST and len(shape) < 4)]
    if shape[axis] < 2:
        names.remove("tail")
    return Step(draw(st.sampled_from(names)), (i,), (axis,))


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return int(np.prod(np.broadcast_shapes(a, b), dtype=int)) <= LARGEST
    except ValueError:
        return False


def check(program: Program) -> None:
    """Value, gradient for a random cotangent and Hessian-vector product agree with PyTorch."""
    raw = program.inputs()
    rng = np.random.default_rng(program.seed + 1)
    ours = [tg.Tensor(x, requires_grad=True) for x in raw]
    theirs = [torch.tensor(x, requires_grad=True) for x in raw]
    y, z = run(program, ours, 0), run(program, theirs, 1)
    _same("value", y.numpy(), z, program)
    assert y.dtype == program.dtype
    if not y.requires_grad:
        assert not z.requires_grad
        return
    w = rng.standard_normal(y.shape).astype(program.dtype)
    second = program.dtype == "float64"
    got = tg.grad(y, ours, w, create_graph=second)
    expected = torch.autograd.grad(z, theirs, torch.tensor(w), create_graph=second, allow_unused=True)
    directions = [rng.standard_normal(x.shape) for x in raw]
    for i, (g, e) in enumerate(zip(got, expected)):
        _same(f"gradient {i}", np.zeros(raw[i].shape) if g is None else g.numpy(), e, program)
    if not second:
        return
    along = sum(((g * d).sum() for g, d in zip(got, directions) if g is not None), start=tg.Tensor(0.0))
    across = sum(
        ((e * torch.tensor(d)).sum() for e, d in zip(expected, directions) if e is not None), start=torch.zeros(())
    )
    if not along.requires_grad or not across.requires_grad:
        # One side may keep a graph of zeros (a step function's slope); then the other's product is zero up to rounding.
        products: Any = [None] * len(raw)
        if along.requires_grad:
            products = tg.grad(along, ours)
        other = torch.autograd.grad(across, theirs, allow_unused=True) if across.requires_grad else products
        for g in (*products, *other):
            assert g is None or np.abs(np.asarray(g.detach().numpy())).max(initial=0.0) <= 1e-10
        return
    got2 = tg.grad(along, ours)
    expected2 = torch.autograd.grad(across, theirs, allow_unused=True)
    for i, (g, e) in enumerate(zip(got2, expected2)):
        _same(f"Hessian-vector product {i}", np.zeros(raw[i].shape) if g is None else g.numpy(), e, program)


def _same(what: str, got: np.ndarray, expected: Any, program: Program) -> None:
    right = np.zeros(got.shape) if expected is None else expected.numpy(force=True)
    assert got.shape == right.shape, f"{what}: shape {got.shape}, PyTorch has {right.shape}"
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    tolerance = (1e-8 if program.dtype == "float64" else 2e-3) * scale
    np.testing.assert_allclose(got, right, rtol=0, atol=tolerance, err_msg=what)
