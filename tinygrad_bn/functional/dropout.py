"""Dropout."""

from __future__ import annotations

from .. import ops
from ..engine import scope
from ..errors import ArgumentError, explain
from ..kinds import Value
from ..ops.composed.axes import as_value


def dropout(x: Value, p: float = 0.5, training: bool = True) -> Value:
    """Set each element to 0 with probability p and divide the others by 1 - p (Srivastava et al. 2014, JMLR 15).

    The division keeps the expected value, so that evaluation needs no change ("inverted" dropout).  What is dropped is
    drawn from the generator that ``tinygrad_bn.manual_seed`` seeds.

    Args:
        x: any shape, floating point.
        p: the probability to drop, from 0 to 1.
        training: without it, x is returned as it is.

    Raises:
        ArgumentError: p outside 0 to 1.
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(explain("dropout: p is a probability", got=p, expected="0 to 1"))
    x = as_value(x)
    if not training or p == 0.0:
        return x
    with scope("dropout"):
        kept = ops.greater_equal(ops.uniform_like(x), p)
        return ops.where(kept, x * (0.0 if p == 1.0 else 1.0 / (1.0 - p)), 0.0)
