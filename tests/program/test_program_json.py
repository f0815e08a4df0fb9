"""A program as text and back: the same bits, and nothing but a RecordingError for whatever else is read."""

import json

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, conv_net, mlp, pair, stepping
from tinygrad_bn import ops, program
from tinygrad_bn.errors import RecordingError, TinygradError
from tinygrad_bn.program import Program


def training_program():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    return program.record(stepping(model, optimizer), *next(batches((6, 4)))), model, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_step_goes_on_from_where_it_was_written(name):
    make = conv_net if "Adam" in name else mlp
    shape = (4, 2, 4, 4) if "Adam" in name else (6, 4)
    (model, optimizer), _ = pair(make, OPTIMIZERS[name])
    data = batches(shape)
    first = next(data)
    stepping(model, optimizer)(*map(tg.Tensor, first))
    recorded = program.record(stepping(model, optimizer), *first)
    text = recorded.to_json()
    read = Program.from_json(text)
    assert read == recorded
    assert read.to_json() == text
    for _, (x, labels) in zip(range(4), data):
        same_bits(read.run(x, labels), recorded.run(x, labels))
    by_name = {state.name: state for state in read.states}
    for state in recorded.states:
        mine, other = state.place.read(), by_name[state.name].place.read()
        same_bits(getattr(mine, "_data", mine), getattr(other, "_data", other))


def test_special_numbers_and_dtypes():
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324])
    for dtype in (np.float64, np.float32, np.float16):
        with np.errstate(all="ignore"):
            table = values.astype(dtype)
        recorded = program.record(lambda x: (x + table, x * np.inf, ops.where(x > 0, -0.0, np.nan)), np.ones(5, dtype))  # noqa: B023
        with np.errstate(all="ignore"):
            same_bits(Program.from_json(recorded.to_json()).run(np.ones(5, dtype)), recorded.run(np.ones(5, dtype)))


def test_a_primitive_of_ones_own():
    cube = tg.Primitive("cube", lambda x: x**3, lambda g, out, x: g * 3.0 * x**2)
    text = program.record(lambda x: cube(x), np.ones(2)).to_json()
    with pytest.raises(RecordingError, match="unknown operation"):
        Program.from_json(text)
    assert Program.from_json(text, primitives=[cube]).run(np.full(2, 2.0))[0] == 8.0


def test_what_is_no_plain_data_is_not_written():
    recorded = program.record(lambda x, how: x * 2.0, np.ones(2), object())
    with pytest.raises(RecordingError, match="not plain data"):
        recorded.to_json()


def places(tree, path=()):
    """Every place in a document."""
    yield path
    if isinstance(tree, dict):
        for key in tree:
            yield from places(tree[key], (*path, key))
    elif isinstance(tree, list):
        for i in range(len(tree)):
            yield from places(tree[i], (*path, i))


HOSTILE = [
    None, True, False, -1, 0, 1, 3, 10**9, 2**63, -(2**80), 1.5, 1e308, "", "value", "nan", "NaN", "\x1b[31m", "<script>",
    [], {}, [[]], [1], ["value"], ["tuple"], ["scalars", [10**9, 10**9]], ["same"], ["dict"], {"dict": []}, {"dict": [["a"]]},
    {"float": "nan"}, {"float": "x"}, {"size": [1]}, {"size": [1, 0]}, {"size": ["a", "b"]}, {"slice": [1]}, {"ellipsis": 3},
    {"slice": [None, None, 0]}, {"array": "AAAA", "shape": [1], "dtype": "float64"},
    {"array": "!", "shape": [], "dtype": "int8"},
    {"array": "", "shape": [-1], "dtype": "float32"}, {"array": "", "shape": [2**40], "dtype": "float32"},
    {"array": "", "shape": [0], "dtype": "object"}, "number", "float64", "float32", "object", "O", "exec", "add", "matmul",
    ["add", [0, 1], {"dict": []}, [], "number", [], ""], ["add", [99999, 0], {"dict": []}, [], "float64", [], ""],
]  # fmt: skip


def try_text(text, arguments):
    """Read, look at and run: a RecordingError at most, or what NumPy says of a program that is well-formed but absurd."""
    try:
        read = Program.from_json(text)
    except RecordingError:
        return "refused"
    for shown in (str(read), repr(read)):
        assert "\x1b" not in shown
        assert "\x00" not in shown
    return "read"


def test_mutations():
    """One place of a valid document after another becomes something else."""
    recorded, model, optimizer = training_program()
    document = json.loads(recorded.to_json())
    everything = list(places(document))
    rng = np.random.default_rng(0)
    before = snapshot(model, optimizer)
    counts = {"refused": 0, "read": 0}
    for _ in range(600):
        path = everything[rng.integers(len(everything))]
        changed = json.loads(json.dumps(document))
        value = HOSTILE[rng.integers(len(HOSTILE))]
        if not path:
            changed = value
        else:
            inside = changed
            for key in path[:-1]:
                inside = inside[key]
            if rng.random() < 0.2:
                del inside[path[-1]]
            else:
                inside[path[-1]] = value
        counts[try_text(json.dumps(changed), None)] += 1
    assert counts["refused"] > 300
    same_bits(snapshot(model, optimizer), before)


def test_truncated_and_flipped_texts():
    text = program.record(lambda x: ops.exp(x[1:]) + np.arange(3.0), np.ones((4, 3))).to_json()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(text), 100):
        assert try_text(text[:cut], None) == "refused"
    for at in rng.integers(0, len(text), 300):
        try_text(text[:at] + chr(rng.integers(0, 300)) + text[at + 1 :], None)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "NaN", "1", '"x"', "[" * 100_000, '{"schema":' * 50_000, '{"schema": "tinygrad_bn.program/2"}',
        '{"schema": "\x1b[31m"}', '{"schema": NaN}', "\x00", "9" * 5000, '{"schema": "tinygrad_bn.program/1"}',
    ],
)  # fmt: skip
def test_other_texts(text):
    with pytest.raises(RecordingError):
        Program.from_json(text)


@pytest.mark.parametrize("text", [None, 3, b"\xff\xfe", [], object()])
def test_what_is_no_text(text):
    with pytest.raises(RecordingError):
        Program.from_json(text)


def test_nesting_has_a_bound():
    document = json.loads(program.record(lambda x: x, np.ones(2)).to_json())
    plan = "value"
    for _ in range(200):
        plan = ["tuple", plan]
    for key in ("takes", "gives"):
        with pytest.raises(RecordingError):
            Program.from_json(json.dumps(document | {key: plan}))


def test_names_are_clean_where_they_are_shown():
    hostile = "w\x1b[31m\n\x00\u202e" + "x" * 500
    w = tg.Tensor([1.0], name=hostile)
    recorded = program.record(lambda x: x * w, tg.Tensor([1.0], name=hostile + "2"))
    document = json.loads(recorded.to_json())
    document["steps"][0][5] = [hostile]
    document["steps"][0][6] = hostile
    document["why_not"] = hostile
    read = Program.from_json(json.dumps(document))
    for shown in (str(recorded), repr(recorded), str(read), repr(read)):
        for line in shown.splitlines():
            assert line.isprintable(), line
    with pytest.raises(RecordingError) as error:
        read.run(np.ones(3, np.float32))
    assert all(line.isprintable() for line in str(error.value).splitlines())


def test_the_representation_is_one_line():
    recorded, _, _ = training_program()
    assert "\n" not in repr(recorded)
    assert len(repr(recorded)) < 200
    assert "steps" in repr(recorded)


def steps_of(document, name):
    return [step for step in document["steps"] if step[0] == name]


@pytest.mark.parametrize(
    ("name", "function", "change"),
    [
        ("broadcast_to", lambda x: ops.broadcast_to(x, (4, 3)), {"shape": [10**6, 10**6]}),
        ("broadcast_to", lambda x: ops.broadcast_to(x, (4, 3)), {"shape": [2**40]}),
        ("broadcast_to", lambda x: ops.broadcast_to(x, (4, 3)), {"shape": [{"size": [2**40, 0, False]}, 3]}),
        ("cut", lambda x: ops.primitives.sliding_window(x, window=(2,), stride=(1,), dilation=(1,)), {"window": [2**40]}),
    ],
)  # fmt: skip
def test_sizes_among_the_parameters_have_a_bound(name, function, change):
    document = json.loads(program.record(function, np.ones(3)).to_json())
    (step,) = steps_of(document, "sliding_window" if name == "cut" else name)
    entries = dict(step[2]["dict"]) | change
    step[2]["dict"] = [list(pair) for pair in entries.items()]
    with pytest.raises(RecordingError, match="not a program in JSON"):
        Program.from_json(json.dumps(document))


def test_a_slice_may_end_anywhere():
    recorded = program.record(lambda x: x[: 2**62], np.ones(3))
    assert Program.from_json(recorded.to_json()) == recorded


def test_absurd_programs_fail_with_one_kind_of_error_and_write_nothing():
    """What reads well may still be nonsense; running it says which step, and changes no state."""
    recorded, _, _ = training_program()
    text = recorded.to_json()
    everything = [path for path in places(json.loads(text)) if path and path[0] in ("steps", "constants", "inputs")]
    x, labels = next(batches((6, 4)))
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(150):
        path = everything[rng.integers(len(everything))]
        inside = changed = json.loads(text)
        for key in path[:-1]:
            inside = inside[key]
        old = inside[path[-1]]
        inside[path[-1]] = old + int(rng.integers(-3, 4)) if type(old) is int else HOSTILE[rng.integers(len(HOSTILE))]
        try:
            read = Program.from_json(json.dumps(changed))
        except RecordingError:
            continue
        before = [getattr(state.place.read(), "_data", None) for state in read.states]
        try:
            with np.errstate(all="ignore"):
                read.run(x, labels)
        except TinygradError as error:
            failed += 1
            assert all(line.isprintable() for line in str(error).splitlines())  # noqa: PT017
            assert all(getattr(s.place.read(), "_data", None) is old for s, old in zip(read.states, before))
    assert failed > 4
