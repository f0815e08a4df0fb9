"""Losses as modules; formulas, shapes and errors are those of the functions in ``functional``."""

from __future__ import annotations

from typing import ClassVar

from .. import functional
from ..functional.reduction import check_reduction
from ..functional.settings import above_zero, flag, number, whole
from ..kinds import Value
from .module import Module


class _Loss(Module):
    also: ClassVar[tuple[str, ...]] = ()  # reductions beside mean, sum and none

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, self.also)
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """See ``functional.cross_entropy``; ``weight`` is kept as a buffer."""

    def __init__(
        self, weight: Value = None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = whole("CrossEntropyLoss", "ignore_index", ignore_index)
        self.label_smoothing = number("CrossEntropyLoss", "label_smoothing", label_smoothing, 0.0, 1.0)

    def forward(self, logits: Value, target: Value) -> Value:
        return functional.cross_entropy(
            logits, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(_Loss):
    """See ``functional.nll_loss``; ``weight`` is kept as a buffer."""

    def __init__(self, weight: Value = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = whole("NLLLoss", "ignore_index", ignore_index)

    def forward(self, log_probabilities: Value, target: Value) -> Value:
        return functional.nll_loss(log_probabilities, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """See ``functional.mse_loss``."""

    def forward(self, prediction: Value, target: Value) -> Value:
        return functional.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """See ``functional.l1_loss``."""

    def forward(self, prediction: Value, target: Value) -> Value:
        return functional.l1_loss(prediction, target, self.reduction)


class SmoothL1Loss(_Loss):
    """See ``functional.smooth_l1_loss``."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = number("SmoothL1Loss", "beta", beta, 0.0)

    def forward(self, prediction: Value, target: Value) -> Value:
        return functional.smooth_l1_loss(prediction, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """See ``functional.huber_loss``."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = above_zero("HuberLoss", "delta", delta)

    def forward(self, prediction: Value, target: Value) -> Value:
        return functional.huber_loss(prediction, target, self.reduction, self.delta)


class BCELoss(_Loss):
    """See ``functional.binary_cross_entropy``; ``weight`` is kept as a buffer."""

    def __init__(self, weight: Value = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, prediction: Value, target: Value) -> Value:
        return functional.binary_cross_entropy(prediction, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """See ``functional.binary_cross_entropy_with_logits``; ``weight`` and ``pos_weight`` are kept as buffers."""

    def __init__(self, weight: Value = None, *, reduction: str = "mean", pos_weight: Value = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, logits: Value, target: Value) -> Value:
        return functional.binary_cross_entropy_with_logits(logits, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """See ``functional.kl_div``; reduction "batchmean" is the divergence of the definition."""

    also = ("batchmean",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = flag("KLDivLoss", "log_target", log_target)

    def forward(self, log_prediction: Value, target: Value) -> Value:
        return functional.kl_div(log_prediction, target, self.reduction, self.log_target)
