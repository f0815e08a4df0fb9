"""check_primitive, where the samples alone show nothing: each kind of fault that needs another call to be seen."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES
from tinygrad_bn import ops
from tinygrad_bn.ops import primitives
from tinygrad_bn.testing import Report, check_primitive
from tinygrad_bn.testing.places import behind

X = np.random.default_rng(0).normal(size=(4, 3))
KEPT: list[Any] = []
MEMO: dict[str, Any] = {}


def check(primitive: Any, samples: Any, **settings: Any) -> Report:
    return check_primitive(primitive, samples, quiet=True, raise_exception=False, **settings)


def raw(x: Any) -> Any:
    return x.data if isinstance(x, tg.Variable) else x


def sine(rule: Any = None, forward: Any = np.sin, **settings: Any) -> tg.Primitive:
    """sin x, right but for what is given."""
    return tg.Primitive("sine", forward, rule or right, elementwise=True, **settings)


def right(g: Any, out: Any, x: Any) -> Any:
    return g * ops.cos(x)


def in_single(x: Any) -> bool:
    return bool(x.dtype == np.float32)


def flat(order: Any) -> Any:
    """A rule that reads x in another order than it writes."""

    def rule(g: Any, out: Any, x: Any) -> Any:
        return g * np.cos(order(x)).reshape(x.shape) if isinstance(x, np.ndarray) else right(g, out, x)

    return rule


def keeping(g: Any, out: Any, x: Any) -> Any:
    KEPT.append(g)
    return right(g, out, x)


def forgetful(x: Any) -> Any:
    MEMO["last"] = x
    return np.sin(x)


@lru_cache
def remembered(key: int, holder: Any) -> None:
    """Keeps what it is called with."""


class Holder:
    def __init__(self, x: Any) -> None:
        self.x = x


def cached(x: Any) -> Any:
    remembered(id(x), Holder(x))
    return np.sin(x)


BAD: dict[str, tuple[tg.Primitive, str, str]] = {
    "forward in float32": (sine(forward=lambda x: np.sin(x) * (2.0 if in_single(x) else 1.0)), "float32 values",
                           "the forward computes something else in float32"),
    "a constant in float32": (sine(forward=lambda x: np.sin(x) + (0.01 if in_single(x) else 0.0)), "float32 values", "forward"),
    "rule in float32": (sine(lambda g, out, x: right(g, out, x) * (2.0 if in_single(x) else 1.0)), "float32 values",
                        "the rule for argument 0 computes something else in float32"),
    "rule by the cotangent's dtype": (sine(lambda g, out, x: right(g, out, x) * (1.1 if in_single(g) else 1.0)),
                                      "float32 values", "rule"),
    "recorded rule in float32": (
        sine(lambda g, out, x: right(g, out, x) * (2.0 if isinstance(x, tg.Tensor) and in_single(x) else 1.0)),
        "raw and recorded", "differs between variables and arrays"),
    "memory order of the rule": (sine(flat(lambda x: x.ravel("K"))), "memory order",
                                 "depends on how its arguments lie in memory, in Fortran order"),
    "Fortran order only": (sine(flat(lambda x: x.ravel("A"))), "memory order", "in Fortran order"),
    "negative strides": (sine(flat(lambda x: x[::-1] if x.strides[0] < 0 else x)), "memory order", "with negative strides"),
    "every second element": (
        sine(flat(lambda x: np.lib.stride_tricks.as_strided(x, x.shape, (24, 8)) if x.strides[-1] == 16 else x)),
        "memory order", "as every second element"),
    "zero strides": (sine(flat(lambda x: x * (2.0 if 0 in x.strides else 1.0))), "memory order", "with a stride of zero"),
    "memory order of the forward": (sine(forward=lambda x: np.sin(x.ravel("K")).reshape(x.shape)), "memory order",
                                    "the forward depends on how"),
    "clips at 10": (sine(lambda g, out, x: ops.clip(g, -10.0, 10.0) * ops.cos(x)), "size of g", r"with 1e\+08 g"),
    "clips at a million": (sine(lambda g, out, x: ops.clip(g, -1e6, 1e6) * ops.cos(x)), "size of g", r"with 1e\+08 g"),
    "drops what is small": (sine(lambda g, out, x: ops.where(ops.abs(g) > 1e-4, g, 0.0) * ops.cos(x)), "size of g", "1e-08 g"),
    "a constant beside g": (sine(lambda g, out, x: right(g, out, x) + ops.where(ops.equal(g, 0.0), 1.0, 0.0)), "size of g",
                            "with 0 g"),
    "squeezes one": (sine(forward=lambda x: np.sin(x).squeeze()), "one and none", "a batch of one has another shape"),
    "rule squeezes one": (sine(lambda g, out, x: ops.squeeze(right(g, out, x))), "one and none", "broken derivative rule"),
    "rule wrong for one": (sine(lambda g, out, x: right(g, out, x) * (2.0 if x.shape[:1] == (1,) else 1.0)), "one and none",
                           "derivatives disagree"),
    "no empty batch": (sine(forward=lambda x: np.sin(x) + 0.0 * np.max(x)), "one and none", "zero-size array"),
    "rule on nothing": (sine(lambda g, out, x: right(g, out, x) + 0.0 * (x.max() if isinstance(x, np.ndarray) else 0.0)),
                        "one and none", "zero-size array"),
    "right for x > 0 only": (tg.Primitive("magnitude", lambda x: np.abs(x + 5.0), lambda g, out, x: g, elementwise=True),
                             "other samples", "for other values: gradcheck of magnitude"),
    "wrong without axes": (sine(lambda g, out, x: right(g, out, x) * (1.0 if x.ndim else 2.0)), "other samples",
                           "without axes: gradcheck of sine"),
    "branches on the sum": (sine(lambda g, out, x: right(g, out, x) * (1.0 if float(np.sum(raw(x))) > X.sum() - 1 else 2.0)),
                            "values decide", "the rule for argument 0 branches on values"),
    "branches on the largest": (sine(lambda g, out, x: right(g, out, x) * (1.0 if np.max(raw(x), initial=0.0) < 3.0 else 2.0)),
                                "values decide", "let operations decide"),
    "clips at a million million": (sine(lambda g, out, x: ops.clip(g, -1e12, 1e12) * ops.cos(x)), "size of g", r"1e\+30 g"),
    "its cotangent is a constant": (
        sine(lambda g, out, x: right(g, out, x) * (2.0 if isinstance(g, tg.Tensor) and not g.requires_grad else 1.0)),
        "raw and recorded", "differs between variables and arrays"),
    "wrong where many": (sine(lambda g, out, x: right(g, out, x) * (2.0 if np.size(x) > 20 else 1.0)), "other samples",
                         "with more rows: gradcheck of sine"),
    "wrong with three axes": (sine(lambda g, out, x: right(g, out, x) * (2.0 if x.ndim > 2 else 1.0)), "other samples",
                              "with an axis more: gradcheck of sine"),
    "wrong with one axis": (sine(lambda g, out, x: right(g, out, x) * (2.0 if x.ndim == 1 else 1.0)), "other samples",
                            "with one axis: gradcheck of sine"),
    "elementwise by name": (
        tg.Primitive("share", lambda x: x / np.sum(x),
                     lambda g, out, x: (g - ops.sum(g * out)) / ops.sum(x), elementwise=True),
        "elementwise", "the forward looks at more than one element"),
    "wrong at zero": (sine(lambda g, out, x: ops.where(ops.equal(x, 0.0), 0.0 * g, right(g, out, x))), "special values",
                      "at zero, where x = 0"),
    "wrong at whole numbers": (
        sine(lambda g, out, x: ops.where(ops.equal(ops.floor(x), x) * ops.not_equal(x, 0.0), 0.0 * g, right(g, out, x))),
        "special values", "at whole numbers, where x = 1"),
    "branches on a hundred": (sine(lambda g, out, x: right(g, out, x) * (1.0 if np.max(raw(x), initial=0.0) < 90 else 2.0)),
                              "values decide", "let operations decide"),
    "keeps g": (sine(keeping), "keeps nothing alive", "g"),
    "keeps x": (sine(forward=forgetful), "keeps nothing alive", "argument 0"),
    "a cache": (sine(forward=cached), "keeps nothing alive", "argument 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    primitive, where, said = BAD[name]
    report = check(primitive, [X])
    KEPT.clear()
    MEMO.clear()
    remembered.cache_clear()
    assert {c.name for c in report.failures} == {where}, report
    assert re.search(said, report[where].message), report


def test_nothing_is_found_where_there_is_none() -> None:
    report = check(sine(scalar=None), [X, X[0], np.asfortranarray(X), np.array(0.5)])
    assert report.ok, report
    assert not report.warnings


def table() -> dict[str, Any]:
    """Every primitive of the library as it is used in some operation: name and parameters, recorded result."""
    found: dict[str, Any] = {}
    for case in CASES:
        result = case.ours(*(tg.Tensor(x, requires_grad=True) for x in case.arrays()))
        for made in behind(list(result) if isinstance(result, (tuple, list)) else [result]):
            if made.primitive is not None and made.primitive.pure:
                floats = [np.ndim(raw(x)) for x in made.inputs or () if np.asarray(raw(x)).dtype.kind == "f"]
                if floats and len(found.get(made.primitive.name, ())) < 2:
                    uses = found.setdefault(made.primitive.name, {})
                    uses.setdefault(str(made.params), made)
    return {f"{name} {params}": made for name, uses in found.items() for params, made in uses.items()}


TABLE = table()


def test_every_primitive_is_in_the_table() -> None:
    without_floats = {"checked_index"}
    draws = {name for name, primitive in primitives.TABLE.items() if not primitive.pure}
    assert set(primitives.TABLE) - without_floats - draws == {made.primitive.name for made in TABLE.values()}


@pytest.mark.parametrize("use", TABLE)
def test_every_primitive_of_the_library_passes(use: str) -> None:
    made = TABLE[use]
    name = made.primitive.name
    skip = {"put_diagonal": ["one and none"]}.get(
        name, []
    )  # another length does not fit the shape among the parameters
    report = check(made.primitive, [tuple(raw(x) for x in made.inputs)], skip=skip, **made.params)
    assert report.ok, report
    no_slope = {"first derivatives", "second derivatives"}
    steps = dict.fromkeys(("sign", "ceil", "floor", "rint", "trunc", "floor_divide"), no_slope)
    assert {c.name for c in report.warnings} <= (steps | {"stop_gradient": {"constants"}}).get(name, set())


def two(*rules: Any, forward: Any = np.multiply, **settings: Any) -> tg.Primitive:
    """x y, right but for what is given."""
    right = (lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)
    return tg.Primitive("product", forward, *(a or b for a, b in zip(rules, right)), elementwise=True, **settings)


def leaves_a_sum(g: Any, out: Any, x: Any, y: Any) -> Any:
    MEMO["sum"] = float(np.sum(raw(y)))
    return g * y


def reads_a_sum(g: Any, out: Any, x: Any, y: Any) -> Any:
    return g * x * (1.0 if abs(MEMO.get("sum", 0.0) - float(np.sum(raw(y)))) < 1e-3 else 2.0)


OF_TWO: dict[str, tuple[tg.Primitive, str, str]] = {
    "one and the same": (two(lambda g, out, x, y: g * y * (2.0 if x is y else 1.0), None), "independent", "one and the same"),
    "forward of one and the same": (two(None, None, forward=lambda x, y: x * y * (2.0 if x is y else 1.0)), "independent",
                                    "the forward differs where arguments 0 and 1 are one and the same"),
    "a rule needs another": (two(leaves_a_sum, reads_a_sum), "independent", "depends on what was computed before it"),
    "equal arguments": (
        two(lambda g, out, x, y: g * y + ops.where(ops.equal(x, y), g, 0.0 * g), None), "special values",
        "where two arguments are equal"),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_TWO)
def test_each_fault_of_two_arguments_is_found_where_it_is(name: str) -> None:
    primitive, where, said = OF_TWO[name]
    report = check(primitive, [(X, X[::-1] + 0.1)])
    MEMO.clear()
    assert {c.name for c in report.failures} == {where}, report
    assert re.search(said, report[where].message), report
    assert check(two(None, None), [(X, X[::-1] + 0.1)]).ok


@pytest.mark.parametrize(
    ("primitive", "where"),
    [
        (tg.Primitive("cube", lambda x: x**3, lambda g, out, x: 3.0 * g * out / x, elementwise=True), "at zero"),
        (tg.Primitive("softplus", lambda x: np.logaddexp(0.0, x),
                      lambda g, out, x: g * ops.exp(x) / (1.0 + ops.exp(x)), elementwise=True), "far from zero"),
    ],
)  # fmt: skip
def test_no_number_where_there_is_a_slope_is_a_warning(primitive: tg.Primitive, where: str) -> None:
    report = check(primitive, [X])
    assert report.ok
    assert [c.name for c in report.warnings] == ["special values"]
    assert f"nan {where}, where the slope is" in report["special values"].detail


def test_no_slope_is_asked_of_corners_and_of_what_a_rule_refuses() -> None:
    for forward, rule in (
        (lambda x: np.maximum(x, 0.0), lambda g, out, x: ops.where(ops.greater(x, 0.0), g, 0.0)),
        (np.abs, lambda g, out, x: g * ops.sign(x)),
        (np.cbrt, lambda g, out, x: g / (3.0 * out * out)),
    ):
        report = check(tg.Primitive("p", forward, rule, elementwise=True), [X])
        assert report.ok, report
        assert not report.warnings


@pytest.mark.parametrize("positions", [np.array([2, 0, 1]), np.array([1, 1, 0])])
def test_positions_that_repeat_and_negative_ones(positions: Any) -> None:
    def chosen(x: Any, i: Any) -> Any:
        return (np.arange(len(x)) == i[:, None]).astype(x.dtype)

    pick = tg.Primitive("pick", lambda x, i: x[i], lambda g, out, x, i: ops.matmul(chosen(x, i).T, g), None)
    report = check(pick, [(X, positions)])
    assert "with negative integers: gradcheck of pick" in report["other samples"].message
    right = tg.Primitive("pick", lambda x, i: x[i], lambda g, out, x, i: ops.matmul(chosen(x, i % len(x)).T, g), None)
    assert check(right, [(X, positions)]).ok
    once = tg.Primitive("pick", lambda x, i: x[i], lambda g, out, x, i: ops.minimum(1.0, len(set(i)) / len(i)) *
                        ops.matmul(chosen(x, i % len(x)).T, g), None)  # fmt: skip
    assert not check(once, [(X, positions)]).ok


@pytest.mark.parametrize("few", [1, 4])
def test_a_rule_for_any_number_of_arguments_gets_more_and_fewer(few: int) -> None:
    def rule(i: int, g: Any, out: Any, *xs: Any) -> Any:
        return g * (2.0 if len(xs) == few else 1.0)

    report = check(tg.Primitive("total", lambda *xs: sum(xs[1:], xs[0]), variadic=rule), [(X, X + 1.0, X - 1.0)])
    assert [c.name for c in report.failures] == ["other samples"]
    assert f"with one {'argument' if few == 1 else 'more argument'}" in report["other samples"].message


def test_a_right_rule_that_refuses_some_layouts_passes() -> None:
    def rule(g: Any, out: Any, x: Any) -> Any:
        return g * out * ops.swapaxes(ops.linalg.inv(x), -1, -2)

    assert check(tg.Primitive("determinant", np.linalg.det, rule), [X[:3] + 3.0 * np.eye(3)]).ok


def test_a_rule_that_is_wrong_where_arguments_broadcast() -> None:
    def own(g: Any, out: Any, x: Any, y: Any) -> Any:
        return ops.reshape(g * y, x.shape)  # what it undoes, the engine would have

    product = tg.Primitive("product", lambda x, y: x * y, own, lambda g, out, x, y: g * x, elementwise=True)
    report = check(product, [(X, X + 1.0)])
    assert [c.name for c in report.failures] == ["other samples"]
    assert "reshape" in report["other samples"].message


# -- an argument without a rule ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "matters"),
    [
        (lambda x, y: x * y, True),
        (lambda x, y: x + np.sin(y), True),
        (lambda x, y: x * np.sign(y), False),
        (lambda x, y: x + np.floor(y), False),
        (lambda x, y: x + 0.0 * y, False),
    ],
)
def test_none_for_an_argument_that_matters_is_a_warning(forward: Any, matters: bool) -> None:
    half = tg.Primitive(
        "half",
        forward,
        lambda g, out, x, y: g * (y if forward(2.0, 3.0) == 6.0 else ops.sign(y)),
        None,
        elementwise=True,
    )
    report = check(half, [(X, X + 0.25)])
    assert (report["constants"].verdict == "warning") == matters
    if matters:
        assert "changes with argument 1, and None stands in place of the rule" in report["constants"].message


# -- settings ----------------------------------------------------------------------------------------------------------------


def test_what_is_skipped_is_said() -> None:
    clips = BAD["clips at 10"][0]
    report = check(clips, [X], skip=["size of g"])
    assert report.ok
    assert report["size of g"].detail == "left out, as asked"
    with pytest.raises(
        tg.TinygradError, match=r"skip= names no check\n  got:      sizes of g\n  expected: arity, plain data"
    ):
        check(clips, [X], skip="sizes of g")


def generated() -> Iterator[Any]:
    rng = np.random.default_rng(1)
    for size in itertools.count(1):
        yield rng.normal(size=size)


def test_samples_from_a_generator_and_from_a_function() -> None:
    assert check(sine(), generated()).subject.count("((") == 20
    made = check(sine(), lambda rng: [rng.normal(size=2), (rng.normal(size=(2, 2)),)])
    assert made.subject == "check_primitive of sine, samples ((2,)), ((2, 2))"
    assert not check(BAD["clips at 10"][0], generated()).ok
    with pytest.raises(tg.TinygradError, match="a list of samples"):
        check(sine(), iter(()))


def test_the_hint_at_broadcasting_is_given_once() -> None:
    product = tg.Primitive("product", lambda x, y: x * y, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)
    report = check(product, [(X, X[0])])
    assert [c.name for c in report.failures] == ["what rules return"]
    assert str(report).count("elementwise=True") == 1
    assert check(
        tg.Primitive(
            "product", lambda x, y: x * y, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x, elementwise=True
        ),
        [(X, X[0])],
    ).ok


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1.0, 1e8])
def test_right_rules_pass_whatever_the_size_of_the_sample(size: float) -> None:
    for forward, rule in (
        (np.square, lambda g, out, x: g * x * 2.0),
        (np.log, lambda g, out, x: g / x),
        (np.sqrt, lambda g, out, x: g * 0.5 / out),
    ):
        report = check(tg.Primitive("p", forward, rule, elementwise=True), [np.array([1.5 * size, 1.0, 0.3 * size])])
        assert report.ok, report
        doubled = tg.Primitive("p", forward, lambda *a, rule=rule: rule(*a) * 2.0, elementwise=True)
        assert not check(doubled, [np.array([1.5 * size, 1.0])]).ok
