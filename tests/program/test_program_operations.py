"""Every operation, forward and backward, recorded and run on other values: the bits of eager code."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, DIFFERENTIABLE, Case
from tests.program.bits import raw, same_bits
from tinygrad_bn import ops, program
from tinygrad_bn.program import Program

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def forward(case):
    """The call, without the seed that one case sets: a program draws anew in every run."""
    return case.operation if case.operation is ops.uniform_like else lambda *inputs: case.ours(*inputs)


def forward_and_backward(case):
    """The value and the gradients for a cotangent that is an argument; and the second order along the cotangents."""

    def both(inputs, cotangent):
        leaves = [x.detach().requires_grad_() for x in inputs]
        y = case.ours(*leaves)
        first = tg.grad(y, leaves, cotangent, create_graph=True)
        total = sum(((g * g).sum() for g in first if g is not None), start=tg.Tensor(0.0))
        second = tg.grad(total, leaves) if total.requires_grad else None
        return y, list(first), list(second) if second else None

    return both


@DTYPES
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case: Case, dtype):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    recorded = program.record(forward(case), *first)
    tg.manual_seed(3)
    expected = forward(case)(*map(tg.Tensor, other))
    tg.manual_seed(3)
    same_bits(recorded.run(*other), expected)
    tg.manual_seed(3)
    same_bits(Program.from_json(recorded.to_json()).run(*other), expected)


@DTYPES
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_forward_backward_and_second_order(case: Case, dtype):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    function = forward_and_backward(case)
    cotangents = [np.random.default_rng(s).standard_normal(case.ours(*first).shape) for s in (5, 6)]
    dtype = case.ours(*first).dtype
    recorded = program.record(function, first, cotangents[0].astype(dtype))
    expected = function([tg.Tensor(x) for x in other], tg.Tensor(cotangents[1].astype(dtype)))
    same_bits(recorded.run(other, cotangents[1].astype(dtype)), expected)
    read = Program.from_json(recorded.to_json())
    same_bits(read.run(other, cotangents[1].astype(dtype)), expected)
    shorter = program.simplify(recorded, exact=True)
    for got, value in zip(shorter.run(other, cotangents[1].astype(dtype))[1], raw(expected)[1]):
        np.testing.assert_array_equal(got, value)
