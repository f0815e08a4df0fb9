"""The backward sweep: each operation once, in descending order of creation, cotangents from results to inputs.

Nothing is written to a variable before the whole sweep has succeeded, so a failure leaves gradients as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from ..errors import AnomalyError, CollectiveError, RecordingError, ShapeError, explain, native
from . import messages
from .contract import frozen
from .mode import closing, current_mode, enable_grad, no_grad
from .primitive import Rule
from .reads import check_unread
from .unbroadcast import astype, dtype_of, shape_of, unbroadcast
from .variable import FREED, NoGraph, Variable
from .write import set_gradients

Cotangents = dict[Variable, Any]

_accumulating = RLock()  # two threads that add to one leaf's gradient; a finalizer or signal may come in between


class Contribution(NamedTuple):
    """What one rule added to one argument: what an observer of a sweep is shown.

    Attributes:
        result: the operation's result.
        upstream: its complete cotangent.
        slot: which argument of the operation.
        argument: the argument.
        returned: what the rule returned, still of the result's shape where broadcasting took place.
        cotangent: the same with broadcasting undone.
        before: the argument's cotangent so far, ``None`` when this is the first contribution.
        after: the sum of both.
    """

    result: Variable
    upstream: Any
    slot: int
    argument: Variable
    returned: Any
    cotangent: Any
    before: Any
    after: Any


def toposort(roots: Iterable[Variable], everything: bool = False) -> list[Variable]:
    """Every operation result that ``roots`` depend on, roots included, latest first; each once, without recursion.

    Creation numbers make the order: an operation's inputs exist before its result, so in descending order everything
    that used a result has been dealt with, and its cotangent is complete, when its own turn comes.

    Args:
        roots: where to start.
        everything: follow all arguments; otherwise only those through which gradients flow.

    Raises:
        GraphError: an earlier backward pass has used the graph up.
    """
    waiting = [root for root in dict.fromkeys(roots) if root.inputs is not None and (everything or root._requires_grad)]
    found = set(waiting)
    while waiting:  # latest first, which finds what is still in the cache
        variable = waiting.pop()
        if type(variable.inputs) is NoGraph:
            raise messages.no_graph(variable, variable.inputs)
        for arg in variable.inputs or ():
            if (
                isinstance(arg, Variable)
                and arg.inputs is not None
                and (arg._requires_grad or everything)
                and arg not in found
            ):
                found.add(arg)
                waiting.append(arg)
    return sorted(found, key=attrgetter("stamp"), reverse=True)


def sweep(
    roots: Sequence[Variable],
    cotangents: Sequence[Any],
    *,
    on_variables: bool,
    wanted: Iterable[Variable] | None = None,
    watch: Callable[[Contribution], object] | None = None,
) -> tuple[Cotangents, list[Variable]]:
    """Carry cotangents from ``roots`` back to what they came from.

    Args:
        roots: where the sweep starts.
        cotangents: one per root, in its shape; variables if ``on_variables``, else raw values.
        on_variables: run the rules on variables, which can be recorded, instead of on raw values.
        wanted: whose cotangents are asked for; only what leads to them is computed.  By default the leaves and the
            results that retain theirs.
        watch: called with every contribution, in order: the sweep in slow motion.

    Returns:
        The cotangents asked for (variables if ``on_variables``, else raw), and the operations in the order visited.
    """
    order = toposort(roots)
    targets = None if wanted is None else set(wanted)
    if targets is not None:
        order = _leading_to(order, targets)
    on_path = None if targets is None else targets.union(order)
    pending: Cotangents = {}
    for root, cotangent in zip(roots, cotangents):
        pending[root] = pending[root] + cotangent if root in pending else cotangent
    kept: Cotangents = {}
    anomaly = current_mode().anomaly
    for variable in order:
        if variable not in pending:  # no rule led here
            continue
        g = pending.pop(variable)
        extras = variable._extras
        if extras is not None and extras.hooks:
            g = _hooked(variable, g, on_variables)
        if targets is None:
            if extras is not None and extras.retains_grad:
                kept[variable] = g
        elif variable in targets:
            kept[variable] = g
        primitive, inputs, params, stamp = variable.primitive, variable.inputs, variable.params, variable.stamp
        assert primitive is not None  # that is what recorded means
        assert inputs is not None
        assert params is not None
        out = variable if on_variables else variable._data
        if type(g) is np.ndarray:
            # Not to be written to, as several operations may share it; a rule that does is reported.
            g.setflags(False)  # type: ignore[call-arg]  # write=False, which takes twice the time by keyword
        rules = primitive.vjps
        args = []
        for arg in inputs:
            if isinstance(arg, Variable):
                if arg.stamp > stamp:
                    check_unread(variable, arg, g, on_variables, on_path)
                args.append(arg if on_variables else arg._data)
            else:
                args.append(arg)
        given = (g, out, *args)
        for index, arg in enumerate(inputs):
            if not isinstance(arg, Variable) or not arg._requires_grad or (on_path is not None and arg not in on_path):
                continue
            rule = rules[index] if rules else primitive.vjp(index)
            if rule is None:
                continue
            try:
                cotangent = rule(*given, **params) if params else rule(*given)  # an empty ** costs, too
            except Exception as error:
                cotangent = ieee_or_raise(error, variable, index, rule, g, args)
            returned = cotangent
            # Of what should be a variable and is none, any object of another type, so that ``unbroadcast`` looks at it.
            data, found = arg._data, getattr(cotangent, "_data", variable) if on_variables else cotangent
            if type(found) is not type(data) or (
                type(data) is not float and (found.shape != data.shape or found.dtype is not data.dtype)
            ):
                cotangent = unbroadcast(cotangent, variable, index, arg, on_variables)
            if anomaly:
                messages.inspect_backward(variable, index, cotangent, given)
            before = pending.get(arg)
            pending[arg] = cotangent if before is None else before + cotangent
            if watch is not None:
                watch(Contribution(variable, g, index, arg, returned, cotangent, before, pending[arg]))
    for variable, g in pending.items():
        if targets is None or variable in targets:
            kept[variable] = g if variable._extras is None else _hooked(variable, g, on_variables)
    return kept, order


def _leading_to(order: list[Variable], targets: set[Variable]) -> list[Variable]:
    useful: set[Variable] = set()
    for variable in reversed(order):
        inputs = variable.inputs or ()
        if variable in targets or any(
            isinstance(arg, Variable) and (arg in useful or arg in targets) for arg in inputs
        ):
            useful.add(variable)
    return [variable for variable in order if variable in useful]


@closing
def backward(root: Variable, gradient: Any, *, retain_graph: bool, create_graph: bool) -> None:
    """``backward`` of a variable: sweep, then add to the leaves, then free the graph."""
    if not root._requires_grad:
        raise messages.no_gradient(root, "backward()")
    on_variables = create_graph or current_mode().tape is not None
    with enable_grad() if create_graph else no_grad():
        kept, order = sweep([root], [cotangent_for(root, gradient, on_variables)], on_variables=on_variables)
        with _accumulating:
            for variable, g in kept.items():
                if variable.inputs is None and (so_far := variable.grad) is not None:
                    g = _so_far(variable, so_far, on_variables) + g
                kept[variable] = as_gradient(variable, g)
            set_gradients(kept.keys(), kept.values())
    if not (retain_graph or create_graph):
        free(order)


def _so_far(leaf: Variable, g: Any, on_variables: bool) -> Any:
    """The gradient that a leaf has already, and that could have been assigned by the user."""
    fits = isinstance(g, Variable) and g.kind is leaf.kind and g.shape == leaf.shape and dtype_of(g) == dtype_of(leaf)
    if not fits:
        raise messages.bad_gradient(leaf, g, f"{shape_of(g)}, dtype {dtype_of(g)}", dtype_of(leaf))
    return g if on_variables else g._data


@closing
def gradients(
    outputs: Sequence[Variable],
    inputs: Sequence[Variable],
    cotangents: Sequence[Any] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Any]:
    """Cotangents of ``inputs`` for given cotangents of ``outputs``; stores nothing in ``.grad``.

    An input that the outputs do not depend on gets ``None``.  Arguments and errors as in ``Variable.backward``.
    """
    for output in outputs:
        if not output._requires_grad:
            raise messages.no_gradient(output, "grad()")
    for variable in inputs:
        if not variable._requires_grad:
            raise messages.no_gradient(variable, "grad() with respect to it")
    on_variables = create_graph or current_mode().tape is not None
    with enable_grad() if create_graph else no_grad():
        if cotangents is None:
            cotangents = [None] * len(outputs)
        if len(cotangents) != len(outputs):
            raise ShapeError(explain("grad(): one cotangent per output", got=len(cotangents), expected=len(outputs)))
        prepared = [cotangent_for(output, cotangent, on_variables) for output, cotangent in zip(outputs, cotangents)]
        kept, order = sweep(outputs, prepared, on_variables=on_variables, wanted=inputs)
    if not (retain_graph or create_graph):
        free(order)
    return [as_gradient(variable, kept[variable]) if variable in kept else None for variable in inputs]


def free(order: Iterable[Variable]) -> None:
    """Release what the operations recorded."""
    for variable in order:
        variable.inputs = FREED
        variable.params = None


def cotangent_for(root: Variable, gradient: Any, on_variables: bool) -> Any:
    """The cotangent a sweep starts from: checked, of the root's dtype, and safe from later writes."""
    if gradient is None:
        if root.size != 1:
            raise messages.no_cotangent(root)
        gradient = np.ones(root.shape, dtype_of(root))
    if isinstance(gradient, Variable) and on_variables:
        if gradient.shape != root.shape or gradient.kind is not root.kind:
            raise messages.bad_cotangent(root, f"a {gradient.kind.__name__} of shape {gradient.shape}")
        return gradient
    raw = np.asarray(gradient._data if isinstance(gradient, Variable) else native(gradient, "backward"))
    if raw.shape != root.shape or raw.dtype.kind not in "fiub":
        raise messages.bad_cotangent(root, f"shape {raw.shape}, dtype {raw.dtype}")
    cotangent = float(raw) if root.is_scalar_kind else frozen(raw.astype(root.dtype, copy=False))
    return root.kind.wrap(cotangent) if on_variables else cotangent


def as_gradient(variable: Variable, g: Any) -> Variable:
    """What ``.grad`` holds for a raw or recorded cotangent."""
    if isinstance(g, Variable):
        return g
    return variable.kind.wrap(g if variable.is_scalar_kind else np.asarray(g))


def _hooked(variable: Variable, g: Any, on_variables: bool) -> Any:
    for hook in tuple(variable._extras.hooks if variable._extras else ()):
        new = hook(as_gradient(variable, g))
        if new is None:
            continue
        if not isinstance(new, Variable) or new.kind is not variable.kind or new.shape != variable.shape:
            raise messages.bad_hook(variable, new)
        if dtype_of(new) != dtype_of(variable):
            new = astype(new, dtype=dtype_of(variable).name)
        g = new if on_variables else new._data
    return g


def ieee_or_raise(error: Exception, variable: Variable, index: int, rule: Rule, g: Any, args: list[Any]) -> Any:
    """Python floats raise on 1/0 and on overflow; run the rule again on NumPy's, which follow IEEE 754."""
    if isinstance(error, (RecordingError, CollectiveError)):
        raise error
    if isinstance(error, AnomalyError):
        raise messages.not_finite_in_rule(variable, index, error) from error
    if isinstance(error, ArithmeticError) and type(g) is float:
        try:
            with np.errstate(all="ignore"):
                floats = map(np.float64, args)
                return rule(np.float64(g), np.float64(variable._data), *floats, **(variable.params or {}))
        except Exception as another:
            error = another
    raise messages.rule_failed(variable, index, error, len(args)) from error
