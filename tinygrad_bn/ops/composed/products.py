"""``matmul`` in all of NumPy's cases, ``dot``, ``outer``, ``tensordot`` and ``einsum``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import ArgumentError, DTypeError, ShapeError, explain
from ...kinds import Value
from .. import primitives
from .axes import as_array, as_value, integers, one_axis, shape_of
from .reductions import sum as sum_over
from .shaping import diagonal, ravel


def matmul(x: Value, y: Value) -> Value:
    """Matrix product, as ``numpy.matmul``: vectors are taken as one row or one column, leading axes broadcast.

    Raises:
        ShapeError: an operand without axes, or sizes that do not match.
    """
    return _matmul(as_array(x), as_array(y), "matmul")


def _matmul(x: Value, y: Value, what: str) -> Value:
    a, b = shape_of(x), shape_of(y)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        fix = "multiply by a single number with *" if not a or not b else "transpose one of them, or check the sizes"
        raise ShapeError(
            explain(
                f"{what}: inner sizes must be equal", got=f"{a} @ {b}", expected="(..., n, k) @ (..., k, m)", fix=fix
            )
        )
    if len(a) == 2 and len(b) == 2:
        return primitives.matmul(x, y)
    if len(a) == 1:
        return _drop(_matmul(primitives.reshape(x, shape=(1, *a)), y, what), -1 if len(b) == 1 else -2)
    if len(b) == 1:
        return _drop(_matmul(x, primitives.reshape(y, shape=(*b, 1)), what), -1)
    if len(b) == 2:  # one product of tall matrices, not a batch of small ones
        flat = primitives.matmul(primitives.reshape(x, shape=(math.prod(a[:-1]), a[-1])), y)
        return primitives.reshape(flat, shape=(*a[:-1], b[-1]))
    return primitives.matmul(x, y)


def _drop(x: Value, axis: int) -> Value:
    shape = list(shape_of(x))
    del shape[axis]
    return primitives.reshape(x, shape=tuple(shape))


def dot(x: Value, y: Value) -> Value:
    """As ``numpy.dot``: product of numbers, inner product, matrix product; last axis of x with second last of y."""
    x, y = as_value(x), as_value(y)
    a, b = len(shape_of(x)), len(shape_of(y))
    if a == 0 or b == 0:
        return primitives.multiply(x, y)
    if b <= 2:
        return _matmul(as_array(x), as_array(y), "dot")
    return _summed_pairs(as_array(x), as_array(y), (a - 1,), (b - 2,), "dot")


def inner(x: Value, y: Value) -> Value:
    """Sum of products over the last axes, as ``numpy.inner``."""
    x, y = as_value(x), as_value(y)
    a, b = len(shape_of(x)), len(shape_of(y))
    if a == 0 or b == 0:
        return primitives.multiply(x, y)
    return _summed_pairs(as_array(x), as_array(y), (a - 1,), (b - 1,), "inner")


def outer(x: Value, y: Value) -> Value:
    """All products of two flattened arrays, as ``numpy.outer``."""
    x, y = ravel(x), ravel(y)
    return primitives.multiply(primitives.reshape(x, shape=(*shape_of(x), 1)), y)


def tensordot(x: Value, y: Value, axes: int | tuple[Any, Any] = 2) -> Value:
    """Sum products over pairs of axes, as ``numpy.tensordot``.

    Args:
        x: an array.
        y: an array.
        axes: how many of the last axes of x meet the first of y, or the axes of x and the axes of y that meet.

    Raises:
        ShapeError: axes that are not there, are named twice, or have different sizes.
        ArgumentError: ``axes`` that are not a pair.
    """
    x, y = as_array(x), as_array(y)
    a, b = len(shape_of(x)), len(shape_of(y))
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(a, b):
            got = f"{axes} axes of {shape_of(x)} and {shape_of(y)}"
            raise ShapeError(explain("tensordot: too many axes to sum", got=got))
        return _summed_pairs(x, y, tuple(range(a - int(axes), a)), tuple(range(int(axes))), "tensordot")
    if not isinstance(axes, (tuple, list)) or len(axes) != 2:
        raise ArgumentError(explain("tensordot: axes of x, and axes of y", got=repr(axes), expected="([1], [0])"))
    left, right = (
        tuple(one_axis(i, n, "tensordot") for i in integers(given, "tensordot")) for given, n in zip(axes, (a, b))
    )
    return _summed_pairs(x, y, left, right, "tensordot")


def _summed_pairs(x: Value, y: Value, left: tuple[int, ...], right: tuple[int, ...], what: str) -> Value:
    """One matrix product, after the axes that are summed have been brought next to each other."""
    a, b = shape_of(x), shape_of(y)
    if [a[i] for i in left] != [b[i] for i in right] or len(set(left)) < len(left) or len(set(right)) < len(right):
        got = f"axes {left} of {a} and {right} of {b}"
        raise ShapeError(explain(f"{what}: paired axes must have equal sizes, none twice", got=got))
    free_a = [i for i in range(len(a)) if i not in left]
    free_b = [i for i in range(len(b)) if i not in right]
    k = math.prod(a[i] for i in left)
    rows, columns = [a[i] for i in free_a], [b[i] for i in free_b]
    flat_x = primitives.reshape(primitives.transpose(x, axes=(*free_a, *left)), shape=(math.prod(rows), k))
    flat_y = primitives.reshape(primitives.transpose(y, axes=(*right, *free_b)), shape=(k, math.prod(columns)))
    return primitives.reshape(primitives.matmul(flat_x, flat_y), shape=(*rows, *columns))


def einsum(subscripts: str, *operands: Value) -> Value:
    """Sum of products over labeled axes, as ``numpy.einsum`` with a subscript string; ``...`` is supported.

    A letter twice in one operand takes its diagonal; a letter in one operand only is summed out first, and so is an axis
    of length 1 that another operand stretches; what is left is one contraction.

    Raises:
        ArgumentError: subscripts that do not say what to compute.
        ShapeError: terms that do not fit the operands.
        DTypeError: subscripts that are not a string.
    """
    arrays = [as_array(operand) for operand in operands]
    terms, output, sizes = _parse(subscripts, [shape_of(a) for a in arrays])
    for i, term in enumerate(terms):
        for letter in dict.fromkeys(term):
            while term.count(letter) > 1:  # the diagonal becomes the last axis
                first = term.index(letter)
                second = term.index(letter, first + 1)
                arrays[i] = diagonal(arrays[i], 0, first, second)
                term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
        stretched = [size != sizes[letter] for letter, size in zip(term, shape_of(arrays[i]))]
        arrays[i], terms[i] = _summed_out(arrays[i], term, stretched)
    for i, term in enumerate(terms):
        elsewhere = output + "".join(terms[:i] + terms[i + 1 :])
        arrays[i], terms[i] = _summed_out(arrays[i], term, [letter not in elsewhere for letter in term])
    if len(arrays) == 1:
        return primitives.transpose(arrays[0], axes=tuple(terms[0].index(letter) for letter in output))
    return primitives.einsum(*arrays, inputs=tuple(terms), output=output)


def _summed_out(array: Value, term: str, chosen: list[bool]) -> tuple[Value, str]:
    """The array summed over the chosen ones of its axes, and the letters that are left."""
    if not any(chosen):
        return array, term
    axes = tuple(axis for axis, out in enumerate(chosen) if out)
    return sum_over(array, axis=axes), "".join(letter for letter, out in zip(term, chosen) if not out)


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str, dict[str, int]]:
    """The terms and the output with ``...`` written out, and the size of each letter, all checked."""
    if not isinstance(subscripts, str):
        got = type(subscripts).__name__
        raise DTypeError(explain("einsum: the subscripts are a string", got=got, expected="such as 'ij,jk->ik'"))
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
        own: dict[str, int] = {}
        for letter, size in zip(term, shape):
            known = sizes.get(letter, 1)
            if own.setdefault(letter, size) != size or (size != known and 1 not in (size, known)):
                got = f"'{letter}' is {own[letter] if own[letter] != size else known} and {size}"
                raise ShapeError(explain(f"einsum: a letter with two sizes in '{subscripts}'", got=got))
            sizes[letter] = size if known == 1 else known
    if len(set(output)) != len(output) or not set(output) <= set(sizes) or (arrow and not set(batch) <= set(output)):
        raise ArgumentError(
            explain(
                f"einsum: bad output in '{subscripts}'",
                got=f"'{output}'",
                expected="letters of the operands, each once, and '...' if they have it",
            )
        )
    return terms, output, sizes
