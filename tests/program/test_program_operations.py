"""Every operation, forward and backward, recorded and run on other values: the bits of eager code."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, DIFFERENTIABLE, Case
from tests.program.bits import raw, same_bits
from tinygrad_bn import program
from tinygrad_bn.program import Program

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@DTYPES
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case: Case, dtype):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    recorded = program.record(case.unseeded, *first)
    tg.manual_seed(3)
    expected = case.unseeded(*map(tg.Tensor, other))
    tg.manual_seed(3)
    same_bits(recorded.run(*other), expected)
    tg.manual_seed(3)
    same_bits(Program.from_json(recorded.to_json()).run(*other), expected)


@DTYPES
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_forward_backward_and_second_order(case: Case, dtype):
    (first, cotangent), (other, other_cotangent) = (case.example(seed, dtype) for seed in (0, 1))
    recorded = program.record(case.both_orders, first, cotangent)
    expected = case.both_orders([tg.Tensor(x) for x in other], tg.Tensor(other_cotangent))
    same_bits(recorded.run(other, other_cotangent), expected)
    read = Program.from_json(recorded.to_json())
    same_bits(read.run(other, other_cotangent), expected)
    shorter = program.simplify(recorded, exact=True)
    for got, value in zip(shorter.run(other, other_cotangent)[1], raw(expected)[1]):
        np.testing.assert_array_equal(got, value)
