"""Derivatives from sources that share no code with the library, and the comparison with them.

Three oracles: the complex step (Squire and Trapp 1998, SIAM Review 40(1)), which is exact to rounding for analytic
functions; central differences, for everything else; PyTorch in float64, for values, gradients and second derivatives.
The cotangent is always random and nowhere near 0: a symmetric one can make a wrong gradient look right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bn as tg

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def random_like(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Random numbers between 0.5 and 1.5 in size, of either sign."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def complex_step(function: Function, arrays: Sequence[Array], cotangent: Array, step: float = 1e-30) -> list[Array]:
    """Gradients of ``sum(cotangent * function(*arrays))``; the function must be analytic and take complex ndarrays.

    f(x + ih) = f(x) + ih f'(x) + O(h^2): the imaginary part over h is the derivative, and nothing is subtracted, so
    nothing cancels and h can be tiny.
    """
    found = []
    for position, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            moved = [np.array(a, dtype=complex) for a in arrays]
            moved[position][index] += 1j * step
            gradient[index] = np.sum(cotangent * np.imag(function(*moved))) / step
        found.append(gradient)
    return found


def central_difference(
    function: Function, arrays: Sequence[Array], cotangent: Array, step: float = 1e-6
) -> list[Array]:
    """Gradients of ``sum(cotangent * function(*arrays))`` to about 9 digits; the function takes float ndarrays."""
    found = []
    for position, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            both = []
            for sign in (1.0, -1.0):
                moved = [np.array(a, dtype=float) for a in arrays]
                moved[position][index] += sign * step
                both.append(np.sum(cotangent * np.asarray(function(*moved))))
            gradient[index] = (both[0] - both[1]) / (2.0 * step)
        found.append(gradient)
    return found


class Derivatives(NamedTuple):
    """Of ``y = f(x, ...)`` for a cotangent w and directions v.

    ``second`` are the gradients of ``sum(v * gradients)`` by each x and, last, by w: Hessian times v, and Jacobian
    times v.  So a rule that is right but cannot be differentiated again does not pass.
    """

    value: Array
    gradients: list[Array]
    second: list[Array]


def library_derivatives(function: Function, arrays: Sequence[Array], cotangent: Array) -> Derivatives:
    """What the library says, its rules run on raw arrays (``gradients``) and recorded (``second``).

    Both readings of a rule must give the same gradient; that is asserted here.
    """
    inputs = [tg.Tensor(array, requires_grad=True) for array in arrays]
    weight = tg.Tensor(cotangent, requires_grad=True)
    out = function(*inputs)
    raw = _values(inputs, tg.grad(out, inputs, cotangent, retain_graph=True))
    recorded = tg.grad(out, inputs, weight, create_graph=True)
    for one, other in zip(raw, _values(inputs, recorded)):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-13, err_msg="recorded and raw backward disagree")
    pairs = [(g, random_like(g.shape, 2 + i)) for i, g in enumerate(recorded) if g is not None and g.requires_grad]
    wrt = [*inputs, weight]
    second = tg.grad([g for g, _ in pairs], wrt, [v for _, v in pairs]) if pairs else [None] * len(wrt)
    return Derivatives(out.numpy(), raw, _values(wrt, second))


def torch_derivatives(function: Function, arrays: Sequence[Array], cotangent: Array) -> Derivatives:
    """What PyTorch says, in the dtype of the arrays."""
    import torch

    inputs = [torch.tensor(np.array(array), requires_grad=True) for array in arrays]
    weight = torch.tensor(np.array(cotangent), requires_grad=True)
    out = function(*inputs)
    found = torch.autograd.grad(out, inputs, weight, create_graph=True, allow_unused=True)
    pairs = [
        (g, torch.tensor(np.array(random_like(tuple(g.shape), 2 + i))))
        for i, g in enumerate(found)
        if g is not None and g.requires_grad
    ]
    wrt = [*inputs, weight]
    second: Any = [None] * len(wrt)
    if pairs:
        second = torch.autograd.grad([g for g, _ in pairs], wrt, [v for _, v in pairs], allow_unused=True)

    def arrays_of(gradients: Any, variables: Any) -> list[Array]:
        zeros = [np.zeros(tuple(v.shape)) for v in variables]
        return [z if g is None else g.detach().numpy(force=True) for g, z in zip(gradients, zeros)]

    return Derivatives(out.detach().numpy(), arrays_of(found, inputs), arrays_of(second, wrt))


def assert_same_derivatives(got: Derivatives, expected: Derivatives, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    """Value, each gradient and each second derivative: the same shapes, and close."""
    names = [f"gradient {i}" for i in range(len(expected.gradients))]
    names += [f"second derivative {i}" for i in range(len(expected.gradients))] + ["second derivative by the cotangent"]
    pairs = zip(names, [*got.gradients, *got.second], [*expected.gradients, *expected.second])
    for name, one, other in [("value", got.value, expected.value), *pairs]:
        assert one.shape == other.shape, f"{name}: shape {one.shape}, expected {other.shape}"
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol, err_msg=name)


def compare_with_torch(ours: Function, theirs: Function, arrays: Sequence[Array], rtol: float = 1e-10) -> None:
    """Value, gradients and second derivatives of ``ours`` against ``theirs``, for a random cotangent."""
    arrays = [np.asarray(array, dtype=float) for array in arrays]
    cotangent = random_like(np.shape(np.asarray(ours(*arrays))), 1)
    expected = torch_derivatives(theirs, arrays, cotangent)
    assert_same_derivatives(library_derivatives(ours, arrays, cotangent), expected, rtol)


def compare_with_complex_step(function: Function, arrays: Sequence[Array], rtol: float = 1e-10) -> None:
    """The gradients of an analytic function against the complex step through the same function on raw arrays."""
    arrays = [np.asarray(array, dtype=float) for array in arrays]
    cotangent = random_like(np.shape(np.asarray(function(*arrays))), 1)
    inputs = [tg.Tensor(array, requires_grad=True) for array in arrays]
    found = _values(inputs, tg.grad(function(*inputs), inputs, cotangent))
    for i, (got, expected) in enumerate(zip(found, complex_step(function, arrays, cotangent))):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-12, err_msg=f"gradient {i}")


def _values(variables: Sequence[Any], gradients: Sequence[Any]) -> list[Array]:
    zeros = [np.zeros(v.shape) for v in variables]
    return [z if g is None else g.numpy() for g, z in zip(gradients, zeros)]
