"""The interpreter of the pages, in headless Chromium: what Python computes, it computes, forward, backward and second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.explorer.interpreting import every_operation, gap, gaps, in_browser, random_jobs
from tests.ops.op_cases import CASES
from tests.program.training import stepping
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.ops.primitives import TABLE
from tinygrad_bn.program import Program


@pytest.fixture(scope="module")
def run(chromium: Any) -> Any:
    with in_browser(chromium) as function:
        yield function


def check(run: Any, jobs: Any, most: float) -> None:
    """What the browser gave has to be within ``most`` units in the last place of what Python gave."""
    assert [(name, found) for name, found in gaps(run, jobs) if not found <= most] == []


@pytest.mark.parametrize(
    ("dtype", "most"), [(np.float64, 1e-12 / 2.3e-16), (np.float32, 100)], ids=["float64", "float32"]
)
def test_every_operation_forward_backward_and_second_order(run: Any, dtype: Any, most: float) -> None:
    jobs, seen = every_operation(dtype)
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
    jobs = random_jobs(25)
    assert len(jobs) > 12
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

    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((n, 2)) for n in [16] * 15 + [9] * 5]
    runs = [[x, (x[:, 0] * x[:, 1] > 0).astype(int)] for x in batches]
    recorded = program.record(stepping(net, optimizer), *runs[0])
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
