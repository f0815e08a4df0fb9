"""What the page knows: the program that it runs, what its values are called, and what its rules say.

Plain data, ready for JSON.  There is no number in it but the inputs: the page computes every other one.
"""

from __future__ import annotations

import itertools
import json
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.mode import Site
from ..engine.tape import Made
from ..engine.unbroadcast import shape_of
from ..errors import ArgumentError, clean, explain
from ..graph.outputs import as_cotangents, as_variables
from ..graph.rules import Formula, as_mathml, rule_formula
from ..graph.scopes import Call, Titles
from ..graph.tracing import filled, traced
from ..ops.primitives import TABLE
from ..program import Constant, Input, Program, Step
from ..program.parts import NUMBER
from ..program.written import plain
from ..tensor import Parameter
from .recording import Part, Recording, Sweep, engines, for_any_rows, record_both

MOST_NODES = 2000  # of a page; it shows hundreds, and what is more with modules closed
MOST_NUMBERS = 1_000_000  # in leaves and constants, which the page holds


Rows = tuple[
    int, Callable[[int], tuple[Any, Any]]
]  # how many there are; outputs and cotangents for another number of them


@dataclass(frozen=True)
class Order:
    """A backward pass to walk through, and a sentence about the order it goes in."""

    label: str
    backward: Sweep
    note: str = ""


@dataclass(frozen=True)
class Invariant:
    """A sum that the gradient of ``variable`` makes 0 in the end: of the gradient, or of it times ``weights``."""

    label: str
    variable: Variable
    weights: Variable | None = None


@dataclass(frozen=True)
class Fact:
    """Something to hold the derived gradient of ``variable`` against: a program of its own.

    Attributes:
        label: what it is.
        program: one output, in the shape of the gradient.
        takes: what its inputs are: variables of the forward pass, names of constants, or ``None`` for the first cotangent.
        variable: whose gradient it is, too.
    """

    label: str
    program: Program
    takes: Sequence[Variable | str | None]
    variable: Variable


@dataclass(frozen=True)
class Lesson:
    """What a page has beside the graph.

    Attributes:
        constants: names for numbers in formulas, which the reader can change then.
        equations: the formulas of the lesson as MathML; ``<mi>`` elements that are symbols are linked to their boxes.
        line: symbols of the values to draw on the number line, from top to bottom.
        tries: what to try, and what will be seen.
    """

    constants: Mapping[float, str] = field(default_factory=dict)
    equations: Sequence[str] = ()
    line: Sequence[str] = ()
    tries: Sequence[str] = ()


def payload(
    outputs: Any,
    gradient: Any = None,
    *,
    module: Any = None,
    title: str = "",
    facts: Sequence[Fact] = (),
    invariants: Sequence[Invariant] = (),
    orders: Sequence[Order] = (),
    lesson: Lesson | None = None,
    rows: Rows | None = None,
) -> dict[str, Any]:
    """Everything the page knows of the graph behind ``outputs``; arguments as for ``explore``."""
    roots = as_variables(outputs)
    given = as_cotangents(roots, cotangent(outputs, gradient))
    lesson = lesson or Lesson()
    walks = [(order, record_both(roots, given, order.backward)) for order in orders or [Order("", engines)]]
    _check_size(walks[0][1])
    other, fixed = None, ""
    if rows is not None and len(walks) == 1:
        try:
            free, other = _free(walks[0][1], rows)
            walks = [(walks[0][0], free)]
        except Exception as error:  # of whatever kind a program raises that is not made for other sizes
            fixed = clean(str(error).partition("\n")[0], 200)
    recording = walks[0][1]
    listed = _Nodes(recording, outputs, module, lesson)
    nodes, places = listed.nodes, listed.places
    at = {variable: places[number] for variable, number in recording.numbers.items() if number in places}
    return {
        "title": clean(title, 120),
        "nodes": nodes,
        "scopes": listed.scopes,
        "fixed_rows": fixed,
        "outputs": [at[root] for root in roots],
        "inputs": [
            *(plain(_raw(value)) for value in (*recording.leaves, *recording.cotangents)),
            *map(plain, recording.given),
        ],
        "leaves": [at.get(leaf, -1) for leaf in recording.leaves],
        "walks": [_walk(order, one, at, nodes, other) for order, one in walks],
        "facts": [
            {
                "label": fact.label,
                "program": json.loads(fact.program.to_json()),
                "takes": [_taken(recording, take, places, nodes) for take in fact.takes],
                "node": at[fact.variable],
            }
            for fact in facts
        ],
        "invariants": [
            [each.label, at[each.variable], None if each.weights is None else at[each.weights]] for each in invariants
        ],
        "equations": list(lesson.equations),
        "line": list(lesson.line),
        "tries": list(lesson.tries),
        "unknown": _unknown(recording.program),
    }


def _check_size(recording: Recording) -> None:
    constants = recording.program.constants
    held = sum(leaf.size for leaf in recording.leaves) + sum(np.size(constant.value) for constant in constants)
    for found, most, what in (
        (len(recording.made), MOST_NODES, "operations"),
        (held, MOST_NUMBERS, "numbers in its leaves"),
    ):
        if found > most:
            fix = "explore a smaller part of the computation, or a smaller batch"
            raise ArgumentError(
                explain("explore(): too large for a page", got=f"{found} {what}", expected=f"up to {most}", fix=fix)
            )


def cotangent(outputs: Any, gradient: Any) -> Any:
    """The cotangent of the output: 1 for a single number, where none is given."""
    roots = as_variables(outputs)
    return np.ones(roots[0].shape) if gradient is None and len(roots) == 1 and roots[0].size == 1 else gradient


def _raw(variable: Variable) -> Any:
    return float(variable._data) if variable.is_scalar_kind else np.asarray(variable._data)


def _free(first: Recording, rows: Rows) -> tuple[Recording, Recording]:
    """The recording for any number of rows, and one of another number."""
    if any(not step.primitive.pure for step in first.program.steps):
        raise ArgumentError("random draws stay as they were recorded")
    n, made = rows
    others = []
    for m in (n + 1, 2 * n + 1):
        outputs, gradient = made(m)
        roots = as_variables(outputs)
        others.append((m, record_both(roots, as_cotangents(roots, cotangent(outputs, gradient)))))
    return for_any_rows(first, n, others), others[0][1]


def _taken(recording: Recording, take: Variable | str | None, places: Mapping[int, int], nodes: Sequence[Any]) -> int:
    """The number, in the program, of what a fact's input is."""
    if take is None:
        return len(recording.leaves)
    if isinstance(take, str):
        return next(number for number, i in places.items() if nodes[i]["name"] == take)
    return recording.numbers[take]


def _unknown(program: Program) -> list[str]:
    """Operations that are not the library's: a page shows what they gave, and cannot compute it."""
    names = {s.primitive.name for s in program.steps if TABLE.get(s.primitive.name) is not s.primitive}
    return sorted(clean(name, 60) for name in names)


# -- values and their names -----------------------------------------------------------------------------------------------


class _Nodes:
    """Leaves, constants and operations in the order in which they come up, called as in the pictures.

    Attributes:
        nodes: what the page knows of each.
        places: where each number of the recording stands among them.
        scopes: a scope is one call: the scope it is in (-1 for none), its title, and what it is a call of.
    """

    def __init__(self, recording: Recording, outputs: Any, module: Any, lesson: Lesson) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.places: dict[int, int] = {}
        self.scopes: list[Any] = []
        self._recording, self._lesson = recording, lesson
        self._variables = {number: variable for variable, number in recording.numbers.items()}
        self._graph, self._ids = traced(outputs, None, module)
        self._titles = Titles(self._graph)
        self._calls: dict[Call, int] = {}
        roots = set(recording.roots)
        for event in recording.made:
            self._add_operation(event, "output" if event.out in roots else "intermediate")
        for root in recording.roots:
            self._add_leaf(recording.numbers[root])
        taken = {node["name"] for node in self.nodes}
        free = (name for i in itertools.count(1) if (name := f"c{i}") not in taken)
        for node in self.nodes:
            if node["kind"] == "constant" and not node["name"]:
                node["name"] = next(free)

    def _add(self, number: int, **entry: Any) -> None:
        self.places[number] = len(self.nodes)
        self.nodes.append(entry)

    def _add_leaf(self, number: int) -> None:
        if number in self.places:
            return
        entry, variable = self._recording.program.entry(number), self._variables.get(number)
        around: dict[str, Any] = {"args": [], "wants": False, "scope": -1}
        if isinstance(entry, Input) and variable is None:
            self._add(number, kind="constant", name="", **around)
        elif isinstance(entry, Constant):
            name = self._lesson.constants.get(entry.value) if entry.dtype == NUMBER else None
            kind = "number" if entry.dtype == NUMBER and name is None else "constant"
            self._add(number, kind=kind, name=name or "", **around)
        elif variable is not None:
            kind = "parameter" if isinstance(variable, Parameter) else "input"
            if variable._extras is not None and variable._extras.is_buffer:
                kind = "buffer"
            node = self._graph[self._ids[variable]]
            around["wants"] = variable.requires_grad
            self._add(number, kind=kind, name=node.label, own=clean(node.name or ""), **around)

    def _add_operation(self, event: Made, kind: str) -> None:
        number = self._recording.numbers[event.out]
        step = self._recording.program.entry(number)
        assert isinstance(step, Step)
        for argument in step.args:
            self._add_leaf(argument)
        file, _, line = _site(event.scope).rpartition(":")
        self._add(
            number,
            kind=kind,
            name=self._graph[self._ids[event.out]].label,
            op=event.primitive.name,
            elementwise=event.primitive.elementwise,
            notation=filled(event.primitive.notation, event.params) or event.primitive.name,
            args=[self.places[argument] for argument in step.args],
            wants=event.out.requires_grad,
            scope=self._scope(event.out),
            site=clean(f"{file.rpartition('/')[2]}:{line}", 80) if file else "",
            code=linecache.getline(file, int(line)).strip() if file else "",
        )

    def _scope(self, variable: Variable) -> int:
        """The number of the innermost call that the variable was made in."""
        call = Call.of(self._graph[self._ids[variable]])
        inside = -1
        for i in range(1, len(call.path) + 1):
            part = call.outermost(i)
            if part not in self._calls:
                self._calls[part] = len(self.scopes)
                kind = clean(self._graph.modules.get(part.path, part.path[-1]))
                self.scopes.append([inside, self._titles(part), kind])
            inside = self._calls[part]
        return inside


def _site(scope: Any) -> str:
    return f"{scope.filename}:{scope.line}" if isinstance(scope, Site) else ""


# -- a backward pass ------------------------------------------------------------------------------------------------------


def _walk(
    order: Order, recording: Recording, at: Mapping[Variable, int], nodes: Sequence[Any], other: Recording | None
) -> dict[str, Any]:
    """The program, the numbers of all nodes and of their gradients, and the steps of the backward pass."""
    numbers: list[int] = [-1] * len(nodes)
    for variable, i in at.items():
        numbers[i] = recording.numbers[variable]
    for i, node in enumerate(nodes):
        for slot, argument in enumerate(node["args"]):
            step = recording.program.entry(numbers[i])
            assert isinstance(step, Step)
            numbers[argument] = step.args[slot]
    gradients: dict[int, int] = {at[root]: len(recording.leaves) + i for i, root in enumerate(recording.roots)}
    gradients |= {at[part.contribution.argument]: part.after for part in recording.parts}
    steps: list[dict[str, Any]] = []
    for i, part in enumerate(recording.parts):
        result = at[part.contribution.result]
        if not steps or steps[-1]["node"] != result:
            steps.append({"node": result, "upstream": part.upstream, "parts": []})
        rule = _rule(part, nodes, at, None if other is None else other.parts[i])
        steps[-1]["parts"].append(
            {
                "to": at[part.contribution.argument],
                "slot": part.contribution.slot,
                "rule": rule,
                "returned": part.returned,
                "given": part.given,
                "before": part.before,
                "after": part.after,
                "reduced": _reduced(shape_of(part.contribution.returned), part.contribution.argument.shape),
            }
        )
    return {
        "label": order.label,
        "note": order.note,
        "program": json.loads(recording.program.to_json()),
        "numbers": numbers,
        "gradients": [gradients.get(i) for i in range(len(nodes))],
        "steps": steps,
        "held": [
            [number, plain(_raw(variable))]
            for variable, number in recording.numbers.items()
            if number >= recording.program.first_step and _is_held(recording.program.entry(number))
        ],
    }


def _is_held(step: Any) -> bool:
    """A draw stays as it was; what the page cannot compute, too."""
    return not step.primitive.pure or TABLE.get(step.primitive.name) is not step.primitive


def _rule(part: Part, nodes: Sequence[Any], at: Mapping[Variable, int], other: Part | None) -> str:
    """The rule as MathML, in the nodes' own names, with g for the cotangent and N for the number of rows."""
    result = part.contribution.result
    assert result.primitive is not None  # that is what recorded means
    node = nodes[at[result]]
    names = [_grouped(nodes[i]["name"]) for i in node["args"]]
    formula = _formula(part, names, _grouped(node["name"]))
    if other is not None:
        formula = _general(formula, _formula(other, names, _grouped(node["name"])))
    return as_mathml(formula)


def _formula(part: Part, names: Sequence[str], out: str) -> Formula | str:
    result = part.contribution.result
    assert result.primitive is not None
    formula = rule_formula(result.primitive, part.contribution.slot, result.inputs or (), result.params, names, out)
    assert formula is not None  # it contributed
    return formula


def _grouped(name: str) -> str:
    """A name that is itself a formula, in brackets."""
    return f"({name})" if any(sign in name for sign in "−+") and not name.startswith("(") else name


def _general(one: Formula | str, other: Formula | str) -> Formula | str:
    """A formula in which the numbers that differ between two batch sizes are N."""
    if isinstance(one, str) or isinstance(other, str):
        return one if one == other else "N"
    parts = tuple(_general(a, b) for a, b in zip(one.parts, other.parts))
    return Formula(one.name, one.notation if one.notation == other.notation else f"{one.name} {{0}}", parts)


def _reduced(returned: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Over which axes un-broadcasting summed, in words."""
    if returned == wanted:
        return ""
    lead = len(returned) - len(wanted)
    axes = [*range(lead), *(lead + i for i, n in enumerate(wanted) if n == 1 and returned[lead + i] != 1)]
    return (
        f"summed over ax{'is' if len(axes) == 1 else 'es'} {' and '.join(map(str, axes))}, along which it was broadcast"
    )
