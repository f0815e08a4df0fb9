"""What ``check_layer`` asks beyond its inputs: another precision, other layouts, sizes, cotangents and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of, gradients, no_grad
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

SPECIAL: dict[str, Callable[[Array], Array]] = {
    "0": np.zeros_like,
    "all alike": lambda x: np.full_like(x, 0.5),
    "1000": lambda x: np.full_like(x, 1000.0),
}
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
            left = poisoned(twin)
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
        left_behind = f", leaves NaN in {', '.join(left)}" if left else ""
        said.append(("works" if finite else "gives NaN, as the mean of nothing is") + where + left_behind)
    return passed("; ".join(dict.fromkeys(said)))


def poisoned(twin: Twin) -> list[str]:
    """The buffers in which a call left a NaN, from which every later one would suffer."""
    return [path for path, now, then in twin.moved() if not np.isfinite(now).all() and np.isfinite(then).all()]


def examples_apart(subject: Subject) -> Outcome:
    """In evaluation, what an example gives is its own: neither the others decide it, nor how many there are."""
    if not subject.batched or not subject.size:
        return note("no batch axis")
    mode = subject.modes[-1]
    twin = subject.twin(np.float64, mode)
    whole = twin.outputs(*subject.inputs())
    if not any(y.ndim and y.shape[0] == subject.size for y in whole):
        return note("no result per example")
    where = f" in {mode}" if mode else ""
    if any(_moved_by_others(twin, subject, whole, factor) for factor in (-1.7, 5.0)):
        if not mode:
            return note("a function of the whole batch")
        story = (
            f"the result of an example depends on the rest of the batch{where}\n  to fix:   use statistics of the batch only"
            " if self.training, sum over features rather than examples; if axis 0 is no batch, batched=()"
        )
        return warning(f"an example depends on the rest of the batch{where}", story)
    for size in (1, 2, 2 * subject.size + 1):
        rows = np.arange(size) % subject.size
        try:
            found = twin.outputs(*subject.inputs(rows=rows))
        except Exception:  # a batch of one may be refused
            continue
        for y, z in zip(found, whole):
            fits = (
                y.ndim and z.ndim and y.shape[0] == size and z.shape[0] == subject.size and y.shape[1:] == z.shape[1:]
            )
            if fits and not alike(y.data, z.data[rows], 1e-9, FLOOR):
                story = (
                    f"a batch of {size} gives its examples another result than a batch of {subject.size}{where}, though none"
                    " depends on the others\n  to fix:   no constant that is a batch size, no test for x.shape[0]"
                )
                return warning(f"a batch of {size} is computed otherwise{where}", story)
    return passed(f"each by itself{where}")


def _moved_by_others(twin: Twin, subject: Subject, whole: list[Any], factor: float) -> bool:
    """Whether the first example comes out otherwise when the others are multiplied."""
    made = subject.inputs()
    for position, (leaf, raw) in enumerate(zip(made, subject.raw)):
        if is_float(raw) and position in subject.batched:
            changed = np.array(raw)
            changed[1:] *= factor
            leaf.data = changed
    try:
        found = twin.outputs(*made)
    except Exception:  # values that it does not take
        return False
    return any(
        y.ndim and y.shape == z.shape and y.shape[0] == subject.size and not alike(y.data[:1], z.data[:1], 1e-9, FLOOR)
        for y, z in zip(found, whole)
    )


def recorded_or_not(subject: Subject) -> Outcome:
    """The same numbers where nothing is recorded: in ``no_grad``, and from constants and frozen parameters."""
    for mode in subject.modes:
        expected = subject.twin(np.float64, mode).outputs(*subject.inputs())
        with no_grad():
            plain = subject.twin(np.float64, mode).outputs(*subject.inputs())
        frozen = subject.twin(np.float64, mode)
        if frozen.module is not None:
            frozen.module.requires_grad_(False)
        constants = [x.detach() if isinstance(x, Variable) else x for x in subject.inputs()]
        for how, found in (("in no_grad", plain), ("from constants", frozen.outputs(*constants))):
            for got, right in zip(found, expected):
                if not alike(got.data, right.data, 1e-9, FLOOR):
                    where = f", in {mode}" if mode else ""
                    fix = "ask self.training for the mode; neither x.requires_grad nor whether something is recorded"
                    raise failed(f"another result {how}{where}", few(got.data), few(right.data), fix)
    return passed("the same in no_grad, and from constants")


def one_and_the_same(subject: Subject) -> Outcome:
    """One tensor in two places gives what two equal ones give, and the sum of their gradients."""
    floats = [i for i, x in enumerate(subject.raw) if is_float(x)]
    pairs = [(i, j) for i in floats for j in floats if i < j and subject.raw[i].shape == subject.raw[j].shape]
    for mode in subject.modes:
        for i, j in pairs:
            twin = subject.twin(np.float64, mode)
            apart, shared = subject.inputs(), subject.inputs()
            apart[j].data = apart[i].data
            shared[j] = shared[i]
            try:
                losses = [loss_of(subject, twin, inputs) for inputs in (apart, shared)]
                results = [twin.outputs(*inputs) for inputs in (apart, shared)]
            except Exception:  # equal ones may have no result
                continue
            slopes = []
            for loss, inputs in zip(losses, (apart, shared)):
                wanted = [inputs[i], inputs[j]] if inputs is apart else [inputs[i]]
                found = [] if loss is None else gradients([loss], wanted)
                slopes.append(sum((g.data for g in found if g is not None), np.zeros(apart[i].shape)))
            for got, expected in [*((y.data, z.data) for y, z in zip(results[1], results[0])), (slopes[1], slopes[0])]:
                if np.isfinite(expected).all() and not alike(got, expected, 1e-9, FLOOR):
                    where = f" in {mode}" if mode else ""
                    what = f"another result or gradient where inputs {i} and {j} are one and the same{where}"
                    raise failed(what, few(got), few(expected), "compare values, not identities: no `x is y`, no id(x)")
    return passed(f"{len(pairs)} pairs") if pairs else note("no two inputs of one shape")


def special_inputs(subject: Subject) -> Outcome:
    """A gradient where the inputs are 0, or all alike, or large, and the result is finite."""
    count = 0
    for mode in subject.modes:
        for what, change in SPECIAL.items():
            for position in (None, *(i for i, x in enumerate(subject.raw) if is_float(x))):
                twin, inputs = subject.twin(np.float64, mode), subject.inputs()
                for i, x in enumerate(subject.raw):
                    if is_float(x) and position in (None, i):
                        inputs[i].data = np.asarray(change(x))
                try:
                    loss = loss_of(subject, twin, inputs)
                    leaves = _leaves(twin, inputs)
                    if loss is None or not np.isfinite(loss.data):
                        continue
                    found = gradients([loss], leaves)
                except Exception:  # refused in words, or outside its domain
                    continue
                count += 1
                names = [
                    leaf.name or leaf.label
                    for leaf, g in zip(leaves, found)
                    if g is not None and np.isnan(g.data).any()
                ]
                if names:
                    which = "the inputs are" if position is None else f"input {position} is"
                    where = f" in {mode}" if mode else ""
                    told = f"the gradient of {', '.join(names)} is NaN where {which} {what}{where}"
                    fix = "ops.sqrt(v + eps); ops.where on the operands, too, so that no branch computes 0 / 0"
                    return warning(told, f"{told}, and the result is finite\n  to fix:   {fix}")
    return passed(f"{count} calls, each with a gradient") if count else note("none of them in its domain")


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
