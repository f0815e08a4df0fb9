"""``check_primitive``: the contract of a primitive and its rules, and whether the rules are right."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from ..engine import Primitive, Variable, dtype_of, gradients, no_grad
from ..engine.contract import not_widened
from ..engine.primitive import WEAK_SCALARS
from ..engine.unbroadcast import unbroadcast
from ..errors import ArgumentError, explain
from ..gradcheck import VanishingGradientWarning, gradcheck, gradgradcheck, steadiest
from ..kinds import Array
from ..tensor import Scalar, Tensor
from . import touched
from .places import largest
from .primitive_variations import (
    constants,
    cotangent_size,
    elementwise,
    float32_values,
    independent,
    keeps_nothing,
    memory_order,
    one_and_none,
    other_samples,
    special_values,
    values_decide,
)
from .report import Check, Outcome, Report, note, passed, print_and_raise, run, skipped, warning
from .sample import (
    Sample,
    called,
    copies,
    failed,
    few,
    function_of,
    is_float,
    leaves_of,
    random_like,
    rules,
    samples_of,
)

STEP = 1e-30


def check_primitive(
    primitive: Primitive,
    samples: Any,
    *,
    skip: Iterable[str] = (),
    seed: int = 0,
    quiet: bool = False,
    raise_exception: bool = True,
    **params: Any,
) -> Report:
    """Test a primitive against its contract and its rules against the forward, and print one table.

    What is checked: one rule per argument; plain parameters, no array hidden in a closure; the forward (repeatable,
    float32 stays float32, writes to nothing); shape and dtype of what each rule returns; that a rule is linear in the
    cotangent, whatever its size, and writes to nothing; first derivatives against central differences, and against the
    complex step where the forward takes complex numbers; second derivatives; that raw values, variables and scalars are
    read alike; the same values in float32 and in every memory order; a batch of one and an empty one; that what is
    declared elementwise is; samples made of the given ones (other values and sizes, more and fewer axes, broadcasting,
    special numbers); that operations decide, not values; that an argument without a rule does not matter; that no rule
    needs another one, nor tells equal arguments from one that comes twice; that nothing is kept alive.

    Args:
        primitive: what is tested.
        samples: a list of argument lists, each a tuple of arrays and numbers: ``[(x, y), (x, 2.0)]``.  For an operation
            of one argument ``[x]`` will do.  Choose points away from kinks, and shapes that broadcast if it broadcasts.
            Or a generator of them (20 are taken), or a function that makes them from a ``numpy.random.Generator``.
        skip: names of checks, as in the table, that are left out.
        seed: of the random cotangents.
        quiet: print nothing.
        raise_exception: raise when something failed.
        params: the primitive's parameters, such as ``axis=0``.

    Returns:
        The report; it is true when nothing failed.

    Raises:
        CheckError: something failed; what, where, got, expected, how to fix it.
        ArgumentError: not a primitive, no sample, samples without a floating-point number, or no check of a name in
            ``skip``.
    """
    if not isinstance(primitive, Primitive):
        fix = "a composed operation is a function: check_layer(function, x) tests it"
        raise ArgumentError(explain("check_primitive: not a Primitive", got=type(primitive).__name__, fix=fix))
    listed = samples_of(primitive.name, samples, seed)
    left_out = skipped(skip, (*CONTRACT, "constants", *BATTERY), f"check_primitive of {primitive.name}")
    touched.add(primitive)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        checks = tuple(_battery(primitive, listed, params, seed, left_out))
    shapes = ", ".join("(" + ", ".join(str(np.shape(x)) for x in sample) + ")" for sample in listed)
    return print_and_raise(
        Report(f"check_primitive of {primitive.name}, samples {shapes}", checks), quiet, raise_exception
    )


# -- the battery ----------------------------------------------------------------------------------------------------------


def _battery(
    primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int, skip: frozenset[str]
) -> Iterator[Check]:
    for name, contract in CONTRACT.items():
        check = run(name, partial(contract, primitive, samples, params), skip)
        yield check
        if check.verdict == "failed":  # everything else would fail in the same words
            return
    yield run("constants", partial(constants, primitive, samples, params), skip)
    result = np.asarray(primitive(*copies(samples[0]), **params))
    without = ""
    if not primitive.differentiable:
        without = "none: every derivative takes the result for a constant"
    elif result.dtype.kind != "f":
        without = f"the result is {result.dtype}, which carries no gradient"
    if without:
        yield Check("rules", "note", without)
    broken: set[str] = set()
    for name, test in BATTERY.items():
        if without and test not in FOR_ANY_FORWARD:
            continue
        before = [other for other in ("what rules return", *AFTER.get(name, ())) if other in broken]
        if before:  # it would fail in the same words
            yield Check(name, "note", f"not run: it needs {before[0]!r} to pass")
            continue
        check = run(name, partial(test, primitive, samples, params, seed=seed), skip)
        if check.verdict == "failed":
            broken.add(name)
        yield check


def _arity(primitive: Primitive, samples: list[Sample], params: dict[str, Any]) -> Outcome:
    if primitive.variadic is not None:
        return passed("one rule for any number of arguments")
    for sample in samples:
        if len(sample) != len(primitive.vjps):
            fix = "give Primitive a rule, or None, per argument; a sample for two arguments is a tuple (x, y)"
            got = f"{len(primitive.vjps)} rules, {len(sample)} arguments"
            raise failed(f"{primitive.name}: one rule per argument", got, "as many rules as arguments", fix)
    return passed(f"{len(primitive.vjps)} arguments, {sum(rule is not None for rule in primitive.vjps)} rules")


def _is_plain(value: Any) -> bool:
    if isinstance(value, slice):
        return all(_is_plain(part) for part in (value.start, value.stop, value.step))
    if isinstance(value, tuple):
        return all(_is_plain(part) for part in value)
    return value is None or value is Ellipsis or type(value) in (bool, int, float, str)


def _plain(primitive: Primitive, samples: list[Sample], params: dict[str, Any]) -> Outcome:
    """What is recorded can be written down, and nothing that matters is hidden from the record."""
    for name, value in params.items():
        if not _is_plain(value):
            fix = "arrays are arguments, by position; lists become tuples, dtypes their names"
            expected = "numbers, strings, None, slices and tuples of them"
            raise failed(f"{primitive.name}: the parameter {name}=", type(value).__name__, expected, fix)
    functions = {"the forward": primitive.forward, "variadic=": primitive.variadic, "scalar=": primitive.scalar}
    functions.update({f"the rule for argument {i}": rule for i, rule in enumerate(primitive.vjps)})
    for what, function in functions.items():
        for value in _hidden(function):
            if isinstance(value, (np.ndarray, Variable)):
                fix = "make it an argument: then it is recorded, shown, and differentiated"
                got = f"{type(value).__name__} of shape {value.shape}"
                raise failed(f"{primitive.name}: {what} hides an array in its closure", got, "plain data", fix)
    return passed("parameters " + (", ".join(params) or "none") + "; nothing hidden")


def _hidden(function: Any) -> list[Any]:
    """What a function brings along besides its arguments."""
    if not isinstance(function, FunctionType):
        return []
    return [cell.cell_contents for cell in function.__closure__ or ()] + list(function.__defaults__ or ())


def _forward(primitive: Primitive, samples: list[Sample], params: dict[str, Any]) -> Outcome:
    shapes = []
    for sample in samples:
        args = copies(sample)
        out = np.asarray(primitive(*args, **params))
        if out.dtype.kind == "f" and not np.isfinite(out).all():
            raise failed(f"{primitive.name}: the result is not finite", "NaN or infinity", "finite", "other samples")
        for i, (arg, original) in enumerate(zip(args, sample)):
            if not np.array_equal(arg, original):
                fix = "make a new array: out = x * 2 rather than x *= 2"
                raise failed(f"{primitive.name}: the forward writes to argument {i}", arg, original, fix)
        again = np.asarray(primitive(*copies(sample), **params))
        if not np.array_equal(out, again):
            fix = "a forward has no state and draws nothing; random numbers are an argument"
            raise failed(f"{primitive.name}: two calls differ", "another result", "the same", fix)
        small = copies(sample, np.float32)
        narrow = np.asarray(primitive(*small, **params))
        asked = "dtype" in params or np.result_type(*map(np.asarray, small)) != np.float32
        numpy_did = narrow.ndim == 0 and not WEAK_SCALARS  # to arrays without axes; the engine undoes it for tensors
        if narrow.dtype == np.float64 and not asked and not numpy_did:
            fix = "constants: Python numbers (np.float64 and arrays of it widen)"
            raise failed(f"{primitive.name}: float32 does not stay float32", narrow.dtype, "float32", fix)
        shapes.append(f"{out.shape}")
    return passed(f"{', '.join(shapes)}; float32 stays float32, writes to nothing")


def _returned(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """Shape and dtype, by the engine's own words; a float64 result for float32 is only slow."""
    rng = np.random.default_rng(seed)
    wide, count = [], 0
    for sample in samples:
        for dtype in (np.float64, np.float32):
            args = copies(sample, dtype)
            leaves = [Tensor(x, requires_grad=True) if is_float(x) else x for x in args]
            out = primitive(*leaves, **params)
            data = out.numpy()
            g = random_like(data.shape, rng).astype(data.dtype)
            for i, rule in rules(primitive, sample):
                cotangent = rule(g, data, *args, **params)
                if primitive.core_dims is None and np.shape(cotangent) == data.shape != np.shape(args[i]):
                    fix = "make it with elementwise=True: then the engine undoes the broadcasting of its arguments"
                    what = f"{primitive.name}: the rule for argument {i} returns the shape of the result"
                    raise failed(what, data.shape, f"{np.shape(args[i])}, the shape of the argument", fix)
                unbroadcast(cotangent, out, i, leaves[i], False)
                count += 1
                numpy_did = np.ndim(cotangent) == 0 and not WEAK_SCALARS
                if dtype is np.float32 and dtype_of(cotangent) == np.float64 and not numpy_did:
                    wide.append(f"the rule for argument {i} returns float64 for float32")
    if wide:
        unique = dict.fromkeys(wide)
        why = "the engine converts it back, but float32 training computes it twice as wide"
        story = f"{primitive.name}: {', '.join(unique)}; {why}"
        return warning(", ".join(unique), story)
    return passed(f"{count // 2} results of the right shape and dtype")


def _linear(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    for sample in samples:
        args, out = called(primitive, sample, params)
        g, h = random_like(out.shape, rng), random_like(out.shape, rng)
        for i, rule in rules(primitive, sample):
            together = np.asarray(rule(2.0 * g - 3.0 * h, out, *args, **params))
            apart = 2.0 * np.asarray(rule(g, out, *args, **params)) - 3.0 * np.asarray(rule(h, out, *args, **params))
            if not np.allclose(together, apart, rtol=1e-9, atol=1e-9 * (1.0 + largest(apart))):
                fix = "g enters as a factor once: no square, no absolute value, no constant added"
                what = f"{primitive.name}: the rule for argument {i} is not linear in g"
                got, expected = f"rule(2g - 3h) = {few(together)}", f"2 rule(g) - 3 rule(h) = {few(apart)}"
                raise failed(what, got, expected, fix)
    return passed("rule(2g - 3h) = 2 rule(g) - 3 rule(h)")


def _writes(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    for sample in samples:
        for i, rule in rules(primitive, sample):
            args, out = called(primitive, sample, params)
            g = random_like(out.shape, rng)
            given = [g, out, *args]
            before = [np.array(x) for x in given]
            rule(*given, **params)
            for name, now, then in zip(["g", "out", *(f"argument {k}" for k in range(len(args)))], given, before):
                if not np.array_equal(now, then):
                    fix = "make a new array; several operations may share what a rule is given"
                    raise failed(
                        f"{primitive.name}: the rule for argument {i} writes to {name}", few(now), few(then), fix
                    )
    return passed("g, the result and the arguments stay as they are")


def _derivatives(
    primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int, check: Callable[..., bool]
) -> Outcome:
    silent, count = [], 0
    for sample in samples:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check(function_of(primitive, params), leaves_of(primitive, sample), seed=seed)
        silent += [str(w.message) for w in caught if issubclass(w.category, VanishingGradientWarning)]
        count += sum(np.size(sample[i]) for i, _ in rules(primitive, sample))
    if silent:
        return warning("a gradient of zero would pass too: proves nothing", "\n".join(silent))
    return passed(f"{count} numbers, central differences")


def _complex_step(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """f(x + ih) = f(x) + ih f'(x) + O(h²): exact where f is analytic (Squire and Trapp 1998, SIAM Review 40(1))."""
    rng = np.random.default_rng(seed)
    worst, compared = 0.0, 0
    for sample in samples:
        args, out = called(primitive, sample, params)
        g = random_like(out.shape, rng)
        for i, _ in rules(primitive, sample):
            leaves = leaves_of(primitive, sample)
            got = gradients([primitive(*leaves, **params)], [leaves[i]], [g])[0]
            exact = _by_complex_step(primitive, args, params, g, i)
            if exact is None or got is None:
                continue
            compared += 1
            error = np.abs(got.numpy() - exact)
            worst = max(worst, largest(error / (1.0 + np.abs(exact))))
            if worst > 1e-9:
                at = np.unravel_index(int(np.argmax(error)), error.shape)
                where = f"argument {i}" + (f", index {tuple(map(int, at))}" if at else "")
                fix = "compare the rule with the formula"
                if worst < 1e-3:
                    fix = "right to a few digits only: look for rounded constants, or an approximation in the rule"
                what = f"{primitive.name}: {where}: the rule and the complex step disagree"
                raise failed(what, f"{got.numpy()[at]:.15g}", f"{exact[at]:.15g}", fix)
    if not compared:
        return note("the forward takes no complex numbers, or is not analytic")
    return passed(f"largest relative difference {worst:.0e}")


def _by_complex_step(primitive: Primitive, args: list[Any], params: dict[str, Any], g: Array, i: int) -> Any:
    """The gradient of argument ``i``; ``None`` where central differences say that the step does not apply."""
    exact, rough = np.empty(args[i].shape), np.empty(args[i].shape)
    for index in np.ndindex(args[i].shape):

        def at(step: Any, index: tuple[int, ...] = index) -> Any:
            moved = np.array(args[i], complex if isinstance(step, complex) else float)
            moved[index] += step
            return primitive.forward(*args[:i], moved, *args[i + 1 :], **params)

        try:
            out = np.asarray(at(1j * STEP))
        except Exception:
            return None
        if out.dtype.kind != "c":
            return None
        x = float(args[i][index])

        def point(step: float, x: float = x, at: Callable[[Any], Any] = at) -> tuple[float, list[Any]]:
            return x + step, [np.asarray(at(x + step - x), float)]

        exact[index] = np.sum(g * out.imag) / STEP
        rough[index] = steadiest(point, [g], 1e-6, x, (1e-5, 1e-4))[0]
    return exact if np.allclose(exact, rough, rtol=1e-4, atol=1e-4) else None


def _raw_and_recorded(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """A rule on arrays and the same rule on variables give the same numbers."""
    rng = np.random.default_rng(seed)
    for sample, dtype in itertools.product(samples, (np.float64, np.float32)):
        leaves = leaves_of(primitive, sample, dtype)
        given = copies(sample, dtype)
        data = np.array(primitive(*given, **params))
        if data.dtype == np.float64 and not WEAK_SCALARS:
            data = not_widened(data, given)
        out = primitive(*leaves, **params)
        if not np.array_equal(out.numpy(), data, equal_nan=True):
            fix = "branch on shapes and dtypes only"
            raise failed(f"{primitive.name}: forward on arrays and on tensors", few(out.numpy()), few(data), fix)
        if data.dtype.kind != "f" or not np.isfinite(data).all():  # too large for float32
            continue
        g = random_like(data.shape, rng).astype(data.dtype)
        rtol = 1e-12 if dtype is np.float64 else 1e-4
        recorded = Tensor(g, requires_grad=True)
        for i, _ in rules(primitive, sample):
            found = gradients([out], [leaves[i]], [recorded], create_graph=True)[0]
            plain = gradients([out], [leaves[i]], [g], retain_graph=True)[0]
            constant = gradients([out], [leaves[i]], [Tensor(g)], create_graph=True)[0]
            close = partial(np.allclose, rtol=rtol, atol=rtol / 10, equal_nan=dtype is np.float32)
            if not close(found.numpy(), plain.numpy()) or not close(constant.numpy(), plain.numpy()):
                fix = "one text for both: ops and operators, no .data, no test for the type of g"
                what = f"{primitive.name}: the rule for argument {i} differs between variables and arrays"
                got = plain if close(constant.numpy(), plain.numpy()) else constant
                raise failed(what, few((found if got is plain else got).numpy()), few(plain.numpy()), fix)
            if not found.requires_grad and found.numpy().any():  # a rule may be 0, as that of sign is
                fix = "write the rule with ops and operators; .data, .numpy() and float() leave the graph"
                what = f"{primitive.name}: the rule for argument {i} does not depend on g when it is recorded"
                raise failed(what, "a constant", "a result recorded from g", fix)
    return passed("the same numbers")


def _scalars(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """Floats and ``Scalar`` against arrays without axes."""
    if primitive.scalar is None:
        return note("no scalar=: it does not take Scalar")
    points = [point for sample in samples for point in _points(primitive, sample)]
    if not points:
        return note("no sample of single numbers")
    for point in points:
        variables = [Scalar(x) for x in point]
        out = primitive(*variables, **params)
        leaves = [Tensor(x, requires_grad=True) for x in point]
        expected = primitive(*leaves, **params)
        with no_grad():
            plain = primitive(*point, **params)
        for how, value in (("a Python float", plain), ("a Scalar", out.data)):
            if not np.isclose(value, expected.item(), rtol=1e-12, atol=1e-13):
                fix = "scalar= computes what the forward computes, on Python floats"
                what = f"{primitive.name}: scalar= and the forward differ at {', '.join(f'{x:.6g}' for x in point)}"
                raise failed(f"{what}, on {how}", repr(value), repr(expected.item()), fix)
        for i, _ in rules(primitive, tuple(map(np.asarray, point))):
            (one,) = gradients([out], [variables[i]], retain_graph=True)
            (other,) = gradients([expected], [leaves[i]], [np.ones(())], retain_graph=True)
            if not np.isclose(one.data, other.item(), rtol=1e-12, atol=1e-13):
                fix = "one rule serves both: no test for the type of its arguments"
                what = f"{primitive.name}: the rule for argument {i} differs between scalars and arrays"
                raise failed(what, repr(one.data), repr(other.item()), fix)
    return passed(f"agree at {len(points)} points")


def _points(primitive: Primitive, sample: Sample) -> list[list[float]]:
    """Up to 8 single elements of a sample; for what is not elementwise, samples without axes."""
    if not primitive.elementwise:
        return [[float(x) for x in sample]] if all(np.shape(x) == () for x in sample) else []
    broadcast = np.broadcast_arrays(*(np.asarray(x, float) for x in sample))
    return [list(map(float, point)) for point in itertools.islice(zip(*(x.ravel() for x in broadcast)), 8)]


CONTRACT: dict[str, Callable[..., Outcome]] = {"arity": _arity, "plain data": _plain, "forward": _forward}
BATTERY: dict[str, Callable[..., Outcome]] = {
    "what rules return": _returned,
    "linear in g": _linear,
    "rules write to nothing": _writes,
    "size of g": cotangent_size,
    "independent": independent,
    "first derivatives": partial(_derivatives, check=gradcheck),
    "complex step": _complex_step,
    "second derivatives": partial(_derivatives, check=gradgradcheck),
    "raw and recorded": _raw_and_recorded,
    "scalars": _scalars,
    "float32 values": float32_values,
    "memory order": memory_order,
    "one and none": one_and_none,
    "elementwise": elementwise,
    "values decide": values_decide,
    "other samples": other_samples,
    "special values": special_values,
    "keeps nothing alive": keeps_nothing,
}
AFTER = {
    "size of g": ("linear in g", "rules write to nothing"),
    "independent": ("linear in g", "rules write to nothing"),
    "elementwise": ("first derivatives", "independent", "memory order", "one and none", "rules write to nothing"),
    "float32 values": ("rules write to nothing",),
    "memory order": ("rules write to nothing", "raw and recorded"),
    "values decide": ("second derivatives", "raw and recorded"),
    "special values": ("first derivatives", "rules write to nothing", "size of g", "values decide", "other samples"),
    "other samples": ("first derivatives", "elementwise", "rules write to nothing", "memory order", "values decide"),
    "one and none": ("first derivatives", "rules write to nothing"),
}
FOR_ANY_FORWARD = (float32_values, memory_order, one_and_none, keeps_nothing)
