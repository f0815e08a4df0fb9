"""Losses as modules."""

from __future__ import annotations

from typing import Any

from .. import functional
from .module import Module


class CrossEntropyLoss(Module):
    """See ``functional.cross_entropy``."""

    def forward(self, logits: Any, target: Any) -> Any:
        return functional.cross_entropy(logits, target)


class MSELoss(Module):
    """See ``functional.mse_loss``."""

    def forward(self, prediction: Any, target: Any) -> Any:
        return functional.mse_loss(prediction, target)
