"""What ``check_primitive`` asks beyond the values of its samples: other precisions, layouts, sizes, cotangents, values."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..engine import Primitive, Variable, gradients
from ..engine.unbroadcast import unbroadcast
from ..errors import GradcheckError
from ..gradcheck import gradcheck
from ..kinds import Array
from ..program import replay
from ..tensor import Tensor
from .places import largest
from .report import Outcome, note, passed, warning
from .sample import Sample, called, copies, failed, few, function_of, is_float, leaves_of, random_like, rules
from .variations import alike, layouts, off_in_float32, other_values

SPECIAL = {
    "at zero": (0.0, 0.0, 0.0),
    "at whole numbers": (1.0, -1.0, 2.0),
    "far from zero": (1000.0, -1000.0, 300.0),
}
LARGE = 40  # numbers in a sample: larger ones are not made larger still
FACTORS = (1e-8, 1e8, 1e-30, 1e30, 0.0)  # of the cotangent


def _with_arrays(sample: Sample, arrays: list[Array]) -> list[Any]:
    """The sample with other floating-point arrays in it, in their order."""
    rest = iter(arrays)
    return [next(rest) if is_float(x) else x for x in copies(sample)]


def float32_values(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """In float32 the same numbers come out as in float64, up to rounding: of the forward and of each rule."""
    rng = np.random.default_rng(seed)
    for sample in samples:
        small = copies(sample, np.float32)
        arrays = [x.astype(np.float64) for x in small if is_float(x)]

        def forward(given: list[Array], sample: Sample = sample) -> Any:
            return primitive(*_with_arrays(sample, given), **params)

        out = np.asarray(primitive(*small, **params))
        fix = "one text for every dtype: no test for x.dtype, constants that do not depend on it"
        if off := off_in_float32(out, forward, arrays, False):
            raise failed(f"{primitive.name}: the forward computes something else in float32", off[0], off[1], fix)
        if out.dtype.kind != "f" or not primitive.differentiable:
            continue
        g = random_like(out.shape, rng).astype(out.dtype)
        for i, rule in rules(primitive, sample):

            def cotangent(given: list[Array], sample: Sample = sample, rule: Any = rule) -> Any:
                args = _with_arrays(sample, given[1:])
                return rule(given[0], np.asarray(primitive(*args, **params)), *args, **params)

            narrow = rule(g, out, *small, **params)
            if off := off_in_float32(narrow, cotangent, [g.astype(np.float64), *arrays], False):
                what = f"{primitive.name}: the rule for argument {i} computes something else in float32"
                raise failed(what, off[0], off[1], fix)
    return passed("as in float64, up to rounding")


def memory_order(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """Numbers are the same wherever they lie: Fortran order, strides that are negative, long or zero."""
    rng = np.random.default_rng(seed)
    count = 0
    for sample in samples:
        args, out = called(primitive, sample, params)
        given = [random_like(out.shape, rng), out, *args]
        for which in (None, *range(len(given))):  # all of them at once, and each alone
            for name, plain, moved in _laid_out(given, which):
                where = "its arguments lie" if which is None else f"{_name(which)} lies"
                try:
                    expected = np.asarray(primitive(*plain[2:], **params))
                except Exception:  # repeated numbers may have no result: a matrix of them has no inverse
                    continue
                got = np.asarray(primitive(*moved[2:], **params))
                if not alike(got, expected, 1e-12):
                    what = f"{primitive.name}: the forward depends on how {where} in memory, {name}"
                    raise failed(what, few(got), few(expected), "index by position: no order='K', no strides, no flat")
                if not primitive.differentiable or out.dtype.kind != "f":
                    continue
                plain[1] = expected
                moved[1] = moved[1] if alike(moved[1], expected, 1e-12) else expected
                for i, rule in rules(primitive, sample):
                    try:
                        expected = np.asarray(rule(*plain, **params))
                    except Exception:  # repeated numbers may have no derivative
                        continue
                    got = rule(*moved, **params)
                    count += 1
                    if not alike(got, expected, 1e-12):
                        what = f"{primitive.name}: the rule for argument {i} depends on how {where} in memory, {name}"
                        raise failed(
                            what, few(got), few(expected), "index by position: no order='K', no strides, no flat"
                        )
    return passed(f"{count} results of rules in other layouts" if count else "the same in other layouts")


def _name(position: int) -> str:
    return ("g", "out")[position] if position < 2 else f"argument {position - 2}"


def _laid_out(given: list[Any], which: int | None) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """(g, out, arguments) with one or all of the arrays laid out otherwise: the name, in C order, the other way."""
    made: dict[str, tuple[list[Any], list[Any]]] = {}
    for position, x in enumerate(given):
        if isinstance(x, np.ndarray) and which in (None, position):
            for name, plain, moved in layouts(x):
                one, other = made.setdefault(name, (list(given), list(given)))
                one[position], other[position] = plain, moved
    return ((name, one, other) for name, (one, other) in made.items())


def cotangent_size(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """A rule clips nothing: what it returns grows and shrinks with the cotangent."""
    rng = np.random.default_rng(seed)
    for sample in samples:
        args, out = called(primitive, sample, params)
        g = random_like(out.shape, rng)
        for i, rule in rules(primitive, sample):
            usual = np.asarray(rule(g, out, *args, **params))
            if not np.isfinite(usual).all():
                continue
            for factor in FACTORS:
                got = np.asarray(rule(factor * g, out, *args, **params))
                if not np.allclose(got, factor * usual, rtol=1e-9, atol=1e-9 * factor * largest(usual)):
                    fix = "no limit on g inside a rule; clip gradients afterwards (optim.clip_grad_norm_)"
                    what = f"{primitive.name}: the rule for argument {i} is not linear in g: with {factor:g} g"
                    raise failed(what, few(got), few(factor * usual), fix)
    return passed("1e-30 g to 1e30 g, and 0")


def one_and_none(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """A batch of one and an empty one: the forward may refuse them unless it is elementwise, the rules may not."""
    rng = np.random.default_rng(seed)
    told = set()
    for sample in samples:
        for rows, word in ((1, "one"), (0, "none")):
            shorter = _shortened(primitive, sample, rows)
            if shorter is None:
                continue
            try:
                with np.errstate(all="ignore"):
                    out = np.asarray(primitive(*copies(shorter), **params))
            except Exception as error:
                if primitive.elementwise:
                    raise
                told.add(f"{word}: refused, {str(error).splitlines()[0]}")
                continue
            if not primitive.elementwise and _ignores(
                np.shape(primitive(*copies(sample), **params)), out.shape, sample
            ):
                continue
            if primitive.elementwise:
                shape = np.broadcast_shapes(*(np.shape(x) for x in shorter))
                if out.shape != shape:
                    what = f"{primitive.name}: the result for a batch of {word} has another shape"
                    raise failed(what, out.shape, shape, "take sizes from x.shape; squeeze nothing")
            if out.dtype.kind != "f" or not np.isfinite(out).all() or not primitive.differentiable:
                continue
            leaves = leaves_of(primitive, shorter)
            recorded = primitive(*leaves, **params)
            for i, rule in rules(primitive, shorter):
                made = rule(random_like(out.shape, rng), out, *copies(shorter), **params)
                unbroadcast(made, recorded, i, leaves[i], False)
            if rows and any(shorter[i].size for i, _ in rules(primitive, shorter)):
                gradcheck(function_of(primitive, params), leaves_of(primitive, shorter), seed=seed)
            told.add(f"{word}: right")
    return passed("; ".join(sorted(told, reverse=True))) if told else note("no sample with axes")


def _shortened(primitive: Primitive, sample: Sample, rows: int) -> Sample | None:
    """The first rows: of everything as long as the result of broadcasting, or else of the first array."""
    arrays = [x for x in sample if isinstance(x, np.ndarray) and x.ndim]
    if not arrays:
        return None
    if primitive.elementwise:
        shape = np.broadcast_shapes(*(np.shape(x) for x in sample))
        taken = [
            x[:rows] if np.ndim(x) == len(shape) and np.shape(x)[0] == shape[0] and isinstance(x, np.ndarray) else x
            for x in sample
        ]
        return tuple(taken)
    first = next(i for i, x in enumerate(sample) if isinstance(x, np.ndarray) and x.ndim)
    return (*sample[:first], sample[first][:rows], *sample[first + 1 :])


def _ignores(whole: tuple[int, ...], shorter: tuple[int, ...], sample: Sample) -> bool:
    """Whether NumPy stretched what was shortened: the result has the rows that the argument has no more."""
    rows = next(len(x) for x in sample if isinstance(x, np.ndarray) and x.ndim)
    return rows > 1 and whole == shorter and rows in whole


def other_samples(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """Right at other values, too, where the result is finite; without axes, and where arguments broadcast."""
    rng = np.random.default_rng(seed)
    count = 0
    for sample in samples:
        for what, other in _others(primitive, sample, rng):
            try:
                out = np.asarray(primitive(*copies(other), **params))
            except Exception:  # values or shapes that it does not take
                continue
            if not np.isfinite(out).all():
                continue
            try:
                gradcheck(function_of(primitive, params), leaves_of(primitive, other), seed=seed)
            except GradcheckError as error:
                if " nan" in str(error) or "inf" in str(error):  # at the end of its domain
                    continue
                raise GradcheckError(f"{what}: {error}") from error
            count += 1
    return passed(f"right at {count} others") if count else note("no other values in its domain")


def _others(primitive: Primitive, sample: Sample, rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """Samples made of this one: what is different, and the sample."""
    varied = [i for i, _ in rules(primitive, sample)]
    for values in itertools.islice(other_values([sample[i] for i in varied], rng), 5):
        changed = list(sample)
        for i, value in zip(varied, values):
            changed[i] = value
        yield "for other values", tuple(changed)
    yield from _other_integers(sample)
    yield from _other_shapes(primitive, sample, rng)
    if not primitive.elementwise:
        return
    arrays = [i for i, x in enumerate(sample) if isinstance(x, np.ndarray) and x.size]
    if any(sample[i].ndim for i in arrays):
        yield "without axes", tuple(np.array(x.flat[0]) if i in arrays else x for i, x in enumerate(sample))
    for i in arrays if len(sample) > 1 else ():
        if sample[i].ndim:
            yield "where it broadcasts", (*sample[:i], sample[i][..., :1], *sample[i + 1 :])
            yield "where it broadcasts", (*sample[:i], np.array(sample[i].flat[0]), *sample[i + 1 :])


def _other_integers(sample: Sample) -> Iterator[tuple[str, Sample]]:
    """Whole numbers that come twice, and negative ones, as positions may be."""
    for i, x in enumerate(sample):
        if isinstance(x, np.ndarray) and x.dtype.kind == "i" and x.size:
            yield "where an integer repeats", (*sample[:i], np.full_like(x, x.flat[-1]), *sample[i + 1 :])
            yield "with negative integers", (*sample[:i], x - x.max() - 1, *sample[i + 1 :])


def _other_shapes(primitive: Primitive, sample: Sample, rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """More rows, more and fewer axes, more and fewer arguments."""
    floats = [i for i, x in enumerate(sample) if is_float(x) and x.size]
    if not floats or sum(sample[i].size for i in floats) > LARGE:
        return
    first = sample[floats[0]]
    if primitive.variadic is not None:
        yield "with one argument", sample[:1]
        yield "with one more argument", (*sample, _scattered(sample[-1], rng))
    if primitive.elementwise:
        alike = [i for i, x in enumerate(sample) if isinstance(x, np.ndarray) and x.shape == first.shape]
    else:
        alike = floats[:1]
    if first.ndim:
        yield "with more rows", _with(sample, alike, lambda x: np.concatenate([x, _scattered(x, rng), x]))
    if primitive.core_dims is not None and first.ndim <= 3:
        yield "with an axis more", _with(sample, alike, lambda x: np.stack([x, _scattered(x, rng)]))
    if primitive.elementwise and first.ndim > 1:
        yield "with one axis", _with(sample, alike, np.ravel)


def _with(sample: Sample, which: list[int], change: Callable[[Array], Array]) -> Sample:
    return tuple(change(x) if i in which else x for i, x in enumerate(sample))


def _scattered(x: Any, rng: np.random.Generator) -> Any:
    """Numbers near these ones; whatever is not a floating-point array stays."""
    return np.asarray(x * rng.uniform(0.8, 1.2, np.shape(x))) if is_float(x) else x


def elementwise(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """What is declared ``elementwise=True`` computes each element from those in the same place alone."""
    if not primitive.elementwise:
        return note("not declared so")
    rng = np.random.default_rng(seed)
    count = 0
    for sample in samples:
        args, out = called(primitive, sample, params)
        g = random_like(out.shape, rng)
        spread = np.broadcast_arrays(*(np.asarray(x) for x in args))
        if spread[0].shape != out.shape:
            what = f"{primitive.name}: elementwise=True, and the result has not the shape of its arguments"
            raise failed(what, out.shape, spread[0].shape, "leave elementwise=True away")
        whole = [(f"the rule for argument {i}", rule, i) for i, rule in rules(primitive, sample)]
        for index in itertools.islice(np.ndindex(out.shape), 6):
            at = tuple(slice(k, k + 1) for k in index)
            alone = [np.array(x[at]) if isinstance(y, np.ndarray) else y for x, y in zip(spread, args)]
            pairs = [("the forward", primitive(*alone, **params), out[at])]
            for what, rule, _ in whole if out.dtype.kind == "f" else ():
                made = np.broadcast_to(np.asarray(rule(g, out, *args, **params)), out.shape)
                pairs.append((what, rule(g[at], out[at], *alone, **params), made[at]))
            for what, got, expected in pairs:
                count += 1
                if not np.allclose(np.asarray(got), np.asarray(expected), rtol=1e-6, atol=1e-300, equal_nan=True):
                    fix = "leave elementwise=True away, and let rules return cotangents of the arguments' shapes"
                    story = f"{primitive.name}: elementwise=True, and {what} looks at more than one element"
                    raise failed(story, f"{few(expected)} among others", f"{few(got)}, as alone", fix)
    return passed(f"{count} elements come out as if they were alone")


def independent(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """No rule needs another one to have run; and it does not matter whether equal arguments are one and the same."""
    rng = np.random.default_rng(seed)
    for sample in samples:
        both = [sample, tuple(_scattered(x, rng) for x in sample)]
        try:
            given = [called(primitive, each, params) for each in both]
        except Exception:  # numbers near these ones need not be in the domain
            given = [called(primitive, sample, params)]
        g = random_like(given[0][1].shape, rng)
        listed = list(rules(primitive, sample))
        if all(out.shape == g.shape for _, out in given):
            made = [[np.array(rule(g, out, *args, **params)) for _, rule in listed] for args, out in given]
            for (args, out), expected in zip(given, made):
                for (i, rule), there in reversed(list(zip(listed, expected))):
                    here = np.asarray(rule(g, out, *args, **params))
                    if not np.array_equal(here, there, equal_nan=True):
                        what = f"{primitive.name}: the rule for argument {i} depends on what was computed before it"
                        fix = "compute in each rule what it needs; nothing is kept between them"
                        raise failed(what, few(here), few(there), fix)
        for i, j in itertools.combinations([i for i, x in enumerate(sample) if is_float(x)], 2):
            if sample[i].shape == sample[j].shape:
                _one_and_the_same(primitive, (*sample[:j], sample[i], *sample[j + 1 :]), i, j, params, rng)
    return passed("in any order, and where one array is two arguments")


def _one_and_the_same(
    primitive: Primitive, sample: Sample, i: int, j: int, params: dict[str, Any], rng: np.random.Generator
) -> None:
    """Two arguments that are equal, against one array in both places."""
    try:
        args, out = called(primitive, sample, params)
    except Exception:  # a pair of equal ones need not have a result
        return
    twice = [args[i] if k == j else x for k, x in enumerate(args)]
    g = random_like(out.shape, rng)
    pairs = [("the forward", primitive(*twice, **params), out)]
    if out.dtype.kind == "f" and primitive.differentiable:
        for k, rule in rules(primitive, sample):
            pairs.append((f"the rule for argument {k}", rule(g, out, *twice, **params), rule(g, out, *args, **params)))
    for what, got, expected in pairs:
        if not np.array_equal(np.asarray(got), np.asarray(expected), equal_nan=True):
            story = f"{primitive.name}: {what} differs where arguments {i} and {j} are one and the same"
            raise failed(story, few(got), few(expected), "compare values, not identities: no `x is y`, no id(x)")


def special_values(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """At 0, at whole numbers, where arguments are equal and where exp overflows, if there is a derivative."""
    rng = np.random.default_rng(seed)
    count = 0
    for sample in samples:
        for where, other in _special(primitive, sample):
            try:
                args, out = called(primitive, other, params)
            except Exception:
                continue
            if out.dtype.kind != "f" or not np.isfinite(out).all():
                continue
            g = random_like(out.shape, rng)
            leaves = leaves_of(primitive, other)
            varied = [i for i, _ in rules(primitive, other)]
            try:
                found = gradients([primitive(*leaves, **params)], [leaves[i] for i in varied], [g])
            except Exception:  # refused in words, as the inverse of a singular matrix is
                continue
            for i, slope in zip(varied, found):
                for at in itertools.islice(np.ndindex(args[i].shape), 3):  # where the special ones are
                    expected = _smooth_slope(primitive, args, params, g, i, at)
                    if expected is None:
                        continue
                    count += 1
                    got = 0.0 if slope is None else float(slope.numpy()[at])
                    if abs(got - expected) <= 1e-3 * (1.0 + abs(expected)):
                        continue
                    what = f"{primitive.name}: the rule for argument {i} {where}, where x = {args[i][at]:g}"
                    if not np.isfinite(got):
                        fix = "give 0 / 0, 0 * inf and inf / inf their limits: ops.where, on both operands, or another formula"
                        story = f"{what}, gives {got}; the slope is {expected:.6g}\n  to fix:   {fix}"
                        return warning(f"{got} {where}, where the slope is {expected:.3g}", story)
                    fix = "compare the rule with the formula at this very point"
                    raise failed(what, f"{got:.6g}", f"{expected:.6g}, the slope from the left and from the right", fix)
    return passed(f"right at {count} numbers") if count else note("none of them in its domain")


def _special(primitive: Primitive, sample: Sample) -> Iterator[tuple[str, Sample]]:
    """Samples with special numbers in the first places of one argument; all have a derivative of their own."""
    varied = [i for i, _ in rules(primitive, sample) if sample[i].size]
    for i in varied:
        for where, numbers in SPECIAL.items():
            changed = np.array(sample[i])
            changed.flat[: len(numbers)] = numbers[: changed.size]
            yield where, (*sample[:i], changed, *sample[i + 1 :])
    for i, j in itertools.combinations(varied, 2):
        if sample[i].shape == sample[j].shape:
            yield "where two arguments are equal", (*sample[:j], np.array(sample[i]), *sample[j + 1 :])


def _smooth_slope(
    primitive: Primitive, args: list[Any], params: dict[str, Any], g: Array, i: int, at: tuple[int, ...]
) -> float | None:
    """The slope of g · f at one element; ``None`` unless it is the same to the left, to the right and for other steps."""

    def f(step: float) -> float:
        moved = np.array(args[i])
        moved[at] += step
        try:
            made = np.asarray(primitive(*args[:i], moved, *args[i + 1 :], **params), float)
        except Exception:
            return float("nan")
        return float(np.sum(g * made)) if made.shape == g.shape else float("nan")

    here, unit = f(0.0), max(1.0, abs(float(args[i][at])))
    slopes = [(f(h * unit) - here) / (h * unit) for h in (1e-5, -1e-5, 1e-4, -1e-4)]
    size = float(np.max(np.abs(slopes)))
    noise = 1e-14 * float(np.sum(np.abs(g))) * max(1.0, abs(here)) / (1e-5 * unit)
    if not np.isfinite(size) or np.ptp(slopes) > 2e-3 * (0.1 + size) or noise > 1e-3:
        return None
    return float(np.mean(slopes))


def keeps_nothing(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """No forward and no rule remembers what it was given."""
    rng = np.random.default_rng(seed)
    for sample in samples:
        watched = _used(primitive, sample, params, rng)
        held = [name for name, thing in watched if thing() is not None]
        if held:  # or only a cycle, which the collector takes
            gc.collect()
            held = [name for name, thing in watched if thing() is not None]
        if held:
            fix = "a primitive has no memory: no cache of arrays, no list or attribute that keeps them"
            what = f"{primitive.name} keeps what it was given alive"
            raise failed(what, ", ".join(dict.fromkeys(held)), "nothing kept", fix)
    return passed("neither arguments nor results")


def _used(
    primitive: Primitive, sample: Sample, params: dict[str, Any], rng: np.random.Generator
) -> list[tuple[str, weakref.ref[Any]]]:
    """Use a primitive in every reading, and watch what that made; nothing of it is held here."""
    args = copies(sample)
    out = np.asarray(primitive(*args, **params))
    made: list[tuple[str, Any]] = [(f"argument {i}", x) for i, x in enumerate(args)] + [("the result", out)]
    if primitive.differentiable and out.dtype.kind == "f":
        g = random_like(out.shape, rng)
        made.append(("g", g))
        for _, rule in rules(primitive, sample):
            rule(g, out, *args, **params)
        leaves = leaves_of(primitive, sample)
        recorded = primitive(*leaves, **params)
        variables = [(f"argument {i}", x) for i, x in enumerate(leaves) if isinstance(x, Variable)]
        for name, x in [*variables, ("the result", recorded)]:
            made += [(f"the variable of {name}", x), (name, x.numpy())]
        if recorded.requires_grad:
            wanted = [leaf for leaf in leaves if isinstance(leaf, Variable) and leaf.requires_grad]
            gradients([recorded], wanted, [Tensor(g, requires_grad=True)], create_graph=True)
    return [(name, weakref.ref(x)) for name, x in made if isinstance(x, (np.ndarray, Variable))]


def values_decide(primitive: Primitive, samples: list[Sample], params: dict[str, Any], seed: int) -> Outcome:
    """What the rules recorded for these values, run on others, is what they say for the others."""
    rng = np.random.default_rng(seed)
    count = 0
    for sample in samples:
        leaves = leaves_of(primitive, sample)
        varied = [i for i, _ in rules(primitive, sample)]
        out = primitive(*leaves, **params)
        g = Tensor(random_like(out.shape, rng), requires_grad=True, dtype=out.dtype if out.dtype.kind == "f" else None)
        if not varied or not out.requires_grad:
            continue
        found = gradients([out], [leaves[i] for i in varied], [g], create_graph=True)
        others = list(other_values([sample[i] for i in varied], rng))
        for values in others:
            changed = list(sample)
            for i, value in zip(varied, values):
                changed[i] = value
            again = leaves_of(primitive, tuple(changed))
            try:
                result = primitive(*again, **params)
            except Exception:  # values that it does not take
                continue
            if result.shape != out.shape or not np.isfinite(result.data).all():
                continue
            expected = gradients([result], [again[i] for i in varied], [g])
            count += 1
            recorded = [f for f in found if f is not None]
            replayed = iter(replay(recorded)(dict(zip((leaves[i] for i in varied), values))))
            for i, there, right in zip(varied, found, expected):
                got = np.zeros(again[i].shape) if there is None else next(replayed)
                wanted = np.zeros(again[i].shape) if right is None else right.data
                if np.isfinite(wanted).all() and not alike(got, wanted):
                    fix = "let operations decide: ops.where, ops.maximum; shapes, dtypes and parameters may be asked"
                    what = f"{primitive.name}: the rule for argument {i} branches on values"
                    raise failed(what, f"{few(got)} from the record", f"{few(wanted)} for other values", fix)
    return passed(f"the record holds for {count} other values") if count else note("no other values in its domain")


def constants(primitive: Primitive, samples: list[Sample], params: dict[str, Any]) -> Outcome:
    """An argument without a rule is one that the result does not follow smoothly."""
    silent = []
    for sample in samples:
        for i, x in enumerate(sample):
            if is_float(x) and x.size and primitive.vjp(i) is None and _follows(primitive, sample, params, i):
                silent.append(f"argument {i}")
    if silent:
        named = ", ".join(dict.fromkeys(silent))
        story = (
            f"{primitive.name}: the result changes with {named}, and None stands in place of the rule: every derivative"
            " takes it for a constant\n  to fix:   write the rule; if it is meant so, skip=['constants']"
        )
        return warning(f"the result changes with {named}, which has no rule", story)
    return passed("no argument without a rule moves the result")


def _follows(primitive: Primitive, sample: Sample, params: dict[str, Any], i: int) -> bool:
    """Whether the result moves in proportion when one argument is moved a little and ten times less."""
    sizes = []
    for step in (1e-5, 1e-6):
        args = copies(sample)
        here = np.asarray(primitive(*args, **params)).astype(float)
        args[i] = args[i] + step * np.maximum(1.0, np.abs(args[i]))
        there = np.asarray(primitive(*args, **params)).astype(float)
        if here.shape != there.shape:
            return False
        sizes.append(largest(there - here))
    return bool(np.isfinite(sizes).all() and sizes[1] > 0.0 and 3.0 < sizes[0] / sizes[1] < 30.0)
