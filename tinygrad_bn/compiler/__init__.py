"""``compile``: a function or a whole training step, recorded at its first call, and run as one piece from then on.

Read in this order: ``compiled`` (what the user calls) and ``guard``; NumPy: ``straight``, ``lines``, ``buffers``, ``eager``; C:
``lower``, ``grouping``, ``c_operations``, ``c_kernels``, ``c_text``, ``native``, ``blas``, ``build``,
``cache``.
"""

from .cache import CacheWarning
from .compiled import BACKENDS, STAGES, Compiled, CompileWarning, Stage, compile

__all__ = ["BACKENDS", "STAGES", "CacheWarning", "CompileWarning", "Compiled", "Stage", "compile"]
