"""Random programs of 1 to 20 operations, run by this library and by PyTorch.

A program is data: the shapes, dtypes and memory layouts of its inputs and a list of steps, each an operation, the values it
takes (by position) and plain parameters.  Hypothesis draws them, and shrinks one that fails to the smallest that still does.
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

from . import indices
from .layers import LAYERS
from .stateful import STATEFUL, Log

LARGEST = 60  # elements of one value
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2  # before, a float64 array without axes did not widen a float32 one
HIGHEST = 8.0  # magnitude above which a value is squashed before it goes on


@dataclass(frozen=True)
class Step:
    """One operation on values computed before."""

    op: str
    takes: tuple[int, ...]
    params: tuple[Any, ...] = ()


LAYOUTS = ("C", "C", "Fortran", "negative strides", "long strides", "zero strides")


@dataclass(frozen=True)
class Program:
    """Inputs of these shapes, filled from the seed; then the steps; the result is the last value.

    Attributes:
        shapes: one per input.
        steps: what is computed.
        seed: of the values.
        dtypes: one per input, or one for all.
        layouts: one per input, how it lies in memory; none where all are in C order.
        constants: positions of inputs that are plain arrays rather than leaves.
    """

    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    seed: int
    dtypes: tuple[str, ...] = ("float64",)
    layouts: tuple[str, ...] = ()
    constants: tuple[int, ...] = ()

    def inputs(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        dtypes = self.dtypes * (len(self.shapes) if len(self.dtypes) == 1 else 1)
        arrays = [rng.standard_normal(shape).astype(dtype) for shape, dtype in zip(self.shapes, dtypes)]
        return [_laid_out(x, name) for x, name in zip(arrays, self.layouts)] if self.layouts else arrays

    def dtype_of_result(self) -> np.dtype:
        """What NumPy's promotion says, step by step."""
        known = [x.dtype for x in self.inputs()]
        for step in self.steps:
            known.append(np.result_type(*(known[i] for i in step.takes)))
        return known[-1]

    @property
    def exact(self) -> bool:
        """Whether everything is float64."""
        return all(x.dtype == np.float64 for x in self.inputs())


def _laid_out(x: np.ndarray, name: str) -> np.ndarray:
    if name == "Fortran":
        return np.array(x, order="F")
    if name == "negative strides":
        backwards = (slice(None, None, -1),) * x.ndim
        return np.ascontiguousarray(x[backwards])[backwards] if x.ndim else x
    if name == "long strides" and x.ndim:
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if name == "zero strides" and x.ndim:
        return np.broadcast_to(x[:1], x.shape)
    return x


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

SHAPING: dict[str, tuple[Run, Run]] = {
    "reshape": (ops.reshape, torch.reshape),
    "index": (indices.ours, indices.theirs),
    "stretch": (lambda x, n: ops.broadcast_to(x, (n, *x.shape)), lambda x, n: x.expand(n, *x.shape)),
    "axes": (lambda x, axes: ops.transpose(x, axes), lambda x, axes: x.permute(axes)),
}

TABLES = (UNARY, BINARY, REDUCE, ALONG, WHOLE, MATRIX, SHAPING, LAYERS)
PAIRS: dict[str, tuple[Run, Run]] = {name: pair for table in TABLES for name, pair in table.items()}


def run(program: Program, inputs: Sequence[Any], side: int) -> tuple[Any, Log]:
    """The program's result, and what its hooks saw: ``side`` 0 is this library, 1 is PyTorch."""
    values, log = list(inputs), Log()
    for number, step in enumerate(program.steps):
        values.append(apply(step, number, [values[i] for i in step.takes], side, log))
    return values[-1], log


def apply(step: Step, number: int, args: list[Any], side: int, log: Log) -> Any:
    """The result of one step."""
    if step.op in STATEFUL:
        return STATEFUL[step.op](*args, log, number, *step.params)
    if (
        side == 1 and len({x.dtype for x in args}) > 1
    ):  # PyTorch mixes dtypes in some operations only, and by other rules
        args = [x.to(torch.float64) for x in args]
    return PAIRS[step.op][side](*args, *step.params)


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
    dtypes = tuple(draw(st.sampled_from([("float64",), ("float64",), ("float32",), ("float32", "float64", "float32")])))
    dtypes = dtypes[: len(shapes)] if len(dtypes) > 1 else dtypes
    layouts = tuple(draw(st.sampled_from(LAYOUTS)) for _ in shapes)
    constants = tuple(i for i in range(1, len(shapes)) if draw(st.integers(0, 3)) == 0)
    steps: list[Step] = []
    values: list[Any] = list(Program(tuple(shapes), (), seed, ("float64",), layouts).inputs())
    wanted = draw(st.integers(1, 20))
    while len(steps) < wanted:
        step = draw(_step(values))
        if not _clear(step, [values[i] for i in step.takes]):
            step = Step("negative", step.takes[:1])
        with np.errstate(over="ignore"):  # the last value of a program may be too large; no other is taken further
            result = np.asarray(apply(step, len(steps), [values[i] for i in step.takes], 0, Log()))
        steps.append(step)
        values.append(result)
        if not np.abs(result).max(initial=0.0) <= HIGHEST and len(steps) < wanted:
            steps.append(Step("tanh", (len(values) - 1,)))
            values.append(np.tanh(result))
    return Program(tuple(shapes), tuple(steps), seed, dtypes, layouts, constants)


KINKS = {"relu": (0.0,), "leaky_relu": (0.0,), "absolute": (0.0,), "clip": (-0.5, 0.7)}
CLOSE = 1e-6


def _clear(step: Step, args: list[np.ndarray]) -> bool:
    """Whether rounding does not decide: nothing is nearly, but not quite, at a kink or tied with something else."""
    near = np.ones(1)
    if step.op == "norm":  # of zeros PyTorch's second derivative is NaN, ours by convention 0
        near = np.abs(args[0] + 0.3).max(initial=0.0)[None] + CLOSE / 2
    elif step.op in KINKS:
        near = np.concatenate([np.ravel(args[0] - kink) for kink in KINKS[step.op]])
    elif step.op in ("where", "maximum", "minimum") and step.takes[0] != step.takes[1]:
        near = args[0] - args[1]
        near = np.where(near == 0.0, CLOSE / 2, near)  # equal here, and perhaps not quite over there
    elif step.op in ("max", "min") or step.op.startswith("max_pool"):
        near = np.diff(np.sort(args[0], axis=None))
    return not ((np.abs(near) > 0.0) & (np.abs(near) < CLOSE)).any()


@st.composite
def _step(draw: st.DrawFn, values: list[np.ndarray]) -> Step:
    # Mostly the latest value, so that programs are deep and few values are left unused; never one that was squashed.
    usable = [j for j, value in enumerate(values) if np.abs(value).max(initial=0.0) <= HIGHEST]
    i = draw(st.one_of(st.just(len(values) - 1), st.sampled_from(usable)))
    shape = values[i].shape
    choices = ["unary", "whole", "stateful"]
    partners = [j for j in usable if _broadcasts(shape, values[j].shape)]
    choices += ["binary"] * 2 if partners else []
    choices += ["reduce", "along", "index", "reshape"] if shape else []
    choices += ["matrix"] if len(shape) >= 2 and values[i].size <= 9 else []
    choices += ["layer"] * 3 if 2 <= len(shape) <= 4 else []
    kind = draw(st.sampled_from(choices))
    if kind == "unary":
        return Step(draw(st.sampled_from(list(UNARY))), (i,))
    if kind == "whole":
        return Step(draw(st.sampled_from(list(WHOLE))), (i,))
    if kind == "stateful":
        name = draw(
            st.sampled_from([*STATEFUL, *list(STATEFUL)[:-1]])
        )  # "cut" ends a program's gradient: half as often
        return Step(name, (i,), (draw(st.sampled_from([None, 0.5, -2.0])),) if "hook" in name else ())
    if kind == "binary":
        pair = (i, draw(st.sampled_from(partners)))
        return Step(draw(st.sampled_from(list(BINARY))), pair if draw(st.booleans()) else pair[::-1])
    if kind == "matrix":
        return Step(draw(st.sampled_from(list(MATRIX))), (i,))
    if kind == "layer":
        return draw(_layer(i, shape))
    if kind == "index":
        return Step("index", (i,), (draw(indices.specs(shape)),))
    if kind == "reshape":
        return draw(_reshaping(i, shape))
    axis = draw(st.integers(0, len(shape) - 1))
    if kind == "reduce":
        axes = tuple(sorted({axis, draw(st.integers(0, len(shape) - 1))}))
        return Step(draw(st.sampled_from(list(REDUCE))), (i,), (axes, draw(st.booleans())))
    growing = {"twice", "stacked", "repeat", "expand_dims"}
    names = [n for n in ALONG if n not in growing or (values[i].size * 2 <= LARGEST and len(shape) < 4)]
    if shape[axis] < 2:
        names.remove("tail")
    return Step(draw(st.sampled_from(names)), (i,), (axis,))


@st.composite
def _reshaping(draw: st.DrawFn, i: int, shape: tuple[int, ...]) -> Step:
    """To what a layer takes, or repeated, or with its axes in another order."""
    size = int(np.prod(shape))
    halves = [n for n in (1, 2, 3) if size % n == 0]
    kind = draw(st.sampled_from(["signal", "signal", "image", "rows", "axes", "stretch"]))
    if kind == "signal":
        channels = draw(st.sampled_from(halves))
        return Step("reshape", (i,), ((1, channels, size // channels),))
    if kind == "image":
        height = draw(st.sampled_from(halves))
        return Step("reshape", (i,), ((1, 1, height, size // height),))
    if kind == "rows":
        rows = draw(st.sampled_from(halves))
        return Step("reshape", (i,), ((rows, size // rows),))
    if kind == "stretch" and size * 2 <= LARGEST and len(shape) < 4:
        return Step("stretch", (i,), (2,))
    return Step("axes", (i,), (tuple(draw(st.permutations(range(len(shape))))),))


@st.composite
def _layer(draw: st.DrawFn, i: int, shape: tuple[int, ...]) -> Step:
    n = len(shape) - 2
    names = ["cross_entropy", "batch_norm with statistics"]
    if np.prod(shape) > shape[1]:  # more than one value per channel
        names += ["batch_norm"] * 2
    if n:
        names += [f"conv{n}d"] * 2 + [f"max_pool{n}d", f"avg_pool{n}d"]
        names += ["conv_transpose1d"] if n == 1 and np.prod(shape) <= 12 else []
    name = draw(st.sampled_from(names))
    least = min(shape[2:], default=1)
    if name.startswith("batch_norm"):
        return Step(name, (i,), (draw(st.sampled_from([0.1, 0.5])),))
    if name == "cross_entropy":
        count = int(np.prod([shape[0], *shape[2:]]))
        labels = np.array(draw(st.lists(st.integers(0, shape[1] - 1), min_size=count, max_size=count)))
        nested = labels.reshape(shape[0], *shape[2:]).tolist()
        how = draw(st.sampled_from(["mean", "sum", "none"]))
        return Step(name, (i,), (_as_tuple(nested), how, draw(st.sampled_from([0.0, 0.2]))))
    if name == "conv_transpose1d":
        return Step(name, (i,), (draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))))
    k = draw(st.integers(1, min(3, least)))
    if name.startswith("conv"):
        padding = draw(st.sampled_from([0, 1, "same"]))
        dilation = draw(st.integers(1, 2)) if (k - 1) * 2 < least else 1
        stride = 1 if padding == "same" else draw(st.integers(1, 2))
        return Step(name, (i,), (draw(st.integers(1, 2)), k, stride, padding, dilation))
    return Step(name, (i,), (k, draw(st.sampled_from([None, 1, 2])), draw(st.integers(0, k // 2))))


def _as_tuple(nested: Any) -> Any:
    return tuple(map(_as_tuple, nested)) if isinstance(nested, list) else nested


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return int(np.prod(np.broadcast_shapes(a, b), dtype=int)) <= LARGEST
    except ValueError:
        return False


def _start(program: Program) -> tuple[list[Any], list[Any], list[int]]:
    """Inputs for both sides, and which of them are leaves."""
    raw = program.inputs()
    leaves = [i for i in range(len(raw)) if i not in program.constants]
    ours = [tg.Tensor(x, requires_grad=True) if i in leaves else x for i, x in enumerate(raw)]
    theirs = [torch.tensor(np.array(x, order="C"), requires_grad=i in leaves) for i, x in enumerate(raw)]
    return ours, theirs, leaves


def check(program: Program) -> None:
    """Value, gradient for a random cotangent, Hessian-vector product, hooks and kept gradients agree with PyTorch."""
    rng = np.random.default_rng(program.seed + 1)
    ours, theirs, leaves = _start(program)
    (y, _), (z, _) = run(program, ours, 0), run(program, theirs, 1)
    _same("value", y if isinstance(y, (np.ndarray, np.generic)) else y.numpy(), z, program)
    assert y.dtype == program.dtype_of_result() or not NUMPY_2
    if not isinstance(y, tg.Variable) or not y.requires_grad:
        assert not z.requires_grad
        return
    ours, theirs, raw = [ours[i] for i in leaves], [theirs[i] for i in leaves], [program.inputs()[i] for i in leaves]
    w = rng.standard_normal(y.shape).astype(y.dtype)
    second = program.exact
    _backward(program, w)
    got = tg.grad(y, ours, w, create_graph=second)
    expected = torch.autograd.grad(z, theirs, torch.tensor(w), create_graph=second, allow_unused=True)
    directions = [rng.standard_normal(x.shape) for x in raw]
    for i, (g, e) in enumerate(zip(got, expected)):
        assert g is None or g.dtype == raw[i].dtype
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


def _backward(program: Program, w: np.ndarray) -> None:
    """A backward pass of its own: what it leaves in the leaves, in kept results and in hooks."""
    ours, theirs, leaves = _start(program)
    (y, here), (z, there) = run(program, ours, 0), run(program, theirs, 1)
    y.backward(w)
    z.backward(torch.tensor(w, dtype=z.dtype))
    for i in leaves:
        g = ours[i].grad
        _same(f"gradient {i} of backward", np.zeros(ours[i].shape) if g is None else g.numpy(), theirs[i].grad, program)
    assert here.kept.keys() == there.kept.keys()
    for step, kept in here.kept.items():
        g, e = kept.grad, there.kept[step].grad
        _same(f"kept gradient of step {step}", np.zeros(kept.shape) if g is None else g.numpy(), e, program)
    called = {step: len(seen) for step, seen in here.hooks.items()}
    assert called == {step: len(seen) for step, seen in there.hooks.items()}, "hooks were called"
    for step, seen in here.hooks.items():
        for g, other in zip(seen, there.hooks[step]):
            _same(f"what a hook of step {step} saw", g, torch.tensor(other), program)


def _same(what: str, got: np.ndarray, expected: Any, program: Program) -> None:
    right = np.zeros(got.shape) if expected is None else expected.numpy(force=True)
    assert got.shape == right.shape, f"{what}: shape {got.shape}, PyTorch has {right.shape}"
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    tolerance = (1e-8 if program.exact else 2e-3) * scale
    np.testing.assert_allclose(got, right, rtol=0, atol=tolerance, err_msg=what)
