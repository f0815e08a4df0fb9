"""A program as JSON text, and back: versioned, and checked once, when it is read.

Arrays are base64 of little-endian bytes, so every bit is kept.  The values of states are written too; the program that is
read has states of its own, which hold them.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import Primitive, Variable
from ..engine.tape import Place
from ..errors import RecordingError, explain
from ..kinds import Array, Json
from ..ops.primitives import TABLE
from ..tensor import Scalar, Tensor
from .parts import NUMBER, Constant, Input, Size, State, Step

if TYPE_CHECKING:
    from .model import Program

SCHEMA = "tinygrad_bn.program/1"
DTYPES = {NUMBER, "bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))} | {
    "float16", "float32", "float64",
}  # fmt: skip
KINDS = ("parameter", "buffer", "gradient", "setting", "tensor")
LARGEST = 2**31  # elements of an array; anything larger is a mistake or an attack
SIZES = {"shape", "window", "stride", "dilation"}  # parameters by which an operation can make something large
DEEPEST = 40  # nesting of arguments and parameters


def to_json(program: Program) -> str:
    """The text; the same program gives the same text.

    Raises:
        RecordingError: an argument that was passed through as it is, and is not plain data.
    """
    document = {
        "schema": SCHEMA,
        "inputs": [{"name": e.name, "shape": plain(e.shape), "dtype": e.dtype} for e in program.inputs],
        "states": [
            {"name": e.name, "kind": e.kind, "shape": plain(e.shape), "dtype": e.dtype, "value": _state_value(e)}
            for e in program.states
        ],
        "constants": [{"value": plain(e.value), "shape": plain(e.shape), "dtype": e.dtype} for e in program.constants],
        "steps": [
            [
                s.primitive.name,
                list(s.args),
                plain(dict(s.params)),
                plain(s.shape),
                s.dtype,
                list(s.scope),
                s.site,
                list(s.calls),
                s.name,
            ]
            for s in program.steps
        ],
        "outputs": list(program.outputs),
        "writes": [list(pair) for pair in program.writes],
        "takes": plain(program.takes),
        "gives": plain(program.gives),
        "n": program.recorded_n,
        "free": program.free,
        "smallest_n": program.smallest_n,
        "why_not": program.why_not,
        "modules": [[list(path), kind] for path, kind in program.modules.items()],
    }
    return json.dumps(document, allow_nan=False, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str, make: Callable[..., Program], primitives: Iterable[Primitive] = ()) -> Program:
    """The program that ``to_json`` wrote; ``make`` is the class, ``primitives`` are those that are not the library's.

    Raises:
        RecordingError: the text is not a program in this format, or is incomplete; nothing was run.
    """
    known = TABLE | {primitive.name: primitive for primitive in primitives}
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise _damaged(f"schema {str(document['schema'])[:60]!r}", SCHEMA)
        inputs = tuple(Input(_text(e["name"]), _shape(e["shape"]), _dtype(e["dtype"])) for e in document["inputs"])
        states = tuple(map(_state, document["states"]))
        constants = tuple(map(_constant, document["constants"]))
        given = len(inputs) + len(states) + len(constants)
        steps = tuple(_step(entry, known, given + i) for i, entry in enumerate(document["steps"]))
        end = given + len(steps)
        outputs = tuple(_number(i, end) for i in document["outputs"])
        writes = tuple(
            (len(inputs) + _number(s - len(inputs), len(states)), None if v is None else _number(v, end))
            for s, v in document["writes"]
        )
        takes, gives = _plan(document["takes"]), _plan(document["gives"])
        if (_leaves(takes), _leaves(gives)) != (len(inputs), len(outputs)):
            raise _damaged("arguments that do not fit the inputs, or results that do not fit the outputs", "as many")
        return make(
            inputs=inputs, states=states, constants=constants, steps=steps, outputs=outputs, writes=writes, takes=takes,
            gives=gives, recorded_n=_number(document["n"], LARGEST), free=document["free"] is True,
            smallest_n=_number(document["smallest_n"], LARGEST),
            why_not=_text(document["why_not"]),
            modules={tuple(map(_text, path)): _text(kind) for path, kind in document.get("modules", [])},
        )  # fmt: skip
    except RecordingError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {str(error)[:80]!r}", SCHEMA) from None


# -- writing ------------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Json:
    """A parameter, shape or array as JSON has it."""
    if isinstance(value, np.ndarray):
        raw = np.asarray(value, value.dtype.newbyteorder("<"), order="C").tobytes()
        return {"array": base64.b64encode(raw).decode(), "shape": list(value.shape), "dtype": value.dtype.name}
    if isinstance(value, Size):
        return {"size": [value.scale, value.offset, value.whole]}
    if isinstance(value, slice):
        return {"slice": [plain(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {"dict": [[str(key), plain(part)] for key, part in value.items()]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise RecordingError(explain("to_json(): this is not plain data", got=type(value).__name__))


def _state_value(state: State) -> Json:
    value = state.place.read()
    if isinstance(value, Variable):
        value = value._data
    return plain(value)


# -- reading ------------------------------------------------------------------------------------------------------------


def _damaged(got: str, expected: str) -> RecordingError:
    return RecordingError(explain("not a program in JSON", got=got, expected=expected))


def _back(value: Json, depth: int = 0) -> Any:
    """What ``plain`` wrote; lists as tuples."""
    if depth > DEEPEST:
        raise _damaged("values nested too deep", f"at most {DEEPEST} levels")
    if isinstance(value, list):
        return tuple(_back(part, depth + 1) for part in value)
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items() if "array" not in value else (("array", value),)
    if kind == "array":
        return _array(content)
    if kind == "size":
        scale, offset, whole = content
        return Size(_integer(scale, LARGEST), _integer(offset, LARGEST), whole is True)
    if kind == "slice":
        return slice(*(_back(part, depth + 1) for part in content))
    if kind == "ellipsis":
        return Ellipsis
    if kind == "float":
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[str(content)]
    if kind == "dict":
        return {_text(key): _back(part, depth + 1) for key, part in content}
    raise _damaged(f"a value of kind {str(kind)[:40]!r}", "array, size, slice, ellipsis, float, dict")


def _array(content: Json) -> Array:
    shape, dtype = tuple(map(_integer, content["shape"])), _dtype(content["dtype"])
    if dtype == NUMBER or any(n < 0 for n in shape) or math.prod(shape) > LARGEST:
        raise _damaged(f"an array of shape {shape}", f"at most {LARGEST} elements")
    raw = base64.b64decode(content["array"], validate=True)
    array = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)
    array.setflags(write=False)
    return array


def _state(entry: Json) -> State:
    """A state with a place of its own."""
    name, kind, shape, dtype = _text(entry["name"]), entry["kind"], _shape(entry["shape"]), _dtype(entry["dtype"])
    value = _back(entry["value"])
    if kind not in KINDS or (value is None and kind != "gradient"):
        raise _damaged(f"a state of kind {str(kind)[:40]!r}", ", ".join(KINDS))
    if kind == "setting":
        return State(name, kind, shape, dtype, Place({name: float(value)}, name))
    number = dtype == NUMBER
    if value is not None and (
        not isinstance(value, float) if number else np.shape(value) != shape or value.dtype != dtype
    ):
        raise _damaged(f"a value that does not fit the state {name[:40]!r}", f"shape {shape}, dtype {dtype}")
    start = value if value is not None else 0.0 if number else np.zeros(shape, dtype)
    leaf: Variable = Scalar(start, requires_grad=False, name=name) if number else Tensor(start, name=name)
    if kind == "gradient":
        leaf.grad = None if value is None else leaf.kind.wrap(value)
        return State(name, kind, shape, dtype, Place(leaf, "_grad"))
    return State(name, kind, shape, dtype, Place(leaf, "_data"))


def _constant(entry: Json) -> Constant:
    value, shape, dtype = _back(entry["value"]), _shape(entry["shape"]), _dtype(entry["dtype"])
    number = isinstance(value, (int, float, Size)) and not isinstance(value, bool)
    fits = number and not shape if dtype == NUMBER else isinstance(value, np.ndarray) and value.dtype == dtype
    if not fits or (dtype != NUMBER and value.shape not in ((), shape)):
        raise _damaged("a constant that does not fit its type", f"shape {shape}, dtype {dtype}")
    return Constant(value, shape, dtype)


def _step(entry: Json, known: dict[str, Primitive], end: int) -> Step:
    name, args, params, shape, dtype, scope, site, *more = entry
    calls, called = more or ([1] * len(scope), "")  # which texts of before did not have
    if name not in known:
        fix = "Program.from_json(text, primitives=[...]) takes primitives of your own"
        raise RecordingError(explain("a program with an unknown operation", got=str(name)[:60], fix=fix))
    primitive = known[name]
    settings = _bounded(_back(params))
    if not isinstance(settings, dict) or (primitive.vjps and len(primitive.vjps) != len(args)):
        raise _damaged(f"{name} with {len(args)} arguments", f"{len(primitive.vjps)} arguments")
    numbers = tuple(_number(i, end) for i in args)
    if len(calls) != len(scope):  # somebody has moved the step
        calls = [1] * len(scope)
    return Step(
        primitive, numbers, settings, _shape(shape), _dtype(dtype), tuple(map(_text, scope)), _text(site),
        tuple(map(_integer, calls)), _text(called),
    )  # fmt: skip


def _bounded(params: Any) -> Any:
    """The parameters of a step, if no size among them is a mistake or an attack."""
    for name in SIZES.intersection(params if isinstance(params, dict) else ()):
        sizes = [abs(part) for part in _whole_numbers(params[name])]
        if name == "shape":
            sizes.append(math.prod(sizes))
        if max(sizes, default=0) > LARGEST:
            raise _damaged(f"{name} = {str(params[name])[:60]}", f"no size larger than {LARGEST}")
    return params


def _whole_numbers(value: Any) -> Iterable[int]:
    """All in a parameter, however deep."""
    if type(value) is int:
        yield value
    elif isinstance(value, Size):
        yield from (value.scale, value.offset)
    elif isinstance(value, tuple):
        for part in value:
            yield from _whole_numbers(part)


def _number(value: Json, end: int) -> int:
    if not 0 <= _integer(value) < end:
        raise _damaged(f"a reference to value {value}", f"0 to {end - 1}")
    return int(value)


def _integer(value: Json, largest: int = 2**53) -> int:
    if type(value) is not int or abs(value) > largest:
        raise _damaged(f"{str(value)[:40]!r} where a whole number is expected", "a whole number")
    return value


def _shape(value: Json) -> tuple[Any, ...]:
    shape = _back(value)
    if not isinstance(shape, tuple) or len(shape) > 64:
        raise _damaged(f"a shape {str(value)[:60]!r}", "a list of sizes")
    for n in shape:
        if not isinstance(n, Size) and not 0 <= _integer(n) <= LARGEST:
            raise _damaged(f"a length of {n}", f"0 to {LARGEST}")
    if math.prod(n for n in shape if not isinstance(n, Size)) > LARGEST:
        raise _damaged("a shape with too many elements", f"at most {LARGEST}")
    return shape


def _dtype(value: Json) -> str:
    if value not in DTYPES:
        raise _damaged(f"dtype {str(value)[:40]!r}", ", ".join(sorted(DTYPES)))
    return str(value)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise _damaged(f"{type(value).__name__} where text is expected", "text")
    return value


def _plan(value: Json, depth: int = 0) -> Json:
    """A plan of arguments, as ``trees`` has it, checked."""
    if value == "value":
        return value
    kind, *parts = value
    if depth > DEEPEST or kind not in ("tuple", "list", "dict", "scalars", "same"):
        raise _damaged(f"a plan of kind {str(kind)[:40]!r}", "tuple, list, dict, scalars, same")
    if kind == "scalars":
        return [kind, list(_shape(parts[0]))]
    if kind == "dict":
        entries = parts[0]["dict"]
        return [kind, {_text(key): _plan(part, depth + 1) for key, part in entries}]
    if kind == "same":
        return [kind, _back(parts[0])]
    return [kind, *(_plan(part, depth + 1) for part in parts)]


def _leaves(plan: Any) -> int:
    """How many values a plan takes."""
    if plan == "value":
        return 1
    kind, *parts = plan
    if kind == "scalars":
        return math.prod(parts[0])
    if kind == "same":
        return 0
    return sum(map(_leaves, parts[0].values() if kind == "dict" else parts))
