"""Arguments of every kind, and what a compiled function is for the rest of Python, against the function itself."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.compiler.backends import BACKENDS, HOW, QUIET
from tinygrad_bn import nn, ops, optim
from tinygrad_bn.compiler import CompileWarning, compile

pytestmark = QUIET


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


# -- results --------------------------------------------------------------------------------------------------------------


@HOW
def test_functions_that_compute_nothing(how):
    model = nn.Linear(2, 2)
    for function, args, expected in (
        (lambda: None, (), None),
        (lambda x: ("text", None, True, range(3)), (np.ones(2),), ("text", None, True, range(3))),
        (lambda x: model, (np.ones(2),), model),
        (lambda: model.zero_grad(), (), None),
    ):
        run = compile(function, **BACKENDS[how])
        assert run(*args) == expected == run(*args)
    twice = compile(lambda x: (x, x), **BACKENDS[how])(3.0)
    assert [type(one).__name__ for one in twice] == ["Scalar", "Scalar"]


@HOW
@pytest.mark.parametrize("dtype", ["f2", "i1", "u1", "u2", "i4", "u8", "g", "?"])
def test_every_dtype(dtype, how):
    state = tg.Tensor(np.ones((2, 3), dtype))

    def function(x):
        y = ops.where(x > 1, x, x * x)
        tg.write([(state, ops.astype(state + y, dtype))])
        return y, x.T, x[0], x.mean(), state

    run, x = compile(function, **BACKENDS[how]), np.arange(6).reshape(2, 3).astype(dtype)
    for _ in range(3):
        before = state.numpy().copy()
        found = run(x)
        after, state.data = state.numpy().copy(), before
        for one, other in zip((*found, after), (*function(tg.Tensor(x)), state)):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(
                np.asarray(getattr(one, "_data", one), float), other.numpy().astype(float), rtol=1e-3
            )


@HOW
def test_a_bool_beside_a_number(how):
    run = compile(lambda x: ops.where(x, x, 0.5), **BACKENDS[how])
    for _ in range(2):
        assert run(np.array([True, False])).numpy().tolist() == [1.0, 0.5]


def test_objects_that_the_function_makes_are_refused():
    @dataclasses.dataclass
    class Output:
        loss: object

    def several(x):
        yield x

    for function, kind in (
        (lambda x: Output(x), "Output"), (several, "generator"), (lambda x: [1, {"a": {x}}], "set"),
        (lambda x: lambda: x, "function"),
    ):  # fmt: skip
        for x in (1.0, np.ones(3)):
            for record in (compile(function, backend="numpy"), lambda x, f=function: tg.program.record(f, x)):
                with pytest.raises(tg.errors.RecordingError, match=f"got: +a {kind}"):
                    record(x)


def test_objects_of_scalars_that_are_only_moved():
    run = compile(lambda x: (x[::-1], x[0]))
    for numbers in ([1.0, 2.0], [3.0, 4.0]):
        back, first = run(tg.scalarize(numbers, requires_grad=False))
        assert [one.item() for one in back] == numbers[::-1]
        assert first.item() == numbers[0]


# -- what is watched ------------------------------------------------------------------------------------------------------


@HOW
def test_groups_of_parameters_that_come_and_go(how):
    x, seen = np.ones((3, 2)), []
    for made in (lambda step: step, lambda step: compile(step, **BACKENDS[how])):
        tg.manual_seed(0)
        body, head = nn.Linear(2, 2, dtype=np.float64), nn.Linear(2, 1, dtype=np.float64)
        opt = optim.SGD(body.parameters(), lr=0.1, momentum=0.5)

        def step(x, body=body, head=head, opt=opt):
            opt.zero_grad()
            head.zero_grad()
            (head(body(x)) ** 2).mean().backward()
            opt.step()

        run = made(step)
        for i in range(9):
            if i == 3:
                opt.add_param_group({"params": list(head.parameters()), "lr": 0.01})
            if i == 6:
                del opt.param_groups[1]
            run(x)
            seen.append([p.numpy().copy() for p in (*body.parameters(), *head.parameters())])
    for one, other in zip(seen[:9], seen[9:]):
        for a, b in zip(one, other):
            np.testing.assert_allclose(a, b, rtol=1e-12)


# -- what a compiled function is for the rest of Python -------------------------------------------------------------------


@compile(backend="numpy")
def doubled(x):
    return x * 2.0


def test_copies_record_anew_and_go_with_what_they_are_of():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.fast = compile(self.layer, backend="numpy")

        def forward(self, x):
            return self.fast(x)

    net, x = Net(), np.ones((3, 2), np.float32)
    net(x)
    other = copy.deepcopy(net)
    other.layer.weight.data = np.zeros((2, 2))
    np.testing.assert_array_equal(other(x).numpy(), np.zeros((3, 2), np.float32) + other.layer.bias.numpy())
    np.testing.assert_allclose(net(x).numpy(), net.layer(x).numpy(), rtol=1e-6)
    doubled(np.ones(2))
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    assert copy.copy(doubled) is doubled
    local = pickle.loads(pickle.dumps(compile(np.sin, exact=True)))
    assert local(np.zeros(2)).numpy().tolist() == [0.0, 0.0]


def test_settings_and_arrays_of_others_are_refused_by_name():
    with pytest.raises(tg.errors.ArgumentError, match="exact is True or False"):
        compile(abs, exact="no")
    foreign = type("Array", (), {"__dlpack__": None, "__mul__": lambda x, y: x})()
    with pytest.raises(tg.errors.DTypeError, match="an array of another library"):
        compile(lambda x: x * 2.0)(foreign)


@HOW
@pytest.mark.parametrize(
    ("name", "other"), [("scale", np.array([3.0, 5.0])), ("act", ops.relu), ("sizes", [4.0]), ("table", {"a": 2.0})]
)
def test_what_a_module_is_set_to_is_watched(name, other, how):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.act, self.sizes, self.table = np.array([1.0, 2.0]), ops.tanh, [3.0], {"a": 1.0}

        def forward(self, x):
            return self.act(x) * self.scale * self.sizes[0] + self.table["a"]

    net, x = Net(), tg.Tensor([0.5, -0.5])
    run = compile(net, **BACKENDS[how])
    before = run(x).numpy()
    setattr(net, name, other)
    after = run(x).numpy()
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, net(x).numpy(), rtol=1e-12)


@HOW
def test_an_index_out_of_bounds_is_found_as_in_eager_code(how):
    run, x = compile(lambda x, at: x[at], **BACKENDS[how]), np.arange(6.0).reshape(3, 2)
    assert np.array_equal(run(x, np.array([0, -1])).numpy(), x[[0, -1]])
    for at in ([3, 0], [-4, 0]):
        with pytest.raises(tg.errors.IndexingError, match=f"index {at[0]} is out of bounds") as error:
            run(x, np.array(at))
        assert "detect_anomaly" in str(error.value)
        with tg.detect_anomaly(), pytest.raises(tg.errors.TinygradError, match=r"test_compile_calls\.py"):
            run(x, np.array(at))
