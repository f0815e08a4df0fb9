"""The table of all rules in the documentation is the one that the rules give, and shows what it should."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn.graph.rules import as_text, rule_formula
from tinygrad_bn.ops import primitives

DOCS = Path(__file__).resolve().parents[2] / "docs"


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rules", DOCS / "make_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_today() -> None:
    text = (DOCS / "engine.md").read_text(encoding="utf-8")
    assert maker().page(text) == text, "run: python docs/make_rules.py"


def test_every_primitive_is_in_the_table_and_every_rule_has_a_formula() -> None:
    make = maker()
    shown = {name: rules for name, _, rules in make.rows()}
    for name, primitive in primitives.TABLE.items():
        args, _ = make.example(primitive)
        wanted = [primitive.vjp(i) is not None and np.asarray(arg).dtype.kind == "f" for i, arg in enumerate(args)]
        assert [bool(rule) for rule in shown.get(name, [""] * len(args))] == wanted, name
        assert name in make.table()


@pytest.mark.parametrize(
    ("name", "slot", "formula"),
    [
        ("divide", 1, "g · (y / (-b))"),
        ("maximum", 0, "(g · 0.5) if (a = b) else (g if (a > b) else 0)"),
        ("matmul", 0, "g @ (transpose b)"),
        ("sum", 0, "broadcast g"),
    ],
)
def test_formulas_that_a_reader_knows(name: str, slot: int, formula: str) -> None:
    make = maker()
    args, params = make.example(primitives.TABLE[name])
    found = rule_formula(primitives.TABLE[name], slot, args, params)
    assert found is not None
    assert as_text(found) == formula


def test_a_primitive_of_ones_own_has_its_formula_and_a_changed_rule_changes_it() -> None:
    def cube(rule):
        return tg.Primitive("cube", lambda x: x**3, rule)

    x = np.array([0.5, 2.0])
    right = rule_formula(cube(lambda g, out, x: g * 3.0 * x**2), 0, [x])
    wrong = rule_formula(cube(lambda g, out, x: g * 2.0 * x**2), 0, [x])
    assert as_text(right) == "(g · 3) · (a ^ 2)"
    assert as_text(wrong) == "(g · 2) · (a ^ 2)"
    assert rule_formula(tg.Primitive("step", np.sign, None), 0, [x]) is None
