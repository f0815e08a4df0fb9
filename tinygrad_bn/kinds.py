"""The names of types in signatures.

Some are ``Any`` to a type checker, because NumPy gives the operators in a way it cannot follow; they speak to the reader.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = np.ndarray[Any, Any]  # an ndarray of any shape and dtype
Value: TypeAlias = Any  # a variable, an ndarray or a number, also a list of these: what an operation takes and returns
Raw: TypeAlias = Any  # the data of a variable: an ndarray, or a float for a scalar; with numbers, what a forward takes
Shape: TypeAlias = tuple[int, ...]  # the lengths of the axes
DType: TypeAlias = np.dtype[Any]  # what numbers are stored as
DTypeLike: TypeAlias = npt.DTypeLike  # what names one: np.float32, "float32"
Plain: TypeAlias = Any  # plain data as a parameter of an operation: a number, text, None, a tuple of them; no variable
Params: TypeAlias = dict[str, Plain]  # the parameters of an operation, by name
Json: TypeAlias = Any  # what json.loads returns, not looked at yet
