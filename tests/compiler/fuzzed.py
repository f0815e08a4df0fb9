"""Random programs, compiled, against eager code: value and gradients for a random cotangent."""

from __future__ import annotations

import numpy as np

import tinygrad_bn as tg
from tests.compiler.near import near
from tests.fuzz.programs import Program, run
from tests.program.bits import same_bits
from tinygrad_bn.compiler import compile

WATCHED = {"hook", "hooks", "retain_grad", "cut"}  # what a compiled function refuses, or would not repeat


def check(program: Program, backend: str | None = "numpy", exact: bool = False, units: float = 2000) -> bool:
    """Whether the program was one to compile; it agrees with eager code then, on other values than those it was recorded on."""
    if any(step.op in WATCHED for step in program.steps):
        return False
    inputs = program.inputs()
    floats = [i for i, x in enumerate(inputs) if i not in program.constants]

    def function(values, cotangent):
        leaves = [tg.Tensor(x) if isinstance(x, np.ndarray) else x.detach() for x in values]
        for i in floats:
            leaves[i].requires_grad_()
        y, _ = run(program, leaves, 0)
        wanted = [leaves[i] for i in floats]
        gradients = tg.grad(y, wanted, cotangent) if y.requires_grad and floats else []
        return y, [g for g in gradients if g is not None]

    rng = np.random.default_rng(program.seed + 7)
    y, _ = run(program, [tg.Tensor(x) for x in inputs], 0)
    w = np.asarray(rng.standard_normal(y.shape), y.dtype)
    compiled = compile(function, backend=backend, exact=exact)
    others = [np.asarray(x * 0.75, x.dtype) for x in inputs]
    compiled(others, w)
    with np.errstate(all="ignore"):
        expected = function([tg.Tensor(x) for x in inputs], tg.Tensor(w))
    got = compiled(inputs, w)
    same_bits(got, expected) if exact else near(got, expected, units, program.dtypes)
    return True
