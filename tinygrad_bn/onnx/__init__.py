"""ONNX, out and in: programs as files that other runtimes run and other viewers show, and files as programs.

``export`` records a function or a module and writes it, every module and formula as a function of the file; ``import_program``
makes a ``Program`` of a file.  The package ``onnx`` (the extra ``onnx``) makes, checks and reads everything of the format.
"""

from .export import export, to_model
from .importing import import_program

__all__ = ["export", "import_program", "to_model"]
