"""Arguments of every kind, and what a compiled function is for the rest of Python, against the function itself."""

import warnings

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn.compiler import CompileWarning, compile

BACKENDS = {"exact": {"exact": True}, "numpy": {"backend": "numpy"}, "c": {"backend": "c"}}
HOW = pytest.mark.parametrize("how", BACKENDS)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)
        yield


# -- arrays ---------------------------------------------------------------------------------------------------------------


@HOW
def test_arrays_of_other_types_are_told_apart_by_shape_and_dtype(how, tmp_path):
    """``np.memmap``, ``p.data``: subclasses of an array."""
    np.arange(12.0).tofile(tmp_path / "numbers")
    stored = np.memmap(tmp_path / "numbers", np.float64, "r", shape=(4, 3))
    shown = [tg.Tensor(np.arange(n, dtype=dtype)).data for n, dtype in ((3.0, "f8"), (5.0, "f8"), (5.0, "f4"))]
    run = compile(lambda x: x * 2.0, **BACKENDS[how])
    for x in (stored, stored[:2], stored[1:], *shown):
        found = run(x)
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        assert np.array_equal(found.numpy(), np.asarray(x) * 2.0)


@HOW
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_arrays_in_the_other_byte_order_or_not_at_a_multiple_of_their_size(dtype, how):
    plain = np.arange(40, dtype=dtype).reshape(8, 5)
    odd = np.zeros(plain.nbytes + 1, np.uint8)[1:].view(dtype).reshape(plain.shape)
    odd[:] = plain
    assert not odd.flags.aligned
    run = compile(lambda x: (x * 2 + 1, x.sum(0)), **BACKENDS[how])
    for x in (plain, odd, plain.astype(plain.dtype.newbyteorder()), odd, plain):
        for found, expected in zip(run(x), (plain * 2 + 1, plain.sum(0))):
            assert np.array_equal(found.numpy(), expected)


@HOW
def test_arrays_that_a_tensor_refuses_are_refused_at_each_call(how):
    run = compile(lambda x: x * 2.0, **BACKENDS[how])
    run(np.ones(2))
    for bad in (np.ma.masked_array([1.0, 2.0], [0, 1]), np.array([1j, 2.0]), np.array(["2020", "2021"], "M8[Y]")):
        with pytest.raises(tg.errors.DTypeError):
            run(bad)
