"""Random programs, compiled, against eager code: value and gradients for a random cotangent.

``python -m tests.compiler.fuzzed N [SEED]`` checks N of them with NumPy, N bit by bit, and N / 20 in C.
"""

from __future__ import annotations

import secrets
import sys
import warnings

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import HypothesisWarning

import tinygrad_bn as tg
from tests.compiler.near import near
from tests.fuzz.programs import Program, programs, run
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
    compiled = compile(function, backend=backend, exact=exact, quiet=True)
    others = [np.asarray(x * 0.75, x.dtype) for x in inputs]
    compiled(others, w)
    with np.errstate(all="ignore"):
        expected = function([tg.Tensor(x) for x in inputs], tg.Tensor(w))
    got = compiled(inputs, w)
    if exact:
        same_bits(got, expected)
    else:
        near(got, expected, units, program.dtypes)
    return True


def many(number: int, start: int, how: dict) -> tuple[int, list[Program], Exception | None]:
    """How many programs were compiled and agree; the smallest that does not, and how."""
    compiled, smallest = 0, []

    @seed(start)
    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(programs())
    def agree(program):
        nonlocal compiled
        try:
            compiled += check(program, **how)
        except Exception:
            smallest[:] = [program]
            raise

    try:
        agree()
    except Exception as error:
        return compiled, smallest, error
    return compiled, [], None


def main(number: int, start: int) -> int:
    """Run them; print what was done, or the smallest program that differs."""
    warnings.simplefilter("ignore", HypothesisWarning)
    for name, share, how in (("NumPy", 1, {}), ("NumPy, exact", 1, {"exact": True}), ("C", 20, {"backend": "c"})):
        compiled, smallest, error = many(max(number // share, 1), start, how)
        if error is not None:
            print(f"{name}: mismatch, seed {start}; the smallest program:\n{smallest}\n{error}")
            return 1
        print(f"{name}: {compiled} compiled programs agree with eager code; seed {start}")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbelow(2**32)))
