"""Programs on Python floats as a tape of vectors: the same bits as the function itself, which runs one float at a time."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import same_bits
from tinygrad_bn import Scalar, engine, graph, ops
from tinygrad_bn.compiler import compile
from tinygrad_bn.compiler.c.build import available
from tinygrad_bn.compiler.scalars import tape as tapes
from tinygrad_bn.compiler.scalars import vectors
from tinygrad_bn.compiler.scalars.in_c import CODES, ScalarsInC, is_in_c
from tinygrad_bn.compiler.scalars.packed import Packed
from tinygrad_bn.compiler.scalars.tape import suits, tape_of
from tinygrad_bn.compiler.scalars.vectors import Scalars
from tinygrad_bn.engine import write
from tinygrad_bn.ops.primitives import TABLE
from tinygrad_bn.program import evaluate, record

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.0,
    1e-300,
    5e-324,
    1e200,
    -1e200,
    710.0,
    -746.0,
    math.inf,
    -math.inf,
    math.nan,
]
ROUNDED_ALIKE = {  # everywhere, by IEEE 754 or because nothing is rounded
    "add", "subtract", "multiply", "divide", "negative", "square", "reciprocal", "sqrt", "relu", "where", "maximum",
    "minimum", "abs", "sign", "floor", "ceil", "trunc", "rint", "clip", "identity", "stop_gradient",
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
    "logical_not", "isfinite", "isinf", "isnan",
}  # fmt: skip
UNARY = [ops.negative, ops.exp, ops.tanh, ops.sigmoid, ops.relu, ops.square, ops.abs, ops.sin, ops.softplus, ops.erf]
BINARY = [ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum, ops.greater, ops.hypot, ops.logaddexp]
needs_c = pytest.mark.skipif(not available(), reason="no C compiler")


def made_of(function, *numbers, exact=True, kind=Scalars):
    """The tape of a function and the program it is of."""
    program = record(function, *numbers, free=False)
    assert suits(program)
    return kind(program, exact), program


def run(scalars, *numbers):
    """From inputs and states to what leaves: outputs, then written values."""
    scalars.values[: len(numbers)] = numbers
    with np.errstate(all="ignore"):
        scalars.compute()
    return scalars.values.take(scalars.tape.leave).tolist()


def eager(function, *numbers):
    with np.errstate(all="ignore"):
        return [out.item() for out in function(*map(Scalar, numbers))]


def ulps(one, other):
    """How many floats lie between two numbers; two NaNs are equal."""
    one, other = np.asarray(one), np.asarray(other)
    with np.errstate(all="ignore"):
        apart = np.abs(one - other) / np.spacing(np.maximum(np.abs(one), np.abs(other)))
    return np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.where(np.isnan(apart), np.inf, apart))


# -- every operation ---------------------------------------------------------------------------------------------------


def calls():
    """Each operation on numbers without parameters, and some with."""
    shaping = ("broadcast_to", "sum_to", "reshape", "power_constant", "astype", "checked_range")
    for name, primitive in TABLE.items():
        if primitive.scalar is not None and primitive.elementwise and primitive.pure and name not in shaping:
            yield pytest.param(primitive, len(primitive.vjps), name, id=name)
    for exponent in (2, 3, 0.5, -1, 0):
        yield pytest.param(
            lambda x, e=exponent: TABLE["power_constant"](x, exponent=e), 1, "power", id=f"power {exponent}"
        )
    for dtype in ("float32", "int64"):
        yield pytest.param(lambda x, d=dtype: engine.astype(x * 0.001 + 0.3, dtype=d), 1, "astype", id=dtype)


def on_each(primitive, arity, values):
    """A function of all values that applies the operation to every one, pair or triple of them."""
    picks = list(itertools.product(range(len(values)), repeat=min(arity, 2)))
    rest = [(7 * i + 3) % len(values) for i in range(len(picks))]
    return lambda *xs: [
        primitive(*[xs[i] for i in pick], *[xs[j]] * (arity - len(pick))) for pick, j in zip(picks, rest)
    ]


def values_for(name):
    rng = np.random.default_rng(5)
    ordinary = [*rng.normal(0.0, 3.0, 12), *rng.uniform(0.0, 1.0, 6)]
    finite = [x for x in SPECIAL if math.isfinite(x) and abs(x) < 1e6]
    return [float(x) for x in ([*finite, *ordinary] if name == "astype" else [*SPECIAL, *ordinary])]


@pytest.mark.parametrize(("primitive", "arity", "name"), list(calls()))
def test_every_operation_has_the_bits_of_the_function(primitive, arity, name):
    values = values_for(name)
    function = on_each(primitive, arity, values)
    tape, _ = made_of(function, *[0.3] * len(values))
    same_bits(run(tape, *values), eager(function, *values))


@pytest.mark.parametrize(("primitive", "arity", "name"), list(calls()))
def test_not_exact_is_a_few_last_bits_away(primitive, arity, name):
    values = values_for(name)
    function = on_each(primitive, arity, values)
    kinds = [Scalars, *([ScalarsInC] if available() and name in CODES else [])]
    for kind in kinds:
        tape, program = made_of(function, *[0.3] * len(values), exact=False, kind=kind)
        assert kind is Scalars or is_in_c(program)
        apart = ulps(run(tape, *values), eager(function, *values))
        assert apart.max() <= (0 if name in ROUNDED_ALIKE else 4), kind


# -- random programs ---------------------------------------------------------------------------------------------------


def random_function(seed):
    """Some numbers to a few results and their derivatives, of random operations with many sums."""
    draw = random.Random(seed)
    plan = []
    for i in range(draw.randint(1, 30)):
        taken = [draw.randrange(i + 3) for _ in range(3)]
        kind = draw.choice(["unary", "binary", "sum", "where", "constant", "guarded"])
        plan.append((kind, draw.choice(UNARY), draw.choice(BINARY), taken, draw.choice([0.0, -0.0, 1.0, -1.5, 2, 0.3])))

    def function(*xs):
        values = list(xs)
        for kind, one, two, (i, j, k), number in plan:
            x, y, z = values[i], values[j], values[k]
            if kind == "unary":
                made = ops.tanh(one(ops.clip(x, -5.0, 5.0)))
            elif kind == "binary":
                made = two(x, y)
            elif kind == "sum":
                made = sum(values[min(i, j) :], start=number * z)
            elif kind == "where":
                made = ops.where(x > y, z, number)
            elif kind == "constant":
                made = draw_constant(x, number)
            else:
                made = x / (y * y + 0.5)
            values.append(made if kind != "sum" else ops.tanh(made))
        results = values[-3:]
        grads = tg.grad([sum(results)], list(xs), create_graph=True)
        return [*results, *[g for g in grads if g is not None]]

    return function


def draw_constant(x, number):
    return (x * 1.0 + number) * number - (x / 1.0)


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_random_programs(first):
    for seed in range(first, first + 20):
        rng = np.random.default_rng(seed)
        function = random_function(seed)
        start = lambda numbers: [Scalar(x) for x in numbers]  # noqa: E731
        held = start(rng.normal(size=3))
        program = record(lambda held=held, function=function: function(*held), free=False)
        assert suits(program)
        tape = Scalars(program)
        grouped = tape.tape.program(program)
        kinds = [
            Scalars(program, exact=False),
            *([ScalarsInC(program, exact=False)] if available() and is_in_c(program) else []),
        ]
        for _ in range(2):
            numbers = [float(x) for x in rng.normal(size=3) * rng.choice([0.1, 1.0, 10.0])]
            given = dict(zip(map(id, held), numbers))
            values = [given[id(state.place.owner)] for state in program.states]
            expected = [out.item() for out in function(*start(numbers))]
            same_bits(run(tape, *values), expected)
            results = evaluate(grouped, values)
            same_bits([results[i] for i in grouped.outputs], expected)
            for other in kinds:
                np.testing.assert_allclose(run(other, *values), expected, rtol=1e-9, atol=1e-9)


# -- sums --------------------------------------------------------------------------------------------------------------


def terms(n, seed=0):
    """Numbers of different sizes, by which the order of adding shows."""
    rng = np.random.default_rng(seed)
    return [float(x) for x in rng.normal(size=n) * 10.0 ** rng.integers(-1, 2, n)]


def left_to_right(*xs):
    return [sum(xs[1:], start=xs[0])]


def test_a_chain_of_additions_is_one_step_in_order():
    numbers = terms(300)
    tape, _ = made_of(left_to_right, *numbers)
    assert [(group.level, group.title) for group in tape.tape.groups] == [(1, "add of 300 x 1")]
    expected = eager(left_to_right, *numbers)
    same_bits(run(tape, *numbers), expected)
    assert np.add.reduce(numbers) != expected[0], "pairs would show"


def test_partial_sums_that_others_need_stay():
    def function(*xs):
        part = xs[0] + xs[1] + xs[2]
        whole = part + xs[3] + xs[4]
        return [whole, part * 2.0, (xs[5] + xs[6] + xs[7]) + (xs[0] + xs[3])]

    for seed in range(20):
        numbers = terms(8, seed)
        tape, _ = made_of(function, *numbers)
        same_bits(run(tape, *numbers), eager(function, *numbers))


def test_sums_in_sums_are_one_sum_unless_exact():
    def tree(*xs):
        values = list(xs)
        while len(values) > 1:
            values = [sum(values[i + 1 : i + 3], start=values[i]) for i in range(0, len(values), 3)]
        return values

    numbers = terms(81)
    bound = 81 * np.finfo(float).eps * sum(map(abs, numbers))
    for kind in (Scalars, ScalarsInC) if available() else (Scalars,):
        tape, _ = made_of(tree, *numbers, exact=False, kind=kind)
        assert len(tape.tape.groups) == 1
        assert abs(run(tape, *numbers)[0] - math.fsum(numbers)) <= bound
    tape, _ = made_of(tree, *numbers)
    assert len(tape.tape.groups) == 4
    same_bits(run(tape, *numbers), eager(tree, *numbers))


def test_zeros_keep_their_sign():
    def function(x, y):
        return [x + 0.0, x + -0.0, y * -0.0, x + y, 0.0 - x, x * 1.0, -x, ops.relu(x), (x + y) + 0.0]

    tape, _ = made_of(function, 1.0, 1.0)
    for numbers in itertools.product([0.0, -0.0], repeat=2):
        same_bits(run(tape, *numbers), eager(function, *numbers))


# -- training ----------------------------------------------------------------------------------------------------------


def network(seed, points=9):
    """A training step of a small network on single numbers, and its parameters."""
    draw = random.Random(seed)
    layers = [
        [[Scalar(draw.uniform(-1, 1)) for _ in range(n + 1)] for _ in range(m)] for n, m in ((2, 5), (5, 4), (4, 1))
    ]
    parameters = [w for layer in layers for neuron in layer for w in neuron]
    data = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(points)]

    def forward(x):
        for number, layer in enumerate(layers):
            sums = [sum((w * xi for w, xi in zip(neuron, x)), neuron[-1]) for neuron in layer]
            x = sums if number == 2 else [s.relu() if number else s.tanh() for s in sums]
        return x[0]

    def step():
        losses = [ops.softplus(forward(x) * (-1.0 if x[0] * x[1] > 0 else 1.0)) for x in data]
        loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in parameters)
        for p in parameters:
            p.grad = None
        loss.backward()
        write([(p, p - 0.3 * p.grad) for p in parameters])
        return loss

    return step, parameters


def held(parameters):
    return [p.data for p in parameters], [p.grad.data for p in parameters]


def test_ten_steps_of_training_have_the_same_bits():
    step, parameters = network(0)
    other, others = network(0)
    fast = compile(other, exact=True)
    for number in range(10):
        same_bits(fast(), step())
        same_bits(held(others), held(parameters))
        if number == 4:  # what is assigned between calls counts
            parameters[3].data = others[3].data = 0.25
    assert repr(fast).endswith("1 recorded>")


def test_gradients_that_somebody_keeps_stay():
    step, parameters = network(2)
    fast = compile(step, exact=True)
    fast()
    kept = [p.grad for p in parameters[:3]]
    before = [g.data for g in kept]
    stamps = [p.stamp for p in parameters]
    fast()
    assert [g.data for g in kept] == before
    assert [p.grad.data for p in parameters[:3]] != before
    assert all(p.stamp > stamp for p, stamp in zip(parameters, stamps))


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=needs_c)])
def test_gradients_add_up_and_are_cleared(backend):
    def made():
        w, clears = Scalar(0.5), Scalar(2.0)

        def step(x, y):
            loss = (w * x - y) * (w * x - y) * clears
            clears.grad = None
            loss.backward()
            clears.grad = None
            return {"loss": loss, "twice": [loss * 2.0]}

        return step, w, clears

    (step, w, clears), (other, v, cleared) = made(), made()
    step(0.1, 0.2)
    other(0.1, 0.2)  # from here on there is a gradient to add to
    fast = compile(other, backend=backend)
    for x, y in [(1.0, 2.0), (0.3, -1.0), (-2.0, 0.7)]:
        cleared.grad = clears.grad = Scalar(5.0)
        same_bits(fast(x, y), step(x, y))
        same_bits(v.grad, w.grad)
        assert clears.grad is None
        assert cleared.grad is None


@needs_c
def test_twenty_steps_in_c_are_close():
    step, parameters = network(1)
    other, others = network(1)
    fast = compile(other, backend="c")
    for _ in range(20):
        np.testing.assert_allclose(fast().item(), step().item(), rtol=1e-12)
    for mine, theirs in zip(held(others), held(parameters)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_draws_come_in_the_order_of_the_program():
    def function(x, y):
        first = ops.uniform_like(x * y)
        second = ops.uniform_like(x)  # drawn later, although it could be first
        _ = ops.uniform_like(y)  # nobody needs it, but it moves the generator on
        return [first, second, ops.uniform_like(first + second)]

    tape, _ = made_of(function, 1.0, 2.0)
    tg.manual_seed(3)
    drawn = [run(tape, 1.0, 2.0) for _ in range(3)]
    tg.manual_seed(3)
    assert drawn == [eager(function, 1.0, 2.0) for _ in range(3)]


# -- what it is, and what it is for ------------------------------------------------------------------------------------


def test_what_it_is_for():
    assert suits(record(lambda x: x * 2, 1.0, free=False))
    assert not suits(record(lambda x: x * 2**60 + 2**53 + 1, 1.0, free=False)), "an integer that is no float"
    assert not suits(record(lambda x, a: a * 2.0, 1.0, np.ones(3), free=False))
    assert not suits(record(lambda x: x, 1.0, free=False)), "nothing to do"


def test_the_text_and_the_picture_show_the_groups():
    step, _ = network(0, points=2)
    fast = compile(step, backend="numpy")
    fast()
    recorded, grouped = fast.stages
    assert (recorded.name, grouped.name) == ("recorded", "grouped")
    lines = fast.source.splitlines()
    tape = tape_of(recorded.program, exact=False)
    assert len(lines) == len(tape.groups) == len({step.scope for step in grouped.program.steps})
    assert lines[0].split("=")[1].strip() == tape.groups[0].title
    assert len(lines) < 0.1 * len(recorded.program)
    dot = graph.draw(grouped.program).source
    assert f"level 1: {tape.groups[0].title}" in dot


def test_what_is_packed_comes_out_the_same():
    step, _ = network(0)
    program = record(step, free=False)
    packed = Packed(program)
    assert packed.program() == program
    assert packed.nbytes < 20 * len(program)
    powers = record(lambda x: [x**2, x**3, x * 2.0], 1.0, free=False)
    assert Packed(powers).program() == powers


def test_anomalies_are_found_with_their_line():
    fast = compile(lambda x: ops.log(x) * 2.0, backend="numpy")
    assert math.isnan(fast(-1.0).item())
    with tg.detect_anomaly(), pytest.raises(tg.errors.AnomalyError, match=r"test_scalars\.py"):
        fast(-1.0)
    assert fast(1.0).item() == 0.0


def test_steps_that_nothing_needs_are_left_out():
    def function(x, y):
        _ = ops.exp(x) + 1.0
        return [x * y + y * x, 2.0 * ops.sqrt(x * x)]

    tape, _ = made_of(function, 1.5, -2.0)
    titles = [group.title for group in tape.tape.groups]
    assert titles == ["multiply x 3", "add x 1", "sqrt x 1", "multiply x 1"]
    same_bits(run(tape, 1.5, -2.0), eager(function, 1.5, -2.0))


# -- the checks can fail -----------------------------------------------------------------------------------------------


def backwards(self, exact, whole=Scalars._prepare):
    """The groups in the wrong order."""
    self.tape.groups.reverse()
    planned = whole(self, exact)
    self.tape.groups.reverse()
    return planned


def shifted(self, groups, leave, whole=tapes._Builder.place):
    """The last operand of one group is another value."""
    tape = whole(self, groups, leave)
    group = tape.groups[len(tape.groups) // 2]
    group.terms[-1, -1] = (group.terms[-1, -1] + 1) % group.start
    return tape


def positive(self, groups, leave, whole=tapes._Builder.place):
    """-0.0 becomes 0.0."""
    tape = whole(self, groups, leave)
    return tape._replace(constants=tape.constants + 0.0)


def in_pairs(terms, out):
    np.add.reduce(terms, 1, None, out)


@pytest.mark.parametrize(
    ("owner", "name", "fault", "test"),
    [
        (Scalars, "_prepare", backwards, test_ten_steps_of_training_have_the_same_bits),
        (tapes._Builder, "place", shifted, test_ten_steps_of_training_have_the_same_bits),
        (vectors, "_sum", in_pairs, test_a_chain_of_additions_is_one_step_in_order),
        (tapes._Builder, "place", positive, test_zeros_keep_their_sign),
    ],
    ids=["order of levels", "operand", "order of a sum", "sign of a constant"],
)
def test_planted_faults_are_noticed(owner, name, fault, test, monkeypatch):
    test()
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(AssertionError):
        test()
