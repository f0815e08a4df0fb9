"""Graphs as data and as pictures: ``trace`` takes a snapshot, ``draw`` shows it.

Nothing here is needed to compute; everything here reads a ``Graph`` and, to make one, the variables' own record.
"""

from .dot import to_dot
from .layout import LayoutError
from .model import Edge, Graph, Node, Value
from .picture import Picture, draw
from .tracing import trace

__all__ = ["Edge", "Graph", "LayoutError", "Node", "Picture", "Value", "draw", "to_dot", "trace"]
