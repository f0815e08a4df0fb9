"""``compile``: a function or a whole training step, recorded at its first call, and run as one piece from then on.

Read in this order: ``compiled`` (what the user calls), ``guard``, ``straight``, ``lines``, ``buffers``; for programs on Python
floats ``tape``, ``scalars``, ``scalars_c``, ``on_floats``, ``packed``.
"""

from .compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
