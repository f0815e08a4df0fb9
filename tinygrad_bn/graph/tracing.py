"""``trace`` and ``trace_backward``: snapshots of a recorded program, and of the backward pass derived from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import FREED, Variable
from ..engine.mode import Site, no_grad
from ..engine.sweep import seed_for, sweep
from ..engine.unbroadcast import dtype_of, shape_of
from ..errors import ArgumentError, GraphError, explain
from ..tensor import Parameter
from .labels import symbol
from .model import Edge, Graph, Node, Value
from .steps import backward_steps


def trace(outputs: Any, gradient: Any = None, module: Any = None) -> Graph:
    """A snapshot of the graph behind ``outputs``.

    Args:
        outputs: a variable, a sequence of variables, or an object array of scalars.
        gradient: cotangents of the outputs (one, or one per output).  With them a backward pass is run for the
            snapshot alone: every node shows its gradient, and nobody's ``.grad`` changes.  Without, nodes show what
            their ``.grad`` holds.
        module: names its parameters and buffers by their place in the module tree, such as ``"1.weight"``.

    Returns:
        Nodes in order of creation; linear in the size of the graph, without recursion.

    Raises:
        ArgumentError: something that is not a variable.
        GraphError: the graph was already used up by ``backward``.
    """
    roots = as_variables(outputs)
    snapshot = _Snapshot(module)
    if gradient is not None:
        reached = reachable(roots)
        seeds = [seed_for(root, seed, False) for root, seed in zip(roots, as_seeds(roots, gradient))]
        with no_grad():
            wanted = [v for v in reached if v.requires_grad]
            snapshot.gradients, _ = sweep(roots, seeds, create_graph=False, wanted=wanted)
    return snapshot.take(roots)


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
    roots = as_variables(outputs)
    if gradient is None:
        gradient = [np.ones(root.shape) for root in roots] if len(roots) > 1 else np.ones(roots[0].shape)
    given = as_seeds(roots, gradient)
    forward = _Snapshot(module)
    for step in backward_steps(roots, given):
        forward.gradients.update({part.argument: part.after for part in step.contributions})
    forward.gradients.update(zip(roots, given))
    forward_graph = forward.take(roots)
    symbols = {variable: symbol(forward_graph[node_id]) for variable, node_id in forward.ids.items()}
    seeds = []
    backward = _Snapshot(module)
    for root, cotangent in zip(roots, given):
        # A leaf that wants a gradient, because only what depends on such a leaf is recorded.
        seed = root.kind.wrap(seed_for(root, cotangent, False)).requires_grad_()
        seeds.append(seed)
        backward.pairs[seed] = forward.ids[root]
        backward.names[seed] = f"∂{symbols[root]}"
    rules: dict[Any, tuple[str, str]] = {}
    cotangents: dict[Variable, Variable] = {}
    for step in backward_steps(roots, seeds, create_graph=True):
        made_by = step.result.primitive
        name = "" if made_by is None else made_by.name
        for part in step.contributions:
            pair = (forward.ids[step.result], f"rule of {name}, argument {part.slot}")
            rules[part.scope] = pair
            cotangents[part.argument] = part.after
    for argument, cotangent in cotangents.items():
        # A rule may hand its cotangent on as it is; the node then keeps the name it has first.
        backward.names.setdefault(cotangent, f"∂{symbols[argument]}")
        backward.pairs.setdefault(cotangent, forward.ids[argument])
    backward.rules = rules
    backward.stop = symbols
    leaves = [v for v in cotangents if v.inputs is None]
    return forward_graph, backward.take([cotangents[leaf] for leaf in leaves])


class _Snapshot:
    """Turns variables into nodes; what a node shows beyond the variable itself is set on it first."""

    def __init__(self, module: Any = None) -> None:
        self.names: dict[Variable, str] = {}
        self.buffers: set[Variable] = set()
        if module is not None:
            self.names.update((tensor, name) for name, tensor in module.named_parameters())
            buffers = {tensor: name for name, tensor in module.named_buffers()}
            self.names.update(buffers)
            self.buffers.update(buffers)
        self.gradients: dict[Variable, Any] = {}
        self.pairs: dict[Variable, str] = {}
        self.rules: Mapping[Any, tuple[str, str]] = {}
        self.stop: Mapping[Variable, str] = {}  # variables of another graph, by their symbol there
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.ids: dict[Variable, str] = {}

    def take(self, roots: list[Variable]) -> Graph:
        outputs = set(roots)
        results = [v for v in reachable(roots, self.stop) if v.inputs is not None and v not in self.stop]
        # A leaf stands right before the first operation that uses it, however late its value was last changed.
        for variable in sorted(results, key=lambda v: v.stamp):
            sources = [self._source(arg, outputs) for arg in variable.inputs or ()]
            self._add(variable, "output" if variable in outputs else "intermediate")
            self.edges += [Edge(source, self.ids[variable], slot) for slot, source in enumerate(sources)]
        for root in roots:
            if root not in self.ids:
                self._add(root, "output")
        return Graph(tuple(self.nodes), tuple(self.edges), tuple(self.ids[root] for root in roots))

    def _source(self, arg: Any, outputs: Collection[Variable]) -> str:
        if not isinstance(arg, Variable):
            number = isinstance(arg, (int, float))
            shape, dtype = ((), "float64") if number else (shape_of(arg), dtype_of(arg).name)
            node_id = f"n{len(self.nodes)}"
            constant = Node(node_id, "constant", None, None, None, {}, (), shape, dtype, False, Value.of(arg))
            self.nodes.append(constant)
            return node_id
        if arg not in self.ids:
            self._add(arg, "output" if arg in outputs else self._leaf_kind(arg))
        return self.ids[arg]

    def _leaf_kind(self, variable: Variable) -> str:
        if variable in self.stop:
            return "forward"
        if isinstance(variable, Parameter):
            return "parameter"
        return "buffer" if variable in self.buffers else "input"

    def _add(self, variable: Variable, kind: str) -> None:
        self.ids[variable] = f"n{len(self.nodes)}"
        grad = self.gradients.get(variable, variable.grad)
        primitive = None if variable in self.stop else variable.primitive
        params = dict(variable.params or {}) if primitive is not None else {}
        pair, rule = self.rules.get(variable.scope, (None, None))
        scope = variable.scope
        self.nodes.append(
            Node(
                id=self.ids[variable],
                kind=kind,
                name=self.stop.get(variable) or self.names.get(variable, variable.name),
                op=None if primitive is None else primitive.name,
                notation=None if primitive is None else filled(primitive.notation, params),
                params=params,
                scope=() if scope is None or self.stop else scope.path,
                shape=variable.shape,
                dtype="float64" if variable.is_scalar_kind else variable.dtype.name,
                requires_grad=variable.requires_grad and not self.stop,
                value=Value.of(variable.data),
                grad=None if grad is None else Value.of(grad.data if isinstance(grad, Variable) else grad),
                site=f"{scope.filename}:{scope.line}" if isinstance(scope, Site) else None,
                pair=self.pairs.get(variable, pair),
                rule=rule,
            )
        )


def traced_ids(roots: list[Variable], module: Any = None) -> dict[Variable, str]:
    """The id that ``trace`` gives to each variable behind the roots."""
    snapshot = _Snapshot(module)
    snapshot.take(roots)
    return snapshot.ids


def as_variables(outputs: Any) -> list[Variable]:
    """The outputs as a list of variables, each once."""
    if isinstance(outputs, Variable):
        return [outputs]
    listed = outputs.ravel().tolist() if isinstance(outputs, np.ndarray) else outputs
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(v, Variable) for v in listed):
        fix = "trace the result of a computation"
        raise ArgumentError(explain("trace(): variables expected", got=type(outputs).__name__, fix=fix))
    return list(dict.fromkeys(listed))


def as_seeds(roots: list[Variable], gradient: Any) -> list[Any]:
    """One cotangent per root; an array is spread over an array of scalars."""
    if gradient is None:
        return [None] * len(roots)
    if len(roots) == 1:
        single = isinstance(gradient, (tuple, list)) and len(gradient) == 1 and roots[0].is_scalar_kind
        return list(gradient) if single else [np.reshape(gradient, ()) if roots[0].is_scalar_kind else gradient]
    given = gradient.ravel().tolist() if isinstance(gradient, np.ndarray) else list(gradient)
    if len(given) != len(roots):
        raise ArgumentError(explain("trace(): one cotangent per output", got=len(given), expected=len(roots)))
    return given


def reachable(
    roots: Sequence[Variable],
    stop: Collection[Variable] = (),
    fix: str = "trace first, with trace(y, gradient=...), or call backward(retain_graph=True)",
) -> list[Variable]:
    """Every variable behind the roots, each once, roots included; nothing beyond those in ``stop``.

    Raises:
        GraphError: the graph was used up by an earlier backward pass; ``fix`` says what to do instead.
    """
    seen = set(roots)
    waiting = list(roots)
    for variable in waiting:
        if variable in stop:
            continue
        if variable.inputs is FREED:
            raise GraphError(explain(f"{variable.label}: its graph was used up by backward()", fix=fix))
        for arg in variable.inputs or ():
            if isinstance(arg, Variable) and arg not in seen:
                seen.add(arg)
                waiting.append(arg)
    return waiting


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
