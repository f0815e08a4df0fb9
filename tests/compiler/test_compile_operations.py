"""Every operation, forward, backward and to second order, compiled: eager's bits with exact NumPy, its numbers otherwise."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, DIFFERENTIABLE, Case
from tests.compiler.near import near
from tests.program.bits import same_bits
from tests.program.test_program_operations import forward, forward_and_backward
from tinygrad_bn.compiler import compile

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
BACKENDS = {"exact": {"exact": True}, "numpy": {"backend": "numpy"}, "c": {"backend": "c"}}


@pytest.mark.parametrize("how", BACKENDS)
@DTYPES
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case: Case, dtype, how):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    compiled = compile(forward(case), **BACKENDS[how])
    compiled(*first)
    tg.manual_seed(3)
    expected = forward(case)(*map(tg.Tensor, other))
    tg.manual_seed(3)
    got = compiled(*other)
    same_bits(got, expected) if how == "exact" else near(got, expected)


@pytest.mark.parametrize("how", BACKENDS)
@DTYPES
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_forward_backward_and_second_order(case: Case, dtype, how):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    function = forward_and_backward(case)
    cotangents = [np.random.default_rng(s).standard_normal(case.ours(*first).shape) for s in (5, 6)]
    dtype = case.ours(*first).dtype
    compiled = compile(function, **BACKENDS[how])
    compiled(first, cotangents[0].astype(dtype))
    expected = function([tg.Tensor(x) for x in other], tg.Tensor(cotangents[1].astype(dtype)))
    got = compiled(other, cotangents[1].astype(dtype))
    same_bits(got, expected) if how == "exact" else near(got, expected)
