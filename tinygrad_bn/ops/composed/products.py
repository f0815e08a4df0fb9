"""``matmul`` in all of NumPy's cases, ``dot``, ``outer``, ``tensordot`` and ``einsum``, and clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...engine.errors import ArgumentError, ShapeError, explain
from ..primitives.arithmetic import multiply
from ..primitives.linalg import contract, matrix_multiply
from ..primitives.shape import permute, reshape_to
from .axes import as_value, one_axis, shape_of
from .reductions import sum as sum_over
from .shaping import diagonal, moveaxis, reshape


def matmul(x: Any, y: Any) -> Any:
    """Matrix product, as ``numpy.matmul``: vectors are taken as one row or one column, leading axes broadcast.

    Raises:
        ShapeError: an operand without axes, or sizes that do not match.
    """
    x, y = as_value(x), as_value(y)
    a, b = shape_of(x), shape_of(y)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        fix = "multiply by a single number with *" if not a or not b else "transpose one of them, or check the sizes"
        raise ShapeError(
            explain(
                "matmul: inner sizes must be equal", got=f"{a} @ {b}", expected="(..., n, k) @ (..., k, m)", fix=fix
            )
        )
    if len(a) == 2 and len(b) == 2:
        return matrix_multiply(x, y)
    if len(a) == 1:
        return _drop(matmul(reshape_to(x, shape=(1, *a)), y), -1 if len(b) == 1 else -2)
    if len(b) == 1:
        return _drop(matmul(x, reshape_to(y, shape=(*b, 1))), -1)
    if len(b) == 2:  # one product of tall matrices, not a batch of small ones
        flat = matrix_multiply(reshape_to(x, shape=(math.prod(a[:-1]), a[-1])), y)
        return reshape_to(flat, shape=(*a[:-1], b[-1]))
    return matrix_multiply(x, y)


def _drop(x: Any, axis: int) -> Any:
    shape = list(shape_of(x))
    del shape[axis]
    return reshape_to(x, shape=tuple(shape))


def dot(x: Any, y: Any) -> Any:
    """As ``numpy.dot``: product of numbers, inner product, matrix product; last axis of x with second last of y."""
    x, y = as_value(x), as_value(y)
    a, b = len(shape_of(x)), len(shape_of(y))
    if a == 0 or b == 0:
        return multiply(x, y)
    if b <= 2:
        return matmul(x, y)
    return tensordot(x, y, ([-1], [-2]))


def outer(x: Any, y: Any) -> Any:
    """All products of two flattened arrays, as ``numpy.outer``."""
    x, y = as_value(x), as_value(y)
    return multiply(reshape(x, (math.prod(shape_of(x)), 1)), reshape(y, (1, math.prod(shape_of(y)))))


def tensordot(x: Any, y: Any, axes: int | tuple[Any, Any] = 2) -> Any:
    """Sum products over pairs of axes, as ``numpy.tensordot``."""
    x, y = as_value(x), as_value(y)
    a, b = shape_of(x), shape_of(y)
    if isinstance(axes, int):
        if not 0 <= axes <= min(len(a), len(b)):
            raise ShapeError(explain("tensordot: too many axes to sum", got=f"{axes} axes of {a} and {b}"))
        left, right = list(range(len(a) - axes, len(a))), list(range(axes))
    else:
        left, right = ([one_axis(i, len(s), "tensordot") for i in _listed(given)] for given, s in zip(axes, (a, b)))
    if [a[i] for i in left] != [b[i] for i in right]:
        raise ShapeError(explain("tensordot: paired axes must have equal sizes", got=f"axes {axes} of {a} and {b}"))
    free_a = [i for i in range(len(a)) if i not in left]
    free_b = [i for i in range(len(b)) if i not in right]
    k = math.prod(a[i] for i in left)
    rows, columns = [a[i] for i in free_a], [b[i] for i in free_b]
    flat_x = reshape_to(permute(x, axes=(*free_a, *left)), shape=(math.prod(rows), k))
    flat_y = reshape_to(permute(y, axes=(*right, *free_b)), shape=(k, math.prod(columns)))
    return reshape_to(matrix_multiply(flat_x, flat_y), shape=(*rows, *columns))


def _listed(value: int | Sequence[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products over labelled axes, as ``numpy.einsum`` with a subscript string; ``...`` is supported.

    A letter twice in one operand takes its diagonal; a letter in one operand only is summed out first; what is left
    is one contraction.
    """
    arrays = [as_value(operand) for operand in operands]
    terms, output = _parse(subscripts, [shape_of(a) for a in arrays])
    for i, term in enumerate(terms):
        for letter in dict.fromkeys(term):
            while term.count(letter) > 1:  # the diagonal becomes the last axis
                first = term.index(letter)
                second = term.index(letter, first + 1)
                arrays[i] = diagonal(arrays[i], 0, first, second)
                term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
        elsewhere = output + "".join(terms[:i] + terms[i + 1 :])
        alone = tuple(axis for axis, letter in enumerate(term) if letter not in elsewhere)
        if alone:
            arrays[i] = sum_over(arrays[i], axis=alone)
        terms[i] = "".join(letter for letter in term if letter in elsewhere)
    if len(arrays) == 1:
        return permute(arrays[0], axes=tuple(terms[0].index(letter) for letter in output))
    return contract(*arrays, inputs=tuple(terms), output=output)


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The terms and the output with ``...`` written out, and everything checked."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ArgumentError(
            explain("einsum: one term per operand", got=f"{len(terms)} terms in '{subscripts}', {len(shapes)} operands")
        )
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    extra = [len(shape) - len(term.replace("...", "")) if "..." in term else 0 for term, shape in zip(terms, shapes)]
    batch = "".join(spare[: max(0, *extra)] if extra else "")
    terms = [term.replace("...", batch[len(batch) - n :] if n > 0 else "") for term, n in zip(terms, extra)]
    if arrow:
        output = output.replace("...", batch)
    else:
        letters = "".join(terms)
        output = batch + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in batch))
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes):
        if len(term) != len(shape) or not (term.isalpha() or not term):
            raise ShapeError(explain(f"einsum: '{subscripts}' does not fit", got=f"term '{term}' for shape {shape}"))
        for letter, size in zip(term, shape):
            if sizes.setdefault(letter, size) != size:
                got = f"'{letter}' is {sizes[letter]} and {size}"
                raise ShapeError(explain(f"einsum: a letter with two sizes in '{subscripts}'", got=got))
    if len(set(output)) != len(output) or not set(output) <= set(sizes):
        raise ArgumentError(
            explain(
                f"einsum: bad output in '{subscripts}'",
                got=f"'{output}'",
                expected="letters of the operands, each once",
            )
        )
    return terms, output


__all__ = ["dot", "einsum", "matmul", "moveaxis", "outer", "tensordot"]
