"""Samples for a primitive: what they are made of, copied, laid out and varied."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..engine import Primitive, Variable
from ..errors import ArgumentError, explain
from ..kinds import Array, Shape
from ..tensor import Tensor
from .report import CheckError

Sample = tuple[Any, ...]
MOST = 20  # samples that are taken from a generator


def samples_of(name: str, given: Any, seed: int) -> list[Sample]:
    """The samples as a list: given as one, by a generator, or by a function of a random generator.

    Raises:
        ArgumentError: there is none, or one without a floating-point number.
    """
    made = given(np.random.default_rng(seed)) if callable(given) else given
    listed = list(itertools.islice(made, MOST)) if isinstance(made, Iterator) else made
    if not isinstance(listed, (list, tuple)) or not listed:
        fix = (
            "check_primitive(p, [(x, y)]) for two arguments, [x] for one, or a function of a generator that yields them"
        )
        raise ArgumentError(explain(f"check_primitive of {name}: a list of samples", got=given, fix=fix))
    samples = [_sample(sample) for sample in listed]
    for sample in samples:
        if not any(is_float(x) for x in sample):
            got = ", ".join(type(x).__name__ for x in sample)
            raise ArgumentError(explain(f"check_primitive of {name}: nothing to differentiate", got=got))
    return samples


def _sample(sample: Any) -> Sample:
    args = sample if isinstance(sample, tuple) else (sample,)
    return tuple(_float64(x.numpy() if isinstance(x, Variable) else x) for x in args)


def _float64(x: Any) -> Any:
    array = np.asarray(x)
    return array.astype(np.float64) if array.dtype.kind == "f" else x


def is_float(x: Any) -> bool:
    """Whether it is an array of floating-point numbers."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def copies(sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """Fresh arrays that can be written to."""
    return [np.array(x, dtype if is_float(x) else None) if isinstance(x, np.ndarray) else x for x in sample]


def random_like(shape: Shape, rng: np.random.Generator) -> Array:
    """Between 0.5 and 1.5 in size, of either sign."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def rules(primitive: Primitive, sample: Sample) -> Iterator[tuple[int, Callable[..., Any]]]:
    """The rules of those arguments that can have a gradient."""
    for i, x in enumerate(sample):
        rule = primitive.vjp(i)
        if rule is not None and is_float(x):
            yield i, rule


def called(primitive: Primitive, sample: Sample, params: dict[str, Any]) -> tuple[list[Any], Array]:
    """Fresh arguments and the result."""
    args = copies(sample)
    return args, np.array(primitive(*args, **params))


def function_of(primitive: Primitive, params: dict[str, Any]) -> Callable[..., Any]:
    """The primitive with its parameters, under its name."""

    def function(*args: Any) -> Any:
        return primitive(*args, **params)

    function.__name__ = primitive.name
    return function


def leaves_of(primitive: Primitive, sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """Arguments with a rule as leaves, the others as constants, as ``None`` in place of a rule means."""
    with_rule = {i for i, _ in rules(primitive, sample)}
    return [Tensor(x, requires_grad=i in with_rule, dtype=dtype) if is_float(x) else x for i, x in enumerate(sample)]


def failed(what: str, got: object, expected: object, fix: str) -> CheckError:
    """What a check raises."""
    return CheckError(explain(what, got=got, expected=expected, fix=fix))


def few(array: Any) -> str:
    """The first numbers of an array."""
    shown = ", ".join(f"{x:.6g}" for x in np.ravel(array)[:4])
    return f"[{shown}{', ...' if np.size(array) > 4 else ''}]"
