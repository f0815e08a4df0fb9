"""Random programs against PyTorch; ``make fuzz N=20000`` runs more of them, from a new seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tinygrad_bn.ops.primitives import arithmetic, elementary

from .programs import PAIRS, Program, Step, check, programs


@settings(max_examples=2000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs_agree_with_pytorch(program: Program) -> None:
    check(program)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_each_operation_of_the_fuzzer_alone(name: str) -> None:
    shape = (3, 3)
    takes = (
        (0, 1) if name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where") else (0,)
    )
    params: tuple = ()
    if name in ("sum", "mean", "var", "max", "min", "logsumexp"):
        params = ((0,), False)
    elif name in ("softmax", "log_softmax", "cumsum", "flip", "roll", "expand_dims", "prod", "tail", "first", "twice",
                  "stacked", "repeat"):  # fmt: skip
        params = (1,)
    check(Program((shape, shape), (Step(name, takes, params),), seed=3))


@pytest.mark.parametrize(
    ("primitive", "wrong"),
    [(arithmetic.multiply, lambda g, out, x, y: g * y * 1.001), (elementary.tanh, lambda g, out, x: g * (1.0 - out))],
)
def test_a_wrong_rule_is_found(primitive, wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitive, "vjps", (wrong, *primitive.vjps[1:]))
    steps = (Step("multiply", (0, 1)), Step("tanh", (2,)), Step("sum", (3,), ((0,), False)))
    with pytest.raises(AssertionError, match="gradient 0"):
        check(Program(((3,), (3,)), steps, seed=0))


def test_a_wrong_second_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right as a gradient, but it hides that it depends on x."""
    rule = lambda g, out, x: g * np.cos(x.numpy() if hasattr(x, "numpy") else x)  # noqa: E731
    monkeypatch.setattr(elementary.sin, "vjps", (rule,))
    with pytest.raises(AssertionError):
        check(Program(((3,),), (Step("sin", (0,)), Step("square", (1,))), seed=0))
