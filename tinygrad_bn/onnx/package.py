"""The outer package ``onnx``, imported when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import missing_package

OPSET = 21  # of the default domain; the first in which onnxruntime runs all of what is written here
IR_VERSION = 10
DOMAIN = "tinygrad_bn"  # of the functions in a file


def package(what: str) -> Any:
    """The package, with the parts of it that are used.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        for part in ("checker", "helper", "numpy_helper", "version_converter"):
            importlib.import_module(f"onnx.{part}")
    except ImportError:
        raise missing_package(what, "onnx", "'tinygrad-bn[onnx]'") from None
    return importlib.import_module("onnx")
