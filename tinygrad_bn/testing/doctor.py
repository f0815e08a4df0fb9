"""``why_no_grad``: why a parameter gets no gradient, or a gradient of zero, from the recorded graph."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of, is_grad_enabled, record_sites
from ..errors import ArgumentError, GraphError, explain
from ..graph import Step, backward_steps
from .places import behind, largest, operation

Users = dict[Variable, list[tuple[Variable, int]]]


@dataclass(frozen=True)
class Diagnosis:
    """The reason why there is no gradient.

    Attributes:
        cause: "has one", "requires_grad is off", "changed since", "detached", "no derivative", "not recorded",
            "not used", "zero" or "not finite".
        sentence: one sentence, with the place.
    """

    cause: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def why_no_grad(param: Any, loss: Any) -> Diagnosis:
    """Why ``loss.backward()`` gives ``param`` no gradient, or one that is zero.

    Ask before ``backward``, which uses the graph up.  What is recorded inside ``tinygrad_bn.record_sites()`` is named
    with its line of code.  No ``.grad`` changes.

    Args:
        param: the variable that should get a gradient.
        loss: a recorded result of one element; or a function without arguments that computes it.  A function is run
            again with ``param`` changed a little, so that a value which passes by the record (under ``no_grad``, through
            ``.data``, in plain NumPy) is told from one that is not used at all.

    Returns:
        The diagnosis; ``str()`` of it is the sentence.

    Raises:
        ArgumentError: something that is not a variable.
        GraphError: the graph was freed by ``backward``.
        ShapeError: a loss of more than one element.
    """
    if not isinstance(param, Variable):
        raise ArgumentError(explain("why_no_grad: the parameter is a variable", got=type(param).__name__))
    if not param.requires_grad:
        return Diagnosis("requires_grad is off", _not_asked(param))
    again: Callable[[], Any] | None = None
    if not isinstance(loss, Variable) and callable(loss):
        again = loss
        with record_sites():
            loss = again()
    if not isinstance(loss, Variable):
        raise ArgumentError(explain("why_no_grad: the loss is a variable", got=type(loss).__name__))
    walked = behind([loss])
    users: Users = {variable: [] for variable in walked}
    for result in walked:
        for slot, arg in enumerate(result.inputs or ()):
            if isinstance(arg, Variable):
                users[arg].append((result, slot))
    if param not in users:
        return _unreachable(param, loss, walked, again)
    late = [result for result, _ in users[param] if param.stamp > result.stamp]
    if late:
        said = f"{param.label} was given a new value, or requires_grad=True, after {operation(late[0])} had recorded it"
        return Diagnosis(
            "changed since", f"{said}: backward refuses where a rule needs the earlier one; run the forward pass again"
        )
    onward, blocks = _onward(param, users)
    if loss not in onward:
        return _blocked(param, loss, blocks, users)
    return _flow(param, loss, onward)


def _not_asked(param: Variable) -> str:
    if param.inputs is not None:
        return f"{param.label} does not require a gradient, because no input of {operation(param)} passes one on"
    if dtype_of(param).kind != "f":
        return f"{param.label} holds {dtype_of(param)}, and only floating-point numbers have a gradient"
    return (
        f"{param.label} has requires_grad=False: it was made so, under no_grad() or by detach();"
        " set requires_grad=True before the forward pass"
    )


def _rule(result: Variable, slot: int) -> Any:
    assert result.primitive is not None  # that is what makes it a result
    return result.primitive.vjp(slot)


def _onward(param: Variable, users: Users) -> tuple[set[Variable], list[tuple[Variable, int]]]:
    """What a gradient can come back from, and the uses that no gradient comes back from."""
    onward, waiting, blocks = {param}, [param], []
    for variable in waiting:
        for result, slot in users[variable]:
            if _rule(result, slot) is None or not result.requires_grad:
                blocks.append((result, slot))
            elif result not in onward:
                onward.add(result)
                waiting.append(result)
    return onward, blocks


def _blocked(param: Variable, loss: Variable, blocks: list[tuple[Variable, int]], users: Users) -> Diagnosis:
    stops = [
        result for result, _ in blocks if result.primitive is not None and result.primitive.name == "stop_gradient"
    ]
    converted = {result: _to_integers(result, users) for result in stops}
    whole = [result for result in stops if not converted[result]]
    if len(whole) == len(blocks):
        said = f"{param.label} reaches the loss only through {_listed(map(operation, whole))}, which detaches it"
        return Diagnosis("detached", said)
    names = []
    for result, _ in blocks:
        names += [f"{operation(c)} to {dtype_of(c)}" for c in converted.get(result, ())] or [operation(result)]
    said = f"{param.label} reaches the loss only through operations without a derivative: {_listed(names)}"
    return Diagnosis("no derivative", said)


def _to_integers(stop: Variable, users: Users) -> list[Variable]:
    """``astype`` to integers is recorded as a stop_gradient and a conversion."""
    return [result for result, _ in users[stop] if result.primitive is not None and result.primitive.name == "astype"]


def _listed(names: Any) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


# -- the loss was not computed from it, as far as the record goes ---------------------------------------------------------


def _constants(walked: list[Variable]) -> Iterator[tuple[Any, Variable]]:
    """Constants of the record, raw or as leaves that want no gradient, each with the operation that uses it."""
    for result in walked:
        for arg in result.inputs or ():
            if not isinstance(arg, Variable) or (arg.is_leaf and not arg.requires_grad):
                yield arg, result


def _unreachable(param: Variable, loss: Variable, walked: list[Variable], again: Callable[[], Any] | None) -> Diagnosis:
    if loss.is_leaf:
        off = "recording is switched off (no_grad)" if not is_grad_enabled() else "no recorded operation made it"
        why = "it was computed under no_grad(), from raw values, or it is itself detached"
        return Diagnosis("not recorded", f"{loss.label} has no graph at all, {off}: {why}")
    constants = [(c, user) for c, user in _constants(walked) if isinstance(_raw(c), np.ndarray)]
    for constant, user in constants:
        if np.may_share_memory(_raw(constant), _raw(param)):
            how = "as a constant, after .detach(), .data or .numpy()"
            return Diagnosis("detached", f"the value of {param.label} enters {operation(user)} {how}")
    for constant, user in constants:
        for source in gc.get_referrers(_raw(constant)):  # an intermediate result that is still alive
            if isinstance(source, Variable) and _made_of(source, param):
                name = f"{source.label}, which was computed from {param.label}"
                said = (
                    f"the value of {name}, enters {operation(user)} as a constant, after .detach(), .data or .numpy()"
                )
                return Diagnosis("detached", said)
    if again is not None:
        moved, places = _passes_by(param, loss, walked, again)
        if moved:
            where = f", which enters {_listed(places)}" if places else ""
            said = f"changing {param.label} changes the loss, but only as a constant{where}"
            how = "it was computed under no_grad(), with .data or in plain NumPy"
            return Diagnosis("not recorded", f"{said}: {how}")
        return Diagnosis("not used", f"{param.label} is not used: the loss stays the same when it is changed")
    said = f"no recorded operation leads from {param.label} to the loss"
    suspects = [user for c, user in constants if not isinstance(c, Variable) or c.stamp > param.stamp]
    if not suspects:
        return Diagnosis("not used", f"{said}: it is not used")
    hint = f"it is not used, or it is hidden in a constant of {_listed(map(operation, suspects))}"
    return Diagnosis("not used", f"{said}: {hint}; pass a function that computes the loss to tell which")


def _made_of(result: Variable, param: Variable) -> bool:
    try:
        return any(variable is param for variable in behind([result]))
    except GraphError:  # freed by a backward pass, so that it can no longer be known
        return False


def _passes_by(
    param: Variable, loss: Variable, walked: list[Variable], again: Callable[[], Any]
) -> tuple[bool, list[str]]:
    """Whether the loss moves with the parameter, and the operations whose constants do."""
    original = param.data
    scale = 1e-3 * (1.0 + np.abs(original))
    try:
        param.data = original + np.random.default_rng(0).uniform(0.5, 1.5, param.shape) * scale
        with record_sites():
            other = again()
    finally:
        param.data = original
    if np.array_equal(other.data, loss.data, equal_nan=True):
        return False, []
    first, second = list(_constants(walked)), list(_constants(behind([other])))
    if len(first) != len(second):  # another program; which constant is which cannot be told
        return True, []
    changed = [
        operation(user)
        for (one, user), (two, _) in zip(first, second)
        if not np.array_equal(_raw(one), _raw(two), equal_nan=True)
    ]
    return True, changed


def _raw(value: Any) -> Any:
    return value.numpy() if isinstance(value, Variable) else value


# -- the gradient comes back, and is zero ---------------------------------------------------------------------------------


def _flow(param: Variable, loss: Variable, onward: set[Variable]) -> Diagnosis:
    """Follow the cotangents back and see where they end."""
    with np.errstate(all="ignore"):
        steps = backward_steps([loss], [None])
    arrived: dict[Variable, tuple[float, int]] = {loss: (1.0, 1)}  # largest cotangent, and how many numbers were added
    final: dict[Variable, Any] = {loss: 1.0}
    ends: list[str] = []
    cancelled: list[str] = []

    def alive(variable: Variable) -> bool:
        """Whether more than rounding is left of what arrived."""
        if variable not in arrived:
            return False
        size, count = arrived[variable]
        left = largest(final[variable])
        if not np.isfinite(left) or left > np.finfo(dtype_of(variable)).eps * (64 + count) * size:
            return True
        cancelled.append(variable.label if variable.is_leaf else f"the result of {operation(variable)}")
        return False

    for step in steps:
        if step.result in onward and step.result is not param and alive(step.result):
            for part in step.contributions:
                if part.argument in onward:
                    final[part.argument] = part.after
                    size = largest(part.returned)
                    if size == 0.0:
                        ends.append(f"{operation(step.result)} {_why_zero(step, part.slot)}")
                    else:
                        before, count = arrived.get(part.argument, (0.0, 0))
                        arrived[part.argument] = (max(before, size), count + int(np.size(part.returned)))
    if not alive(param):
        if cancelled:
            symmetry = "cancel in their sum (a symmetry, such as the sum of a normalized batch)"
            ends.append(f"the cotangents that reach {_listed(cancelled)} {symmetry}")
        return Diagnosis("zero", f"the gradient of {param.label} is 0 because {_listed(ends)}")
    size = largest(final[param])
    if not np.isfinite(size):
        return Diagnosis(
            "not finite", f"the gradient of {param.label} is not finite; find_nonfinite(loss) names the place"
        )
    told = (
        "" if param.grad is not None else "; .grad is None as long as backward has not been run, or after zero_grad()"
    )
    return Diagnosis("has one", f"{param.label} gets a gradient, its largest element {size:.3g}{told}")


def _why_zero(step: Step, slot: int) -> str:
    """Why a rule returned nothing but zeros."""
    result = step.result
    assert result.primitive is not None  # that is what makes it a result
    values = [np.asarray(_raw(arg)) for arg in result.inputs or ()]
    name, x, out = result.primitive.name, values[slot], np.asarray(result.data)
    if name == "relu" and (x <= 0).all():
        return f"is dead: {'its input is' if x.size == 1 else f'all {x.size} of its inputs are'} 0 or less"
    if name == "multiply" and not values[1 - slot].any():
        return "multiplies it by 0"
    if name in ("where", "maximum", "minimum", "clip") and not np.equal(out, x).any():
        return "takes none of its elements, but the other argument or a bound"
    if name == "sign":
        return "has the derivative 0 everywhere"
    if (name == "sigmoid" and np.isin(out, (0.0, 1.0)).all()) or (name == "tanh" and (np.abs(out) == 1.0).all()):
        return f"is saturated: its input is {float(np.min(x)):.3g} to {float(np.max(x)):.3g}"
    return "has the derivative 0 at these values, or gives 0 wherever a gradient comes in"
