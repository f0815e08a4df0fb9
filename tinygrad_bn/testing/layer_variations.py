"""What ``check_layer`` asks beyond its inputs: another precision, other layouts, sizes, cotangents and values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of, gradients
from ..errors import TinygradError
from ..gradcheck import gradcheck
from ..kinds import Array
from ..ops.primitives import take_slice
from ..program import replay
from ..random import generator
from ..tensor import Tensor
from .report import Outcome, note, passed, warning
from .sample import failed, few, is_float
from .subject import Subject, Twin, constants_held, loss_of
from .variations import alike, layouts, off_in_float32, other_values

FLOOR = 1e-11  # what cancels to nothing leaves about this much


def _leaves(twin: Twin, inputs: list[Any]) -> list[Variable]:
    """Everything differentiable: inputs, then parameters."""
    return [x for x in inputs if isinstance(x, Variable) and x.requires_grad] + twin.leaves


def _results(subject: Subject, twin: Twin, inputs: list[Any]) -> tuple[list[Variable], list[Any]]:
    """The outputs, and gradients of a random combination of them."""
    leaves = _leaves(twin, inputs)
    loss = loss_of(subject, twin, inputs)
    found = [None] * len(leaves) if loss is None else gradients([loss], leaves)
    return twin.outputs(*inputs), [np.zeros(x.shape) if g is None else g.data for x, g in zip(leaves, found)]


def float32_values(subject: Subject) -> Outcome:
    """Outputs and gradients in float32 are those in float64, up to rounding."""
    if subject.parameters:
        return note("parameters= are used in their own dtype")
    for mode in subject.modes:
        narrow = subject.twin(np.float32, mode)
        inputs = subject.inputs(np.float32)
        drawn = generator().bit_generator.state
        outputs, slopes = _results(subject, narrow, inputs)
        draws = generator().bit_generator.state != drawn
        arrays = [np.asarray(x.data, float) for x in _leaves(narrow, inputs)]
        wide = subject.twin(np.float64, mode)

        def computed(given: list[Array], which: int, slope: bool, wide: Twin = wide) -> Any:
            made = subject.inputs()
            for leaf, value in zip(_leaves(wide, made), given):
                leaf.data = value
            y, g = _results(subject, wide, made)
            return g[which] if slope else y[which].data

        where = f" in {mode}" if mode else ""
        for slope, found in ((False, [y.data for y in outputs]), (True, slopes)):
            for which, got in enumerate(found):
                off = off_in_float32(got, partial(computed, which=which, slope=slope), arrays, True)
                if off is None:
                    continue
                if draws:  # what it draws may depend on the dtype
                    return note(f"random{where}: not compared")
                what = f"{'a gradient' if slope else 'the result'}{where} is another one in float32"
                fix = "one text for every dtype: no test for x.dtype, constants that do not depend on it"
                raise failed(what, off[0], off[1], fix)
    return passed("as in float64, up to rounding")


def memory_order(subject: Subject) -> Outcome:
    """The same result wherever the numbers lie: inputs and parameters in Fortran order, inputs as strided views."""
    mode, names = subject.modes[-1], set()
    twin = subject.twin(np.float64, mode)
    usual = subject.inputs()
    expected, slopes = _results(subject, twin, usual)
    for name, inputs in _laid_out(subject):
        moved = subject.twin(np.float64, mode)
        for leaf in moved.leaves if subject.module is not None else ():
            leaf.data = np.asfortranarray(leaf.data)
        got, found = _results(subject, moved, inputs)
        names.add(name)
        for one, other in zip([*(y.data for y in got), *found], [*(y.data for y in expected), *slopes]):
            if not alike(one, other, 1e-9, FLOOR):
                what = f"the result or a gradient depends on how the inputs lie in memory: {name}"
                raise failed(what, few(one), few(other), "index by position: no order='K', no strides, no flat")
    return passed(f"{len(names)} other layouts" if names else "no input with axes")


def _laid_out(subject: Subject) -> Iterator[tuple[str, list[Any]]]:
    """Inputs with the same numbers in other layouts; strided ones are views that slicing made."""
    found: dict[str, list[Any]] = {}
    for position, x in enumerate(subject.raw):
        if not is_float(x):
            continue
        for name, plain, moved in layouts(x):
            if name == "with a stride of zero" or not np.array_equal(plain, x):
                continue
            made = found.setdefault(name, subject.inputs())
            if name == "in Fortran order" or name == "with two axes exchanged":
                made[position] = Tensor(moved, requires_grad=True, name=f"input {position}")
            elif name == "with negative strides":
                backwards = (slice(None, None, -1),) * x.ndim
                made[position] = take_slice(Tensor(x[backwards], requires_grad=True), index=backwards)
            else:
                every = (*(slice(None),) * (x.ndim - 1), slice(None, None, 2))
                made[position] = take_slice(Tensor(np.repeat(x, 2, axis=-1), requires_grad=True), index=every)
    yield from found.items()


def cotangent_size(subject: Subject) -> Outcome:
    """The backward pass is linear: ten million times the cotangent gives ten million times the gradient."""
    for mode in subject.modes:
        twin, inputs = subject.twin(np.float64, mode), subject.inputs()
        leaves = _leaves(twin, inputs)
        loss = loss_of(subject, twin, inputs)
        if loss is None:
            return note("no output requires a gradient")
        usual = gradients([loss], leaves, retain_graph=True)
        for factor in (1e-7, 1e7):
            scaled = gradients([loss], leaves, [np.full(loss.shape, factor)], retain_graph=True)
            for leaf, g, s in zip(leaves, usual, scaled):
                if g is not None and s is not None and not alike(s.data / factor, g.data, 1e-7, FLOOR):
                    what = f"the gradient of {leaf.name or leaf.label} is not linear in the cotangent: with {factor:g} times it"
                    fix = "no limit on gradients inside a rule or a hook; clip them afterwards (optim.clip_grad_norm_)"
                    raise failed(what, few(s.data), few(factor * g.data), fix)
    return passed("1e-7 to 1e7 times the cotangent")


def batch_of_none(subject: Subject) -> Outcome:
    """An empty batch works, and has an empty result; or it is refused in words."""
    if not subject.batched or not subject.size:
        return note("no batch axis")
    said = []
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        where = f" in {mode}" if mode else ""
        try:
            inputs = subject.inputs(rows=slice(0, 0))
            outputs = twin.outputs(*inputs)
        except (ValueError, TinygradError) as error:
            said.append(f"refused{where}: {str(error).splitlines()[0]}")
            continue
        for y, z in zip(outputs, twin.outputs(*subject.inputs())):
            expected = tuple(0 if n == subject.size else n for n in z.shape)
            if len(y.shape) != len(z.shape) or (y.size and z.ndim and z.shape[0] == subject.size):
                what = f"the result of an empty batch has another shape{where}"
                raise failed(what, y.shape, expected, "take sizes from x.shape; squeeze nothing without an axis")
        loss = loss_of(subject, twin, inputs)
        if loss is not None:
            gradients([loss], _leaves(twin, inputs))
        finite = all(np.isfinite(y.data).all() for y in outputs if dtype_of(y).kind == "f")
        said.append(("works" if finite else "gives NaN, as the mean of nothing is") + where)
    return passed("; ".join(dict.fromkeys(said)))


def values_decide(subject: Subject) -> Outcome:
    """What is recorded for these inputs and parameters, run on others, is what the layer computes for the others."""
    count = 0
    for mode in subject.modes:
        twin, inputs = subject.twin(np.float64, mode), subject.inputs()
        leaves = _leaves(twin, inputs)
        recorded = twin.outputs(*inputs)
        original = [leaf.data for leaf in leaves]
        for values in other_values(original, np.random.default_rng(subject.seed)):
            if (differs := _differs(subject, mode, recorded, leaves, values)) is None:
                continue
            count += 1
            if differs:
                where = f" in {mode}" if mode else ""
                other = subject.twin(np.float64, mode)
                made = _changed(subject, other, values)
                with constants_held(other) as function:
                    gradcheck(function, made, parameters=other.leaves, seed=subject.seed)
                story = (
                    f"forward branches on values{where}: what was recorded for these inputs computes {differs} for other"
                    " ones\n  to fix:   let operations decide, ops.where or ops.maximum; the gradients are right on each"
                    " branch, but a recorded program stands for one of them"
                )
                return warning(f"forward branches on values{where}", story)
    return passed(f"the record holds for {count} others") if count else note("no other values in its domain")


def _changed(subject: Subject, twin: Twin, values: list[Array]) -> list[Any]:
    """Inputs and parameters with other values."""
    made = subject.inputs()
    for leaf, value in zip(_leaves(twin, made), values):
        leaf.data = value
    return made


def _differs(
    subject: Subject, mode: str, recorded: list[Any], leaves: list[Variable], values: list[Array]
) -> str | None:
    """How the record and the layer differ on other values: "" if not, ``None`` where the layer has no finite result."""
    other = subject.twin(np.float64, mode)
    if subject.module is None and subject.parameters:
        values = [*values[: len(values) - len(subject.parameters)], *(p.data for p in subject.parameters)]
    try:
        fresh = other.outputs(*_changed(subject, other, values))
    except Exception:
        return None
    if not all(np.isfinite(y.data).all() for y in fresh):
        return None
    try:
        replayed = replay(recorded)(dict(zip(leaves, values)))
    except Exception as error:
        return f"an error ({str(error).splitlines()[0]})"
    if len(fresh) != len(replayed):
        return f"{len(replayed)} results rather than {len(fresh)}"
    for got, expected in zip(replayed, fresh):
        if not alike(got, expected.data, 1e-9, FLOOR):
            return f"{few(got)} rather than {few(expected.data)}"
    return ""
