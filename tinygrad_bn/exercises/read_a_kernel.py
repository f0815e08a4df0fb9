"""The check of exercise 10: the kernel's text is run line by line, and answers are compared by their values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..compiler import Compiled
from ..graph import Picture, draw
from ..kinds import Array
from .exercise import demand

ROWS, FEATURES, EPS = 32, 16, 1e-5


def check(work: Any) -> str:
    """Each answer by its value in a run of the text, on other numbers than the ones it was recorded for."""
    source = _compiled(work).source
    passes = len(re.findall(rf"for \(I \w+ = 0; \w+ < {ROWS}; \w+\+\+\)", source))
    demand(
        passes == work.PASSES,
        "PASSES is not the number of times that the kernel runs over all rows",
        got=work.PASSES,
        fix=f"count the loops that run to {ROWS}",
    )
    x, gamma, beta, dy = _numbers(1)
    values = values_of(source, [x, gamma, beta, dy])
    mean, sigma = x.mean(axis=0), np.sqrt(x.var(axis=0) + EPS)
    x_hat = (x - mean) / sigma
    g = dy * gamma
    dx = (g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0)) / sigma
    for name, what, expected in (
        ("MEAN", "the mean of each feature", mean),
        ("SIGMA", "the root of variance + eps", sigma),
        ("CENTERED", "x minus its mean", x - mean),
        ("SCALE", "gamma divided by sigma", gamma / sigma),
        ("Y", "the result", gamma * x_hat + beta),
        ("DX", "the gradient of x", dx),
    ):
        answer = getattr(work, name)
        known = sorted(values, key=lambda name: (name[0], int(name[1:])))
        demand(
            answer in values,
            f"{name}: there is no such name in the kernel",
            got=repr(answer),
            expected=", ".join(known),
        )
        found = np.broadcast_to(values[answer], np.shape(expected)) if np.ndim(expected) == 2 else values[answer]
        right = np.shape(found) == np.shape(expected) and np.allclose(found, expected, rtol=1e-4, atol=1e-4)
        demand(
            right,
            f"{name}: {answer} is not {what}",
            got=f"its first number is {np.ravel(found)[0]:.4f} on the check's numbers",
            expected=f"{np.ravel(expected)[0]:.4f}",
            fix="follow the name back to m0 ... m3, one line at a time",
        )
    return f"{passes} passes, and six names by their values in a run of the text"


def picture(work: Any) -> Picture:
    """The kernel as a graph: the program that the text computes, in its box."""
    compiled = _compiled(work)
    return draw(compiled.stages[-1].program, title="Forward and backward, in one kernel", max_nodes=60)


def values_of(source: str, arguments: list[Array]) -> dict[str, Array]:
    """Every name of a kernel's text with its value: an array of features for ``s...``, of rows and features for ``t...``.

    The text is straight: each line assigns one name, or adds to a sum over rows, so it can be run on whole arrays.
    """
    values = {f"m{i}": np.asarray(argument, float) for i, argument in enumerate(arguments)}
    for target, operator, right in re.findall(r"(?:const \w+ )?\b([mst]\d+)(?:\[[^;=]*\])? (\+?=) ([^;]*);", source):
        if right == "0" or right.startswith("("):  # a sum that starts; an address
            continue
        expression = re.sub(r"([mst]\d+)\[[^\]]*\]", r"\1", right)
        expression = re.sub(r"(?<=[\d.])f\b", "", expression).replace("sqrtf(", "sqrt(")
        value = eval(expression, {"__builtins__": {}, "sqrt": np.sqrt}, values)
        values[target] = np.sum(value, axis=0) if operator == "+=" else value
    return {name: value for name, value in values.items() if name[0] != "m"}


def _compiled(work: Any) -> Compiled:
    compiled = Compiled(work.bn, "c", quiet=True)
    compiled(*_numbers(0))
    return compiled


def _numbers(seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    shapes = ((ROWS, FEATURES), (FEATURES,), (FEATURES,), (ROWS, FEATURES))
    return [rng.normal(1.0, 2.0, shape) for shape in shapes]
