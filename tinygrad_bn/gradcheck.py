"""``gradcheck`` and ``gradgradcheck``: derivative rules against central differences, with a random cotangent.

A random cotangent, because symmetric ones can hide everything: the sum of a batch-normalised output does not depend on
the input at all, so its gradient tests nothing.  At a kink the derivative must lie between the one-sided slopes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .engine import Variable, dtype_of, gradients, no_grad
from .errors import ArgumentError, GradcheckError, explain, unmasked
from .tensor import Tensor


class VanishingGradientWarning(UserWarning):
    """A gradient of zero would have passed too, so agreement proves nothing."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    parameters: Sequence[Variable] = (),
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Whether backward agrees with central differences, element by element.

    Args:
        function: takes the inputs as variables, returns one variable or a tuple of them; must be deterministic.
        inputs: one input or a sequence: float64 arrays, tensors or scalars.  Those that require a gradient are checked;
            raw arrays of floats always are.
        parameters: leaves that the function uses without being given them, such as a layer's weights; checked too.
        eps: half the width of the difference.
        atol: absolute tolerance.
        rtol: relative tolerance.
        seed: of the random cotangent.
        raise_exception: raise on disagreement rather than return False.

    Returns:
        True when all elements agree.

    Raises:
        GradcheckError: lists function, argument, index, got (backward), expected (numerical), worst first.
        ArgumentError: inputs of low precision, nothing to check, or a function that is not deterministic.

    Warns:
        VanishingGradientWarning: the gradient is so small everywhere that zero would pass too.
    """
    name = getattr(function, "__name__", type(function).__name__)
    args = [_as_input(x) for x in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))]
    leaves = [(_label(i, x), x) for i, x in enumerate(args) if isinstance(x, Variable) and x.requires_grad]
    leaves += [(p.name or f"parameter {i}", p) for i, p in enumerate(parameters)]
    _check_inputs(name, leaves)
    rng = np.random.default_rng(seed)
    outputs = _outputs(function, args)
    cotangents = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]

    def loss() -> float:
        return float(sum(np.sum(w * y.data) for w, y in zip(cotangents, _outputs(function, args))))

    base = float(sum(np.sum(w * y.data) for w, y in zip(cotangents, outputs)))
    if not np.isclose(base, loss(), rtol=1e-12, atol=0, equal_nan=True):
        fix = "seed or switch off what is random (dropout), then check"
        raise ArgumentError(explain(f"gradcheck of {name}: two calls gave different results", fix=fix))
    recorded = [(y, w) for y, w in zip(outputs, cotangents) if y.requires_grad]
    variables = [leaf for _, leaf in leaves]
    found: list[Any] = [None] * len(variables)
    if recorded:
        found = gradients([y for y, _ in recorded], variables, [w for _, w in recorded])
    faults: list[tuple[float, str]] = []
    zero_passes = True
    for (label, leaf), gradient in zip(leaves, found):
        got = np.zeros(leaf.shape) if gradient is None else np.asarray(gradient.data)
        for index in np.ndindex(leaf.shape):
            numeric, low, high = _slopes(loss, leaf, index, eps, base)
            value = float(got[index])
            margin = atol + rtol * abs(numeric)
            zero_passes = zero_passes and low - margin <= 0.0 <= high + margin
            if not low - margin <= value <= high + margin:
                expected = f"between {low:.6g} and {high:.6g} (a kink)" if low < high else f"{numeric:.8g}"
                where = f"index {index}" if index else "the value"
                distance = min(abs(value - low), abs(value - high))
                order = -distance if np.isfinite(distance) else -np.inf
                faults.append((order, f"{label}, {where}: got {value:.8g}, expected {expected}"))
    if faults:
        if not raise_exception:
            return False
        faults.sort()
        lines = "".join(f"\n  {text}" for _, text in faults[:8])
        more = f"\n  and {len(faults) - 8} more" if len(faults) > 8 else ""
        fix = (
            "compare the rule with the formula; a factor or a sign shows in the ratio got / expected\n"
            "            no rule of your own: a value left the graph, through .data, .numpy(), float() or np.asarray()"
        )
        if faults[0][0] == -np.inf:
            fix = "the function or its derivative is not finite there; choose another input"
        raise GradcheckError(
            f"gradcheck of {name}: {len(faults)} derivatives disagree with central differences{lines}{more}\n"
            f"  to fix:   {fix}"
        )
    if zero_passes:
        warnings.warn(
            f"gradcheck of {name}: a gradient of zero would pass too, so this proves nothing; check a function whose"
            " gradient is not about 0 there, such as a random combination of the outputs",
            VanishingGradientWarning,
            stacklevel=2,
        )
    return True


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    parameters: Sequence[Variable] = (),
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """As ``gradcheck``, for second derivatives: the gradient, as a function of inputs and cotangents, is checked.

    The gradient itself is taken as given, so run ``gradcheck`` as well.
    """
    args = [_as_input(x) for x in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))]
    positions = [i for i, x in enumerate(args) if isinstance(x, Variable) and x.requires_grad]
    name = getattr(function, "__name__", type(function).__name__)
    _check_inputs(name, [(f"argument {i}", args[i]) for i in positions] + [("parameter", p) for p in parameters])
    rng = np.random.default_rng(seed + 1)
    with no_grad():
        outputs = _outputs(function, args)
    cotangents = [y.kind.wrap(y.to_data(rng.standard_normal(y.shape))).requires_grad_() for y in outputs]
    for i, cotangent in enumerate(cotangents):
        cotangent.name = f"cotangent of result {i}"

    def gradient(*everything: Any) -> tuple[Any, ...]:
        given, weights = everything[: len(args)], everything[len(args) :]
        recorded = [(y, w) for y, w in zip(_outputs(function, given), weights) if y.requires_grad]
        wrt = [given[i] for i in positions] + list(parameters)
        if not recorded:
            return ()
        slopes = gradients([y for y, _ in recorded], wrt, [w for _, w in recorded], create_graph=True)
        return tuple(g for g in slopes if g is not None)

    gradient.__name__ = f"the gradient of {name}"
    return gradcheck(
        gradient, [*args, *cotangents], parameters=parameters, eps=eps, atol=atol, rtol=rtol, seed=seed,
        raise_exception=raise_exception,
    )  # fmt: skip


def _label(position: int, x: Variable) -> str:
    return f"argument {position}" + (f" ({x.name})" if x.name else "")


def _as_input(x: Any) -> Any:
    """Raw floats become leaves to check; everything else is passed on."""
    if isinstance(x, Variable):
        if x.requires_grad and not x.is_leaf:
            return x.detach().requires_grad_()
        return x
    array = np.asarray(unmasked(x, "gradcheck"))
    return Tensor(array, requires_grad=True) if array.dtype.kind == "f" else x


def _check_inputs(name: str, leaves: list[tuple[str, Variable]]) -> None:
    if not leaves:
        raise ArgumentError(
            explain(f"gradcheck of {name}: nothing to check", fix="pass float arrays, or tensors that require grad")
        )
    for label, leaf in leaves:
        if dtype_of(leaf) != np.float64:
            fix = "differences drown in rounding otherwise: pass float64"
            raise ArgumentError(
                explain(f"gradcheck of {name}: {label}", got=f"dtype {leaf.dtype}", expected="float64", fix=fix)
            )


def _outputs(function: Callable[..., Any], args: Sequence[Any]) -> list[Variable]:
    result = function(*args)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    if not all(isinstance(y, Variable) for y in outputs):
        got = ", ".join(type(y).__name__ for y in outputs)
        raise ArgumentError(explain("gradcheck: the function must return variables", got=got))
    return outputs


def _slopes(
    loss: Callable[[], float], leaf: Variable, index: tuple[int, ...], eps: float, base: float
) -> tuple[float, float, float]:
    """Central slope, and the interval the derivative may lie in: a point, or at a kink what the two sides span."""
    original = leaf.data

    def at(step: float) -> float:
        moved = np.array(original, dtype=float)
        moved[index] += step
        leaf.data = moved
        return loss()

    try:
        up, down = at(eps), at(-eps)
        central, right, left = (up - down) / (2 * eps), (up - base) / eps, (base - down) / eps
        gap = abs(right - left)
        if gap > 1e-3 * (1.0 + abs(central)):  # too large for curvature? then it does not shrink with the step
            small = eps / 16
            right, left = (at(small) - base) / small, (base - at(-small)) / small
            if abs(right - left) > 0.5 * gap:
                return central, min(left, right), max(left, right)
        return central, central, central
    finally:
        leaf.data = original
