"""The engine: variables, primitives with their rules, and one backward sweep.  It knows no particular operation.

Read in this order: ``variable``, ``primitive``, ``unbroadcast``, ``write``, ``sweep``, ``tape``; ``blocks``, ``mode``,
``messages``, ``extras`` and ``contract`` as they come up.
"""

from .mode import detect_anomaly, enable_grad, is_grad_enabled, no_grad, record_sites, scope
from .primitive import Primitive
from .sweep import gradients
from .unbroadcast import astype, broadcast_to, dtype_of, shape_of, sum_to
from .variable import FREED, NoGraph, Variable
from .write import reading, write

__all__ = [
    "FREED",
    "NoGraph",
    "Primitive",
    "Variable",
    "astype",
    "broadcast_to",
    "detect_anomaly",
    "dtype_of",
    "enable_grad",
    "gradients",
    "is_grad_enabled",
    "no_grad",
    "reading",
    "record_sites",
    "scope",
    "shape_of",
    "sum_to",
    "write",
]
