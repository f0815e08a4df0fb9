"""The comparisons can fail: every rule of every primitive is broken once, in two ways, and seen to turn them red."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ops.op_cases import DIFFERENTIABLE, Case
from tests.oracles import compare_with_complex_step, compare_with_torch
from tinygrad_bn import Primitive, Variable, ops


def rules() -> list[Any]:
    """One case of each primitive and each of its arguments that has a rule."""
    cases = {id(c.operation): c for c in DIFFERENTIABLE if isinstance(c.operation, Primitive)}
    found = []
    for case in cases.values():
        first = 1 if case.operation is ops.where else 0  # its case gives the condition, which is no input
        positions = range(first, first + len(case.inputs))
        found += [pytest.param(case, i, id=f"{case.name} {i}") for i in positions if case.operation.vjp(i)]
    return found


def plant(monkeypatch: pytest.MonkeyPatch, primitive: Primitive, index: int, damage: Callable[[Any], Any]) -> None:
    """Put ``damage(result)`` in the place of what the rule for one argument returns."""
    rule = primitive.vjp(index)
    assert rule is not None

    def damaged(*args: Any, **params: Any) -> Any:
        return damage(rule(*args, **params))

    if primitive.variadic is None:
        monkeypatch.setattr(primitive, "vjps", (*primitive.vjps[:index], damaged, *primitive.vjps[index + 1 :]))
    else:
        sound = primitive.variadic
        monkeypatch.setattr(
            primitive, "variadic", lambda i, *a, **p: damaged(*a, **p) if i == index else sound(i, *a, **p)
        )


def test_all_rules_are_here() -> None:
    assert len(rules()) > 60


@pytest.mark.parametrize(("case", "index"), rules())
def test_a_gradient_off_by_a_millionth_is_seen(case: Case, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_with_torch(case.ours, case.theirs, case.arrays())
    plant(monkeypatch, case.operation, index, lambda cotangent: cotangent + 1e-6)
    with pytest.raises(AssertionError, match="gradient"):
        compare_with_torch(case.ours, case.theirs, case.arrays())
    if case.analytic:
        with pytest.raises(AssertionError, match="gradient"):
            compare_with_complex_step(case.ours, case.arrays())


FLAT = (
    ops.sign,
    ops.floor,
    ops.ceil,
    ops.trunc,
    ops.rint,
    ops.floor_divide,
)  # derivative 0: nothing to differentiate again


@pytest.mark.parametrize(("case", "index"), [rule for rule in rules() if rule.values[0].operation not in FLAT])
def test_a_rule_that_cannot_be_differentiated_again_is_seen(
    case: Case, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, case.operation, index, lambda cotangent: _cut(cotangent))
    with pytest.raises(AssertionError, match="second derivative"):
        compare_with_torch(case.ours, case.theirs, case.arrays())


def _cut(cotangent: Any) -> Any:
    """The right numbers, and no way back to what they were computed from."""
    return cotangent.data if isinstance(cotangent, Variable) else cotangent
