"""check_primitive: the library's primitives pass; each check fails for the broken rule or forward it is there for."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import ops
from tinygrad_bn.engine import astype, broadcast_to
from tinygrad_bn.ops import primitives
from tinygrad_bn.ops.primitives import gather, take_slice
from tinygrad_bn.testing import CheckError, Report, check_primitive

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 1)), rng.normal(size=(4,))


def check(primitive: Any, samples: Any, **params: Any) -> Report:
    return check_primitive(primitive, samples, quiet=True, raise_exception=False, **params)


GOOD: dict[str, tuple[Any, list[Any], dict[str, Any]]] = {
    "divide": (ops.divide, [(X, Y), (X, 2.0)], {}),
    "exp": (ops.exp, [X, tg.Tensor(Y), 0.5], {}),
    "relu": (ops.relu, [X], {}),
    "abs": (ops.abs, [X], {}),
    "sign": (ops.sign, [X], {}),
    "erf": (ops.erf, [Y], {}),
    "where": (ops.where, [(X > 0, X, Y)], {}),
    "clip": (primitives.clip, [(Y, -0.5, 0.5)], {}),
    "sum": (primitives.sum, [rng.normal(size=(2, 3))], {"axis": (0,), "keepdims": True}),
    "max": (primitives.max, [rng.normal(size=(2, 3))], {"axis": (1,), "keepdims": False}),
    "broadcast_to": (broadcast_to, [X], {"shape": (3, 2)}),
    "take_slice": (take_slice, [Y], {"index": (slice(1, None, 2),)}),
    "gather": (gather, [(Y, np.array([0, 0, 3]))], {"pattern": ("array",)}),
    "astype": (astype, [X], {"dtype": "float64"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_primitives_pass(name: str) -> None:
    primitive, samples, params = GOOD[name]
    report = check(primitive, samples, **params)
    assert report.ok, report
    assert bool(report.warnings) == (name in {"sign"}), report  # whose derivative is 0: that proves nothing


def test_what_the_table_says_of_division(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_primitive(ops.divide, [(X, Y), (X, 2.0)])
    assert capsys.readouterr().out == f"{report}\n"
    assert report.subject == "check_primitive of divide, samples ((3, 1), (4,)), ((3, 1), ())"
    assert report["arity"].detail == "2 arguments, 2 rules"
    assert report["first derivatives"].detail == "11 numbers, central differences"
    assert re.fullmatch(
        r"largest relative difference \de-1[4-9]|largest relative difference 0e\+00", report["complex step"].detail
    )
    assert report["scalars"].detail == "agree at 11 points"
    assert str(report).splitlines()[-1] == "22 passed"


def test_checks_that_do_not_apply_say_so() -> None:
    assert (
        check(gather, [(Y, np.array([0, 1]))], pattern=("array",))["arity"].detail
        == "one rule for any number of arguments"
    )
    assert check(ops.erf, [Y])["complex step"].verdict == "note"
    assert check(ops.abs, [Y])["complex step"].verdict == "note"  # takes complex numbers, and is not analytic
    assert check(take_slice, [Y], index=(0,))["scalars"].detail == "no scalar=: it does not take Scalar"
    plain = tg.Primitive("plain", lambda x: x * 3.0, lambda g, out, x: g * 3.0, scalar=lambda x: x * 3.0)
    assert check(plain, [Y])["scalars"].detail == "no sample of single numbers"
    assert check(plain, [0.5])["scalars"].detail == "agree at 1 points"
    assert check(ops.greater, [(X, Y)])["rules"].detail.startswith("none")
    assert check(astype, [X], dtype="int64")["rules"].detail == "the result is int64, which carries no gradient"
    assert check(ops.stop_gradient, [X]).ok


# -- broken ones ----------------------------------------------------------------------------------------------------------


def cube(rule: Any, **settings: Any) -> tg.Primitive:
    """x³, right but for what is given."""
    settings = {"scalar": lambda x: x * x * x, "elementwise": True, "forward": lambda x: x * x * x} | settings
    return tg.Primitive("cube", settings.pop("forward"), *([rule] if rule else []), **settings)


def right(g: Any, out: Any, x: Any) -> Any:
    return g * 3.0 * x * x


def writes_to_g(g: Any, out: Any, x: Any) -> Any:
    if isinstance(g, np.ndarray) and g.flags.writeable:
        g *= 1.5
        return g / 1.5 * 3.0 * x * x
    return right(g, out, x)


def writes_to_x(g: Any, out: Any, x: Any) -> Any:
    made = right(g, out, x)
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x += 1.0
    return made


def writes_forward(x: Any) -> Any:
    out = x**3
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x += 1.0
    return out


def raw(x: Any) -> Any:
    return x.data if isinstance(x, tg.Variable) else x


DRAWS = np.random.default_rng(0)
TABLE = np.ones(3)

BAD: dict[str, tuple[Any, set[str], str]] = {
    "no rule": (cube(None), {"arity"}, "0 rules, 1 arguments"),
    "hides an array": (cube(lambda g, out, x, table=TABLE: right(g, out, x)), {"plain data"},
                       "the rule for argument 0 hides an array in its closure"),
    "not finite": (cube(right, forward=lambda x: np.log(-(x**2))), {"forward"}, "the result is not finite"),
    "writes forward": (cube(right, forward=writes_forward), {"forward"}, "the forward writes to argument 0"),
    "random": (cube(right, forward=lambda x: x + DRAWS.normal()), {"forward"}, "two calls differ"),
    "widens": (cube(right, forward=lambda x: x**3 * np.ones(1)), {"forward"}, "float32 does not stay float32"),
    "raises": (cube(right, forward=lambda x: x.nothing), {"forward"},
               r"AttributeError.*\n  where:    .*test_check_primitive.py:\d+"),
    "shape": (cube(lambda g, out, x: ops.sum(right(g, out, x))), {"what rules return"},
              "cube: broken derivative rule for argument 0\n  got:      shape"),
    "none": (cube(lambda g, out, x: None), {"what rules return"}, "got:      None"),
    "not linear": (cube(lambda g, out, x: ops.abs(right(g, out, x))), {"linear in g", "first derivatives", "complex step"},
                   r"rule\(2g - 3h\) ="),
    "wrong": (cube(lambda g, out, x: right(g, out, x) * 1.01), {"first derivatives", "complex step"}, "argument 0, index"),
    "nearly right": (cube(lambda g, out, x: right(g, out, x) * 1.000001), {"complex step"}, "right to a few digits only"),
    "writes to g": (cube(writes_to_g), {"rules write to nothing"}, "the rule for argument 0 writes to g"),
    "writes to x": (cube(writes_to_x), {"linear in g", "rules write to nothing"},
                    "the rule for argument 0 writes to argument 0"),
    "leaves the graph": (cube(lambda g, out, x: right(raw(g), out, raw(x))),
                         {"second derivatives", "raw and recorded"}, "does not depend on g when it is recorded"),
    "two texts": (cube(lambda g, out, x: right(g, out, x) * (2.0 if isinstance(g, tg.Variable) else 1.0)),
                  {"raw and recorded"}, "differs between variables and arrays"),
    "another scalar": (cube(right, scalar=lambda x: x * x), {"scalars"},
                       "scalar= and the forward differ at .*, on a Python float"),
    "another rule for scalars": (cube(lambda g, out, x: right(g, out, x) * (2.0 if type(g) is float else 1.0)), {"scalars"},
                                 "the rule for argument 0 differs between scalars and arrays"),
    "another forward for tensors": (cube(right, forward=lambda x: x**3 if x.flags.writeable else x**3 + 1.0),
                                    {"raw and recorded", "scalars"}, "forward on arrays and on tensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    primitive, expected, said = BAD[name]
    report = check(primitive, [X])
    assert {c.name for c in report.failures} == expected, report
    assert re.search(said, str(report)), report


def test_a_closure_is_looked_into() -> None:
    table = tg.Tensor(np.ones(3))
    report = check(cube(lambda g, out, x: right(g, out, x) * table.size / 3), [X])
    assert "Tensor of shape (3,)" in report["plain data"].message


@pytest.mark.parametrize("value", [np.ones(2), [1, 2], {"a": 1}, (1, [2]), slice(np.int64(1), None)])
def test_parameters_are_plain(value: Any) -> None:
    reader = tg.Primitive("reader", lambda x, how: x, lambda g, out, x, how: g)
    assert "the parameter how=" in check(reader, [X], how=value)["plain data"].message
    assert check(reader, [X], how=(1, "a", None, 2.5, True, Ellipsis, slice(0, 3))).ok


def test_a_rule_that_widens_is_a_warning() -> None:
    report = check(cube(lambda g, out, x: right(g, out, x) * np.ones(np.shape(x)), scalar=None), [X])
    assert report.ok
    assert report["what rules return"].detail == "the rule for argument 0 returns float64 for float32"


def test_a_point_that_proves_nothing_is_a_warning() -> None:
    report = check(cube(right), [np.zeros(3)])
    assert report["first derivatives"].verdict == "warning"
    assert report["first derivatives"].detail.endswith("proves nothing")


def test_failure_raises() -> None:
    with pytest.raises(CheckError, match=r"check_primitive of cube, samples .*: 2 failed"):
        check_primitive(BAD["wrong"][0], [X])


def test_a_missing_rule_leaves_a_constant() -> None:
    half = tg.Primitive(
        "half", lambda x, y: x * y, lambda g, out, x, y: g * y, None, scalar=lambda x, y: x * y, elementwise=True
    )
    report = check(half, [(X, Y)])
    assert report.ok, report
    assert report["arity"].detail == "2 arguments, 1 rules"
    assert report["first derivatives"].detail == "3 numbers, central differences"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((math.sin, [X]), "not a Primitive"),
        ((ops.exp, X), "a list of samples"),
        ((ops.exp, []), "a list of samples"),
        ((ops.exp, [np.array([1, 2])]), "nothing to differentiate"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: Any, said: str) -> None:
    with pytest.raises(tg.TinygradError, match=said):
        check_primitive(*arguments)
