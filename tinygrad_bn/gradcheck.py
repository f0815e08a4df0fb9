"""``gradcheck`` and ``gradgradcheck``: derivative rules against central differences, with a random cotangent.

A random cotangent, because symmetric ones can hide everything: the sum of a batch-normalized output does not depend on
the input at all, so its gradient tests nothing.  At a kink the derivative must lie between the one-sided slopes.

The step is proportional to the size of x: 1e-6 is too small for 1e8, and far too large for 1e-8.  Where one step does not do,
many are tried, and the slope is taken where neighboring steps agree best.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .engine import Variable, dtype_of, gradients, no_grad
from .errors import ArgumentError, GradcheckError, explain, native
from .kinds import Raw, Value
from .random import generator
from .tensor import Tensor

ROUNDING = 4.0  # units in the last place by which a result may well be off
FACTORS = 10.0 ** np.arange(3, -17, -1)  # steps to try, as multiples of the first one


Point = tuple[float, list[Any]]  # where an element stood, and what the results were (each in its own dtype)


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
        eps: half the width of the difference that is tried first, relative to the element where that exceeds 1.
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
    name, args = _name(function), _as_inputs(inputs)
    leaves = [(_label(i, x), x) for i, x in enumerate(args) if isinstance(x, Variable) and x.requires_grad]
    leaves += [(p.name or f"parameter {i}", p) for i, p in enumerate(parameters)]
    _check_inputs(name, leaves)
    rng = np.random.default_rng(seed)
    drawn = generator().bit_generator.state
    outputs = _outputs(function, args)
    draws = generator().bit_generator.state != drawn
    cotangents = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]

    def values() -> list[Raw]:
        return [np.asarray(y.data) for y in _outputs(function, args)]

    base = [np.array(y.data) for y in outputs]
    if not all(np.allclose(a, b, rtol=1e-12, atol=0, equal_nan=True) for a, b in zip(base, values())):
        raise _not_deterministic(name, draws)
    variables = [leaf for _, leaf in leaves]
    found = _gradients(outputs, cotangents, variables)
    faults: list[tuple[float, str]] = []
    zero_passes, hidden = True, 0
    for (label, leaf), gradient in zip(leaves, found):
        got = np.zeros(leaf.shape) if gradient is None else np.asarray(gradient.data)
        for index in np.ndindex(leaf.shape):
            value = float(got[index])
            numeric, low, high, noise = _slopes(values, cotangents, leaf, index, eps, base, value, (atol, rtol))
            margin = atol + rtol * abs(numeric)
            passes = low - margin - noise <= 0.0 <= high + margin + noise
            zero_passes = zero_passes and passes
            hidden += passes and noise > margin
            margin += noise
            if not low - margin <= value <= high + margin:
                expected = f"between {low:.6g} and {high:.6g} (a kink)" if low < high else f"{numeric:.8g}"
                where = f"index {index}" if index else "the value"
                distance = min(abs(value - low), abs(value - high))
                order = -distance if np.isfinite(distance) else -np.inf
                faults.append((order, f"{label}, {where}: got {value:.8g}, expected {expected}"))
    if faults:
        if not raise_exception:
            return False
        raise _disagreement(name, faults)
    if zero_passes or hidden:
        said = _proves_nothing(hidden, sum(leaf.size for leaf in variables))
        warnings.warn(f"gradcheck of {name}: {said}", VanishingGradientWarning, stacklevel=2)
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
    name, args = _name(function), _as_inputs(inputs)
    positions = [i for i, x in enumerate(args) if isinstance(x, Variable) and x.requires_grad]
    _check_inputs(name, [(f"argument {i}", args[i]) for i in positions] + [("parameter", p) for p in parameters])
    rng = np.random.default_rng(seed + 1)
    with no_grad():
        outputs = _outputs(function, args)
    cotangents = [y.kind.wrap(y.to_data(rng.standard_normal(y.shape))).requires_grad_() for y in outputs]
    for i, cotangent in enumerate(cotangents):
        cotangent.name = f"cotangent of result {i}"

    def gradient(*everything: Any) -> tuple[Any, ...]:
        given, weights = everything[: len(args)], everything[len(args) :]
        wrt = [given[i] for i in positions] + list(parameters)
        slopes = _gradients(_outputs(function, given), weights, wrt, create_graph=True)
        return tuple(g for g in slopes if g is not None)

    gradient.__name__ = f"the gradient of {name}"
    return gradcheck(
        gradient, [*args, *cotangents], parameters=parameters, eps=eps, atol=atol, rtol=rtol, seed=seed,
        raise_exception=raise_exception,
    )  # fmt: skip


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _label(position: int, x: Variable) -> str:
    return f"argument {position}" + (f" ({x.name})" if x.name else "")


def _as_inputs(inputs: Any) -> list[Any]:
    """Raw floats become leaves to check; everything else is passed on."""

    def as_input(x: Any) -> Any:
        if isinstance(x, Variable):
            return x.detach().requires_grad_() if x.requires_grad and not x.is_leaf else x
        array = np.asarray(native(x, "gradcheck"))
        return Tensor(array, requires_grad=True) if array.dtype.kind == "f" else x

    return [as_input(x) for x in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))]


def _check_inputs(name: str, leaves: list[tuple[str, Variable]]) -> None:
    if not leaves:
        raise ArgumentError(
            explain(f"gradcheck of {name}: nothing to check", fix="pass float arrays, or tensors that require grad")
        )
    for label, leaf in leaves:
        if dtype_of(leaf) != np.float64:
            fix = "use float64: in lower precision rounding swamps the differences"
            raise ArgumentError(
                explain(f"gradcheck of {name}: {label}", got=f"dtype {leaf.dtype}", expected="float64", fix=fix)
            )


def _outputs(function: Callable[..., Any], args: Sequence[Value]) -> list[Variable]:
    result = function(*args)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    if not all(isinstance(y, Variable) for y in outputs):
        got = ", ".join(type(y).__name__ for y in outputs)
        raise ArgumentError(explain("gradcheck: the function must return variables", got=got))
    return outputs


def _gradients(
    outputs: Sequence[Variable], cotangents: Sequence[Any], wrt: list[Variable], create_graph: bool = False
) -> list[Any]:
    """What backward says, from those outputs that depend on something."""
    recorded = [(y, w) for y, w in zip(outputs, cotangents) if y.requires_grad]
    if not recorded:
        return [None] * len(wrt)
    return gradients([y for y, _ in recorded], wrt, [w for _, w in recorded], create_graph=create_graph)


def _not_deterministic(name: str, draws: bool) -> ArgumentError:
    """Why two calls gave different results: the library's generator was drawn from, or something else."""
    fix = "it draws random numbers (dropout): seed the generator inside it, or switch it to evaluation, then check"
    if not draws:
        fix = (
            "it keeps state from call to call: put that back at its start; or it draws from a generator of its own:"
            " seed or switch off what is random"
        )
    return ArgumentError(explain(f"gradcheck of {name}: two calls gave different results", fix=fix))


def _disagreement(name: str, faults: list[tuple[float, str]]) -> GradcheckError:
    """What differs, the worst first."""
    faults.sort()
    lines = "".join(f"\n  {text}" for _, text in faults[:8])
    more = f"\n  and {len(faults) - 8} more" if len(faults) > 8 else ""
    fix = (
        "compare the rule with the formula; a factor or a sign shows in the ratio got / expected\n"
        "            no rule of your own: a value left the graph, through .data, .numpy(), float() or np.asarray()"
    )
    if faults[0][0] == -np.inf:
        fix = "the function or its derivative is not finite there; choose another input"
    return GradcheckError(
        f"gradcheck of {name}: {len(faults)} derivatives disagree with central differences{lines}{more}\n"
        f"  to fix:   {fix}"
    )


def _proves_nothing(hidden: int, derivatives: int) -> str:
    """Why agreement says nothing: all is about 0, or ``hidden`` of the derivatives are below rounding."""
    if hidden:
        return (
            f"{hidden} of {derivatives} derivatives are smaller than what rounding does to a difference of the results,"
            " so a gradient of zero would pass there; choose inputs of similar size"
        )
    return (
        "a gradient of zero would pass too, so this proves nothing; check a function whose gradient is not about 0"
        " there, such as a random combination of the outputs"
    )


class Slope(NamedTuple):
    """A central difference; the interval the derivative may lie in, which is a point but at a kink; its uncertainty."""

    central: float
    low: float
    high: float
    noise: float


def _slopes(
    values: Callable[[], list[Raw]], cotangents: Sequence[Raw], leaf: Variable, index: tuple[int, ...], eps: float,
    base: list[Raw], expected: float, tolerance: tuple[float, float],
) -> Slope:  # fmt: skip
    """The slope of the results, weighted with the cotangents, along one element."""
    original = leaf.data
    x = float(np.asarray(original)[index])

    def at(step: float) -> Point:
        moved = np.array(original, dtype=float)
        moved[index] += step
        leaf.data = moved
        return float(moved[index]), values()

    def between(one: Point, other: Point) -> tuple[float, float]:
        return _quotient(one, other, cotangents)

    step = eps * max(1.0, abs(x))
    try:
        with np.errstate(all="ignore"):
            here = (x, base)
            up, down = at(step), at(-step)
            middle, noise = between(up, down)
            right, left = between(up, here)[0], between(here, down)[0]
            gap = abs(right - left)
            if gap > 1e-3 * (1.0 + abs(middle)) + 4.0 * noise:  # curvature shrinks with the step, a kink does not
                small = step / 16
                right, left = between(at(small), here)[0], between(here, at(-small))[0]
                beside = 0.0 < abs(x) < 2.0 * step  # a kink at 0 is not a kink at x
                if abs(right - left) > 0.5 * gap and not beside:
                    return Slope(middle, min(left, right), max(left, right), 0.0)
            margin = tolerance[0] + tolerance[1] * abs(middle)
            if not (abs(middle - expected) <= margin and noise <= margin):
                middle, noise = steadiest(at, cotangents, eps, x, tolerance)
            return Slope(middle, middle, middle, noise)
    finally:
        leaf.data = original


def _quotient(up: Point, down: Point, cotangents: Sequence[Raw], moved: Sequence[Raw] = ()) -> tuple[float, float]:
    """The weighted difference over the width, and what rounding of the results may have done to it.

    Each result is subtracted from itself before any are added: beside 1e16 a change of 1 would not be seen.  Results
    that the element does not move are not rounded differently either; ``moved`` tells which they are, if known.
    """
    width = up[0] - down[0]
    if width == 0.0:
        return np.nan, np.nan
    total = noise = 0.0
    for i, (one, other, w) in enumerate(zip(up[1], down[1], cotangents)):
        here = moved[i] if moved else one != other
        unit = float(np.finfo(one.dtype).eps) if one.dtype.kind == "f" else 0.0
        a, b, weights = one[here].astype(float), other[here].astype(float), w[here]
        total += float(np.sum(weights * (a - b)))
        noise += float(np.sum(np.abs(weights) * (np.abs(a) + np.abs(b)))) * ROUNDING / 2 * unit
    return total / width, noise / abs(width)


def steadiest(
    at: Callable[[float], Point], cotangents: Sequence[Raw], eps: float, x: float, tolerance: tuple[float, float]
) -> tuple[float, float]:
    """The central difference with the smallest steps that agree with each other; and how much it may be off.

    Large steps see curvature, small ones rounding.  In between there is a plateau, wherever that is for this x.

    Args:
        at: from a step, where the element then stands and the results there.
        cotangents: the weights of the results.
        eps: the usual step for an element of size 1.
        x: the point.  Steps that it would swallow are left out; those of its own size are tried as well.
        tolerance: absolute and relative, of what counts as agreeing.
    """
    size = abs(x)
    tries = [eps * max(1.0, size) * FACTORS]
    if 0.0 < size < 1.0:
        tries.append(eps * size * FACTORS[:7])
    steps = [h for h in np.unique(np.concatenate(tries)) if h > 2.0 * np.spacing(size)]
    if not steps:
        return np.nan, 0.0
    pairs = [(at(h), at(-h)) for h in steps]
    moved = [np.any([up[1][i] != down[1][i] for up, down in pairs], axis=0) for i in range(len(cotangents))]
    if not any(mask.any() for mask in moved):  # it has no influence, or one below the last digit of the results
        last = sum(
            float(np.sum(np.abs(w) * np.spacing(np.abs(y.astype(float))))) for w, y in zip(cotangents, pairs[-1][0][1])
        )
        return 0.0, last / steps[-1]
    tried = [_quotient(up, down, cotangents, moved) for up, down in pairs]
    best = (np.nan, np.inf, np.inf)
    for smaller, (slope, noise), larger in zip(tried, tried[1:], tried[2:]):
        # Curvature grows with the square of the step, so what the larger one differs by is far more than this one errs.
        error = noise + max(abs(slope - smaller[0]), abs(slope - larger[0]) / 10.0)
        share = error / (tolerance[0] + tolerance[1] * abs(slope))
        if best[2] <= 1.0 and not share < best[2]:  # the best of the first plateau
            break
        if share < best[2]:
            best = slope, error, share
    return best[:2] if np.isfinite(best[1]) else (np.nan, 0.0)
