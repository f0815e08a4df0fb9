"""tinygrad_bn: a small reverse-mode autodiff framework on NumPy, with Batch Normalization composed of primitives."""

from . import data, errors, functional, graph, nn, onnx, ops, optim, parallel, program, testing, train
from .compiler import compile
from .engine import (
    Primitive,
    Variable,
    detect_anomaly,
    enable_grad,
    is_grad_enabled,
    no_grad,
    record_sites,
    scope,
    write,
)  # fmt: skip
from .errors import TinygradError
from .explorer import explore
from .gradcheck import VanishingGradientWarning, gradcheck, gradgradcheck
from .nn.init import manual_seed
from .tensor import Parameter, Scalar, Tensor, gradients_of, named, scalarize, values_of
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.2.0"

__all__ = [
    "Parameter", "Primitive", "Scalar", "Tensor", "TinygradError", "VanishingGradientWarning", "Variable", "compile", "data",
    "detect_anomaly", "enable_grad", "errors", "explore", "functional", "grad", "gradcheck", "gradgradcheck",
    "gradients_of", "graph", "hessian", "hvp", "is_grad_enabled", "jacobian", "jvp", "manual_seed", "named", "nn",
    "no_grad", "onnx", "ops", "optim", "parallel", "program", "record_sites", "scalarize", "scope", "testing", "train",
    "value_and_grad", "values_of", "vjp", "write",
]  # fmt: skip
