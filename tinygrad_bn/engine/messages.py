"""What the engine says when it refuses: one function per refusal, each returning the error to raise.

Apart from the engine proper, so that there the cases stand beside each other and the words do not stand between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    AnomalyError,
    ArgumentError,
    DTypeError,
    GraphError,
    IndexingError,
    MutationError,
    NoDerivativeError,
    RecordingError,
    RuleError,
    ShapeError,
    TinygradError,
    explain,
)  # fmt: skip
from ..kinds import DType, Params, Raw, Shape, Value
from .mode import Site

if TYPE_CHECKING:
    from .primitive import Primitive
    from .variable import NoGraph, Variable


def summary(value: Any) -> str:
    """Shape, range and the count of non-finite elements; a number without axes as it is."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.6g}"
    if array.dtype.kind != "f":
        return f"{array.dtype} of shape {array.shape}"
    good = array[np.isfinite(array)]
    parts = [f"[{good.min():.4g} ... {good.max():.4g}]" if good.size else "no finite element"]
    bad = {"NaN": np.isnan(array), "+inf": array == np.inf, "-inf": array == -np.inf}
    parts += [f"{int(mask.sum())} {name}" for name, mask in bad.items() if mask.any()]
    return f"shape {array.shape}: {', '.join(parts)}"


def made_nonfinite(made: Raw, given: Iterable[Raw], elementwise: bool) -> bool:
    """Whether a NaN is there, or an infinity that came from no infinity: -inf in a mask is meant so.

    Args:
        made: what an operation or a rule returned.
        given: what it was given.
        elementwise: whether that corresponds element by element, so that each is looked at alone.
    """
    if np.isnan(made).any():
        return True
    infinite = np.isinf(made)
    came = [np.isinf(value) for value in given if np.asarray(value).dtype.kind == "f"]
    if not elementwise:
        return bool(infinite.any()) and not any(mask.any() for mask in came)
    for mask in came:
        infinite = infinite & ~mask
    return bool(infinite.any())


def operation(result: Variable) -> str:
    """The name of the operation that made a result."""
    assert result.primitive is not None  # that is what makes it a result
    return result.primitive.name


# -- variables --------------------------------------------------------------------------------------------------------


def not_a_leaf(variable: Variable, consequence: str) -> TinygradError:
    what = f"{variable.label} is the result of a recorded operation: {consequence}"
    return GraphError(explain(what, fix="change the leaf it came from, or work on x.detach()"))


def other_shape(variable: Variable, shape: Shape) -> TinygradError:
    what = f"{variable.label}: new data of another shape"
    fix = "make a new variable, or reshape the value first"
    return ShapeError(explain(what, got=f"shape {shape}", expected=variable.shape, fix=fix))


def other_kind(variable: Variable, dtype: DType) -> TinygradError:
    what = f"{variable.label}: new data of another kind"
    return DTypeError(explain(what, got=f"dtype {dtype}", expected=variable.dtype))


def read_only() -> TinygradError:
    what = "the array of a variable is read-only: an operation may have recorded it"
    fix = (
        "assign another one, p.data = p.data - step; write inside with p.unlocked() as array; let an optimizer of"
        " tg.optim move it; or take a copy, p.data.copy()"
    )
    return ArgumentError(explain(what, fix=fix))


def in_place(leaf: Variable, name: str) -> TinygradError:
    what = f"{leaf.label} wants a gradient and is being recorded: {name} cannot change it in place"
    fix = (
        "update it inside with no_grad(), or let an optimizer of tg.optim move it; x = x + y makes a new variable and"
        " keeps the graph"
    )
    return GraphError(explain(what, fix=fix))


def leaves_graph(variable: Variable, how: str) -> TinygradError:
    site = Site.here(None)
    what = f"{how} of {variable.label}, in a function that is being differentiated ({site.filename}:{site.line})"
    got = "a plain number, from which no gradient comes back"
    return GraphError(explain(what, got=got, fix=_KEEP))


def left_graph(variable: Variable, how: str) -> str:
    """Without the name of the variable: what differs would be said again each time."""
    return explain(
        f"{how} takes the value of a {type(variable).__name__} out of the graph: no gradient comes back", fix=_KEEP
    )


_KEEP = (
    "x.item() takes the value on purpose; x.sin(), ops.sin(x) or np.sin(x) in place of math.sin(x) keep the graph, and so"
    " do ops.stack and np.stack in place of filling an array"
)


def changed_inside(variable: Variable) -> TinygradError:
    what = f"{variable.label} was changed otherwise inside its own unlocked() block"
    fix = "write to the array of the innermost block, or assign to .data outside it"
    return MutationError(explain(what, fix=fix))


def not_floating(variable: Variable) -> TinygradError:
    what = f"{variable.label} cannot require a gradient"
    fix = "convert first: x.astype(float)"
    return DTypeError(explain(what, got=f"dtype {variable.dtype}", expected="a floating-point dtype", fix=fix))


def wants_none(variable: Variable, call: str) -> TinygradError:
    what = f"{call}: {variable.label} does not require a gradient"
    return GraphError(explain(what, fix="set requires_grad on a leaf before it"))


def not_single(variable: Variable) -> TinygradError:
    what = "item(): one element expected"
    return ShapeError(explain(what, got=f"shape {variable.shape}", fix="index or reduce first"))


def ambiguous(variable: Variable) -> TinygradError:
    what = "the truth of more than one element is ambiguous"
    fix = "use ops.where for a choice per element, or reduce to one element first"
    return ArgumentError(explain(what, got=f"shape {variable.shape}", fix=fix))


# -- primitives -------------------------------------------------------------------------------------------------------


def mixed_kinds(primitive: Primitive) -> TinygradError:
    what = f"{primitive.name}: a Scalar and a Tensor in one operation"
    fix = "Tensor(s.item()) makes a constant of the scalar; scalarize(t) makes scalars of the tensor's value"
    return DTypeError(explain(what, fix=fix))


def wrong_arity(primitive: Primitive, count: int) -> TinygradError:
    what = f"{primitive.name}: one derivative rule per argument"
    fix = "give Primitive(name, forward, rule, rule, ...) a rule, or None, for each argument"
    return RuleError(explain(what, got=f"{len(primitive.vjps)} rules, {count} arguments", fix=fix))


def not_plain(name: str, parameter: str, value: Any) -> TinygradError:
    what = f"{name}: the parameter {parameter}= must be plain data"
    expected, fix = "numbers, strings, tuples, None", "pass it by position, as an argument"
    if isinstance(value, (tuple, list, set, dict)):
        fix = "make it a tuple of such, tuple(...), which nobody can change later; arrays and variables are passed by position"
    return DTypeError(explain(what, got=type(value).__name__, expected=expected, fix=fix))


def not_an_array(name: str, made: Any) -> TinygradError:
    got, fix = type(made).__name__, "return the numbers, as real as the arguments"
    if made is None:
        fix = "end it with return"
    elif isinstance(made, (tuple, list)):
        got = f"{got} of {len(made)}"
        fix = "make a primitive for each result, or put them into one array, np.stack(...)"
    elif isinstance(made, np.ndarray):
        got = f"{got} of dtype {made.dtype}, shape {made.shape}"
    elif hasattr(made, "requires_grad"):
        fix = "a forward computes on raw arrays, with NumPy; pass variables as arguments"
    what = f"{name}: its forward did not return one array of real numbers"
    return RuleError(explain(what, got=got, expected="an ndarray or a number", fix=fix))


def not_numbers(primitive: Primitive, dtype: DType) -> TinygradError:
    return DTypeError(explain(f"{primitive.name}: a constant beside a Tensor must be numbers", got=f"dtype {dtype}"))


def not_a_number(primitive: Primitive, value: Any) -> TinygradError:
    what = f"{primitive.name}: a constant beside a Scalar must be a real number"
    return DTypeError(explain(what, got=f"{type(value).__name__} {value!r}"))


def not_for_scalars(primitive: Primitive) -> TinygradError:
    what = f"{primitive.name} does not work on single scalars"
    return NoDerivativeError(explain(what, fix="use a Tensor, or an array of scalars (scalarize)"))


def refused(primitive: Primitive, error: Exception, values: Sequence[Value], params: Params) -> Exception:
    """NumPy's own complaint, said again with the operation and its arguments."""
    if isinstance(error, TinygradError) or not isinstance(error, (ValueError, TypeError, IndexError)):
        raise error  # it says itself what was wrong, and is not its own cause
    family: type[TinygradError] = ShapeError
    fix = None
    if "read-only" in str(error):
        family, fix = ArgumentError, "a forward writes to none of its arguments; let it make a new array"
    elif isinstance(error, IndexError):  # AxisError is both a ValueError and an IndexError
        family = ShapeError if isinstance(error, ValueError) else IndexingError
    elif isinstance(error, TypeError):
        family = DTypeError
    got = ", ".join(f"{np.shape(v)} {getattr(v, 'dtype', type(v).__name__)}" for v in values)
    if "broadcast together" in str(error):
        expected = "axes of one length, or of length 1, counted from the last"
        return family(explain(f"{primitive.name}: shapes that do not broadcast", got=got, expected=expected))
    settings = ", ".join(f"{key}={value!r}" for key, value in params.items())
    return family(explain(f"{primitive.name}: {error}", got=f"{got}{' with ' + settings if settings else ''}", fix=fix))


def not_finite_forward(primitive: Primitive, data: Raw, values: list[Raw]) -> TinygradError:
    site = Site.here(None)
    return step_not_finite(primitive, data, values, f"{site.filename}:{site.line}")


def step_not_finite(primitive: Primitive, data: Raw, values: list[Raw], place: str) -> TinygradError:
    inputs = "; ".join(summary(value) for value in values)
    what = f"forward: {primitive.name} made {summary(data)}"
    return AnomalyError(explain(what, got=f"inputs {inputs}", fix=f"look at {place}"))


# -- recordings -------------------------------------------------------------------------------------------------------


def leaves_recording(variable: Variable, how: str) -> RecordingError:
    site = Site.here(None)
    what = f"{how} of {variable.label}, in a function that is being recorded ({site.filename}:{site.line})"
    got = "a value that would be the same in every later run of the program"
    fix = "let operations decide (ops.where, ops.maximum, ...), write with tinygrad_bn.write, or return it and look outside"
    return RecordingError(explain(what, got=got, fix=fix))


# -- rules ------------------------------------------------------------------------------------------------------------


def broken_rule(primitive: Primitive, index: int, argument: Variable, got: str, fix: str) -> TinygradError:
    dtype = "float" if argument.is_scalar_kind else f"dtype {argument.dtype}"
    expected = f"shape {argument.shape}, {dtype}"
    if primitive.core_dims == 0:
        expected += ", or the shape of the result"
    what = f"{primitive.name}: broken derivative rule for argument {index}"
    return RuleError(explain(what, got=got, expected=expected, fix=fix))


def discrete(primitive: Primitive, dtype: DType) -> TinygradError:
    what = f"{primitive.name}: its rule would get no cotangent, since its forward returned no floating-point numbers"
    fix = "return floats, or make the primitive with discrete=True: integers and booleans carry no gradient"
    return RuleError(explain(what, got=f"dtype {dtype}", expected="a floating-point dtype", fix=fix))


def rule_failed(result: Variable, index: int, error: Exception, count: int) -> TinygradError:
    names = ", ".join(result.params or {}) or "no parameters"
    return RuleError(
        explain(
            f"{operation(result)}: the derivative rule for argument {index} failed: {type(error).__name__}: {error}",
            got=f"called as rule(g, out, {count} arguments, {names})",
            expected="a function of the result's cotangent, the result, each argument, and the parameters by keyword;"
            " it writes to none of them",
        )
    )


def not_finite_in_rule(result: Variable, index: int, error: Exception) -> TinygradError:
    found = str(error).removeprefix("forward: ")
    return AnomalyError(f"backward, in the rule of {operation(result)} for argument {index}: {found}")


def inspect_backward(result: Variable, index: int, cotangent: Value, given: Sequence[Value]) -> None:
    """Raise where the rule for an argument made a NaN, or an infinity from no infinity."""
    raw, *values = (getattr(value, "_data", value) for value in (cotangent, *given))
    elementwise = result.primitive is not None and result.primitive.elementwise and np.shape(raw) == result.shape
    if made_nonfinite(raw, values, elementwise):
        raise not_finite_backward(result, index, raw)


def not_finite_backward(result: Variable, index: int, raw: Raw) -> TinygradError:
    site = result.scope
    made = f"look at {site.filename}:{site.line}, which called it" if isinstance(site, Site) else None
    return AnomalyError(
        explain(
            f"backward: the rule of {operation(result)} for argument {index} made {summary(raw)}",
            got=f"from the result {summary(result._data)}",
            fix=made or "run the forward inside detect_anomaly() too, and its line will be named here",
        )
    )


# -- backward ---------------------------------------------------------------------------------------------------------


def no_graph(variable: Variable, reason: NoGraph) -> TinygradError:
    return GraphError(explain(f"{variable.label}: {reason.why}", fix=reason.fix))


def mutated(result: Variable, arg: Variable) -> TinygradError:
    what = f"{operation(result)} recorded {arg.label}, which was changed before backward needed it"
    got = "a new value, or requires_grad switched on, after the operation"
    return MutationError(explain(what, got=got, fix="run backward before changing it, or record on a copy"))


def no_gradient(root: Variable, call: str) -> TinygradError:
    if root.inputs is None:
        why = "it is a leaf created without requires_grad=True, or it was made under no_grad() or by detach()"
    else:
        why = "nothing it was computed from requires one, or only operations without a derivative lead to it"
    what = f"{call}: {root.label} does not require a gradient"
    return GraphError(explain(what, got=why, fix="set requires_grad=True on a leaf first"))


def no_cotangent(root: Variable) -> TinygradError:
    what = f"backward from {root.label} needs a cotangent"
    fix = "pass a cotangent, y.backward(w), or reduce to one number first, (w * y).sum().backward()"
    return ShapeError(explain(what, expected=f"shape {root.shape}", fix=fix))


def bad_cotangent(root: Variable, got: str) -> TinygradError:
    what = f"the cotangent of {root.label} does not fit"
    expected = f"a {root.kind.__name__} or raw numbers of shape {root.shape}"
    return ShapeError(explain(what, got=got, expected=expected))


def bad_gradient(leaf: Variable, g: Any, found: str, dtype: DType) -> TinygradError:
    what = f"{leaf.label}: what its .grad was set to cannot be added to"
    got = f"{type(g).__name__} of shape {found}"
    expected = f"{leaf.kind.__name__} of shape {leaf.shape}, dtype {dtype}"
    return ArgumentError(explain(what, got=got, expected=expected, fix="set .grad to None, or to such a variable"))


def bad_hook(variable: Variable, new: Any) -> TinygradError:
    what = f"hook on {variable.label}: bad replacement gradient"
    kind = "an ndarray" if isinstance(new, np.ndarray) else f"a {type(new).__name__}"
    got = f"{kind} of shape {new.shape if hasattr(new, 'shape') else np.shape(new)}"
    expected = f"None, or a {variable.kind.__name__} of shape {variable.shape}"
    return ShapeError(explain(what, got=got, expected=expected))
