"""``trace`` and ``trace_backward``: snapshots of a recorded program, and of the backward pass derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine import Variable, no_grad
from ..engine.sweep import cotangent_for, sweep
from ..errors import ArgumentError, GraphError, explain
from ..program import Constant, Derived, Input, Program, Size, State, Step, derive, evaluate, program_of
from ..program.parts import NUMBER, resolved
from ..program.simplify import simplified
from .labels import symbol
from .model import Edge, Graph, Node, Value
from .naming import labeled
from .outputs import as_cotangents, as_variables, keys_of, unrecorded


def trace(outputs: Any, gradient: Any = None, module: Any = None) -> Graph:
    """A snapshot of the graph behind ``outputs``.

    Args:
        outputs: a variable, an object array of scalars, or tuples, lists, dicts and dataclasses of them, one in the other,
            whose keys name what has no name; or a ``Program``, which is shown without values.
        gradient: cotangents of the outputs (one, or one per output, or arranged as they are).  With them a backward pass
            is run for the snapshot alone: every node shows its gradient, and nobody's ``.grad`` changes.  Without,
            nodes show what their ``.grad`` holds.
        module: names its parameters and buffers by their place in the module tree, such as ``"1.weight"``.

    Returns:
        Nodes in order of creation; linear in the size of the graph, without recursion.

    Raises:
        ArgumentError: something that is not a variable.
        GraphError: the graph was already freed by ``backward``.
    """
    if isinstance(outputs, Program):
        return labeled(_Snapshot(outputs, shows_sites=False).graph)  # every step of a program knows its line
    return _forward(outputs, gradient, module)[0]


def snapshot(outputs: Any, gradient: Any = None, module: Any = None) -> tuple[Graph, str]:
    """What a picture shows of anything that can be drawn, and what there is to say about it.

    Args:
        outputs: as for ``trace``; or a ``Graph``, which is one already.
        gradient: as for ``trace``.
        module: as for ``trace``.
    """
    if isinstance(outputs, Graph):
        return outputs, ""
    return trace(outputs, gradient, module), "" if isinstance(outputs, Program) else unrecorded(outputs)


def trace_backward(outputs: Any, gradient: Any = None, module: Any = None) -> tuple[Graph, Graph]:
    """The forward graph, and the backward pass derived from it as a graph of its own.

    The rules run on variables, so what they compute is recorded like any other program.  Each node of the backward
    graph names the forward node it belongs to (``pair``) and the rule it comes from (``rule``); values of the forward
    pass that rules use appear as nodes of kind "forward", under the name they have there.

    Args:
        outputs: as for ``trace``.
        gradient: cotangents; by default ones.
        module: as for ``trace``.

    Returns:
        ``(forward, backward)``; the outputs of the backward graph are the gradients of the leaves.
    """
    forward, derived, ids = _both(outputs, gradient, module)
    program = derived.program
    return forward, _derived_graph(forward, derived, program, {i: i for i, _ in program.entries()}, ids)


def trace_reduced(outputs: Any, gradient: Any = None, module: Any = None, exact: bool = False) -> tuple[Graph, Graph]:
    """As ``trace_backward``, with the backward pass simplified; its values are computed by the shorter program.

    What the forward pass has computed already is taken from there: a quotient, say, that a rule forms again.

    Args:
        outputs: as for ``trace``.
        gradient: as for ``trace_backward``.
        module: as for ``trace``.
        exact: leave out the laws by which last bits differ; see ``program.simplify``.
    """
    forward, derived, ids = _both(outputs, gradient, module)
    return forward, _derived_graph(forward, derived, *simplified(derived.program, exact, all_there=True), ids)


def traced(outputs: Any, gradient: Any = None, module: Any = None) -> tuple[Graph, dict[Variable, str]]:
    """As ``trace``, and the id of each variable in it."""
    return _forward(outputs, gradient, module)


def _both(outputs: Any, gradient: Any, module: Any) -> tuple[Graph, Derived, dict[Variable, str]]:
    if isinstance(outputs, (Graph, Program)):
        kind = "snapshot" if isinstance(outputs, Graph) else "program"
        raise ArgumentError(explain(f"the backward pass needs the variables, not a {kind} of them"))
    roots = as_variables(outputs)
    if not any(root.requires_grad for root in roots):
        fix = "compute it outside no_grad(), from something that requires a gradient"
        raise GraphError(explain("there is no backward pass to draw: no output wants a gradient", fix=fix))
    if gradient is None:
        gradient = [np.ones(root.shape) for root in roots] if len(roots) > 1 else np.ones(roots[0].shape)
        outputs = roots
    forward, ids = _forward(outputs, gradient, module)
    return forward, derive(roots, as_cotangents(outputs, gradient)), ids


def _forward(outputs: Any, gradient: Any, module: Any) -> tuple[Graph, dict[Variable, str]]:
    """The snapshot, and the id of each variable in it."""
    keys = keys_of(outputs)
    roots = list(keys)
    program, numbers = program_of(roots)
    gradients: Mapping[Variable, Any] = {}
    if gradient is not None:
        cotangents = [
            cotangent_for(root, cotangent, False) for root, cotangent in zip(roots, as_cotangents(outputs, gradient))
        ]
        with no_grad():
            wanted = [v for v in numbers if v.requires_grad]
            gradients, _ = sweep(roots, cotangents, on_variables=False, wanted=wanted)
    dotted = {} if module is None else {v._extras: n for n, v in _named_tensors(module)}
    known = {number: variable for variable, number in numbers.items()}
    was_run = gradient is None and any(v._grad is not None for v in numbers if v.requires_grad)
    snapshot = _Snapshot(program)
    for number, variable in known.items():
        grad = variable._grad if gradient is None else gradients.get(variable)
        name = dotted.get(variable._extras) or variable.name or keys.get(variable)
        snapshot.values[number] = variable._data
        snapshot.more[number] = {
            "name": name,
            "symbol": _symbol(variable),
            "requires_grad": variable.requires_grad,
            "grad": None if grad is None else Value.of(grad._data if isinstance(grad, Variable) else grad),
            "why": ""
            if grad is not None or not variable.requires_grad
            else _why(variable, gradient is not None, was_run),
        }
    return labeled(snapshot.graph), {variable: snapshot.ids[n] for n, variable in known.items() if n in snapshot.ids}


def _why(variable: Variable, is_traced: bool, was_run: bool) -> str:
    """Why a variable that wants a gradient has none."""
    if is_traced:
        return "none arrives"
    if not was_run:
        return "not run yet"
    return "none arrived" if variable.is_leaf else "not kept"


def _symbol(variable: Variable) -> str | None:
    """The symbol of a formula; of a result, only where the user has not named it otherwise."""
    return None if variable.name is not None and not variable.is_leaf else variable.symbol


def _named_tensors(module: Any) -> Any:
    return (*module.named_parameters(), *module.named_buffers())


def _derived_graph(
    forward: Graph, derived: Derived, program: Program, now: Mapping[int, int], ids: Mapping[Variable, str]
) -> Graph:
    """A backward pass as a graph, with the names and ids of the forward one; ``now`` has the new numbers of old values."""
    snapshot = _Snapshot(program)
    snapshot.values.update(enumerate(evaluate(program, derived.values())))
    for i, root in enumerate(forward.outputs[: len(program.inputs)]):
        snapshot.more[i] = _gradient_of(forward[root])
    for variable, number in derived.forward.items():
        if number in now and variable in ids:
            node = forward[ids[variable]]
            known = {"pair": node.id, "name": node.name, "symbol": node.label}
            snapshot.cut.setdefault(now[number], known)
    for i, step in enumerate(program.steps):
        if step.scope in derived.parts:
            part = derived.parts[step.scope]
            more: dict[str, Any] = {
                "scope": (),
                "calls": (),
                "site": None,
                "pair": ids[part.result],
                "rule": step.scope[0],
            }
            snapshot.more[program.first_step + i] = more
    for variable, number in reversed(derived.numbers.items()):  # one that several have keeps the name it has first
        where = now.get(number, -1)
        if where >= program.first_step and where not in snapshot.cut:
            snapshot.more.setdefault(where, {}).update(_gradient_of(forward[ids[variable]]))
    return labeled(snapshot.graph)


def _gradient_of(node: Node) -> dict[str, Any]:
    """What is known of the cotangent of a forward node."""
    return {"name": f"∂{node.name or symbol(node)}", "symbol": f"∂{symbol(node)}", "pair": node.id}


class _Snapshot:
    """Turns a program and the values of its run into nodes.

    Attributes:
        values: the raw value of each number.
        more: what else is known of a value.
        cut: values that are shown without what they are made of, and what else is known of these.
    """

    def __init__(self, program: Program, shows_sites: bool = True) -> None:
        self.program = program
        self.shows_sites = shows_sites
        self.values: dict[int, Any] = {}
        self.more: dict[int, dict[str, Any]] = {}
        self.cut: dict[int, dict[str, Any]] = {}
        self.ids: dict[int, str] = {}
        self._nodes: list[Node] = []
        self._edges: list[Edge] = []

    @property
    def graph(self) -> Graph:
        """The graph; a value that is given stands right before the first operation that uses it."""
        for number in self._shown():
            step = self.program.entry(number)
            assert isinstance(step, Step)
            sources = [self._source(source) for source in step.args]
            self._add(number, step)
            self._edges += [Edge(source, self.ids[number], slot) for slot, source in enumerate(sources)]
        outputs = tuple(self._source(number) for number in self.program.outputs)
        return Graph(tuple(self._nodes), tuple(self._edges), outputs, self.program.modules)

    def _shown(self) -> list[int]:
        """The steps behind the outputs and written values, up to what is cut."""
        program = self.program
        waiting = [*program.outputs, *(value for _, value in program.writes if value is not None)]
        found = set(waiting)
        for number in waiting:
            step = program.entry(number)
            if isinstance(step, Step) and number not in self.cut:
                fresh = [source for source in dict.fromkeys(step.args) if source not in found]
                found.update(fresh)
                waiting += fresh
        return sorted(n for n in found if n >= program.first_step and n not in self.cut)

    def _source(self, number: int) -> str:
        entry = self.program.entry(number)
        if number not in self.ids or (isinstance(entry, Constant) and not entry.shape):  # numbers have a box each
            self._add(number, entry)
        return self.ids[number]

    def _add(self, number: int, entry: Input | State | Constant | Step) -> None:
        self.ids[number] = node_id = f"n{len(self._nodes)}"
        n = self.program.recorded_n
        value = self.values.get(number)
        if isinstance(entry, Constant):
            value = entry.at(n)
        more = self.more.get(number, {}) | self.cut.get(number, {})
        step = entry if isinstance(entry, Step) and number not in self.cut else None
        params = dict(resolved(step.params, n)) if step is not None else {}
        site = step.site if step is not None and step.site and self.shows_sites else None
        name = str(entry.value) if isinstance(entry, Constant) and isinstance(entry.value, Size) else None
        if isinstance(entry, (Input, State)):
            name = entry.name
        self._nodes.append(
            Node(
                **{
                    "id": node_id,
                    "kind": self._kind(number, entry),
                    "name": name,
                    "symbol": _textbook(entry),
                    "op": None if step is None else step.primitive.name,
                    "notation": None if step is None else filled(step.primitive.notation, params),
                    "params": params,
                    "scope": () if step is None else step.scope,
                    "calls": () if step is None else step.calls,
                    "shape": tuple(size if isinstance(size, int) else str(size) for size in entry.shape),
                    "dtype": "float64" if entry.dtype == NUMBER else entry.dtype,
                    "requires_grad": False,
                    "value": None if value is None else Value.of(value),
                    "site": site,
                    **more,
                }
            )
        )

    def _kind(self, number: int, entry: Input | State | Constant | Step) -> str:
        if number in self.cut:
            return "forward"
        if isinstance(entry, Constant):
            return "constant"
        if number in self.program.outputs:
            return "output"
        if isinstance(entry, Step):
            return "intermediate"
        kind = getattr(entry, "kind", "")
        return kind if kind in ("parameter", "buffer") else "input"


def _textbook(entry: Input | State | Constant | Step) -> str | None:
    """The symbol that a program knows for a value: of a result the code's name for it, of a state that of its leaf."""
    if isinstance(entry, Step):
        return entry.name or None
    owner = entry.place.owner if isinstance(entry, State) and entry.kind != "gradient" else None
    return owner.symbol if isinstance(owner, Variable) else None


def filled(notation: str | None, params: Mapping[str, Any]) -> str | None:
    """Parameters written into a notation; arguments stay as ``{0}``, ``{1}``."""
    if notation is None:
        return None
    for key, value in params.items():
        notation = notation.replace(f"{{{key}}}", _short(value))
    return notation


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_short(part) for part in value)
    if isinstance(value, slice):
        parts = ["" if n is None else str(n) for n in (value.start, value.stop)]
        return ":".join(parts) + ("" if value.step is None else f":{value.step}")
    return "…" if value is Ellipsis else str(value)
