"""The oracles against closed forms, and each of them seen to fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles import (
    central_difference,
    compare_with_complex_step,
    compare_with_torch,
    complex_step,
    library_derivatives,
    random_like,
    torch_derivatives,
)

X, Y = np.array([[0.3, -1.2, 0.7]]), np.array([[1.1], [0.4]])


def function(x: Any, y: Any) -> Any:
    return x * x * y + np.sin(x)


def closed_form(w: Any) -> tuple[Any, Any]:
    """Gradients of sum(w * function(X, Y)), by hand."""
    return (w * (2 * X * Y + np.cos(X))).sum(0, keepdims=True), (w * X * X).sum(1, keepdims=True)


def test_random_cotangents_are_random_and_nowhere_small() -> None:
    w = random_like((200,))
    assert np.abs(w).min() >= 0.5
    assert (w > 0).any()
    assert (w < 0).any()
    assert not np.array_equal(w, random_like((200,), 1))


@pytest.mark.parametrize(("oracle", "rtol"), [(complex_step, 1e-14), (central_difference, 1e-8)])
def test_numerical_gradients_are_those_of_the_closed_form(oracle: Any, rtol: float) -> None:
    w = random_like((2, 3))
    for got, expected in zip(oracle(function, [X, Y], w), closed_form(w)):
        np.testing.assert_allclose(got, expected, rtol=rtol)


def test_all_first_and_second_derivatives_are_those_of_the_closed_form() -> None:
    w, v = random_like((2, 3)), [random_like((1, 3), 2), random_like((2, 1), 3)]
    by_x = (w * (2 * Y - np.sin(X))).sum(0, keepdims=True) * v[0] + (w * 2 * X * v[1]).sum(0, keepdims=True)
    by_y = (w * 2 * X * v[0]).sum(1, keepdims=True)
    by_w = (2 * X * Y + np.cos(X)) * v[0] + X * X * v[1]
    for found in (
        library_derivatives(function, [X, Y], w),
        torch_derivatives(lambda x, y: x * x * y + torch.sin(x), [X, Y], w),
    ):
        np.testing.assert_allclose(found.value, function(X, Y), rtol=1e-14)
        for got, expected in zip([*found.gradients, *found.second], [*closed_form(w), by_x, by_y, by_w]):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


def theirs(x: Any, y: Any) -> Any:
    return x * x * y + torch.sin(x)


def test_comparison_passes_what_is_right() -> None:
    compare_with_torch(function, theirs, [X, Y])
    compare_with_complex_step(function, [X, Y])


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda x, y: theirs(x, y) * (1 + 1e-9), "value"),
        (lambda x, y: theirs(x, y) + (theirs(x, y) - theirs(x, y).detach()) * 1e-9, "gradient 0"),
        (lambda x, y: theirs(x, y) + (y - y.detach()) * 1e-9, "gradient 1"),
        (lambda x, y: theirs(x, y) + 1e-9 * (x - x.detach()) ** 2, "second derivative 0"),
        (lambda x, y: theirs(x, y) + 1e-9 * (y - y.detach()) ** 2, "second derivative 1"),
        (lambda x, y: theirs(x, y)[None], "value: shape"),
    ],
    ids=["value", "all gradients", "one gradient", "second by x", "second by y", "shape"],
)
def test_comparison_with_torch_fails_for_what_is_wrong(wrong: Any, complaint: str) -> None:
    if complaint == "value: shape":
        with pytest.raises((AssertionError, RuntimeError)):
            compare_with_torch(function, wrong, [X, Y])
        return
    with pytest.raises(AssertionError, match=complaint):
        compare_with_torch(function, wrong, [X, Y])
