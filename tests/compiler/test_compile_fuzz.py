"""Random programs, compiled; ``make fuzz`` runs more of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.compiler.fuzzed import check
from tests.fuzz.programs import Program, Step, programs
from tinygrad_bn.compiler import c_operations, grouping, lines, plan


def many(number: int, **how):
    @settings(
        max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(programs())
    def agree(program: Program) -> None:
        check(program, **how)

    return agree


def test_numpy() -> None:
    many(1000)()


def test_numpy_bit_by_bit() -> None:
    many(1000, exact=True)()


def test_c() -> None:
    many(40, backend="c")()


# -- the check can fail: a planted fault of each kind is seen -----------------------------------------------------------------

CHAIN = Program(
    ((4, 3),),
    (
        Step("tanh", (0,)),
        Step("multiply", (1, 0)),
        Step("mean", (2,), ((0,), True)),
        Step("subtract", (2, 3)),
        Step("exp", (4,)),
    ),
    seed=0,
)  # fmt: skip
TURNED = Program(
    ((3, 4),), (Step("axes", (0,), ((1, 0),)), Step("square", (1,)), Step("sum", (2,), ((0,), False))), seed=0
)


def test_a_wrong_expression_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(c_operations.EXPRESSIONS, "tanh", "tanh{f}({0} + 1)")
    with pytest.raises(AssertionError):
        check(CHAIN, "c")


def test_a_wrong_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lines.WRITERS, "mean", lines.WRITERS["sum"])
    with pytest.raises(AssertionError):
        check(CHAIN, "numpy")


def test_a_view_taken_for_its_root_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_bare", lambda lowered, number: ())
    square = Program(((3, 3),), TURNED.steps, seed=0)
    with pytest.raises(AssertionError):
        check(square, "c")


def test_memory_given_away_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_lives(self):
        return dict.fromkeys((n for n in self._maker if n not in self.pointers and self.is_array(n)), 0), 4096

    monkeypatch.setattr(plan.Plan, "_arena", none_lives)
    product = Program(((3, 3), (3, 3)), (Step("gram", (0,)), Step("gram", (1,)), Step("add", (2, 3))), seed=0)
    with pytest.raises(AssertionError):
        check(product, "c")


def test_a_law_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_bn.compiler import compiled

    def twice(program, exact=False):
        return program.with_steps(program.constants, program.steps, lambda number: max(number - 1, 0))

    monkeypatch.setattr(compiled, "simplify", twice)
    with pytest.raises(AssertionError):
        check(CHAIN, "numpy")
