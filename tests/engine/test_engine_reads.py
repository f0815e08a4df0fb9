"""What changed between forward and backward stops those gradients only that need it: over every rule there is."""

import numpy as np
import pytest

from tests.ops.op_cases import DIFFERENTIABLE
from tinygrad_bn import Primitive, Scalar, Tensor, functional, gradients_of, nn, no_grad, ops, scalarize
from tinygrad_bn.engine import Variable
from tinygrad_bn.engine.reads import _reads
from tinygrad_bn.engine.sweep import sweep, toposort
from tinygrad_bn.errors import MutationError

DTYPES = [np.float16, np.float32, np.float64]


def leaves(case, seed=0):
    return [Tensor(array, requires_grad=True) for array in case.arrays(seed)]


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_a_changed_argument_is_refused_or_gives_the_gradient_of_before(case):
    rng = np.random.default_rng(1)
    shape = case.ours(*leaves(case)).shape
    w = rng.normal(size=shape)
    for changed in range(len(case.inputs)):
        for wanting in range(len(case.inputs)):
            expected, late = leaves(case), leaves(case)
            for inputs in (expected, late):
                for i, leaf in enumerate(inputs):
                    leaf.requires_grad = i == wanting
            case.ours(*expected).backward(w)
            y = case.ours(*late)
            late[changed].data = case.arrays(2)[changed]
            try:
                y.backward(w)
            except MutationError:
                assert late[wanting].grad is None
            else:
                np.testing.assert_array_equal(late[wanting].grad.data, expected[wanting].grad.data)


def rules_of(result, w):
    """Every rule that a backward pass runs: the operation, the cotangent, and which argument."""
    found = {}
    sweep(
        [result], [w], on_variables=False, watch=lambda part: found.setdefault((part.result, part.slot), part.upstream)
    )
    return found


# A rule that uses an argument where its value makes no difference: the exponent counts where base and exponent are 0.
HARMLESS = {"power"}


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_what_a_rule_is_said_to_read_is_what_its_result_depends_on(case):
    if case.of_matrices:  # singular, not symmetric: not for any value
        pytest.skip("its argument cannot be replaced by any other")
    rng = np.random.default_rng(3)
    result = case.ours(*leaves(case))
    for (made, slot), g in rules_of(result, rng.normal(size=result.shape)).items():
        rule = made.primitive.vjp(slot)
        raw = [arg._data if isinstance(arg, Variable) else arg for arg in made.inputs]
        with np.errstate(all="ignore"):
            before = rule(g, made._data, *raw, **made.params)
            for changed in {arg for arg in made.inputs if isinstance(arg, Variable) and arg.dtype.kind == "f"}:
                depends = False
                for scale in (0.3, -2.0, 50.0):
                    other = (changed._data * scale + rng.normal(size=changed.shape)).astype(changed.dtype)
                    args = [other if arg is changed else value for arg, value in zip(made.inputs, raw)]
                    depends |= not np.array_equal(before, rule(g, made._data, *args, **made.params))
                reads = _reads(rule, made, changed, g, False)
                assert reads or not depends, f"{made.primitive.name} needs it for argument {slot}"
                assert depends or not reads or made.primitive.name in HARMLESS, f"{made.primitive.name}: needlessly"


READS_NOTHING = {
    "add": lambda x, c: x + c, "subtract": lambda x, c: x - c, "subtract from": lambda x, c: c - x,
    "concatenate": lambda x, c: ops.concatenate([x, c]), "stack": lambda x, c: ops.stack([x, c]),
    "multiply": lambda x, c: x * 2.0 + c, "where": lambda x, c: ops.where(np.array([True, False]), x, c),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", READS_NOTHING)
@pytest.mark.parametrize("on_variables", [False, True], ids=["raw", "create_graph"])
def test_what_no_rule_reads_may_change(name, dtype, on_variables):
    x, c = Tensor(np.array([3.0, 4.0], dtype), requires_grad=True), Tensor(np.array([1.0, 2.0], dtype))
    y, expected = (READS_NOTHING[name](x, c) for _ in range(2))
    expected.sum().backward()
    wanted, x.grad = x.grad, None
    c.data = [5.0, 6.0]
    y.sum().backward(create_graph=on_variables)
    np.testing.assert_array_equal(x.grad.data, wanted.data)
    assert x.grad.dtype == dtype
    x.grad = None


def test_both_sides_of_a_product():
    for change, wanted in ((0, 1), (1, 0)):
        pair = [Tensor([2.0], requires_grad=i == wanted) for i in range(2)]
        y = pair[0] * pair[1]
        pair[change].data = [5.0]
        with pytest.raises(MutationError, match="multiply recorded"):
            y.backward()
        pair = [Tensor([2.0], requires_grad=i == change) for i in range(2)]
        y = pair[0] * pair[1]
        pair[change].data = [5.0]  # its own gradient is the other one
        y.backward()
        assert pair[change].grad.item() == 2.0


def test_scalars():
    x, c = Scalar(3.0), Scalar(4.0)
    y, z, quotient = x + c, x * c, x / c
    c.data = 0.0
    y.backward()
    assert (x.grad.item(), c.grad.item()) == (1.0, 1.0)
    for late in (z, quotient):
        with pytest.raises(MutationError):
            late.backward()
    x.requires_grad = False
    z = x * c
    c.data = 5.0
    c.grad = None
    z.backward()
    assert c.grad.item() == 3.0
    x, y = Scalar(1.0, requires_grad=False), Scalar(0.0)
    late = x / y
    x.data = 2.0
    late.backward()  # the rule for y divides by 0, but has the quotient
    assert y.grad.item() == -np.inf


def own(rule):
    return Primitive("own", lambda x, c: x + c, rule, None, elementwise=True)


RULES = {
    "nothing": (lambda g, out, x, c: g, True),
    "its shape": (lambda g, out, x, c: ops.broadcast_to(g, c.shape), True),
    "its dtype": (lambda g, out, x, c: ops.astype(g, str(c.dtype)), True),
    "zeros like it": (lambda g, out, x, c: g + 0.0 * c, False),
    "by NumPy": (lambda g, out, x, c: g + np.exp(c), False),
    "by its own method": (lambda g, out, x, c: g * c.sum(), False),
    "as a number": (lambda g, out, x, c: g * float(c[0]), False),
    "as a condition": (lambda g, out, x, c: g if c[0] > 0 else -g, False),
    "its data": (lambda g, out, x, c: g * getattr(c, "data", c), False),
    "as an array": (lambda g, out, x, c: g * np.asarray(c), False),
    "what only arrays have": (lambda g, out, x, c: g * c.copy(), False),
    "in spite of an error": (lambda g, out, x, c: g * _whatever(c), False),
}


def _whatever(c):
    try:
        return c + 1.0
    except Exception:
        return 1.0


@pytest.mark.parametrize(("rule", "passes"), RULES.values(), ids=RULES)
def test_rules_of_ones_own(rule, passes):
    x, c = Tensor([3.0, 4.0], requires_grad=True), Tensor([1.0, 2.0])
    y = own(rule)(x, c)
    c.data = [-5.0, 6.0]
    if passes:
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.data, [1.0, 1.0])
    else:
        with pytest.raises(MutationError, match="own recorded"):
            y.sum().backward()


def test_a_gradient_that_is_wanted_too_late_is_refused_even_if_no_rule_reads_the_value():
    x, c = Tensor([3.0], requires_grad=True), Tensor([1.0])
    y = x + c
    c.requires_grad = True
    with pytest.raises(MutationError, match="requires_grad switched on"):
        y.backward()
    y = x + c
    c.data = [7.0]  # wanted all the time
    y.backward()
    assert c.grad.item() == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.InstanceNorm1d], ids=["batch norm", "instance norm"])
@pytest.mark.parametrize("affine", [True, False])
def test_evaluation_then_training_then_backward_of_the_first(layer, affine, dtype):
    settings = {} if layer is nn.BatchNorm1d else {"track_running_stats": True}
    bn = layer(3, affine=affine, dtype=dtype, **settings)
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(4, 3, 5)).astype(dtype), requires_grad=True)
    w = rng.normal(size=x.shape).astype(dtype)
    bn.eval()
    bn(x).backward(w)
    expected, x.grad = x.grad, None
    y = bn(x)
    bn.train()
    bn(x)
    assert np.any(bn.running_mean.numpy())
    y.backward(w)
    np.testing.assert_array_equal(x.grad.data, expected.data)


def test_evaluation_then_training_on_arrays_of_scalars():
    x = scalarize(np.arange(6.0).reshape(3, 2))
    mean, var = scalarize([1.0, 2.0], requires_grad=False), scalarize([3.0, 4.0], requires_grad=False)
    y = functional.batch_norm(x, mean, var, eps=0.0).sum()
    for statistic in mean:
        statistic.data = 7.0
    y.backward()
    np.testing.assert_allclose(gradients_of(x), [[3.0**-0.5, 0.5]] * 3)


def test_the_question_leaves_no_trace():
    x, c = Tensor([3.0], requires_grad=True), Tensor([1.0])
    y = x + c
    c.data = [2.0]
    with no_grad():
        y.backward(retain_graph=True)
    assert [made.primitive.name for made in toposort([y])] == ["add"]
    assert (x.grad.is_leaf, c.is_leaf) == (True, True)
