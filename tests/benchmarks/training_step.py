"""A training step of a multilayer perceptron with Batch Normalization, eager and compiled, beside other libraries.

All of one size run in turns in the same rounds; each table looks at them from one of our three sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bn.compiler.c.build import available

from .peers import NOT_INSTALLED, hips, jax, pytorch
from .perceptron import Work, hips_step, jax_step, ours, torch_step
from .report import Goal, Table, tabulate
from .timing import Contestant, assert_same, interleave, repeat

Array = np.ndarray[Any, Any]

OURS = "tinygrad_bn, composed BN"
IN_C = "tinygrad_bn, compiled to C"
IN_NUMPY = "tinygrad_bn, compiled to NumPy"
PLAIN = ", without BN"
FLOOR = "the floor"
FUSED = "PyTorch eager, nn.BatchNorm1d"
FUSED_SGD = "PyTorch eager, nn.BatchNorm1d, SGD(fused=True)"
COMPOSED = "PyTorch eager, composed BN"
TORCH_COMPILE = "torch.compile, nn.BatchNorm1d, SGD(fused=True)"
JAX = "JAX jit, composed BN"
HIPS = "HIPS/autograd, composed BN, SGD by hand"
NO_COMPILER = "there is no C compiler"
TOO_LONG = "in a full run only: it compiles for many seconds"


class Size(NamedTuple):
    """One network: its widths, the batch, how many steps make a block, and the goals of each side."""

    sizes: tuple[int, ...]
    batch: int
    inner: int
    eager: Sequence[Goal]
    in_c: Sequence[Goal]
    in_numpy: Sequence[Goal]


PRICE = Goal(IN_C + PLAIN, 1.15)
SMALL = (Goal(FLOOR, 1.15), Goal(JAX, 0.3), Goal(FUSED, 0.15), PRICE)
SIZES = (
    Size((64, 100, 100, 100, 10), 60, 40, (Goal(FUSED, 1.0),), SMALL, (Goal(FUSED, 0.45), Goal(JAX, 0.85))),
    Size((784, 100, 100, 100, 10), 60, 40, (Goal(FUSED, 1.0),), SMALL, ()),
    Size((784, 512, 512, 10), 128, 4, (), (Goal(FLOOR, 1.2), Goal(JAX, 0.85), PRICE), ()),
)
TINY = SIZES[0]._replace(sizes=(8, 6, 4), batch=5, inner=1)  # of a quick run


def floor(work: Work) -> Contestant:
    """What is left when everything is as cheap as it gets.

    It is no training step: its products are those of the step, by NumPy's BLAS into memory that is there; the rest is one
    pass of a single operation over the memory that a fused kernel has to read and write, for each hidden layer one forward and
    one backward, and for each weight its update.  Weights lie as (in, out), where the products of the forward pass are faster
    than with those of ``nn.Linear``, (out, in).
    """
    rng = np.random.default_rng(0)

    def of(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    layers = list(pairwise(work.sizes))
    count, last = len(work.x), len(layers) - 1
    values = [of(count, width) for width in work.sizes]
    products = [of(count, width) for width in work.sizes]
    weights = [of(*layer) for layer in layers]
    gradients = list(map(np.empty_like, weights))
    velocity = list(map(np.zeros_like, weights))

    def step() -> None:
        for i, weight in enumerate(weights):
            np.matmul(values[i], weight, out=products[i + 1])
            if i < last:
                np.add(products[i + 1], 1.0, out=values[i + 1])
        for i in range(last, -1, -1):
            np.matmul(values[i].T, products[i + 1], out=gradients[i])
            if i:
                np.matmul(products[i + 1], weights[i].T, out=values[i])
                np.add(values[i], 1.0, out=products[i])
        for gradient, state in zip(gradients, velocity):
            np.add(gradient, state, out=state)

    def run() -> dict[str, float]:
        times = repeat(step, work.inner)()
        for state in velocity:
            state[...] = 0.0  # or it would grow out of the floats
        return dict(times)

    return Contestant(FLOOR, run, dict)


def contestants(work: Work, quick: bool) -> tuple[list[Contestant], list[Contestant], dict[str, str]]:
    """All with Batch Normalization, ours without, and who could not take part."""
    found, plain = [ours(OURS, work)], [ours(OURS + PLAIN, work, norm=False)]
    absent = {}
    for name, backend in ((IN_C, "c"), (IN_NUMPY, "numpy")):
        if backend == "c" and not available():
            absent |= dict.fromkeys((IN_C, IN_C + PLAIN), NO_COMPILER)
        else:
            found.append(ours(name, work, backend=backend))
            plain.append(ours(name + PLAIN, work, backend=backend, norm=False))
    peers: list[tuple[str, Callable[[], object], Callable[[str], Contestant]]] = [
        (JAX, jax, lambda name: jax_step(name, work)),
        (FUSED, pytorch, lambda name: torch_step(name, work)),
        (FUSED_SGD, pytorch, lambda name: torch_step(name, work, fused=True)),
        (TORCH_COMPILE, pytorch, lambda name: torch_step(name, work, fused=True, by_compiler=True)),
        (COMPOSED, pytorch, lambda name: torch_step(name, work, composed=True)),
        (HIPS, hips, lambda name: hips_step(name, work)),
    ]
    for name, peer, make in peers:
        if peer() is None:
            absent[name] = NOT_INSTALLED
        elif name == TORCH_COMPILE and quick:
            absent[name] = TOO_LONG
        else:
            found.append(make(name))
    return found, plain, absent


def run(quick: bool) -> list[Table]:
    """Time the step at each size; quickly, at a tiny one."""
    tables = []
    for size in (TINY,) if quick else SIZES:
        rounds, warmup = (2, 1) if quick else (80, 5)
        work = Work.make(size.sizes, size.batch, size.inner)
        sides, plain, absent = contestants(work, quick)
        worst = assert_same(sides, rtol=1e-3, floor=0.1)
        assert_same(plain, rtol=1e-3, floor=0.1)
        measured = interleave([*sides, *plain, floor(work)], rounds, warmup)
        others = [FLOOR, JAX, TORCH_COMPILE, FUSED, FUSED_SGD, COMPOSED, HIPS]
        for name, goals in ((OURS, size.eager), (IN_C, size.in_c), (IN_NUMPY, size.in_numpy)):
            if name in absent:
                continue
            rows = tabulate(
                measured, goals, [name, *(side for side in (OURS, IN_NUMPY) if side != name), *others, name + PLAIN]
            )
            title = f"Training step, {'-'.join(map(str, size.sizes))}, batch {size.batch}, SGD with momentum, float32: {name}"
            tables.append(
                Table(title, "per step", rows, absent, worst, [f"{rounds} rounds of {work.inner} steps each"])
            )
    return tables
