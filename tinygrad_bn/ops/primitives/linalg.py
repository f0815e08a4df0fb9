"""Products of matrices and of any labeled axes."""

from __future__ import annotations

import numpy as np

from ...engine import Primitive
from ...engine.unbroadcast import accumulator
from ...kinds import Raw, Value

matmul: Primitive = Primitive(
    "matmul",
    np.matmul,
    lambda g, out, x, y: g @ y.swapaxes(-1, -2),
    lambda g, out, x, y: x.swapaxes(-1, -2) @ g,
    core_dims=2,
    notation="{0} @ {1}",
    doc="``matmul(x, y)``: both have at least two axes; the axes before the last two broadcast.",
)


def _contract(*arrays: Raw, inputs: tuple[str, ...], output: str) -> Raw:
    dtype = np.result_type(*arrays)
    wide = [np.asarray(a, accumulator(dtype)) for a in arrays] if dtype == np.float16 else arrays
    out = np.einsum(f"{','.join(inputs)}->{output}", *wide, optimize=True)
    return out if wide is arrays else out.astype(dtype)


def _contract_rule(index: int, g: Value, out: Value, *arrays: Value, inputs: tuple[str, ...], output: str) -> Value:
    others = [i for i in range(len(arrays)) if i != index]
    terms = tuple([output] + [inputs[i] for i in others])
    return einsum(g, *(arrays[i] for i in others), inputs=terms, output=inputs[index])


einsum: Primitive = Primitive(
    "einsum",
    _contract,
    variadic=_contract_rule,
    notation="einsum",
    doc="``einsum(x, y, inputs=('ij', 'jk'), output='ik')``: no letter twice in one array, and each letter of an array"
    " also in another array or in the output; ``einsum`` brings the general case to this form.",
)
