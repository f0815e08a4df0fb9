"""``check_layer``: everything that new layers usually get wrong, in one call and one table."""

from __future__ import annotations

import copy
import gc
import statistics
import time
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of, gradients, no_grad, record_sites
from ..errors import ArgumentError, GradcheckError, TinygradError, explain
from ..gradcheck import VanishingGradientWarning, gradcheck, gradgradcheck
from ..random import generator
from ..tensor import Parameter, Tensor
from . import touched
from .doctor import why_no_grad
from .layer_variations import (
    batch_of_none,
    cotangent_size,
    examples_apart,
    float32_values,
    memory_order,
    one_and_the_same,
    poisoned,
    recorded_or_not,
    special_inputs,
    values_decide,
)
from .places import behind, largest, operation
from .repeats import cause, seeds
from .report import Check, Outcome, Report, note, passed, print_and_raise, run, skipped, warning
from .sample import failed, is_float
from .subject import Subject, Twin, as_list, constants_held, copy_of, difference, loss_of, same, shapes
from .variations import alike


def check_layer(
    layer: Any,
    *inputs: Any,
    parameters: Sequence[Variable] = (),
    batched: Sequence[int] | None = None,
    skip: Iterable[str] = (),
    seed: int = 0,
    max_elements: int = 1000,
    quiet: bool = False,
    raise_exception: bool = True,
) -> Report:
    """Test a layer, or a function of tensors, with everything at once, and print one table.

    What is checked: shapes and dtypes (float32 stays float32, with the same values), first and second derivatives of
    inputs and parameters against central differences with random cotangents of every size, a batch of one, an empty one
    and other sizes, every memory order, training and evaluation, saving and loading, copying, that operations decide and
    not values, that an example is computed as if it were alone (in evaluation), that recording changes nothing, one tensor
    in two places, inputs of zeros, that nothing is written to, that nothing is kept alive, that results repeat.  The time
    per recorded operation is shown for information.

    The layer is copied, and comes back as it was.  What is random in it has to draw from the library's generator
    (``tinygrad_bn.manual_seed``), as dropout does; then it is checked with the same draws each time.  What it carries
    from batch to batch belongs in buffers, as running statistics do; they are restored before each call.  What the gradient
    leaves out on purpose, such as the power iteration of spectral normalization, is written with ``ops.stop_gradient``
    around its result, not under ``no_grad``: then the check knows what is constant.

    Args:
        layer: a ``Module``, whose parameters are checked too, or a function.
        inputs: one call's arguments.  Floating-point arrays, tensors and numbers are differentiated; all else (indices,
            labels, settings) is passed on.  Small ones are best: 3 or 4 examples of 2 or 3 features.
        parameters: float64 leaves that a function uses without being given them.
        batched: positions of the inputs whose axis 0 is the batch; by default those as long as the first array.  ``()``
            for none.
        skip: names of checks, as in the table, that are left out.
        seed: of the random cotangents.
        max_elements: more numbers than this, in inputs and parameters together, are refused: the derivative checks
            call the layer several times for each.
        quiet: print nothing.
        raise_exception: raise when something failed.

    Returns:
        The report; it is true when nothing failed.

    Raises:
        CheckError: something failed; what, where, got, expected, how to fix it.
        ArgumentError: a layer that cannot be checked this way: nothing to differentiate, or too much; or no check of a
            name in ``skip``.
    """
    subject = Subject(layer, inputs, parameters, batched, seed)
    left_out = skipped(skip, ("forward", *BATTERY), f"check_layer of {subject.name}")
    leaves = subject.elements()
    if not 0 < leaves <= max_elements:
        fix = "pass floating-point inputs" if not leaves else "check a small one of the same kind, or set max_elements"
        got = f"{leaves} numbers in inputs and parameters"
        raise ArgumentError(
            explain(f"check_layer of {subject.name}", got=got, expected=f"1 to {max_elements}", fix=fix)
        )
    state = generator().bit_generator.state
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            checks = tuple(_battery(subject, left_out))
    finally:
        generator().bit_generator.state = state
    told = ", ".join(str(np.shape(x)) for x in subject.raw if isinstance(x, (np.ndarray, Variable)))
    return print_and_raise(Report(f"check_layer of {subject.name}, inputs {told}", checks), quiet, raise_exception)


# -- the battery ----------------------------------------------------------------------------------------------------------


def _battery(subject: Subject, skip: frozenset[str]) -> Iterator[Check]:
    first = run("forward", partial(_forward, subject), skip)
    yield first
    if first.verdict == "failed":  # everything else would fail in the same words
        return
    broken: set[str] = set()
    for name, test in BATTERY.items():
        before = [other for other in AFTER.get(name, ()) if other in broken]
        if before:  # it would fail for the same reason
            yield Check(name, "note", f"not run: it needs {before[0]!r} to pass")
            continue
        check = run(name, partial(test, subject), skip)
        if check.verdict == "failed" or (name == "values decide" and check.verdict == "warning"):
            broken.add(name)
        yield check


def _forward(subject: Subject) -> Outcome:
    """It runs, on float64, and returns finite float64 variables."""
    told = ""
    touched.add(*map(type, subject.module.modules() if subject.module is not None else ()))
    for mode in subject.modes:
        for y in (outputs := subject.twin(np.float64, mode).outputs(*subject.inputs())):
            if dtype_of(y).kind == "f" and dtype_of(y) != np.float64:
                fix = "convert to the input's dtype, not to a fixed one"
                raise failed("float64 inputs and parameters", f"a result of dtype {dtype_of(y)}", "float64", fix)
            touched.add(*(v.primitive for v in behind([y]) if v.primitive is not None))
            if not np.isfinite(y.data).all():
                fix = "find_nonfinite(y) names the operation; check with inputs where the function is finite"
                raise failed("the result is not finite", "NaN or infinity", "finite numbers", fix)
        told = told or f"{shapes(outputs)} {', '.join(sorted({str(dtype_of(y)) for y in outputs}))}"
    return passed(told)


def _float32(subject: Subject) -> Outcome:
    """float32 in, float32 out; where not, which operation widened it."""
    expected = np.result_type(np.float32, *(dtype_of(p) for p in subject.parameters))
    for mode in subject.modes:
        with record_sites():
            outputs = subject.twin(np.float32, mode).outputs(*subject.inputs(np.float32))
        if not any(dtype_of(y) == np.float64 for y in outputs) or expected == np.float64:
            continue
        wide = [v for v in behind(outputs) if v.primitive is not None and dtype_of(v) == np.float64]
        what = f"{operation(wide[0])} made float64 of float32" if wide else "the result is float64"
        fix = "constants: Python numbers, or arrays in x.dtype (np.sqrt(2.0) and np.float64 widen, 2.0**0.5 does not)"
        raise failed(what, "float64", "float32 from float32 inputs and parameters", fix)
    return passed(f"stays {expected}" if expected == np.float32 else f"float64, as the parameters= are {expected}")


def _derivatives(subject: Subject, check: Callable[..., bool]) -> Outcome:
    """Against central differences, in every mode in which the outputs differ."""
    seen: list[list[Any]] = []
    modes, silent = [], []
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        outputs = twin.outputs(*subject.inputs())
        if any(same(outputs, before) for before in seen):
            continue
        seen.append(outputs)
        modes.append(mode)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with constants_held(twin) as function:
                    check(function, subject.inputs(), parameters=twin.leaves, seed=subject.seed)
            except GradcheckError as error:
                hint = "cut on purpose, as by no_grad or detach: ops.stop_gradient(x), which this check takes for a constant"
                raise GradcheckError(f"{error}\n            {hint}") from error
        silent += [str(w.message) for w in caught if issubclass(w.category, VanishingGradientWarning)]
    if silent:
        return warning("a gradient of zero would pass too: proves nothing", "\n".join(silent))
    count = sum(x.size for x in subject.raw if is_float(x)), sum(p.size for p in subject.twin().leaves)
    where = f", in {' and '.join(modes)}" if len(modes) > 1 else ""
    return passed(f"{count[0]} inputs, {count[1]} parameters{where}")


def _gradients_arrive(subject: Subject) -> Outcome:
    """Every input and parameter has an influence; where not, why."""
    count, told, reasons = 0, list[str](), list[str]()
    for mode in subject.modes:
        twin, inputs = subject.twin(np.float64, mode), subject.inputs()
        leaves = [x for x in inputs if isinstance(x, Variable) and x.requires_grad] + twin.leaves
        with record_sites():
            loss = loss_of(subject, twin, inputs)
        if loss is None:
            if mode == subject.modes[0]:
                return warning("no output requires a gradient", "the outputs are constants to every derivative")
            continue  # classes rather than scores, in evaluation
        found = gradients([loss], leaves, retain_graph=True)
        silent = [k for k, g in enumerate(found) if g is None or largest(g) < 1e-12]
        if any(found[k] is not None and largest(found[k]) for k in silent):
            moved = _moved_slightly(subject, mode)
            silent = [k for k in silent if not _steady(found[k], moved[k])]
        count = max(count, len(leaves))
        names = ", ".join(leaves[k].name or leaves[k].label for k in silent)
        if silent and names not in "".join(told):
            where = f" in {mode}" if told or mode != subject.modes[0] else ""
            told.append(f"none, or zero, for {names}{where}")
            reasons += [str(why_no_grad(leaves[k], loss)) for k in silent]
    if told:
        return warning("; ".join(told), "\n".join(dict.fromkeys(reasons)))
    return passed(f"in all {count} inputs and parameters")


def _moved_slightly(subject: Subject, mode: str) -> list[Any]:
    """The gradients of the same layer where all numbers are a ten-millionth larger."""
    twin, inputs = subject.twin(np.float64, mode), subject.inputs()
    leaves = [x for x in inputs if isinstance(x, Variable) and x.requires_grad] + twin.leaves
    before = [leaf.data for leaf in leaves]
    for leaf in leaves:
        leaf.data = leaf.data * (1.0 + 1e-7)
    try:
        loss = loss_of(subject, twin, inputs)
        return [None] * len(leaves) if loss is None else list(gradients([loss], leaves))
    finally:
        for leaf, data in zip(leaves, before):  # parameters= are the caller's own
            leaf.data = data


def _steady(one: Any, other: Any) -> bool:
    """Whether a tiny gradient is a number of its own; what is left where things cancel is another one each time."""
    return one is not None and other is not None and largest(one) > 0.0 and alike(other.data, one.data, 1e-3)


def _batch_of_one(subject: Subject) -> Outcome:
    """Works in evaluation; in training it may be refused in words, but not answered with NaN."""
    if not subject.batched or not subject.size:
        return note("no batch axis")
    said = []
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        try:
            outputs = twin.outputs(*subject.inputs(rows=slice(0, 1)))
        except ValueError as error:
            if mode == "evaluation":
                raise
            if changed := [path for path, _, _ in twin.moved()]:
                told = f"a batch of one is refused in {mode}, after {', '.join(changed)} changed"
                return warning(told, f"{told}\n  to fix:   check what comes in before a buffer is assigned")
            said.append(f"refused{' in ' + mode if mode else ''}: {str(error).splitlines()[0]}")
            continue
        if not all(np.isfinite(y.data).all() for y in outputs):
            fix = "refuse it (raise tinygrad_bn.errors.ShapeError), or divide by n rather than n - 1"
            where = f" in {mode}" if mode else ""
            raise failed(f"a batch of one gives NaN or infinity{where}", "not finite", "numbers, or an error", fix)
        if left := poisoned(twin):
            fix = "leave running values as they are where a batch has no statistics, or refuse it before they change"
            what = f"a batch of one leaves NaN or infinity in {', '.join(left)} in {mode}"
            raise failed(what, "not finite", "finite numbers", fix)
        whole = twin.outputs(*subject.inputs())
        for y, z in zip(outputs, whole):
            expected = tuple(1 if n == subject.size else n for n in z.shape)
            if len(y.shape) != len(z.shape):
                fix = "squeeze with an axis: ops.squeeze(x, axis=1); without one it takes the batch away as well"
                where = f" in {mode}" if mode else ""
                raise failed(f"the result of a batch of one has another shape{where}", y.shape, expected, fix)
        alone = all(
            y.ndim and len(y.shape) == len(z.shape) and y.shape[0] == 1 and np.allclose(y.data, z.data[:1], 1e-9, 1e-12)
            for y, z in zip(outputs, whole)
        )
        if not mode or mode == "evaluation":
            said.append("the same as in a larger batch" if alone else "depends on the rest of the batch")
    if not subject.module and said[0].startswith("refused"):
        return warning(said[0], "a batch of one is refused; if it should not be, see what it divides by")
    return passed("; ".join(reversed(said)))


def _other_sizes(subject: Subject) -> Outcome:
    """Every axis of the output keeps its length, or grows with the batch."""
    if not subject.batched or not subject.size:
        return note("no batch axis")
    sizes = sorted({2, 3, subject.size, 2 * subject.size + 1})
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        seen = []
        for size in sizes:
            rows = np.arange(size) % subject.size
            try:
                seen.append([y.shape for y in twin.outputs(*subject.inputs(rows=rows))])
            except Exception as error:
                fix = "take sizes from x.shape; no batch size of one's own"
                what = f"a batch of {size} fails: {type(error).__name__}: {str(error).splitlines()[0]}"
                raise failed(what, f"works for {subject.size}", f"works for {size}", fix) from error
        for found in zip(*seen):
            lengths = list(zip(*found))
            fits = len({len(shape) for shape in found}) == 1 and all(
                len(set(axis)) == 1 or len({n / size for n, size in zip(axis, sizes)}) == 1 for axis in lengths
            )
            if not fits:
                got = ", ".join(f"{shape} for {size}" for shape, size in zip(found, sizes))
                raise failed(
                    "the output's shape does not follow the batch", got, "each axis fixed, or as the batch",
                    "take sizes from x.shape",
                )  # fmt: skip
    return passed(", ".join(map(str, sizes)))


def _train_and_eval(subject: Subject) -> Outcome:
    """The parameters survive every forward, the buffers those in evaluation."""
    if subject.module is None:
        return note("a function has no modes")
    outputs, moved = {}, set()
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        trained = {name for name, _ in twin.module.named_parameters()} if twin.module is not None else set()
        before = twin.state()
        outputs[mode] = twin.outputs(*subject.inputs())
        for path, part in twin.module.named_modules() if twin.module is not None else ():
            if part.training != (mode == "training"):
                fix = "leave train() and eval() to the caller; what a part is to do is said by an argument"
                name = f"self.{path}" if path else "the layer"
                raise failed(f"forward put {name} into another mode than {mode}", "it switched", "it stays", fix)
        changed = {
            name for name, value in twin.state().items() if not np.array_equal(before[name], value, equal_nan=True)
        }
        kept = changed if mode == "evaluation" else changed & trained
        if kept:
            fix = "parameters are for the optimizer to change" if kept & trained else "update only if self.training"
            names = ", ".join(sorted(kept))
            raise failed(f"forward changed {names} in {mode}", "new values", "the values before", fix)
        moved |= changed
    found_shapes = [[y.shape for y in found] for found in outputs.values()]
    if found_shapes[0] != found_shapes[1]:
        told = " and ".join(shapes(found) for found in outputs.values())
        raise failed("training and evaluation differ in shape", told, "the same", "change values only")
    told = "the same" if same(*outputs.values()) else "different results"
    return passed(told + (f"; training updates {', '.join(sorted(moved))}" if moved else ""))


def _registered(subject: Subject) -> Outcome:
    """Parameters and modules are where ``Module`` finds them."""
    if subject.module is None:
        return note("a function registers nothing")
    for path, part in subject.module.named_modules():
        at = f"{path}." if path else "self."
        for name, value in vars(part).items():
            if isinstance(value, Tensor) and value.requires_grad and not isinstance(value, Parameter):
                fix = f"self.{name} = nn.Parameter(...); a running value: register_buffer"
                raise failed(f"{at}{name} is not trained or saved", "Tensor with requires_grad", "Parameter", fix)
    if plain := _plain_tensors(subject.module):
        names = ", ".join(plain)
        story = (
            f"{names}: a plain Tensor, which state_dict leaves out: a layer made anew and loaded has its own\n  to fix:"
            "   register_buffer; for a constant that __init__ always makes alike, a NumPy array"
        )
        return warning(f"not saved: {names}", story)
    count = len(list(subject.module.named_parameters())), len(list(subject.module.named_buffers()))
    return passed(f"{count[0]} parameters, {count[1]} buffers")


def _plain_tensors(module: Any) -> list[str]:
    """Tensors of floating-point numbers that are neither parameters nor buffers."""
    found = []
    for path, part in module.named_modules():
        registered = {id(buffer) for buffer in part.buffers()}
        for name, value in vars(part).items():
            plain = isinstance(value, Tensor) and not isinstance(value, Parameter) and id(value) not in registered
            if plain and value.dtype.kind == "f":
                found.append(f"self.{path}.{name}" if path else f"self.{name}")
    return found


def _perturbed(twin: Twin, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for parameter in twin.leaves:
        parameter.data = parameter.data + rng.uniform(0.1, 0.5, parameter.shape)


def _state_dict(subject: Subject) -> Outcome:
    """A fresh copy that loads the state of a used one computes the same."""
    if subject.module is None:
        return note("a function has no state")
    used, fresh = subject.twin(np.float64, "training"), subject.twin(np.float64, "evaluation")
    _perturbed(used, subject.seed)
    used.outputs(*subject.inputs())
    state = used.state()
    used.settle()
    assert used.module is not None  # as the subject has one
    assert fresh.module is not None
    used.module.eval()
    fresh.module.load_state_dict(state)
    fresh.settle()
    one, other = used.outputs(*subject.inputs()), fresh.outputs(*subject.inputs())
    if not same(one, other):
        fix = "keep what forward needs as a Parameter, or with register_buffer"
        what = "a fresh layer that loaded the state computes something else"
        raise failed(what, difference(other, one), "the same result", fix)
    return passed(f"{len(state)} entries, loaded into a fresh layer")


def _deepcopy(subject: Subject) -> Outcome:
    """After it was used, too; and the copy is a layer of its own."""
    if subject.module is None:
        return note("a function is not copied")
    twin = subject.twin(np.float64, "evaluation")
    before = twin.outputs(*subject.inputs())
    assert twin.module is not None  # as the subject has one
    try:
        other = copy.deepcopy(twin.module)
    except Exception as error:
        fix = "keep no result of the graph as an attribute; y.detach() or y.numpy() may be kept"
        what = f"after a forward pass it cannot be copied: {type(error).__name__}: {str(error).splitlines()[0]}"
        raise failed(what, "an error", "a copy", fix) from None
    subject.repeatable()
    copied = as_list(other(*subject.inputs()))
    if not same(before, copied):
        fix = "if the class has a __deepcopy__, let it copy everything"
        raise failed("the copy computes something else", difference(copied, before), "the same result", fix)
    for parameter in other.parameters():
        parameter.data = parameter.data + 1.0
    if not same(before, twin.outputs(*subject.inputs())):
        fix = "parameters are attributes of the layer, not of its class or of a module around it"
        raise failed("a change to the copy changes the original", "a different result", "the same result", fix)
    return passed("computes the same, and is independent")


def _writes_to_nothing(subject: Subject) -> Outcome:
    """Neither variables nor raw arrays that come in are changed."""
    twin = subject.twin(np.float64, subject.modes[0])
    inputs = subject.inputs()
    leaves = [*(x for x in inputs if isinstance(x, Variable)), *twin.leaves]
    for leaf in twin.leaves if subject.module is not None else ():  # copies
        leaf.grad = Tensor(np.ones(leaf.shape))
    marks = [(leaf, leaf.grad, leaf.requires_grad) for leaf in leaves]
    stamps = [x.stamp if isinstance(x, Variable) else 0 for x in inputs]
    twin.outputs(*inputs)
    for leaf, grad, flag in marks:
        if leaf.grad is not grad or leaf.requires_grad != flag:
            which = ".grad" if leaf.grad is not grad else ".requires_grad"
            fix = "leave .grad, .requires_grad and zero_grad() to the training loop; a cut is x.detach()"
            raise failed(f"forward changed {leaf.name or leaf.label}{which}", "another one", "the one before", fix)
    arrays = [copy_of(x) for x in subject.raw]
    with no_grad():
        try:
            twin(*arrays)
            accepted = True
        except Exception:
            accepted = False
    for i, (original, x, stamp, array) in enumerate(zip(subject.raw, inputs, stamps, arrays)):
        if isinstance(x, Variable):
            kind = "a tensor" if x.stamp != stamp else "" if _equal(array, original) else "a raw array"
        else:
            kind = "" if _equal(x, original) else f"of type {type(x).__name__}"
        if kind:
            fix = "make a new value: x = x * 2 rather than x *= 2 on an array, ops.where rather than x[mask] = 0"
            raise failed(f"forward changed its input {i}, {kind}", "other values", "the values that came in", fix)
    return passed("tensors and raw arrays" if accepted else "tensors (raw arrays are not taken)")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=is_float(one))
    return one is other or bool(one == other)


def _keeps_nothing_alive(subject: Subject) -> Outcome:
    """No reference cycle, and no result that outlives its last name."""
    twin = subject.twin(np.float64, subject.modes[0])

    def step(backward: bool) -> list[tuple[str, weakref.ref[Variable]]]:
        inputs = subject.inputs()
        watched = [(x.label, weakref.ref(x)) for x, raw in zip(inputs, subject.raw) if is_float(raw)]
        with record_sites():
            loss = loss_of(subject, twin, inputs)
        if loss is None:
            return watched
        watched += [(f"made by {operation(v)}", weakref.ref(v)) for v in behind([loss]) if not v.is_leaf]
        if backward:
            loss.backward()
        return watched

    def arrays() -> list[weakref.ref[Any]]:
        inputs = subject.inputs()
        results = [y for y in twin.outputs(*inputs) if not y.is_leaf]
        made = [x for x, raw in zip(inputs, subject.raw) if is_float(raw)]
        return [weakref.ref(x.data) for x in (*made, *results)]

    enabled, flags = gc.isenabled(), gc.get_debug()
    step(True)  # what is made once and kept, such as tables, is made now
    gc.disable()
    try:
        gc.freeze()  # what others left, which can be much, is not looked at
        held = [name for name, result in step(False) if result() is not None]
        step(True)
        gc.set_debug(gc.DEBUG_SAVEALL)
        start = len(gc.garbage)
        gc.collect()
        cycles = Counter(type(thing).__name__ for thing in gc.garbage[start:])
        del gc.garbage[start:]
    finally:
        gc.set_debug(flags)
        gc.unfreeze()
        if enabled:
            gc.enable()
    if cycles:
        got = ", ".join(f"{count} {name}" for name, count in cycles.most_common(4))
        fix = "let no result refer to what refers to it (a closure, an attribute, a list of both)"
        raise failed("a reference cycle waits for the garbage collector", got, "nothing", fix)
    if held:
        fix = "keep y.detach() or y.numpy(), not y: it holds the whole graph behind it"
        if all(name.startswith("'input") for name in held):
            fix = "keep x.detach() or x.numpy(), not x; or what is needed of it, such as x.shape"
            raise failed("inputs stay alive after everybody dropped them", ", ".join(held), "none", fix)
        what = "results of the forward pass stay alive after everybody dropped them"
        raise failed(what, f"{len(held)}, the last one {held[-1]}", "none", fix)
    first = arrays()  # an array may be kept until the next call, not for good
    for _ in range(2):
        arrays()
    if held_arrays := sum(array() is not None for array in first):
        fix = "keep the last one, or what is needed of it; a list of all grows with every batch"
        raise failed("arrays stay alive after two more calls", f"{held_arrays} of the first", "none", fix)
    return passed("no cycle, no result kept")


def _repeatable(subject: Subject) -> Outcome:
    """The same result from the same draws; in evaluation, without draws."""
    told = []
    for mode in subject.modes:
        twin = subject.twin(np.float64, mode)
        first, second = twin.outputs(*subject.inputs()), twin.outputs(*subject.inputs())
        if not same(first, second):
            where = f" in {mode}" if mode else ""
            why, fix = cause(twin.module, lambda twin=twin: twin(*subject.inputs()))  # type: ignore[misc]
            raise failed(f"two calls differ{where}: {why}", difference(second, first), "the same result", fix)
        drawn = generator().bit_generator.state
        twin.outputs(*subject.inputs())
        subject.repeatable()
        draws = generator().bit_generator.state != drawn
        with no_grad():
            carried = as_list(twin.function(*subject.inputs()))  # with the buffers that the last call left
        if not same(first, carried):
            told.append(f"{mode or 'it'} depends on buffers that it moves")
        for buffer in twin.buffers:
            buffer.put_back()
        if seeded := seeds(lambda twin=twin: twin.function(*subject.inputs())):  # type: ignore[misc]
            fix = "seed once, outside: in a forward it repeats the same draws in every step"
            raise failed(f"forward seeds {seeded}", "the same draws in each call", "other ones in each", fix)
        if draws:
            with no_grad():
                free = as_list(twin.function(*subject.inputs()))  # with other draws
            if not same(first, free):
                if mode == "evaluation":
                    fix = "use random numbers only if self.training"
                    raise failed("evaluation is random", difference(free, first), "the same result", fix)
                told.append("random, and repeats after manual_seed")
    return passed("; ".join(told) or "two calls agree")


def _cost(subject: Subject) -> Outcome:
    """For information: times differ between machines and runs."""
    twin = subject.twin(np.float64, subject.modes[0])
    times, count = [], 0
    for _ in range(7):
        inputs = subject.inputs()
        start = time.perf_counter()
        loss = loss_of(subject, twin, inputs)
        middle = time.perf_counter()
        if loss is None:
            return note("nothing is recorded")
        count = sum(not v.is_leaf for v in behind([loss]))
        begin = time.perf_counter()
        try:
            loss.backward()
        except TinygradError:  # which the checks above have told
            return note("not measured: backward fails")
        times.append(middle - start + time.perf_counter() - begin)
    micro = statistics.median(times) * 1e6
    return note(f"{count} operations with the loss, {micro:.0f} µs forward and backward, {micro / count:.1f} µs each")


BATTERY: dict[str, Callable[[Subject], Outcome]] = {
    "float32": _float32,
    "first derivatives": partial(_derivatives, check=gradcheck),
    "second derivatives": partial(_derivatives, check=gradgradcheck),
    "float32 values": float32_values,
    "size of cotangents": cotangent_size,
    "gradients arrive": _gradients_arrive,
    "memory order": memory_order,
    "batch of one": _batch_of_one,
    "batch of none": batch_of_none,
    "other batch sizes": _other_sizes,
    "train and eval": _train_and_eval,
    "registered": _registered,
    "state_dict": _state_dict,
    "deepcopy": _deepcopy,
    "writes to nothing": _writes_to_nothing,
    "keeps nothing alive": _keeps_nothing_alive,
    "repeatable": _repeatable,
    "values decide": values_decide,
    "examples apart": examples_apart,
    "recorded or not": recorded_or_not,
    "one input twice": one_and_the_same,
    "special inputs": special_inputs,
    "cost": _cost,
}
AFTER = {
    "float32 values": ("float32", "first derivatives"),
    "size of cotangents": ("first derivatives",),
    "batch of none": ("batch of one", "first derivatives"),
    "memory order": ("first derivatives", "second derivatives"),
    "values decide": ("first derivatives", "second derivatives", "train and eval", "repeatable"),
    "examples apart": ("first derivatives", "other batch sizes", "train and eval", "repeatable", "values decide"),
    "recorded or not": ("first derivatives", "repeatable"),
    "one input twice": ("first derivatives", "repeatable", "memory order"),
    "special inputs": ("first derivatives", "repeatable"),
}
