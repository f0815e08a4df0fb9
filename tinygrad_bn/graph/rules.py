"""The formula of a derivative rule, read off the rule itself: it is run once on named variables, on a tape.

So a rule is written in one place only, and user-defined primitives have formulas, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ..engine import Primitive, Variable, dtype_of, no_grad
from ..engine.mode import switched
from ..engine.tape import Made, Same, Tape
from ..errors import clean
from ..tensor import Scalar, Tensor
from .labels import number
from .tracing import filled


@dataclass(frozen=True)
class Formula:
    """An operation on parts; a part is a formula, or a name or number as text.

    Attributes:
        name: the primitive's.
        notation: how the operation is written, with ``{0}``, ``{1}`` for the parts.
        parts: its arguments.
    """

    name: str
    notation: str
    parts: tuple[Formula | str, ...]


def rule_formula(
    primitive: Primitive,
    slot: int,
    args: Sequence[Any],
    params: Mapping[str, Any] | None = None,
    names: Sequence[str] = "abcdefgh",
    out: str = "y",
    upstream: str = "g",
) -> Formula | str | None:
    """What a primitive's rule for one argument computes, as a formula.

    Args:
        primitive: whose rule.
        slot: of which argument.
        args: arguments that the primitive takes: variables, arrays or numbers.  The formula does not depend on their
            values, but for shapes.
        params: the primitive's parameters.
        names: what to call the arguments.
        out: what to call the result.
        upstream: what to call the incoming cotangent.

    Returns:
        The formula, or ``None`` if there is no derivative.
    """
    rule = primitive.vjp(slot)
    if rule is None or dtype_of(args[slot]).kind not in "f":
        return None
    params = dict(params or {})
    scalars = any(isinstance(arg, Variable) and arg.is_scalar_kind for arg in args)
    kind: Any = Scalar if scalars else Tensor
    given = [_leaf(arg, kind) for arg in args]
    known: dict[Variable, Formula | str] = {}
    tape = Tape(Scalar)
    with no_grad(), np.errstate(all="ignore"):
        result = primitive(*given, **params)
        result = result if isinstance(result, Variable) else kind.wrap(np.asarray(result))
        g = kind.wrap(1.0 if scalars else np.ones(result.shape, result.dtype if result.dtype.kind == "f" else float))
        known.update({g: upstream, result: out})
        known.update((arg, name) for arg, name in zip(given, names) if isinstance(arg, Variable))
        with switched(tape=tape):
            returned = rule(g, result, *given, **params)
    for event in tape.events:
        if isinstance(event, Made):
            parts = tuple(_part(arg, known) for arg in event.args)
            text = filled(event.primitive.notation, event.params) or event.primitive.name
            if not any(f"{{{i}}}" in text for i in range(len(parts))):
                text = f"{text}({', '.join(f'{{{i}}}' for i in range(len(parts)))})"
            known[event.out] = Formula(event.primitive.name, text, parts)
        elif isinstance(event, Same):
            known[event.new] = _part(event.old, known)
    return _part(returned, known)


def _leaf(arg: Any, kind: Any) -> Any:
    """An argument as a constant of its own, so that two equal ones have two names."""
    if isinstance(arg, Variable):
        return arg.kind.wrap(arg._data)
    return kind.wrap(np.array(arg)) if isinstance(arg, np.ndarray) else arg


def _part(value: Any, known: Mapping[Variable, Formula | str]) -> Formula | str:
    if isinstance(value, Variable):
        if value in known:
            return known[value]
        value = value._data
    array = np.asarray(value)
    if array.size and (array == array.flat[0]).all():
        return number(float(array.flat[0]))
    return "constant"


# -- as text, and as MathML ----------------------------------------------------------------------------------------------


def as_text(formula: Formula | str) -> str:
    """The formula on one line, with parentheses around parts that are made of several."""
    if isinstance(formula, str):
        return formula
    return _written(formula, [_grouped(part, as_text(part)) for part in formula.parts])


def _grouped(part: Formula | str, text: str) -> str:
    loose = isinstance(part, Formula) and (" " in text or text.startswith("-")) and not _closed(text)
    return f"({text})" if loose or (isinstance(part, str) and part.startswith("-")) else text


def _closed(text: str) -> bool:
    """Whether a text is a call or stands in brackets as a whole, such as ``max(a, b)`` or ``|a|``."""
    if text.startswith("|") and text.endswith("|"):
        return "|" not in text[1:-1]
    start = text.find("(")
    if start < 0 or not text.endswith(")") or " " in text[:start]:
        return False
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if i > start and depth == 0:
            return i == len(text) - 1
    return False


def _written(formula: Formula, parts: Sequence[str]) -> str:
    text, last = [], 0
    notation = formula.notation
    while last < len(notation):
        start = notation.find("{", last)
        end = notation.find("}", start)
        if start < 0 or end < 0 or not notation[start + 1 : end].isdigit():
            break
        text += [notation[last:start], parts[int(notation[start + 1 : end])]]
        last = end + 1
    return "".join([*text, notation[last:]])


def as_mathml(formula: Formula | str) -> str:
    """The formula as MathML, which browsers draw by themselves: fractions, roots and powers as on paper."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{_row(formula)}</math>'


def _row(formula: Formula | str) -> str:
    if isinstance(formula, str):
        tag = "mn" if formula.lstrip("-")[:1].isdigit() else "mi"
        return f"<{tag}>{escape(clean(formula), quote=True)}</{tag}>"
    rows = [_row(part) for part in formula.parts]
    inside = [
        f"<mrow><mo>(</mo>{row}<mo>)</mo></mrow>" if _grouped(part, as_text(part)) != as_text(part) else row
        for part, row in zip(formula.parts, rows)
    ]
    if formula.name == "divide":
        return f"<mfrac><mrow>{rows[0]}</mrow><mrow>{rows[1]}</mrow></mfrac>"
    if formula.name == "sqrt":
        return f"<msqrt>{rows[0]}</msqrt>"
    if formula.name == "square":
        return f"<msup>{inside[0]}<mn>2</mn></msup>"
    if formula.name == "power":
        return f"<msup>{inside[0]}<mrow>{rows[1]}</mrow></msup>"
    pieces = _written(formula, [f"\0{row}\0" for row in inside]).split("\0")
    texts = [piece if i % 2 else _operators(piece) for i, piece in enumerate(pieces)]
    return f"<mrow>{''.join(texts)}</mrow>"


def _operators(text: str) -> str:
    return f"<mo>{escape(text, quote=True)}</mo>" if text.strip() else ""
