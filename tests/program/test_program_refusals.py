"""What cannot be recorded, or cannot be run as it was recorded: refused, named, with the line, and nothing has changed."""

import inspect
import math
import threading

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, mlp, pair, stepping
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.errors import RecordingError


def item(loss):
    return loss.item()


def number(loss):
    return float(loss)


def whole(loss):
    return int(loss)


def decide(loss):
    return 1 if loss > 3 else 0


def truth(loss):
    return bool(loss)


def array(loss):
    return np.asarray(loss)


def numpys(loss):
    return loss.numpy()


def data(loss):
    return loss.data


def mathematics(loss):
    return math.exp(loss)


def formatted(loss):
    return f"{loss:.3f}"


def filled(loss):
    into = np.zeros(2)
    into[0] = loss
    return into


def listed(loss):
    return loss.tolist()


def caught(loss):
    try:
        return loss.item()
    except Exception:
        return 0.0


def copied(loss):
    return tg.Tensor(loss)


LEAVING = [item, number, whole, decide, truth, array, numpys, data, mathematics, formatted, filled, caught, copied]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda f: f.__name__)
def test_a_value_that_leaves_is_refused_with_the_line(leave):
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    step = stepping(model, optimizer)
    x, labels = next(batches((6, 4)))
    step(tg.Tensor(x), tg.Tensor(labels))

    def function(x, labels):
        loss = step(x, labels)
        leave(loss)
        return loss

    before = snapshot(model, optimizer)
    with pytest.raises(RecordingError, match="being recorded") as error:
        program.record(function, x, labels)
    lines, first = inspect.getsourcelines(leave)
    found = [f"test_program_refusals.py:{first + i}" in str(error.value) for i in range(len(lines))]
    assert any(found), str(error.value)
    same_bits(snapshot(model, optimizer), before)


def test_array_of_scalars_that_leaves():
    with pytest.raises(RecordingError, match=r"test_program_refusals\.py"):
        program.record(lambda x: float(x[0] * 2.0) * x[1], np.array([tg.Scalar(1.0), tg.Scalar(2.0)]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: ops.sum(x[ops.argmax(x, axis=0), 0]),
        lambda x: ops.take(x, ops.argmax(x, axis=0), axis=0),
        lambda x: ops.take_along_axis(x, ops.argmax(x, axis=0, keepdims=True), axis=0),
    ],
)
def test_indices_that_are_values_are_taken_anew_or_refused(function):
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 3, 2))
    try:
        recorded = program.record(function, one)
    except tg.errors.TinygradError:
        return
    same_bits(recorded.run(other), function(tg.Tensor(other)))


def test_unlocked():
    w = tg.Tensor([1.0, 2.0])

    def function(x):
        with w.unlocked() as array:
            array[0] = 3.0
        return x * w

    with pytest.raises(RecordingError, match="unlocked"):
        program.record(function, np.ones(2))
    assert w.data[0] == 1.0


def test_draws_outside_of_the_librarys_generator():
    for draw in (np.random.default_rng(0).standard_normal, lambda n: tg.random.generator().standard_normal(n)):
        for free in (True, False):
            recorded = None
            with pytest.raises(RecordingError, match="differ"):
                recorded = program.record(lambda x: x + draw(2), np.ones((3, 2)), free=free)  # noqa: B023
            assert recorded is None


def test_the_generator_is_as_it_was():
    before = str(tg.random.generator().bit_generator.state)
    program.record(lambda x: functional.dropout(x), np.ones((3, 2)))
    with pytest.raises(RecordingError, match="manual_seed"):
        program.record(lambda x: (tg.manual_seed(0), x)[1], np.ones((3, 2)))
    assert str(tg.random.generator().bit_generator.state) == before


def test_a_result_from_before_the_recording():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    early = ops.exp(w)
    with pytest.raises(RecordingError, match="made by exp was computed before the recording"):
        program.record(lambda x: x * early, np.ones(2))


def test_record_inside_of_record():
    with pytest.raises(RecordingError, match="inside another recording"):
        program.record(lambda x: program.record(lambda y: y, x).run(x), np.ones(2))


def test_run_inside_of_record():
    inner = program.record(lambda y: y * 2.0, np.ones(2))
    with pytest.raises(RecordingError):
        program.record(lambda x: inner.run(x), np.ones(2))


def test_the_first_step_with_dampening_is_another_one():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["SGD with dampening"])
    before = snapshot(model, optimizer)
    with pytest.raises(RecordingError, match="first step"):
        program.record(stepping(model, optimizer), *next(batches((6, 4))))
    same_bits(snapshot(model, optimizer), before)


def test_an_error_of_the_function_comes_through_and_nothing_has_changed():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    step = stepping(model, optimizer)

    def function(x, labels):
        step(x, labels)
        raise ZeroDivisionError("mine")

    before = snapshot(model, optimizer)
    with pytest.raises(ZeroDivisionError, match="mine"):
        program.record(function, *next(batches((6, 4))))
    same_bits(snapshot(model, optimizer), before)
    step(*map(tg.Tensor, next(batches((6, 4)))))


# -- conditions -------------------------------------------------------------------------------------------------------


def train_to_eval(model, optimizer):
    model.eval()


def other_eps(model, optimizer):
    model[1].eps = 1e-3


def other_momentum(model, optimizer):
    model[1].momentum = None


def a_hook(model, optimizer):
    model[0].weight.register_hook(lambda g: g * 2.0)


def frozen(model, optimizer):
    model[3].bias.requires_grad = False


def decay_switched_on(model, optimizer):
    optimizer.weight_decay = 0.1


def amsgrad_switched_on(model, optimizer):
    optimizer.amsgrad = True


def another_group(model, optimizer):
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(2))]})


def state_replaced(model, optimizer):
    optimizer.state.clear()


def state_loaded_into_a_new_one(model, optimizer):
    kept = optimizer.state_dict()
    optimizer.state.clear()
    optimizer.load_state_dict(kept)


CHANGES = [
    (train_to_eval, "training"),
    (other_eps, "eps"),
    (other_momentum, "momentum"),
    (a_hook, "a hook of 0.weight"),
    (frozen, "requires_grad of 3.bias"),
    (decay_switched_on, "weight_decay"),
    (amsgrad_switched_on, "amsgrad"),
    (another_group, "params"),
    (state_replaced, "exp_avg|step|state"),
    (state_loaded_into_a_new_one, "exp_avg|step|state"),
]


@pytest.mark.parametrize(("change", "name"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_condition_that_has_changed_is_named(change, name):
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    data = batches((6, 4))
    recorded = program.record(stepping(model, optimizer), *next(data))
    recorded.run(*next(data))
    change(model, optimizer)
    before = snapshot(model, optimizer)
    with pytest.raises(RecordingError, match=f"({name}).*changed since the recording"):
        recorded.run(*next(data))
    same_bits(snapshot(model, optimizer), before)


def test_a_module_that_was_replaced_or_a_parameter_that_was():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["SGD"])
    recorded = program.record(stepping(model, optimizer), *next(batches((6, 4))))
    model[0].weight = nn.Parameter(np.zeros((4, 5), np.float32))
    with pytest.raises(RecordingError, match="weight"):
        recorded.run(*next(batches((6, 4))))


def test_a_state_of_another_shape_or_dtype():
    w = tg.Tensor(np.ones((2, 2)))
    recorded = program.record(lambda x: x @ w, np.ones((3, 2)))
    w._data = np.ones((2, 3))
    with pytest.raises(RecordingError, match="has changed"):
        recorded.run(np.ones((3, 2)))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (np.ones((3, 2)),),
        (np.ones((3, 3)), 1.0),
        (np.ones((3, 2), np.float32), 1.0),
        (np.ones((3, 2), int), 1.0),
        (np.ones(2), 1.0),
        (1.0, 1.0),
        ("text", 1.0),
        (None, 1.0),
        (np.ones((3, 2)), np.ones(2)),
        (np.ones((3, 2)), None),
        (np.ones((3, 2)), "one"),
        (np.ones((3, 2)), 1j),
        ([[1.0, 2.0], [3.0]], 1.0),
        (np.ones((3, 2)), 1.0, 2.0),
        ({"x": 1}, 1.0),
        (np.array([[object()]]), 1.0),
    ],
)
def test_arguments_that_do_not_fit(arguments):
    recorded = program.record(lambda x, y: x * y, np.ones((3, 2)), 2.0)
    with pytest.raises(RecordingError, match=r"program\.run"):
        recorded.run(*arguments)


def test_what_is_passed_through_as_it_is_must_be_the_same():
    recorded = program.record(
        lambda x, how, flag: ops.sum(x) if how == "sum" and flag else ops.mean(x), np.ones(3), "sum", True
    )
    assert recorded.run(np.ones(3), "sum", True) == 3.0
    with pytest.raises(RecordingError, match=r"'mean'.*\n.*'sum', as at the recording"):
        recorded.run(np.ones(3), "mean", True)
    with pytest.raises(RecordingError):
        recorded.run(np.ones(3), "sum", False)


def test_trees_of_arguments_and_results():
    def function(pair, named):
        return {"sum": pair[0] + named["y"], "both": [pair[1], (named["y"],)], "text": "kept"}

    recorded = program.record(function, (np.ones(2), 2.0), {"y": np.zeros(2)})
    got = recorded.run((np.arange(2.0), 5.0), {"y": np.ones(2)})
    assert got["both"][0] == 5.0
    assert got["text"] == "kept"
    np.testing.assert_array_equal(got["sum"], [1.0, 2.0])
    np.testing.assert_array_equal(got["both"][1][0], [1.0, 1.0])
    for wrong in (([np.ones(2), 2.0], {"y": np.zeros(2)}), ((np.ones(2), 2.0), {"z": np.zeros(2)})):
        with pytest.raises(RecordingError, match="arguments"):
            recorded.run(*wrong)


def test_a_run_that_fails_writes_nothing():
    model, counted = nn.BatchNorm1d(2, dtype=float), nn.BatchNorm1d(2, dtype=float)
    recorded = program.record(
        lambda x, i: model(x)[:, 0] * ops.take(counted(x), i, axis=0).sum(), np.ones((3, 2)), np.array([0])
    )
    before = snapshot(model), snapshot(counted)
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever NumPy says)
        recorded.run(np.ones((3, 2)), np.array([100]))
    same_bits([snapshot(model), snapshot(counted)], list(before))


def test_anomaly_mode_names_the_step_and_the_line():
    recorded = program.record(lambda x: ops.log(x) + 1.0, np.ones(2))
    with (
        np.errstate(all="ignore"),
        tg.detect_anomaly(),
        pytest.raises(tg.errors.AnomalyError, match=r"log.*\n?.*") as e,
    ):
        recorded.run(np.array([1.0, 0.0]))
    assert "test_program_refusals.py" in str(e.value)


def test_two_threads_record_at_the_same_time():
    results, errors = {}, []
    barrier = threading.Barrier(4)

    def work(i):
        try:
            (model, optimizer), (eager, one) = pair_of(i)
            barrier.wait()
            for x, labels in (next(batches((6, 4), seed=s)) for s in range(3)):
                recorded = program.record(stepping(model, optimizer), x, labels)
                got = recorded.run(x, labels)
                expected = stepping(eager, one)(tg.Tensor(x), tg.Tensor(labels))
                same_bits(got, expected)
            same_bits(snapshot(model, optimizer), snapshot(eager, one))
            results[i] = float(got)
        except BaseException as error:
            errors.append(error)

    made = [pair(mlp, OPTIMIZERS["Adam"], seed=i) for i in range(4)]
    pair_of = made.__getitem__
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert len(set(results.values())) == 4


def test_a_recording_leaves_everything_as_it_was():
    (model, optimizer), _ = pair(mlp, lambda p: optim.SGD(p, lr=0.1))
    x, labels = next(batches((6, 4)))
    stepping(model, optimizer)(tg.Tensor(x), tg.Tensor(labels))
    gradients = [p.grad for p in model.parameters()]
    arrays = [p.data for p in model.parameters()]
    y = model(tg.Tensor(x))
    before = snapshot(model, optimizer)
    program.record(stepping(model, optimizer), x, labels)
    same_bits(snapshot(model, optimizer), before)
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients))
    assert all(p.data is a for p, a in zip(model.parameters(), arrays))
    y.sum().backward()  # a graph from before is still good


# -- what a function changes while it is recorded -------------------------------------------------------------------------


def test_hooks_of_modules_are_conditions():
    net = nn.Linear(3, 2)
    recorded = program.record(net, np.ones((4, 3), np.float32))
    handle = net.register_forward_hook(lambda module, arguments, result: result * 0.0)
    with pytest.raises(RecordingError, match="a hook of Linear has changed"):
        recorded.run(np.ones((4, 3), np.float32))
    handle.remove()
    same_bits(recorded.run(np.ones((4, 3), np.float32)), net(np.ones((4, 3), np.float32)))


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * 2.0


def switches_off(x):
    LEAF.requires_grad = False
    return (x * LEAF).sum()


def hooks(x):
    y = (x * LEAF).sum()
    HANDLES.append(LEAF.register_hook(lambda g: None))
    return y


LEAF = tg.Tensor([1.0, 2.0], requires_grad=True)
HANDLES = []


@pytest.mark.parametrize(
    ("function", "name"),
    [(Counts(), r"Counts.calls"), (switches_off, "requires_grad of leaf"), (hooks, "a hook of leaf")],
    ids=["a count in Python", "requires_grad", "a hook"],
)
def test_what_the_function_itself_changes_is_refused_at_once(function, name):
    try:
        with pytest.raises(RecordingError, match=f"{name} is changed by the function itself"):
            program.record(function, np.ones(2))
    finally:
        for handle in HANDLES:
            handle.remove()
    assert LEAF.requires_grad


def test_an_argument_that_is_written_to():
    with pytest.raises(RecordingError, match="x is an argument, and is written to"):
        program.record(lambda x: tg.write([(x, x * 2.0)]), np.ones(2))


def test_a_leaf_made_inside_is_no_state():
    def function(x):
        t = tg.Tensor(np.zeros(x.shape))
        tg.write([(t, x * 2.0)])
        return t + 1.0

    recorded = program.record(function, np.ones(3))
    assert recorded.states == recorded.writes == ()
    same_bits(recorded.run(np.arange(5.0)), np.arange(5.0) * 2.0 + 1.0)


@pytest.mark.parametrize(
    ("function", "argument", "words"),
    [
        (lambda d: d[0] * 2.0, {0: np.ones(2)}, "the keys of a dict are text\n  got:      0"),
        (lambda x: {0: x}, np.ones(2), "the keys of a dict are text\n  got:      0"),
        (lambda x: inspect.getfullargspec(len)._replace(args=x), np.ones(2), "named tuples\n  got:      FullArgSpec"),
    ],
    ids=["a number as a key", "of the result", "a named tuple"],
)  # fmt: skip
def test_trees_that_could_not_be_put_together_again(function, argument, words):
    with pytest.raises(RecordingError, match=words):
        program.record(function, argument)


def test_the_order_of_keys_does_not_matter():
    recorded = program.record(lambda d: d["a"] - d["b"], {"a": np.ones(2), "b": np.zeros(2)})
    same_bits(recorded.run({"b": np.ones(2), "a": np.full(2, 5.0)}), np.full(2, 4.0))


def test_an_attribute_that_is_nan_is_what_it_was():
    net = Counts()
    net.forward = lambda x: x + 1.0
    net.last = math.nan
    same_bits(program.record(net, np.ones(2)).run(np.ones(2)), np.full(2, 2.0))


def test_anomaly_mode_leaves_an_intended_infinity_alone():
    mask = np.array([0.0, -np.inf, 0.0])
    recorded = program.record(lambda x: ops.softmax(x + mask), np.ones(3))
    with tg.detect_anomaly():
        same_bits(recorded.run(np.ones(3)), np.array([0.5, 0.0, 0.5]))


def test_the_line_is_the_users_also_through_a_context_manager():
    w = tg.Tensor([1.0])

    def function(x):
        with w.unlocked() as array:
            array[0] = 3.0
        return x * w

    with pytest.raises(RecordingError, match=r"test_program_refusals\.py:\d+"):
        program.record(function, np.ones(1))


def test_an_error_is_not_its_own_cause():
    with pytest.raises(tg.errors.IndexingError) as caught:
        functional.cross_entropy(np.zeros((1, 2)), [5])
    assert caught.value.__cause__ is None
