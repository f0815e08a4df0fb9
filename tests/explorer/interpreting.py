"""Programs run by the interpreter of the pages in a browser, and how far what it gives is from what Python gives."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded

import tinygrad_bn as tg
from tests.fuzz import programs as random
from tests.fuzz.stateful import STATEFUL
from tests.ops.op_cases import CASES
from tests.program.bits import flat, raw
from tinygrad_bn import ops, program
from tinygrad_bn.program import Program
from tinygrad_bn.program.written import plain

Job = tuple[
    str, Program, list[list[Any]], list[list[Any]]
]  # a name, a program, inputs of its runs, what Python gives for each

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


@contextmanager
def in_browser(chromium: Any) -> Iterator[Callable[..., list[Any]]]:
    """A function that runs programs on lists of inputs: for each the outputs of each run, then the states."""
    page = chromium.new_page()
    page.add_script_tag(content=(files("tinygrad_bn.explorer") / "browser" / "interpreter.js").read_text("utf-8"))

    def run(*jobs: tuple[Program, list[list[Any]]]) -> list[Any]:
        given = [{"program": p.to_json(), "runs": [[plain(x) for x in inputs] for inputs in runs]} for p, runs in jobs]
        return [
            result if isinstance(result, str) else [[_array(x) for x in part] for part in result]
            for result in page.evaluate(RUN, given)
        ]

    yield run
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


def gaps(run: Any, jobs: list[Job]) -> list[tuple[str, float]]:
    """For each job the largest difference in units in the last place; infinite where it could not be run."""
    found = []
    for (name, _, _, expected), got in zip(jobs, run(*((p, runs) for _, p, runs, _ in jobs))):
        if isinstance(got, str):
            found.append((f"{name}: {got}", np.inf))
            continue
        worst = 0.0
        for one, other in zip(got, expected):
            assert len(one) == len(other), name
            typical = max(
                (float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x))) for x in map(np.asarray, other)),
                default=0.0,
            )
            worst = max([worst, *(gap(a, b, min(typical, 1.0)) for a, b in zip(one, other))])
        found.append((name, worst))
    return found


def leaves_of(tree: Any) -> list[Any]:
    return [x for x in flat(raw(tree)).values() if x is not None]


def every_operation(dtype: Any) -> tuple[list[Job], set[str]]:
    """The cases of every primitive with gradients and their own gradients; and the names of the primitives that ran."""
    jobs: list[Job] = []
    seen: set[str] = set()
    for case in CASES:
        if case.operation is ops.uniform_like:
            continue
        (first, cotangent), (other, other_cotangent) = (case.example(seed, dtype) for seed in (0, 1))
        recorded = program.record(case.both_orders, first, cotangent, free=False)
        seen |= {step.primitive.name for step in recorded.steps}
        expected = leaves_of(recorded.run(other, other_cotangent))
        jobs.append((case.name, recorded, [[*other, other_cotangent]], [expected]))
    return jobs, seen


def random_jobs(count: int, seed: int = 0) -> list[Job]:
    """Up to so many random programs in double precision, with the gradients of a sum of what they give."""
    jobs: list[Job] = []

    @seeded(seed)
    @settings(max_examples=2 * count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(random.programs())
    def collect(drawn: random.Program) -> None:
        if len(jobs) >= count or any(step.op in STATEFUL for step in drawn.steps) or not drawn.exact:
            return
        inputs = [np.ascontiguousarray(x) for x in drawn.inputs()]

        def function(*arrays: Any) -> Any:
            leaves = [x.detach().requires_grad_() for x in arrays]
            y = random.run(drawn, leaves, 0)[0]
            return y, list(tg.grad(ops.sum(ops.sin(y)), leaves)) if y.requires_grad else []

        recorded = program.record(function, *inputs, free=False)
        jobs.append((str(drawn), recorded, [inputs], [leaves_of(recorded.run(*inputs))]))

    collect()
    return jobs
