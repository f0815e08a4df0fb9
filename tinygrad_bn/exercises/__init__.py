"""Ten exercises with gaps: a file to complete, a check by the library's own checks, and a picture of what was computed.

``tinygrad-bn exercise`` lists them, copies them and checks them.
"""

from . import (
    backward_order,
    eval_drift,
    four_lines,
    fused_rule,
    momentum,
    read_a_kernel,
    running_layer,
    second_derivative,
    unbroadcast,
    wrong_max,
)
from .exercise import Drawn, Exercise, ExerciseError

_TITLES = {
    backward_order: "the order of the backward pass",
    unbroadcast: "undo broadcasting",
    wrong_max: "repair a wrong rule of max",
    four_lines: "Batch Normalization in four lines",
    momentum: "which way momentum runs",
    eval_drift: "evaluation that drifts",
    second_derivative: "a rule without a second derivative",
    running_layer: "a layer with running statistics",
    fused_rule: "a fused rule against the composed one",
    read_a_kernel: "read a kernel",
}

EXERCISES: tuple[Exercise, ...] = tuple(
    Exercise(number, module.__name__.rpartition(".")[2], title, module.check, module.picture)
    for number, (module, title) in enumerate(_TITLES.items(), start=1)
)

__all__ = ["EXERCISES", "Drawn", "Exercise", "ExerciseError"]
