"""``compile``: a function or a whole training step, recorded at its first call, and run as one piece from then on.

Read in this order: ``compiled`` (what the user calls) and ``guard``; for both backends ``lower``, ``plan``, ``buffers``,
``driver``, ``native``; NumPy: ``lines``; C: ``grouping``, then in ``c`` ``operations``, ``kernels``, ``text``, ``blas``,
``build``, ``cache``; where all is Python floats, in ``scalars``: ``tape``, ``vectors``, ``in_c``, ``on_floats``, ``packed``.
"""

from .c.cache import CacheWarning
from .compiled import BACKENDS, STAGES, Compiled, CompileWarning, Stage, compile

__all__ = ["BACKENDS", "STAGES", "CacheWarning", "CompileWarning", "Compiled", "Stage", "compile"]
