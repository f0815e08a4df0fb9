"""Programs on the arrays of other libraries: the numbers of NumPy's run, on each operation, layer and training step."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, DIFFERENTIABLE, Case
from tests.program.bits import flat
from tests.program.training import stepping
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.errors import DTypeError, RecordingError

strict = pytest.importorskip("array_api_strict")
torch = pytest.importorskip("torch")

BACKENDS = [(strict, np.float64), (torch, np.float32), (torch, np.float64)]
try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    BACKENDS += [(jnp, np.float64)]
except ImportError:
    jax = None

EVERYWHERE = pytest.mark.parametrize(("xp", "dtype"), BACKENDS, ids=lambda x: x.__name__)


def as_numpy(value):
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)


def agree(got, expected, dtype, factor=1.0):
    """Equal but for the order of additions; shapes and dtypes are the same."""
    got, expected = flat(got), flat(expected)
    assert list(got) == list(expected)
    rtol = factor * (2e-5 if dtype == np.float32 else 1e-10)
    for name, value in expected.items():
        if value is None or isinstance(value, float):
            assert got[name] == pytest.approx(value, rel=rtol) if value is not None else got[name] is None
            continue
        one = as_numpy(got[name])
        assert not isinstance(got[name], np.ndarray), name
        assert (one.shape, one.dtype) == (value.shape, value.dtype), name
        scale = float(np.abs(value[np.isfinite(value)]).max(initial=1.0)) if value.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(one, value, rtol=rtol, atol=rtol * scale, err_msg=name)


@EVERYWHERE
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_operation(case: Case, xp, dtype):
    if case.operation is ops.linalg.eigh:
        pytest.skip("eigenvectors have no sign of their own")
    inputs = [x.astype(dtype) for x in case.arrays(1)]
    recorded = program.record(case.unseeded, *(x.astype(dtype) for x in case.arrays(0)), free=False)
    tg.manual_seed(3)
    expected = recorded.run(*inputs)
    tg.manual_seed(3)
    agree(recorded.run(*map(xp.asarray, inputs), xp=xp), expected, dtype)


@EVERYWHERE
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_every_rule_and_its_rule(case: Case, xp, dtype):
    if case.operation is ops.linalg.eigh:
        pytest.skip("eigenvectors have no sign of their own")
    inputs, cotangent = case.example(1, dtype)
    recorded = program.record(case.both_orders, inputs, cotangent, free=False)
    got = recorded.run([xp.asarray(x) for x in inputs], xp.asarray(cotangent), xp=xp)
    agree(got, recorded.run(inputs, cotangent), dtype, factor=50.0)


def network():
    tg.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)
    )  # fmt: skip


def batch(rows, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 1, 6, 6)).astype(np.float32), rng.integers(4, size=rows)


@pytest.mark.parametrize("xp", dict.fromkeys(xp for xp, _ in BACKENDS), ids=lambda x: x.__name__)
@pytest.mark.parametrize("keeps", [False, True], ids=["states outside", "states kept"])
def test_a_stepping(xp, keeps):
    nets, losses, states = [network(), network()], [[], []], {} if keeps else None
    steps = [program.record(stepping(net, optim.Adam(net.parameters(), lr=0.01)), *batch(8, 0)) for net in nets]
    for i, rows in enumerate((8, 5, 8)):
        x, labels = batch(rows, i)
        losses[0].append(float(steps[0].run(x, labels)))
        losses[1].append(float(steps[1].run(xp.asarray(x), xp.asarray(labels), xp=xp, states=states)))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    theirs = nets[1].state_dict()
    before = network().state_dict()
    for name, value in nets[0].state_dict().items():
        assert np.abs(value - before[name]).max() > 0  # it was trained
        if keeps:
            np.testing.assert_array_equal(theirs[name], before[name])  # nothing is written outside
        kept = as_numpy(states[name]) if keeps else theirs[name]
        np.testing.assert_allclose(kept, value, rtol=2e-3, atol=2e-5)
        assert kept.dtype == value.dtype
    if keeps:
        assert all(isinstance(v, (float, type(None), type(xp.asarray(0.0)))) for v in states.values())


@pytest.mark.skipif(jax is None, reason="jax is not installed; it is no part of the extra, being 350 MB")
def test_under_jit():
    net = network()
    recorded = program.record(stepping(net, optim.Adam(net.parameters(), lr=0.01)), *batch(8, 0))
    expected, states = [], {}
    recorded.run(*map(jnp.asarray, batch(8, 0)), xp=jnp, states=states)
    states = {name: value for name, value in states.items() if not name.endswith(".grad")}

    @jax.jit
    def step(states, x, labels):
        states = dict(states)
        loss = recorded.run(x, labels, xp=jnp, states=states)
        return loss, {name: value for name, value in states.items() if not name.endswith(".grad")}

    recorded.run(*batch(8, 0))
    for i in range(1, 4):
        expected.append(float(recorded.run(*batch(8, i))))
        loss, states = step(states, *map(jnp.asarray, batch(8, i)))
        np.testing.assert_allclose(float(loss), expected[-1], rtol=1e-5)
    with pytest.raises(RecordingError, match="states="):
        jax.jit(lambda x, y: recorded.run(x, y, xp=jnp))(*map(jnp.asarray, batch(8, 0)))
    drawn = program.record(lambda x: functional.dropout(x, 0.5), np.ones(3))
    with pytest.raises(RecordingError, match="random draw compiled by jax"):
        jax.jit(lambda x: drawn.run(x, xp=jnp))(jnp.ones(3))


def test_no_counterpart_is_said_before_anything_runs():
    ran = []
    own = tg.Primitive("cube", lambda x: ran.append(1) or x**3, lambda g, out, x: g * 3.0 * x**2)
    recorded = program.record(lambda x: own(ops.exp(x)), np.ones(3))
    ran.clear()
    with pytest.raises(RecordingError, match="cube has no counterpart in torch"):
        recorded.run(torch.ones(3, dtype=torch.float64), xp=torch)
    assert not ran


def test_a_primitive_that_only_has_the_name_is_no_counterpart():
    impostor = tg.Primitive("sum", lambda x: x * 2.0, lambda g, out, x: g * 2.0)
    recorded = program.record(impostor, np.ones(3))
    with pytest.raises(RecordingError, match="sum has no counterpart"):
        recorded.run(torch.ones(3, dtype=torch.float64), xp=torch)


def test_what_does_not_fit_is_refused():
    recorded = program.record(lambda x: x * 2.0, np.ones((4, 3)))
    for value, word in [
        (torch.ones(4, 3), "dtype float32"),
        (torch.ones(4, 2, dtype=torch.float64), r"shape \(4, 2\)"),
        (strict.ones((4, 3)), "no array of torch"),
        (np.ones((4, 3)), "no array of torch"),
    ]:
        with pytest.raises(RecordingError, match=word):
            recorded.run(value, xp=torch)
    with pytest.raises(RecordingError, match="array API"):
        recorded.run(np.ones((4, 3)), xp=len)
    with pytest.raises(tg.errors.ArgumentError, match="xp="):
        recorded.run(np.ones((4, 3)), states={})
    assert recorded.run(torch.ones(7, 3, dtype=torch.float64), xp=torch).shape == (7, 3)


def test_labels_are_checked_there_too():
    recorded = program.record(lambda x, y: functional.cross_entropy(x, y), np.ones((2, 3)), np.array([0, 1]))
    with pytest.raises(tg.errors.IndexingError, match="3 in row 1"):
        recorded.run(torch.ones(2, 3, dtype=torch.float64), torch.tensor([0, 3]), xp=torch)


def test_the_device_is_that_of_the_first_array():
    device = strict.Device("device1")
    layer = nn.Linear(3, 2)
    recorded = program.record(layer, np.ones((4, 3), np.float32))
    y = recorded.run(strict.ones((4, 3), dtype=strict.float32, device=device), xp=strict)
    assert y.device == device


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "array_api_compat", None)
    with pytest.raises(tg.errors.MissingPackageError, match=r"tinygrad-bn\[arrays\]"):
        program.record(lambda x: x * 2.0, np.ones(3)).run(torch.ones(3), xp=torch)


# -- eager code ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [torch.tensor, strict.asarray], ids=["torch", "strict"])
def test_eager_code_refuses_arrays_of_other_libraries(make):
    x = make([[1.0, 2.0], [3.0, 5.0]])
    tensor = tg.Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    recorded = program.record(lambda x: x * 2.0, np.ones((2, 2)))
    for use in [
        tg.Tensor,
        lambda x: functional.batch_norm(x, training=True),
        ops.exp,
        lambda x: tensor * x,
        lambda x: (tensor * 2.0).backward(x),
        recorded.run,
        nn.Linear(2, 2, dtype=np.float64),
        lambda x: tg.grad(lambda x: ops.sum(x))(x),
    ]:
        with pytest.raises(DTypeError, match="an array of another library") as error:
            use(x)
        assert "numpy.asarray" in str(error.value)
    assert tg.Tensor(np.asarray(x)).shape == (2, 2)


# -- a program is a function --------------------------------------------------------------------------------------------


def test_a_program_can_be_differentiated():
    recorded = program.record(lambda x: functional.batch_norm(x, training=True), np.ones((6, 2)))
    x = np.random.default_rng(0).normal(size=(9, 2))
    cotangent = np.random.default_rng(1).normal(size=(9, 2))
    (got,) = tg.vjp(recorded, x)[1](cotangent)
    (expected,) = tg.vjp(lambda x: functional.batch_norm(x, training=True), x)[1](cotangent)
    np.testing.assert_array_equal(got, expected)
    assert tg.gradgradcheck(recorded, x)


def test_a_called_program_trains_its_parameters_and_moves_its_statistics():
    net, twin = network(), network()
    recorded = program.record(net, batch(8, 0)[0])
    x, labels = batch(5, 1)
    for model, function in ((net, recorded), (twin, twin)):
        functional.cross_entropy(function(x), labels).backward()
        for (name, p), (_, q) in zip(model.named_parameters(), twin.named_parameters()):
            if model is net:
                q.grad = None
                assert p.grad is not None, name
    for (name, p), (_, q) in zip(net.named_parameters(), twin.named_parameters()):
        np.testing.assert_array_equal(p.grad.data, q.grad.data, err_msg=name)
    for name, value in twin.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[name], value, err_msg=name)
