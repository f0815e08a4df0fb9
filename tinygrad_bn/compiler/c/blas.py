"""The product of matrices for C text: the addresses of BLAS's gemm, from SciPy."""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

MODULE = "scipy.linalg.cython_blas"


@functools.cache
def gemm() -> dict[str, int] | None:
    """Addresses of BLAS's sgemm and dgemm, by dtype; ``None`` without SciPy.

    They have the Fortran interface: every argument is a pointer, integers are 32-bit, matrices column-major.  SciPy gives
    these addresses to other compiled code (``scipy.linalg.cython_blas``); its BLAS goes by OPENBLAS_NUM_THREADS and the
    like, as NumPy's does.
    """
    try:
        capsules = _cython_blas().__pyx_capi__
        return {dtype: _address(capsules[name]) for dtype, name in (("float32", "sgemm"), ("float64", "dgemm"))}
    except (ImportError, AttributeError, KeyError, ValueError):
        return None


def _cython_blas() -> Any:
    """SciPy's module, without the 0.15 seconds that importing all of ``scipy.linalg`` takes, if nobody has done so."""
    if MODULE not in sys.modules:
        import scipy  # which finds its libraries

        found = importlib.machinery.PathFinder.find_spec(MODULE, [str(Path(scipy.__file__).with_name("linalg"))])
        if found is None or found.loader is None:
            raise ImportError(MODULE)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        sys.modules.pop(MODULE, None)  # a later import of the package does it all by itself
        return module
    return sys.modules[MODULE]


def _address(capsule: object) -> int:
    """What a capsule holds, if the integers of the function are those that are given to it."""
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))(capsule)
    if not name.startswith(b"void (char *, char *, int *, int *, int *,"):
        raise ValueError(name)
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return int(get(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name))
