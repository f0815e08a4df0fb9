"""Random programs, compiled; ``make fuzz`` runs more of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

import tinygrad_bn as tg
from tests.compiler import test_compile_training as training
from tests.compiler.backends import BACKENDS
from tests.compiler.fuzzed import check, main
from tests.fuzz.programs import Program, Step, programs
from tinygrad_bn.compiler import compile, grouping, lines, lower, native, plan
from tinygrad_bn.compiler.c import kernels, operations


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


def test_a_result_in_the_memory_of_a_part() -> None:
    names = ("negative", "negative", "negative", "ravel")
    steps = [Step(name, (number,)) for number, name in enumerate(names)]
    steps += [Step("add", (4, 4)), Step("prod", (5,), (0,)), Step("tanh", (6,))]
    assert check(Program(((2, 3, 3),), tuple(steps), seed=5974))


def test_c() -> None:
    many(40, backend="c")()


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(4, 0) == 0
    assert capsys.readouterr().out.count("agree with eager code; seed 0") == 3
    monkeypatch.setitem(lines.WRITERS, "sum", lines.WRITERS["mean"])
    assert main(60, 0) == 1
    assert "the smallest program" in capsys.readouterr().out


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
    monkeypatch.setitem(operations.EXPRESSIONS, "tanh", "tanh{f}({0} + 1)")
    with pytest.raises(AssertionError):
        check(CHAIN, "c")


def test_a_wrong_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lines.WRITERS, "sum", lines.WRITERS["mean"])
    with pytest.raises(AssertionError):
        check(CHAIN, "numpy")


def test_a_view_taken_for_its_root_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower.Lowered, "_bare", lambda self, number: self.nodes[number].shape)
    square = Program(((3, 3),), TURNED.steps, seed=0)
    with pytest.raises(AssertionError):
        check(square, "c")


def test_kernels_that_do_not_wait_for_each_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ordered = grouping._ordered
    monkeypatch.setattr(grouping, "_ordered", lambda lowered, units: ordered(lowered, units)[::-1])
    product = Program(((3, 3), (3, 3)), (Step("gram", (0,)), Step("exp", (2,)), Step("add", (3, 1))), seed=0)
    with pytest.raises((AssertionError, IndexError, KeyError)):
        check(product, "c")


def test_a_sum_that_is_read_in_its_own_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    in_passes = kernels.KernelText._stages

    def one_pass(self):
        in_passes(self)
        self._stage = self._there = dict.fromkeys(self._kernel.members, 0)

    monkeypatch.setattr(kernels.KernelText, "_stages", one_pass)
    with pytest.raises(AssertionError):
        check(CHAIN, "c")


@pytest.mark.parametrize("how", BACKENDS)
def test_a_state_written_while_it_is_read_is_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (tg.Tensor([1.0, 2.0]) for _ in range(2))

    def step(x):
        new = a * x
        tg.write([(a, new), (b, a + b)])  # reads the old value of a, after the new one is there
        return new.sum()

    def moved() -> list[float]:
        a.data, b.data = [1.0, 2.0], [3.0, 4.0]
        compile(step, **BACKENDS[how])(2.0)
        return b.data.tolist()

    assert moved() == [4.0, 6.0]
    monkeypatch.setattr(plan.Plan, "_may_replace", lambda self, given, root: True)
    assert moved() != [4.0, 6.0]


@pytest.mark.parametrize("how", ["numpy", "c"])
def test_arrays_that_others_hold_written_into_are_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "references", lambda things: [native.ALONE] * len(things))
    with pytest.raises(AssertionError):
        training.test_states_changed_between_calls(how)


@pytest.mark.parametrize("how", ["numpy", "c"])
def test_memory_given_away_too_early_is_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_lives(self):
        return dict.fromkeys((n for n in self._maker if n not in self.pointers and self.is_array(n)), 0), 4096

    monkeypatch.setattr(plan.Plan, "_arena", none_lives)
    product = Program(((3, 3), (3, 3)), (Step("gram", (0,)), Step("gram", (1,)), Step("add", (2, 3))), seed=0)
    with pytest.raises(AssertionError):
        check(product, how)


def test_a_law_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_bn.compiler import compiled

    def twice(program, exact=False):
        return program.with_steps(program.constants, program.steps, lambda number: max(number - 1, 0))

    monkeypatch.setattr(compiled, "simplify", twice)
    with pytest.raises(AssertionError):
        check(CHAIN, "numpy")
