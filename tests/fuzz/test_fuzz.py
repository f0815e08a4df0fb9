"""Random programs against PyTorch; ``make fuzz N=20000`` runs more of them, from a new seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinygrad_bn as tg
from tinygrad_bn.ops.primitives import arithmetic, elementary

from .programs import ALONG, BINARY, LAYOUTS, PAIRS, REDUCE, Program, Step, check, programs
from .stateful import STATEFUL


@settings(max_examples=2000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs_agree_with_pytorch(program: Program) -> None:
    check(program)


PARAMS: dict[str, tuple] = {
    **dict.fromkeys(REDUCE, ((0,), False)),
    **dict.fromkeys(ALONG, (1,)),
    "reshape": ((1, 3, 3),),
    "stretch": (2,),
    "axes": ((1, 0),),
    "index": ((("slice", None, None, -1), ("array", (2, 1), (0, -1)), ("new axis",), ("rest",)),),
    "conv1d": (2, 2, 1, "same", 1),
    "conv2d": (2, 2, 1, 1, 1),
    "conv_transpose1d": (2, 2, 2),
    "max_pool1d": (2, 1, 1),
    "max_pool2d": (2, None, 1),
    "avg_pool1d": (2, 1, 1),
    "avg_pool2d": (2, 2, 0),
    "batch_norm": (0.1,),
    "batch_norm with statistics": (0.1,),
    "cross_entropy": ((0, 2, 1), "mean", 0.2),
    "hook": (0.5,),
    "hooks": (-2.0,),
}
SHAPES = {"1d": (2, 2, 3), "2d": (1, 2, 3, 3)}


@pytest.mark.parametrize("dtypes", [("float64",), ("float32",), ("float32", "float64")], ids="-".join)
@pytest.mark.parametrize("name", sorted({*PAIRS, *STATEFUL}))
def test_each_operation_of_the_fuzzer_alone(name: str, dtypes: tuple[str, ...]) -> None:
    shape = next((shape for end, shape in SHAPES.items() if name.endswith(end)), (3, 3))
    step = Step(name, (0, 1) if name in BINARY else (0,), PARAMS.get(name, ()))
    for layout in LAYOUTS[1:]:
        check(Program((shape, shape), (step, Step("square", (2,))), 3, dtypes, (layout, "C")))
        check(Program((shape, shape), (step,), 3, dtypes, ("C", layout), (1,)))


def test_programs_have_everything_in_them() -> None:
    """Over the programs of one run every operation, layout and mixture of dtypes occurs."""
    seen: set[str] = set()

    @settings(
        max_examples=1500, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(programs())
    def look(program: Program) -> None:
        seen.update(step.op for step in program.steps)
        seen.update(program.layouts)
        seen.add(str(len(set(program.dtypes))))
        seen.update("constant" for _ in program.constants)
        seen.update(part[0] for step in program.steps if step.op == "index" for part in step.params[0])

    look()
    expected = {*PAIRS, *STATEFUL, *LAYOUTS, "1", "2", "constant"}
    assert seen >= expected | {"number", "slice", "new axis", "rest", "array", "mask"}, expected - seen


@pytest.mark.parametrize(
    ("primitive", "wrong"),
    [(arithmetic.multiply, lambda g, out, x, y: g * y * 1.001), (elementary.tanh, lambda g, out, x: g * (1.0 - out))],
)
def test_a_wrong_rule_is_found(primitive, wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitive, "vjps", (wrong, *primitive.vjps[1:]))
    steps = (Step("multiply", (0, 1)), Step("tanh", (2,)), Step("sum", (3,), ((0,), False)))
    with pytest.raises(AssertionError, match="gradient 0"):
        check(Program(((3,), (3,)), steps, seed=0))


def test_a_hook_that_is_not_called_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a gradient that is not kept, and a constant that is none."""
    monkeypatch.setattr(tg.Tensor, "register_hook", lambda self, hook: None)
    with pytest.raises(AssertionError, match="hooks were called"):
        check(Program(((3,),), (Step("hook", (0,), (None,)),), seed=0))
    monkeypatch.setattr(tg.Tensor, "detach", lambda self: self)
    with pytest.raises(AssertionError, match="gradient 0"):
        check(Program(((3,),), (Step("detach", (0,)),), seed=0))
    monkeypatch.setattr(tg.Tensor, "retain_grad", lambda self: None)
    with pytest.raises(AssertionError, match="kept gradient of step 0"):
        check(Program(((3,),), (Step("retain_grad", (0,)),), seed=0))


def test_a_wrong_second_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right as a gradient, but it hides that it depends on x."""
    rule = lambda g, out, x: g * np.cos(x.numpy() if hasattr(x, "numpy") else x)  # noqa: E731
    monkeypatch.setattr(elementary.sin, "vjps", (rule,))
    with pytest.raises(AssertionError):
        check(Program(((3,),), (Step("sin", (0,)), Step("square", (1,))), seed=0))
