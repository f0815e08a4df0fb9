"""Products of matrices and of any labelled axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import Primitive

matmul: Primitive = Primitive(
    "matmul",
    np.matmul,
    lambda g, out, x, y: g @ y.swapaxes(-1, -2),
    lambda g, out, x, y: x.swapaxes(-1, -2) @ g,
    core_dims=2,
    notation="{0} @ {1}",
    doc="``matmul(x, y)``: both have at least two axes; the axes before the last two broadcast.",
)


def _contract_rule(index: int, g: Any, out: Any, *arrays: Any, inputs: tuple[str, ...], output: str) -> Any:
    others = [i for i in range(len(arrays)) if i != index]
    terms = tuple([output] + [inputs[i] for i in others])
    return einsum(g, *(arrays[i] for i in others), inputs=terms, output=inputs[index])


einsum: Primitive = Primitive(
    "einsum",
    lambda *arrays, inputs, output: np.einsum(f"{','.join(inputs)}->{output}", *arrays, optimize=True),
    variadic=_contract_rule,
    notation="einsum",
    doc="``einsum(x, y, inputs=('ij', 'jk'), output='ik')``: no letter twice in one array, and each letter of an array"
    " also in another array or in the output; ``einsum`` brings the general case to this form.",
)
