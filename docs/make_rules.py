"""Fills the table of all rules in ``docs/engine.md``: ``python docs/make_rules.py``.

Each formula is read off the rule itself (``graph.rules``), so the table cannot differ from what runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_bn import ops
from tinygrad_bn.engine import Primitive
from tinygrad_bn.files import write_whole
from tinygrad_bn.graph.rules import as_text, rule_formula
from tinygrad_bn.graph.tracing import filled
from tinygrad_bn.ops.primitives import TABLE, factor

PAGE = Path(__file__).with_name("engine.md")
START, END = "<!-- rules: written by docs/make_rules.py -->", "<!-- end rules -->"

A, B = np.array([[0.25, 0.5, 0.75], [0.125, 0.375, 0.625]]), np.array([[0.5, 0.75, 0.25], [0.875, 0.625, 0.375]])
SQUARE = np.array([[2.0, 0.5], [0.5, 3.0]])
FIRST = np.array([[0], [1]])
WINDOW = {"window": (2, 2), "stride": (1, 1), "dilation": (1, 1)}

# What the table shows of a primitive that does not take one or two arrays of one shape: arguments, and parameters.
EXAMPLES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "power_constant": ([A], {"exponent": 3}),
    "where": ([A > 0.4, A, B], {}),
    "clip": ([A, A - 0.1, A + 0.1], {}),
    "matmul": ([A, B.T], {}),
    "einsum": ([A, B], {"inputs": ("ij", "ij"), "output": "i"}),
    "cumsum": ([A], {"axis": 0, "reverse": False}),
    "reshape": ([A], {"shape": (6,)}),
    "transpose": ([A], {"axes": (1, 0)}),
    "concatenate": ([A, B], {"axis": 0}),
    "take_slice": ([A], {"index": (0,)}),
    "put_slice": ([A[0]], {"index": (0,), "shape": (2, 3)}),
    "gather": ([A, FIRST[:, 0]], {"pattern": ("array",)}),
    "scatter_add": ([A, FIRST[:, 0]], {"pattern": ("array",), "shape": (3, 3)}),
    "take_along_axis": ([A, FIRST], {"axis": 1}),
    "add_along_axis": ([A[:, :1], FIRST], {"axis": 1, "shape": (2, 3)}),
    "checked_index": ([FIRST[:, 0]], {"count": 3, "ignore_index": -100, "some": True, "what": "loss"}),
    "checked_range": ([A], {"low": 0.0, "high": 1.0, "what": "loss", "fix": ""}),
    "sliding_window": ([np.ones((1, 4, 4)) * SQUARE[0, 1]], WINDOW),
    "overlap_add": ([np.ones((1, 3, 3, 2, 2)) * SQUARE[0, 1]], {**WINDOW, "shape": (1, 4, 4)}),
    "broadcast_to": ([A], {"shape": (4, 2, 3)}),
    "sum_to": ([A], {"shape": (3,)}),
    "astype": ([A], {"dtype": "float32"}),
    "solve": ([SQUARE, SQUARE], {}),
    "take_diagonal": ([SQUARE], {"offset": 0}),
    "put_diagonal": ([SQUARE[0]], {"offset": 0, "shape": (2, 2)}),
    **{name: ([SQUARE], {"k": 0}) for name in ("tril", "triu")},
    **{name: ([SQUARE], {}) for name in ("logabsdet", "eigenvectors")},
    **{name: ([A], {"axis": (0,), "keepdims": True}) for name in ("sum", "mean", "max", "min")},
    **{name: ([A], {"axis": 0, "keepdims": False}) for name in ("argmax", "argmin")},
}


def example(primitive: Primitive) -> tuple[list[Any], dict[str, Any]]:
    """Arguments and parameters that a primitive takes."""
    known = EXAMPLES.get(primitive.name)
    if known is not None:
        return known
    matrices = primitive.name in vars(ops.linalg) or primitive.name in vars(factor)
    return ([SQUARE, SQUARE] if matrices else [A, B])[: len(primitive.vjps)], {}


def rows() -> list[tuple[str, str, list[str]]]:
    """For each primitive with a derivative its name, its result, and the rule for each argument that has one."""
    found = []
    for name, primitive in TABLE.items():
        args, params = example(primitive)
        rules = [rule_formula(primitive, i, args, params) for i in range(len(args))]
        forward = filled(primitive.notation, params) or name
        for i, letter in enumerate("abc"):
            forward = forward.replace(f"{{{i}}}", letter)
        if any(rule is not None for rule in rules):
            found.append((name, forward, ["" if rule is None else as_text(rule) for rule in rules]))
    return found


def table() -> str:
    """The table as text: a row per primitive; those without a derivative in one sentence below it."""
    lines = [("primitive", "y", "what each argument receives")]
    lines += [(name, forward, "  |  ".join(rule or "-" for rule in rules)) for name, forward, rules in rows()]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    body = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
    shown = {line[0] for line in lines}
    without = ", ".join(name for name in TABLE if name not in shown)
    remark = "<!-- not checked: written by a program, which a test compares with this page -->"
    return f"{remark}\n```text\n{body}\n```\n\nWithout a derivative: {without}."


def page(text: str) -> str:
    """A page with its table written anew."""
    before, rest = text.split(START)
    return f"{before}{START}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    write_whole(PAGE, page(PAGE.read_text(encoding="utf-8")).encode())
