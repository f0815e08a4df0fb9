"""The interpreter of the pages, in headless Chromium: what Python computes, it computes, forward, backward and second order."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinygrad_bn as tg
from tests.fuzz import programs as random
from tests.fuzz.stateful import STATEFUL
from tests.ops.op_cases import CASES, Case
from tests.program.bits import flat, raw
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.ops.primitives import TABLE
from tinygrad_bn.program import Program
from tinygrad_bn.program.written import plain

RUN = """jobs => jobs.map(job => {
  try {
    const program = interpreter.read(JSON.parse(job.program));
    let state = 1;
    const random = () => { state = (state * 48271) % 2147483647; return state / 2147483647; };
    const found = [];
    for (const inputs of job.runs) {
      const given = inputs.map(interpreter.decode);
      found.push(interpreter.run(program, given, { random }));
    }
    found.push(program.states.map((s) => s.value).filter(Boolean));
    return found.map((all) => all.map((x) => ({ shape: x.shape, dtype: x.dtype,
      bytes: btoa(String.fromCharCode(...new Uint8Array(Float64Array.from(x.data).buffer))) })));
  } catch (error) { return String(error.message); }
})"""


@pytest.fixture(scope="module")
def run(chromium: Any) -> Any:
    """Runs programs on lists of inputs: for each the outputs of each run, then the states."""
    page = chromium.new_page()
    page.add_script_tag(content=(files("tinygrad_bn.explorer") / "browser" / "interpreter.js").read_text("utf-8"))

    def in_browser(*jobs: tuple[Program, list[list[Any]]]) -> list[Any]:
        given = [{"program": p.to_json(), "runs": [[plain(x) for x in inputs] for inputs in runs]} for p, runs in jobs]
        return [
            result if isinstance(result, str) else [[_array(x) for x in part] for part in result]
            for result in page.evaluate(RUN, given)
        ]

    yield in_browser
    page.close()


def _array(found: dict[str, Any]) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(found["bytes"]))
    dtype = "float64" if found["dtype"] == "number" else found["dtype"]
    return numbers.astype(dtype).reshape(found["shape"])


def gap(got: np.ndarray, expected: Any, typical: float = 0.0) -> float:
    """The largest difference, in units in the last place of the larger of the element and a hundredth of what is typical."""
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(got, expected) else np.inf
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite], expected[~finite], equal_nan=True)
    if not finite.any():
        return 0.0
    a, b = got[finite].astype(float), expected[finite].astype(float)
    scale = np.maximum(np.abs(b), max(np.abs(b).max(), typical) * 1e-2)
    return (
        float(np.max(np.abs(a - b) / np.maximum(scale, np.finfo(expected.dtype).tiny))) / np.finfo(expected.dtype).eps
    )


def both(case: Case) -> Any:
    """A function of inputs and a cotangent: the value, the gradients, and their own gradients."""

    def function(inputs: Any, cotangent: Any) -> Any:
        leaves = [x.detach().requires_grad_() for x in inputs]
        y = case.ours(*leaves)
        if case.theirs is None:
            return y, [], None
        first = tg.grad(y, leaves, cotangent, create_graph=True)
        total = sum(((g * g).sum() for g in first if g is not None), start=tg.Tensor(0.0))
        return y, list(first), list(tg.grad(total, leaves)) if total.requires_grad else None

    return function


def leaves_of(tree: Any) -> list[Any]:
    return [x for x in flat(raw(tree)).values() if x is not None]


def check(run: Any, jobs: list[tuple[str, Program, list[list[Any]], list[list[Any]]]], most: float) -> None:
    """Run programs in the browser; what they gave has to be within ``most`` units in the last place of what Python gave."""
    found = run(*((p, runs) for _, p, runs, _ in jobs))
    for (name, _, _, expected), got in zip(jobs, found):
        assert not isinstance(got, str), f"{name}: {got}"
        for one, other in zip(got, expected):
            assert len(one) == len(other), name
            typical = max(
                (float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x))) for x in map(np.asarray, other)),
                default=0.0,
            )
            gaps = [gap(a, b, min(typical, 1.0)) for a, b in zip(one, other)]
            assert max(gaps, default=0.0) <= most, f"{name}: {gaps}"


@pytest.mark.parametrize(
    ("dtype", "most"), [(np.float64, 1e-12 / 2.3e-16), (np.float32, 100)], ids=["float64", "float32"]
)
def test_every_operation_forward_backward_and_second_order(run: Any, dtype: Any, most: float) -> None:
    jobs, seen = [], set()
    for case in CASES:
        if case.operation is ops.uniform_like:
            continue
        first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
        y = case.ours(*first)
        cotangents = [np.random.default_rng(s).standard_normal(y.shape).astype(y.dtype) for s in (5, 6)]
        recorded = program.record(both(case), first, cotangents[0], free=False)
        seen |= {step.primitive.name for step in recorded.steps}
        expected = leaves_of(recorded.run(other, cotangents[1]))
        jobs.append((case.name, recorded, [[*other, cotangents[1]]], [expected]))
    assert seen | {"uniform_like"} == set(TABLE)
    check(run, jobs, most)


def test_elementary_functions_to_four_units_in_the_last_place(run: Any) -> None:
    jobs = []
    for case in CASES:
        if (
            getattr(case.operation, "elementwise", False)
            and case.call.__name__ == "straight"
            and case.theirs is not None
        ):
            inputs = [np.linspace(*limits, 501) for _, limits in case.inputs]
            recorded = program.record(lambda *x, c=case: c.operation(*x), *inputs, free=False)
            jobs.append((case.name, recorded, [inputs], [recorded.run(*inputs)]))
    found = run(*((p, runs) for _, p, runs, _ in jobs))
    assert len(jobs) > 40
    for (name, _, _, [expected]), [[got], _] in zip(jobs, found):
        units = np.abs(got - expected) / np.spacing(np.maximum(np.abs(expected), 1e-300))
        assert units.max() <= 4, f"{name}: {units.max()}"


EDGES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e300, -1e300, 1e-300, np.inf, -np.inf, np.nan])


def test_edges(run: Any) -> None:
    """Zeros, infinities and NaN, alone and in all pairs."""
    x, y = (grid.ravel() for grid in np.meshgrid(EDGES, EDGES))
    jobs = []
    with np.errstate(all="ignore"):
        for case in CASES:
            if (
                getattr(case.operation, "elementwise", False)
                and case.call.__name__ == "straight"
                and len(case.inputs) < 3
            ):
                inputs = [x, y][: len(case.inputs)]
                recorded = program.record(lambda *x, c=case: c.operation(*x), *inputs, free=False)
                jobs.append((case.name, recorded, [inputs], [[recorded.run(*inputs)]]))
        for dtype in ("float32", "float16"):
            narrow = [part.astype(dtype) for part in (x, y)]
            recorded = program.record(lambda a, b: (a * b, a / b, a + 0.1, a > 0.1, ops.exp(a)), *narrow, free=False)
            jobs.append((dtype, recorded, [narrow], [list(recorded.run(*narrow))]))
    check(run, jobs, 4)


def test_whole_numbers_and_booleans(run: Any) -> None:
    def arithmetic(i: Any, j: Any) -> Any:
        i, j = ops.astype(i, "int32"), ops.astype(j, "int32")
        return (
            i + j, i * j, i * 100003, i // j, i % j, i - 2, i > j, i / j, ops.sum(i > j), (i > j) + (j > 0), -i,
            ops.maximum(i, j), ops.astype(i, "uint8"), ops.astype(i, "int64") * 3, ops.cumsum(i), i * 0.5,
        )  # fmt: skip

    i, j = np.array([7, -7, 7, -7, 0, 2**20, 2**31 - 1]), np.array([2, 2, -2, -2, 0, 2**12, 2**31 - 1])
    with np.errstate(all="ignore"):
        recorded = program.record(arithmetic, i, j, free=False)
        check(run, [("whole numbers", recorded, [[i, j]], [list(recorded.run(i, j))])], 4)
    large = program.record(lambda i: i * i, i, free=False)
    assert "2**53" in run((large, [[np.full(7, 2**40)]]))[0]


def test_random_programs(run: Any) -> None:
    jobs: list[Any] = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(random.programs())
    def collect(drawn: random.Program) -> None:
        if any(step.op in STATEFUL for step in drawn.steps) or not drawn.exact:
            return
        inputs = [np.ascontiguousarray(x) for x in drawn.inputs()]

        def function(*arrays: Any) -> Any:
            leaves = [x.detach().requires_grad_() for x in arrays]
            y = random.run(drawn, leaves, 0)[0]
            return y, list(tg.grad(ops.sum(ops.sin(y)), leaves)) if y.requires_grad else []

        recorded = program.record(function, *inputs, free=False)
        jobs.append((str(drawn), recorded, [inputs], [leaves_of(recorded.run(*inputs))]))

    collect()
    assert len(jobs) > 15
    check(run, jobs, 1e-11 / 2.3e-16)


def test_a_training_step_moves_states_as_in_python(run: Any) -> None:
    """Twenty steps of a network with Batch Normalization by Adam, the last ones on a shorter batch."""
    tg.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(2, 8, bias=False, dtype=float),
        nn.BatchNorm1d(8, dtype=float),
        nn.Tanh(),
        nn.Linear(8, 2, dtype=float),
    )
    optimizer = optim.Adam(net.parameters(), lr=0.05)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((n, 2)) for n in [16] * 15 + [9] * 5]
    runs = [[x, (x[:, 0] * x[:, 1] > 0).astype(int)] for x in batches]
    recorded = program.record(step, *runs[0])
    assert recorded.free
    text = Program.from_json(recorded.to_json())
    expected = [[np.asarray(recorded.run(*inputs))] for inputs in runs]
    final = [
        np.asarray(s.place.read()._data if hasattr(s.place.read(), "_data") else s.place.read())
        for s in recorded.states
    ]
    *losses, states = run((text, runs))[0]
    for got, wanted in zip(losses, expected):
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-10)
    assert losses[-1][0] < 0.9 * losses[0][0]
    for got, wanted in zip(states, final):
        np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-10)


def test_draws_are_numbers_from_0_to_1_and_new_each_time(run: Any) -> None:
    recorded = program.record(lambda x: ops.uniform_like(x), np.zeros((50, 2)))
    one, other, _ = run((recorded, [[np.zeros((50, 2))], [np.zeros((50, 2))]]))[0]
    assert 0 <= one[0].min() < 0.1 < 0.9 < one[0].max() < 1
    assert not np.array_equal(one[0], other[0])


def test_what_it_cannot_run_it_refuses_by_name(run: Any) -> None:
    mine = tg.Primitive("mine", lambda x: x**2, lambda g, out, x: g * x * 2.0)
    assert run((program.record(lambda x: mine(x), np.ones(2)), [[np.ones(2)]])) == ["mine cannot be run in a page"]
    labels = program.record(lambda x, t: functional.cross_entropy(x, t), np.ones((2, 3)), np.array([0, 1]))
    assert run((labels, [[np.ones((2, 3)), np.array([0, 3])]])) == [
        "cross_entropy: no such class: 3 at 1, expected 0 to 2"
    ]
    assert (
        "N = 1"
        in run(
            (program.record(lambda x: functional.batch_norm(x, training=True), np.ones((4, 1))), [[np.ones((1, 1))]])
        )[0]
    )


def test_the_comparison_would_notice_an_error() -> None:
    assert gap(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-12])) > 1000
    assert gap(np.array([1.0, np.inf]), np.array([1.0, np.inf])) == 0.0
    with pytest.raises(AssertionError):
        gap(np.array([1.0, np.nan]), np.array([1.0, np.inf]))
    with pytest.raises(AssertionError):
        gap(np.array([1.0], np.float32), np.array([1.0]))
