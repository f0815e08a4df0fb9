"""The check of exercise 7: a rule that can be differentiated again."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..graph import Picture, draw
from ..tensor import Tensor
from ..testing import check_primitive
from ..transforms import hessian
from .exercise import demand

X = np.array([-2.0, -0.3, 0.4, 1.5])


def check(work: Any) -> str:
    """The library's battery, and the second derivative by its formula."""
    s = 1 / (1 + np.exp(-X))
    found = np.diag(hessian(lambda x: ops.sum(work.softplus(x)))(X))
    demand(
        np.allclose(found, s * (1 - s)),
        f"the second derivative at {X.tolist()} is wrong",
        got=np.round(found, 4).tolist(),
        expected=f"s(x) (1 - s(x)) = {np.round(s * (1 - s), 4).tolist()}",
        fix="compute with x itself, by operations of tinygrad_bn.ops, not with x.numpy() or x.data",
    )
    report = check_primitive(work.softplus, [X, 0.7], quiet=True, skip="scalars")
    passed = sum(found.verdict == "passed" for found in report.checks)
    return f"the formula of the second derivative, and {passed} checks of check_primitive"


def picture(work: Any) -> Picture:
    """The graph of the gradient: what it depends on."""
    x = Tensor(X, requires_grad=True, name="x")
    g = Tensor(np.array([1.0, -2.0, 0.5, 3.0]), requires_grad=True, name="g")
    ops.sum(work.softplus(x) * g).backward(create_graph=True)
    note = "g is the cotangent; where no arrow leads from x to here, the gradient is a constant for x, and its derivative is 0"
    return draw(x.grad, title="The gradient of x, as a graph", note=note)
