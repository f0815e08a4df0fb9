"""Comparison of what is equal up to rounding."""

from __future__ import annotations

import numpy as np

from tests.program.bits import pairs


def near(one, other, units=400, dtypes=()):
    """Equal in structure, shapes, dtypes, and to some units in the last place of the largest number of each array.

    Args:
        one, other: trees of results.
        units: how many units in the last place.
        dtypes: what has been computed in on the way.
    """
    for name, a, b in pairs(one, other):
        if a.dtype.kind == "f" and a.size:
            bound = units * max(np.finfo(dtype).eps for dtype in (a.dtype, *dtypes))
            size = max(np.nanmax(np.abs(b), where=np.isfinite(b), initial=0.0), 1.0)
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound * size, err_msg=name)
        else:
            assert np.array_equal(a, b), f"{name}: {a}, {b}"
