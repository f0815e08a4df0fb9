"""Scopes in a picture: one call of a module, or one entering of a named part of a formula, and what it is called."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import clean
from .model import Graph, Node

Path = tuple[str, ...]


class Call(NamedTuple):
    """One call of a module, or one entering of a scope: its path, and which time each part of it was entered."""

    path: Path
    calls: tuple[int, ...]

    @classmethod
    def of(cls, node: Node) -> Call:
        """The innermost scope that a node was computed in."""
        return cls(node.scope, node.calls or (1,) * len(node.scope))

    def outermost(self, n: int) -> Call:
        """The first ``n`` parts of the path; all but the last ``-n``, as in a slice."""
        return Call(self.path[:n], self.calls[:n])


class Titles:
    """What the scopes of a graph are called: "0 (Linear)", or "cell (GRU), call 2 of 3"."""

    def __init__(self, graph: Graph) -> None:
        self._modules = graph.modules
        self._times: dict[tuple[Path, tuple[int, ...]], int] = {}
        for node in graph.nodes:
            for i, time in enumerate(node.calls):
                where = (node.scope[: i + 1], node.calls[:i])
                self._times[where] = max(self._times.get(where, 0), time)

    def __call__(self, call: Call) -> str:
        """The title of one scope, without those around it."""
        kind = self._modules.get(call.path, "") or self._modules.get(call.path[1:], "")  # one pass of a backward view
        times = self._times.get((call.path, call.calls[:-1]), 1)
        title = clean(call.path[-1]) if kind in ("", call.path[-1]) else f"{clean(call.path[-1])} ({clean(kind)})"
        return title if times == 1 else f"{title}, call {call.calls[-1]} of {times}"

    def path(self, call: Call) -> str:
        """All parts of the path."""
        return " / ".join(self(call.outermost(i)) for i in range(1, len(call.path) + 1))
