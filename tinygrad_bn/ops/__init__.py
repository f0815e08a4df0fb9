"""Every operation, as a function on variables and on raw values alike, spelled as in NumPy.

``primitives`` have a derivative rule each; ``composed`` are written in primitives and have none.
"""

from .composed.activations import elu, gelu, leaky_relu, silu
from .composed.indexing import getitem, take, take_along_axis
from .composed.numbers import astype, clip, power
from .composed.products import dot, einsum, matmul, outer, tensordot
from .composed.reductions import (
    argmax,
    argmin,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    softmax,
    std,
    sum,
    var,
)  # fmt: skip
from .composed.shaping import (
    broadcast_to,
    concatenate,
    diagonal,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    pad,
    ravel,
    repeat,
    reshape,
    roll,
    sliding_window,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    trace,
    transpose,
    tril,
    triu,
)  # fmt: skip
from .primitives.arithmetic import add, divide, log, multiply, negative, reciprocal, square, subtract
from .primitives.compare import (
    equal,
    greater,
    greater_equal,
    isfinite,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    not_equal,
    where,
)  # fmt: skip
from .primitives.draw import uniform_like
from .primitives.elementary import (
    abs,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    cos,
    cosh,
    erf,
    exp,
    expm1,
    log1p,
    relu,
    sigmoid,
    sign,
    sin,
    sinh,
    softplus,
    sqrt,
    stop_gradient,
    tan,
    tanh,
)  # fmt: skip

__all__ = [
    "abs", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "argmax", "argmin", "astype",
    "broadcast_to", "clip", "concatenate", "cos", "cosh", "cumsum", "diagonal", "divide", "dot", "einsum", "elu",
    "equal", "erf", "exp", "expand_dims", "expm1", "flatten", "flip", "gelu", "getitem", "greater", "greater_equal",
    "isfinite", "leaky_relu", "less", "less_equal", "log", "log1p", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logsumexp", "matmul", "max", "maximum", "mean", "min", "minimum", "moveaxis", "multiply", "negative",
    "norm", "not_equal", "outer", "pad", "power", "prod", "ravel", "reciprocal", "relu", "repeat", "reshape", "roll",
    "sigmoid", "sign", "silu", "sin", "sinh", "sliding_window", "softmax", "softplus", "split", "sqrt", "square",
    "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh",
    "tensordot", "tile", "trace", "transpose", "tril", "triu", "uniform_like", "var", "where",
]  # fmt: skip
