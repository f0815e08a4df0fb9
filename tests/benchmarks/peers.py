"""The other libraries: each is used when it is there, and reported as absent when it is not."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

NOT_INSTALLED = "not installed"


def optional(module: str) -> ModuleType | None:
    """The module, or ``None`` where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def pytorch() -> ModuleType | None:
    """PyTorch, on one thread."""
    torch = optional("torch")
    if torch is not None:
        torch.set_num_threads(1)
    return torch


def jax() -> ModuleType | None:
    """JAX, on one thread, which does the work itself before a call returns."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    package = optional("jax")
    if package is not None:
        package.config.update("jax_cpu_enable_async_dispatch", False)
    return package


def hips() -> ModuleType | None:
    """HIPS/autograd; its traced NumPy is ``hips().numpy``."""
    autograd = optional("autograd")
    if autograd is not None:
        optional("autograd.numpy")
        optional("autograd.core")
        optional("autograd.tracer")
    return autograd


def micrograd() -> ModuleType | None:
    """micrograd; ``micrograd().engine`` and ``micrograd().nn``."""
    package = optional("micrograd")
    if package is not None:
        optional("micrograd.engine")
        optional("micrograd.nn")
    return package
