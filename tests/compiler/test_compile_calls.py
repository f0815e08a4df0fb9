"""Arguments of every kind, and what a compiled function is for the rest of Python, against the function itself."""

import warnings

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn, optim
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


# -- other arguments ------------------------------------------------------------------------------------------------------


@HOW
def test_a_model_and_its_optimizer_as_arguments(how):
    """Two models look alike, and are not the same."""

    @compile(**BACKENDS[how])
    def step(model, opt, x):
        opt.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        opt.step()
        return loss

    x, seen = np.ones((3, 2), np.float32), []
    for run in (step, step._function):
        tg.manual_seed(0)
        models = [nn.Linear(2, 1), nn.Linear(2, 1)]
        optimizers = [optim.SGD(model.parameters(), lr=0.1) for model in models]
        for _ in range(3):
            for model, opt in zip(models, optimizers):
                run(model, opt, x)
        seen.append([model.weight.numpy().tolist() for model in models])
    assert seen[0][0] != seen[0][1]
    np.testing.assert_allclose(*seen, rtol=1e-5)
    assert "2 recorded" in repr(step)


@HOW
def test_arguments_by_name_and_defaults(how):
    def function(x, y=2, *rest, z=3.0, **named):
        return (x * y + z, *rest, dict(named))

    run, x = compile(function, **BACKENDS[how]), np.arange(3.0)
    for args, names in (
        ((x,), {}), ((x, 4.0), {}), ((x,), {"y": 4.0}), ((), {"x": x, "z": x}), ((x, x, x), {"z": 1.0, "w": x}),
        ((x, {"y": 4.0}["y"]), {"z": -x}), ((x,), {"y": 5.0}),
    ):  # fmt: skip
        found, expected = run(*args, **names), function(*args, **names)
        assert len(found) == len(expected)
        for one, other in zip(found[:-1], expected[:-1]):
            assert np.array_equal(one.numpy(), other)
        assert found[-1].keys() == expected[-1].keys()
    with pytest.raises(TypeError, match="unexpected keyword argument 'v'"):
        compile(lambda x: x, **BACKENDS[how])(x, v=1)


@HOW
def test_a_method_compiled_in_its_class(how):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        @compile(**BACKENDS[how])
        def forward(self, x, scale=1.0):
            return self.layer(x) * scale

    nets, x = [Net(), Net()], np.ones((3, 2), np.float32)
    for scale in (1.0, 2.0, 1.0):
        for net in nets:
            np.testing.assert_allclose(net(x, scale=scale).numpy(), scale * net.layer(x).numpy(), rtol=1e-6)
    assert isinstance(Net.forward, type(compile(abs)))


def test_so_many_programs_are_kept():
    run = compile(lambda x: x * 2.0, backend="numpy")
    for n in (*range(1, 40), 39, 30, 1):
        assert run(np.ones(n)).shape == (n,)
    assert "32 recorded" in repr(run)
    assert run.stages[0].program.inputs[0].shape == (1,)


def test_a_warning_tells_the_line_of_the_call():
    run = compile(lambda x: x * 2.0, backend="numpy")
    run(np.ones(2))
    with pytest.warns(CompileWarning, match="recorded anew") as told:
        run(np.ones(3))
    assert told[0].filename == __file__
