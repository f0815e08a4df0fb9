"""``export``: a function or a module, or a program, as a file in the ONNX format.

The steps of a program become nodes; every module and every formula around steps becomes a function of the file, one inside
of the other, as they were called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, clean, explain
from ..files import FilePath, check_writable, write_whole
from ..nn import Module
from ..program import Constant, Input, Program, Size, State, Step, record
from ..program.operands import operand_dtypes
from ..program.parts import NUMBER
from ..program.trees import names as names_of
from .backward import BACKWARD, with_gradients
from .body import Arg, Body
from .operators import writer
from .package import DOMAIN, IR_VERSION, OPSET, package


def export(
    function: Callable[..., Any],
    inputs: Any,
    path: FilePath,
    *,
    dynamic: bool | str = True,
    gradients: bool = False,
    module: Module | None = None,
) -> Path:
    """Write what a function computes to an ONNX file.

    A module is exported in the mode it is in: call ``eval()`` first for a model to be used.  In training mode the new
    running statistics are outputs, named ``"1.running_mean.new"``, and the statistics are inputs that have a value of
    their own, so that they can be fed back; so are all states that the function writes, such as the parameters of a
    training step.  Other parameters and buffers are initializers, named as in ``state_dict``.

    Args:
        function: a function of tensors, a module, or a ``Program``.
        inputs: a tuple of arguments in the shapes and dtypes that the model is for, or a single one; ``()`` for a
            program.
        path: the file.
        dynamic: the first axis may have any length, under this name or ``"N"``; ``False``: the lengths of the inputs.
        gradients: the backward pass, too: for each output that is not a single number there is another input,
            ``"output.grad"``, and for each floating-point input and each parameter an output such as ``"x.grad"``.
        module: the module that the function calls, for the names of classes; not needed for a module itself.

    Returns:
        The path.

    Raises:
        ArgumentError: an operation that ONNX has none for, by name; a first axis that cannot be free, with the reason.
        RecordingError: a function that cannot be recorded.
        MissingPackageError: the package onnx is not installed.
        FileError: the file cannot be written.
    """
    onnx = package("export()")
    check_writable(path)
    model = to_model(function, inputs, dynamic=dynamic, gradients=gradients, module=module)
    try:
        content = model.SerializeToString(deterministic=True)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise ArgumentError(explain(f"export: {error}", fix="ONNX files end at 2 GB")) from error
    return write_whole(path, content)


def to_model(
    function: Callable[..., Any],
    inputs: Any = (),
    *,
    dynamic: bool | str = True,
    gradients: bool = False,
    module: Module | None = None,
) -> Any:
    """As ``export``, but returns the ``onnx.ModelProto``, checked, instead of writing it."""
    package("export()")
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    module = module if module is not None else _module_of(function)
    titles = None
    if isinstance(function, Program):
        if gradients or given:
            fix = "record a function that computes them, or export the function"
            raise ArgumentError(explain("export: a program is exported as it is, without inputs or gradients", fix=fix))
        program = function
    elif gradients:
        program, titles = with_gradients(function, given, free=bool(dynamic))
    else:
        program = record(function, *given, free=bool(dynamic))
    if dynamic and not program.free and any(entry.shape for entry in program.inputs):
        fix = "dynamic=False (--fixed on the command line) fixes the sizes of the inputs"
        raise ArgumentError(explain("export: the first axis cannot be free", got=clean(program.why_not, 300), fix=fix))
    axis = dynamic if isinstance(dynamic, str) else "N"
    model = _Writer(program, class_names(module), axis, titles).model()
    onnx = package("export()")
    onnx.checker.check_model(model, full_check=True)
    return model


def _module_of(function: Any) -> Module | None:
    owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
    return owner if isinstance(owner, Module) else None


def class_names(module: Module | None) -> dict[tuple[str, ...], str]:
    """The class of the module behind each scope; by the last name alone, too, where that says which."""
    found: dict[tuple[str, ...], str] = {}
    by_name: dict[str, set[str]] = {}

    def walk(node: Module, path: tuple[str, ...]) -> None:
        if path in found:
            return
        found[path] = type(node).__name__
        by_name.setdefault(path[-1], set()).add(type(node).__name__)
        has_forward = type(node).forward is not Module.forward
        for _, child in node.named_children():
            walk(child, (*path, child._scope) if has_forward else (*path[:-1], child._scope))

    if module is not None:
        walk(module, (module._scope,))
    alone: dict[tuple[str, ...], str] = {(name,): kinds.pop() for name, kinds in by_name.items() if len(kinds) == 1}
    return {**alone, **found}


class _Writer:
    """Turns a program into a model."""

    def __init__(
        self, program: Program, classes: Mapping[tuple[str, ...], str], axis: str, titles: Sequence[str] | None
    ) -> None:
        self.onnx = package("export()")
        self.program = program
        self.classes = classes
        self.axis = axis
        self.titles = names_of(program.gives, "output") if titles is None else titles
        self.functions: dict[str, Any] = {}  # by name, in the order in which they can be read
        self._known: dict[Any, str] = {}
        self.live = _live(program)
        self.last = _last_uses(program, self.live)
        self._writers = {
            i: writer(step.primitive) for i, step in enumerate(program.steps, program.first_step) if i in self.live
        }

    def model(self) -> Any:
        helper, program = self.onnx.helper, self.program
        body = Body(lambda: self._batch(body))
        written = {number for number, value in program.writes if value is not None}
        inputs, initializers, known = [], [], {}
        for number, entry in program.entries():
            if not isinstance(entry, (Input, State)) or (isinstance(entry, State) and number not in self.live):
                continue
            name = body.name(entry.name)
            known[number] = Arg(name, entry.dtype, entry.shape)
            overridable = number in written or getattr(entry, "kind", "") == "setting"
            if isinstance(entry, State):
                initializers.append(self.onnx.numpy_helper.from_array(_value(entry), name))
            if isinstance(entry, Input) or overridable:
                inputs.append(self._info(known[number]))
        outputs = [(name, number) for name, number in self._results()]
        reserved = [body.name(name) for name, _ in outputs]
        self.fill(body, program.first_step, program.first_step + len(program.steps), 0, known)
        results = []
        for name, (_, number) in zip(reserved, outputs):
            arg = self._constant(body, number) if number not in known else known[number]
            body.nodes.append(helper.make_node("Identity", [body.cast(arg, _plain(arg.dtype)).name], [name]))
            results.append(self._info(arg._replace(name=name)))
        graph = helper.make_graph(_without_identities(body.nodes, reserved), "program", inputs, results, initializers)
        return helper.make_model(
            graph,
            functions=list(self.functions.values()),
            opset_imports=self._opsets(),
            ir_version=IR_VERSION,
            producer_name="tinygrad_bn",
        )

    def _results(self) -> Iterator[tuple[str, int]]:
        """A name and a number for each output: what is returned, then the new values of states."""
        program = self.program
        for name, number in zip(self.titles, program.outputs):
            yield _result_name(name), number
        for state, value in program.writes:
            if value is not None:
                name = program.states[state - len(program.inputs)].name
                yield f"{name}.new", value

    def _batch(self, body: Body) -> str:
        """N: the length of the first axis of the first input that has a free one."""
        entry = next(e for e in self.program.inputs if e.shape and str(e.shape[0]) == "N")
        return body.op("Shape", entry.name, start=0, end=1)

    def _opsets(self) -> list[Any]:
        make = self.onnx.helper.make_opsetid
        return [make("", OPSET), *([make(DOMAIN, 1)] if self.functions else [])]

    def _info(self, arg: Arg) -> Any:
        dims = [str(n).replace("N", self.axis) if isinstance(n, Size) else n for n in arg.shape]
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(_plain(arg.dtype)))
        return self.onnx.helper.make_tensor_value_info(arg.name, kind, dims)

    # -- steps ------------------------------------------------------------------------------------------------------------

    def fill(self, body: Body, start: int, end: int, depth: int, known: dict[int, Arg]) -> None:
        """Write the steps from ``start`` to ``end``, which are all inside the same ``depth`` scopes."""
        number = start
        while number < end:
            scope = self._scope(number)
            if len(scope) <= depth:
                if number in self.live:
                    known[number] = self._step(body, number, known)
                number += 1
                continue
            stop = number + 1
            while stop < end and self._scope(stop)[: depth + 1] == scope[: depth + 1]:
                stop += 1
            self._call(body, number, stop, scope[: depth + 1], known)
            number = stop

    def _scope(self, number: int) -> tuple[str, ...]:
        return self.program.steps[number - self.program.first_step].scope

    def _step(self, body: Body, number: int, known: Mapping[int, Arg]) -> Arg:
        step = self.program.steps[number - self.program.first_step]
        wanted = operand_dtypes(step, [self.program.entry(i).dtype for i in step.args])
        args = [self._argument(body, known, i, dtype) for i, dtype in zip(step.args, wanted)]
        name = self._writers[number](body, step, *args, **step.params)
        made = _made_dtype(step, args)
        return body.cast(Arg(name, made, step.shape), _plain(step.dtype))._replace(dtype=step.dtype)

    def _argument(self, body: Body, known: Mapping[int, Arg], number: int, dtype: str) -> Arg:
        """A value in the dtype that is wanted; a plain number is made in it."""
        if number in known:
            return body.cast(known[number], dtype)
        entry = self.program.entry(number)
        if entry.dtype == NUMBER and isinstance(entry, Constant) and not isinstance(entry.value, Size):
            return Arg(body.array(entry.value, dtype), dtype, ())
        return body.cast(self._constant(body, number), dtype)

    def _constant(self, body: Body, number: int) -> Arg:
        entry = self.program.entry(number)
        assert isinstance(entry, Constant)
        if isinstance(entry.value, Size):
            scalar = body.once("Squeeze", body.size(entry.value))
            return Arg(body.once("Cast", scalar, to=body.type_of(NUMBER)), NUMBER, ())
        value = np.asarray(entry.value, _plain(entry.dtype))
        name = body.array(value, value.dtype.name)
        if value.shape != entry.shape:
            name = body.once("Expand", name, body.ints(entry.shape))
        return Arg(name, entry.dtype, entry.shape)

    # -- functions --------------------------------------------------------------------------------------------------------

    def _call(self, body: Body, start: int, end: int, path: tuple[str, ...], known: dict[int, Arg]) -> None:
        """The steps of a scope as a function, and a node that calls it."""
        program = self.program
        steps = {i: program.steps[i - program.first_step] for i in range(start, end) if i in self.live}
        if not steps:
            return
        used = dict.fromkeys(i for step in steps.values() for i in step.args)
        needed = [i for i in used if i in known]
        needed.sort(key=lambda i: isinstance(program.entry(i), State))
        given = [i for i in steps if self.last[i] >= end]
        asked: list[str] = []

        def size_of_batch() -> str:
            asked.append(inner.name("N"))
            return asked[0]

        inner = Body(size_of_batch)
        formal = {i: known[i]._replace(name=inner.name(_formal_name(program.entry(i), path))) for i in needed}
        names = [arg.name for arg in formal.values()]
        self.fill(inner, start, end, len(path), formal)
        results = [formal[i].name for i in given]
        helper = self.onnx.helper
        function = self._function(path, [*names, *asked], results, inner.nodes)
        arguments = [*(known[i].name for i in needed), *([body.batch()] if asked else [])]
        outs = [body.name(_outer_name(function)) for _ in given]
        body.nodes.append(helper.make_node(function, arguments, outs, domain=DOMAIN, name=body.label(path[-1])))
        for i, out in zip(given, outs):
            known[i] = formal[i]._replace(name=out)

    def _function(self, path: tuple[str, ...], inputs: list[str], outputs: list[str], nodes: list[Any]) -> str:
        """The name of a function with these nodes; the same ones are written once."""
        plain = path[1:] if path[0] == BACKWARD else path
        wanted = self.classes.get(plain) or self.classes.get(plain[-1:]) or (plain or path)[-1]
        wanted = re.sub(r"\W", "_", wanted) + ("_backward" if plain is not path and plain else "")
        wanted = wanted if not wanted[:1].isdigit() else f"_{wanted}"
        content = (tuple(inputs), tuple(outputs), tuple(node.SerializeToString(deterministic=True) for node in nodes))
        key = (wanted, content)
        if key not in self._known:
            name, count = wanted, 1
            while name in self.functions:
                count += 1
                name = f"{wanted}_{count}"
            domains = [self.onnx.helper.make_opsetid("", OPSET)]
            if any(node.domain == DOMAIN for node in nodes):
                domains.append(self.onnx.helper.make_opsetid(DOMAIN, 1))
            self.functions[name] = self.onnx.helper.make_function(DOMAIN, name, inputs, outputs, nodes, domains)
            self._known[key] = name
        return self._known[key]


def _live(program: Program) -> set[int]:
    """The numbers of the values behind what is returned and written."""
    waiting = [*program.outputs, *(value for _, value in program.writes if value is not None)]
    waiting += [state for state, value in program.writes if value is not None]
    found = set(waiting)
    for number in waiting:
        entry = program.entry(number)
        fresh = [i for i in entry.args if i not in found] if isinstance(entry, Step) else []
        found.update(fresh)
        waiting += fresh
    return found


def _last_uses(program: Program, live: set[int]) -> dict[int, int]:
    """The number of the last step that uses each value; one past all steps for what is returned or written."""
    last: dict[int, int] = dict.fromkeys(live, -1)
    for number, step in enumerate(program.steps, program.first_step):
        if number in live:
            last.update(dict.fromkeys(step.args, number))
    end = program.first_step + len(program.steps)
    last.update(dict.fromkeys([*program.outputs, *(v for _, v in program.writes if v is not None)], end))
    return last


def _made_dtype(step: Step, args: Sequence[Arg]) -> str:
    """The dtype that the operator gives, before it is converted to the step's own."""
    if step.dtype != NUMBER:
        return "int64" if step.primitive.name in ("argmax", "argmin", "argsort") else step.dtype
    compared = step.primitive.differentiable is False and step.primitive.elementwise
    compared = compared and step.primitive.name not in ("stop_gradient", "uniform_like")
    return "bool" if compared else "float64"


def _plain(dtype: str) -> str:
    return "float64" if dtype == NUMBER else dtype


def _value(state: State) -> Any:
    """What a state holds now; zeros for a gradient that is not there."""
    value: Any = state.place.read()
    if isinstance(value, Variable):
        value = value._data
    if value is None:
        value = np.zeros(state.shape, _plain(state.dtype))
    return np.array(value, _plain(state.dtype), order="C")


def _formal_name(entry: Input | State | Constant | Step, path: tuple[str, ...]) -> str:
    """What a function calls one of its arguments: a state as its module does, anything else x."""
    if not isinstance(entry, State):
        return "x"
    inside = path[1:] if path[0] == BACKWARD else path
    while len(inside) > 1 and not entry.name.startswith(".".join(inside[1:]) + "."):
        inside = inside[:-1]  # a formula has no name in front
    return entry.name.removeprefix(".".join(inside[1:]) + ".") if len(inside) > 1 else entry.name


def _outer_name(function: str) -> str:
    return re.sub(r"\W", "_", function).lower()


def _result_name(name: str) -> str:
    return re.sub(r"\[(\d+)\]", r".\1", name)


def _without_identities(nodes: list[Any], results: Sequence[str]) -> list[Any]:
    """The nodes, with the results written by what computes them: an Identity is left where there is no other way."""
    makers = {out: node for node in nodes for out in node.output}
    uses: dict[str, int] = {}
    for node in nodes:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    kept = []
    for node in nodes:
        if node.op_type == "Identity" and node.output[0] in results and uses[node.input[0]] == 1:
            maker = makers.get(node.input[0])
            if maker is not None:
                place = list(maker.output).index(node.input[0])
                maker.output[place] = node.output[0]
                continue
        kept.append(node)
    return kept
