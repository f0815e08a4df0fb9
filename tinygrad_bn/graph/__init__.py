"""Graphs as data and as pictures: ``trace`` takes a snapshot, ``draw`` shows it.

Nothing here is needed to compute; everything here reads a ``Graph`` and, to make one, the variables' own record.
"""

from ..engine.sweep import Contribution
from .dot import to_dot
from .folding import collapse, inlined
from .layout import LayoutError
from .model import Edge, Graph, Node, Value
from .picture import Picture, draw
from .plain import to_mermaid, to_text
from .steps import Step, backward_steps
from .tracing import trace, trace_backward, trace_reduced

__all__ = [
    "Contribution", "Edge", "Graph", "LayoutError", "Node", "Picture", "Step", "Value", "backward_steps", "collapse", "draw",
    "inlined", "to_dot", "to_mermaid", "to_text", "trace", "trace_backward", "trace_reduced",
]  # fmt: skip
