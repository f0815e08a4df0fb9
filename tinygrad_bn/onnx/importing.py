"""``import_program``: a file in the ONNX format as a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of, scope, shape_of
from ..errors import ArgumentError, FileError, clean, explain, printable
from ..files import FilePath
from ..kinds import Value
from ..program import Program, record
from ..tensor import Parameter, Tensor
from .counterparts import COUNTERPARTS, LARGEST, Node
from .package import package

STANDARD = ("", "ai.onnx")
OLDEST = 13  # the opset from which operators are read as they are; files of older ones are converted first
DEEPEST = 64  # functions inside functions
ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
MOST = 200_000  # operators, with those of functions each time they are called


def import_program(path: FilePath, inputs: Any = None) -> Program:
    """A program of a model whose operators all have a counterpart: to run, to draw, to call on variables and differentiate.

    Floating-point initializers become parameters of the program, under their names.  Functions of the file become
    scopes.

    Args:
        path: the file.
        inputs: examples, as for ``record``: needed where a length other than that of the first axis is left open.

    Returns:
        A program that takes the model's inputs in order, and returns its output, or a tuple of several; free in its
        first axis where the file says so and the program finds it true.

    Raises:
        FileError: no such file.
        ArgumentError: it is no whole ONNX file, or has operators or types without a counterpart, all by name; nothing
            has been run then.
        MissingPackageError: the package onnx is not installed.
    """
    onnx = package("import_program()")
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise FileError(explain(f"{path} cannot be read", got=getattr(error, "strerror", None) or error)) from error
    name = clean(str(path), 200)
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node and not model.graph.output:
            raise ValueError("there is no graph in it")
        _check_inside(onnx, model)
        _check_unfolded(model)
        onnx.checker.check_model(model)
        version = next((entry.version for entry in model.opset_import if entry.domain in STANDARD), OLDEST)
        if version < OLDEST:
            model = onnx.version_converter.convert_version(model, OLDEST)
    except ArgumentError:
        raise
    except Exception as error:  # of protobuf, of the checker, of the converter
        said = clean(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, 300)
        raise ArgumentError(explain(f"{name} is no ONNX model, or not a whole one", got=said)) from error
    reader = _Reader(onnx, model)
    reader.refuse_unknown(name)
    examples, free = reader.examples(inputs)
    try:
        with np.errstate(all="ignore"):  # the examples mean nothing
            return record(reader.run, *examples, free=free)
    except (ArgumentError, FileError):
        raise
    except Exception as error:  # what the file says does not fit together
        raise ArgumentError(
            explain(f"{name} cannot be made a program: {clean(str(error).partition(chr(10))[0], 300)}")
        ) from error


def _check_inside(onnx: Any, model: Any) -> None:
    """Nothing of a model may stand in another file, which could be any file of the machine."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    tensors = [t for node in nodes for entry in node.attribute for t in (entry.t, *entry.tensors)]
    outside = [t.name for t in (*model.graph.initializer, *tensors) if t.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        fix = "onnx.save_model(onnx.load(path), path) puts everything into one file"
        got = f"external data for {clean(outside[0], 60)!r}"
        raise ArgumentError(explain("import_program: the model keeps values in other files", got=got, fix=fix))


def _check_unfolded(model: Any) -> None:
    """Functions of functions can stand for more operators than there is time for, or call themselves."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    totals: dict[tuple[str, str, str], int] = {}

    def count(nodes: Sequence[Any], inside: tuple[tuple[str, str, str], ...]) -> int:
        total = len(nodes)
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            if key in functions:
                if key in inside or len(inside) > DEEPEST:
                    what = "import_program: a function that calls itself, or too many one in another"
                    raise ArgumentError(explain(what, got=clean(node.op_type)))
                if key not in totals:
                    totals[key] = count(functions[key].node, (*inside, key))
                total += totals[key]
        return total

    total = count(model.graph.node, ())
    if total > MOST:
        what = "import_program: functions that unfold to too many operators"
        raise ArgumentError(explain(what, got=f"{total:.3g}", expected=f"at most {MOST}"))


class _Reader:
    """Runs the nodes of a model on this library's operations."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx = onnx
        self.graph = model.graph
        self.opset = next((e.version for e in model.opset_import if e.domain in STANDARD), OLDEST)
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.initializers = {t.name: self._initializer(t) for t in self.graph.initializer}
        self.inputs = [entry for entry in self.graph.input if entry.name not in self.initializers]

    def _initializer(self, tensor: Any) -> Value:
        array = self._array(tensor)
        if array.dtype.kind != "f":
            return array
        return Parameter(array, name=tensor.name or None)

    def _array(self, tensor: Any) -> Any:
        try:
            array = np.array(self.onnx.numpy_helper.to_array(tensor))
        except Exception as error:
            what = f"import_program: the values of {clean(tensor.name)!r} cannot be read"
            raise ArgumentError(explain(what, got=clean(str(error), 200))) from error
        if array.dtype.kind not in "fiub" or array.dtype.name.startswith("bfloat"):
            what = f"import_program: no counterpart for the type of {clean(tensor.name)!r}"
            raise ArgumentError(explain(what, got=array.dtype.name, expected="real numbers or booleans"))
        return array

    # -- before anything runs ---------------------------------------------------------------------------------------------

    def refuse_unknown(self, name: str) -> None:
        """Whether every operator has a counterpart.

        Raises:
            ArgumentError: some have none; all of them are named.
        """
        missing: dict[str, None] = {}
        seen: set[tuple[str, str, str]] = set()
        waiting = [list(self.graph.node)]
        for nodes in waiting:
            for node in nodes:
                key = (node.domain, node.op_type, node.overload)
                if key in self.functions:
                    if key not in seen:
                        seen.add(key)
                        waiting.append(list(self.functions[key].node))
                elif node.domain not in STANDARD or node.op_type not in COUNTERPARTS:
                    missing[f"{node.domain}.{node.op_type}" if node.domain not in STANDARD else node.op_type] = None
        if missing:
            got = clean(", ".join(sorted(missing)), 300)
            raise ArgumentError(explain(f"{name} has operators without a counterpart here", got=got))

    def examples(self, given: Any) -> tuple[list[Any], bool]:
        """Example arguments in the shapes that the file says, and whether the first axis is left open."""
        if given is not None:
            listed = list(given) if isinstance(given, (tuple, list)) else [given]
            if len(listed) != len(self.inputs):
                got, expected = f"{len(listed)} examples", ", ".join(clean(entry.name) for entry in self.inputs)
                raise ArgumentError(explain("import_program: one example for each input", got=got, expected=expected))
            pairs = zip(self.inputs, listed)
            return [Tensor(x, name=entry.name) for entry, x in pairs], any(map(self._is_open, self.inputs))
        taken = {d.dim_value for e in self.inputs for d in list(e.type.tensor_type.shape.dim)[:1]}
        n = next(n for n in range(5, 5 + len(taken) + 1) if n not in taken)
        rng = np.random.default_rng(0)
        return [self._example(entry, n, rng) for entry in self.inputs], any(map(self._is_open, self.inputs))

    def _is_open(self, entry: Any) -> bool:
        dims = entry.type.tensor_type.shape.dim
        return bool(dims) and not dims[0].HasField("dim_value")

    def _example(self, entry: Any, n: int, rng: np.random.Generator) -> Tensor:
        kind = entry.type.WhichOneof("value")
        what = f"import_program: the input {clean(entry.name)!r}"
        if kind != "tensor_type" or not entry.type.tensor_type.HasField("shape"):
            fix = "inputs=(...), an example of each"
            raise ArgumentError(explain(f"{what} has no shape in the file", got=kind, expected="a tensor", fix=fix))
        sizes = [d.dim_value if d.HasField("dim_value") else None for d in entry.type.tensor_type.shape.dim]
        if None in sizes[1:]:
            shown = ", ".join("?" if size is None else str(size) for size in sizes)
            fix = "inputs=(...), an example of each"
            raise ArgumentError(
                explain(f"{what} leaves more than its first axis open", got=f"shape ({shown})", fix=fix)
            )
        shape = [n if size is None else size for size in sizes]
        dtype = np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type))
        if dtype.kind not in "fiub" or dtype.name.startswith("bfloat") or min(shape, default=0) < 0:
            raise ArgumentError(explain(f"{what} has no counterpart", got=f"{dtype.name}, shape {tuple(shape)}"))
        if int(np.prod(shape, dtype=object)) > LARGEST:
            raise ArgumentError(explain(f"{what} is too large", got=f"shape {tuple(shape)}"))
        drawn = rng.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)
        return Tensor(np.asarray(drawn, dtype), name=entry.name)

    # -- running ----------------------------------------------------------------------------------------------------------

    def run(self, *inputs: Value) -> Any:
        """The outputs of the model."""
        values: dict[str, Value] = {**self.initializers, **{e.name: x for e, x in zip(self.inputs, inputs)}}
        self._nodes(self.graph.node, values, {})
        results = tuple(self._found(values, entry.name) for entry in self.graph.output)
        return results[0] if len(results) == 1 else results

    def _nodes(self, nodes: Sequence[Any], values: dict[str, Value], given: Mapping[str, Any]) -> None:
        for node in nodes:
            args = [self._found(values, name) if name else None for name in node.input]
            try:
                made = self._node(node, args, given)
            except Exception as error:
                if isinstance(error, ArgumentError) and str(error).startswith("import_program: "):
                    raise
                label = f" {clean(node.name)!r}" if node.name else ""
                said, _, rest = str(error).removeprefix(f"{node.op_type}: ").partition("\n")
                shapes = ", ".join(str(shape_of(a)) for a in args if a is not None)
                what = f"import_program: {clean(node.op_type)}{label}: {said or type(error).__name__}"
                at = f"\n  {'inputs:':<10}shapes {shapes}" if args else ""
                raise ArgumentError(printable(f"{what}{at}\n{rest}".rstrip())) from error
            values.update({name: value for name, value in zip(node.output, made) if name})

    def _found(self, values: Mapping[str, Value], name: str) -> Value:
        if name not in values:
            raise ArgumentError(explain(f"import_program: a value that nothing makes: {clean(name)!r}"))
        return values[name]

    def _node(self, node: Any, args: list[Value], given: Mapping[str, Any]) -> tuple[Value, ...]:
        attributes = {}
        for entry in node.attribute:
            if entry.ref_attr_name:
                if entry.ref_attr_name in given:
                    attributes[entry.name] = given[entry.ref_attr_name]
            else:
                attributes[entry.name] = self.onnx.helper.get_attribute_value(entry)
        function = self.functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            return self._call(function, node, args, attributes)
        shown = Node(node.op_type, attributes, self.opset, len(node.output))
        given_to = [self._plain(node.op_type, i, arg, args) for i, arg in enumerate(args)]
        made = COUNTERPARTS[node.op_type](shown, *given_to)
        listed = made if isinstance(made, tuple) else (made,)
        return tuple(v if isinstance(v, Variable) else np.asarray(v) for v in listed)

    def _plain(self, kind: str, place: int, arg: Value, args: list[Value]) -> Value:
        """A parameter as its numbers where they decide what is done: a limit of a range, a constant to pad with.

        A single number beside variables as a plain number, which may be a multiple of N, such as the count of a mean.
        """
        if isinstance(arg, np.ndarray) and arg.shape == () and arg.dtype.kind in "fi" and kind in ELEMENTWISE:
            beside = [other for other in args if isinstance(other, Variable)]
            return arg.item() if any(dtype_of(other) == arg.dtype for other in beside) else arg
        decides = (kind in ("Range", "Dropout", "OneHot") and place != 2) or (kind == "Pad" and place == 2)
        return arg._data if decides and isinstance(arg, Parameter) else arg

    def _call(self, function: Any, node: Any, args: list[Value], attributes: dict[str, Any]) -> tuple[Value, ...]:
        """A function of the file, in a scope of its own."""
        for entry in function.attribute_proto:
            attributes.setdefault(entry.name, self.onnx.helper.get_attribute_value(entry))
        values: dict[str, Value] = dict(zip(function.input, [*args, *[None] * (len(function.input) - len(args))]))
        with scope(node.name or function.name) if function.name else nullcontext():
            self._nodes(function.node, values, attributes)
        return tuple(self._found(values, name) for name in function.output)
