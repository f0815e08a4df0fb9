"""``diagnose``: how a net in training does, layer by layer: activations, gradients, saturation, sizes of the updates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, GraphError, clean, explain
from ..files import FilePath, write_whole
from ..kinds import Array
from ..nn import Module, activations
from ..optim import PerParameter
from ..tensor import Tensor
from ..transforms import grad
from .diagnosis_picture import picture
from .evaluation import Metric, measured, parts_of
from .undo import as_it_is

BINS = 31  # of a histogram
FLAT = 0.05  # the share of an activation's steepest slope below which it counts as saturated
PROBE = np.linspace(-6.0, 6.0, 1201)  # where an activation's steepest slope is looked for


@dataclass(frozen=True)
class LayerReport:
    """One call of a layer without layers inside.

    Attributes:
        name: dotted, as in ``named_modules``; with the number of the call if there were several.
        kind: the class of the layer.
        shape: of its output.
        mean, std: of its output.
        histogram: counts, and the ends of their range.
        gradient_std: of the gradient of the loss by its output; ``None`` where there is none.
        gradient_histogram: as for the output.
        saturated: of an activation, the share of outputs where it hardly reacts: its slope is below a twentieth of its
            steepest; ``None`` for other layers.
        dead: the share of its units (channels) that are saturated in every row.
        remarks: what is conspicuous, and what to try.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    std: float
    histogram: tuple[tuple[int, ...], float, float]
    gradient_std: float | None
    gradient_histogram: tuple[tuple[int, ...], float, float] | None
    saturated: float | None
    dead: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class ParameterReport:
    """One parameter.

    Attributes:
        name: dotted, as in ``named_parameters``.
        shape: as in NumPy.
        std: root mean square of its elements.
        gradient_std: that of its gradient; ``None`` if it got none.
        ratio: of gradient to parameter.
        update: of what a step of the optimizer changes to the parameter; ``None`` without an optimizer.
        remarks: what is conspicuous, and what to try.
    """

    name: str
    shape: tuple[int, ...]
    std: float
    gradient_std: float | None
    ratio: float | None
    update: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` found; ``print`` it, ``save`` its picture, or let a notebook show that.

    Attributes:
        loss: on the batch.
        layers: in the order in which they were called.
        parameters: in the order of ``named_parameters``.
    """

    loss: float
    layers: tuple[LayerReport, ...]
    parameters: tuple[ParameterReport, ...]

    @property
    def remarks(self) -> list[str]:
        """All remarks, each with the name of what it is about."""
        parts: list[LayerReport | ParameterReport] = [*self.layers, *self.parameters]
        return [f"{part.name}: {remark}" for part in parts for remark in part.remarks]

    def svg(self) -> str:
        """The picture as SVG text: a row for each layer and each parameter."""
        return picture(self)

    def save(self, path: FilePath) -> Path:
        """Write the picture into an .svg file, which any browser opens.

        Raises:
            ArgumentError: another ending.
            FileError: the file cannot be written.
        """
        if Path(path).suffix.lower() != ".svg":
            raise ArgumentError(explain("save(): the picture is SVG", got=str(path), expected="a name with .svg"))
        return write_whole(path, self.svg().encode())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows."""
        return {"text/plain": str(self), "image/svg+xml": self.svg()}

    def __str__(self) -> str:
        layers = [("layer", "output", "mean", "std", "gradient", "saturated", "dead")]
        layers += [
            (_named(p), "×".join(map(str, p.shape)), _number(p.mean), _number(p.std), _number(p.gradient_std),
             _percent(p.saturated), _percent(p.dead))
            for p in self.layers
        ]  # fmt: skip
        rows = [("parameter", "shape", "size", "gradient", "gradient/size", "update/size")]
        rows += [
            (clean(p.name, 60), "×".join(map(str, p.shape)) or "1", _number(p.std), _number(p.gradient_std),
             _number(p.ratio), _number(p.update))
            for p in self.parameters
        ]  # fmt: skip
        said = [f"loss {self.loss:.4g}", "", *_table(layers), "", *_table(rows)]
        return "\n".join(
            [*said, "", *(f"- {clean(remark, 300)}" for remark in self.remarks or ["nothing conspicuous"])]
        )


def diagnose(model: Module, batch: Any, loss: Metric, optimizer: PerParameter | None = None) -> Diagnosis:
    """One training step on a batch, looked at and undone: model, optimizer and generator are as before.

    ::

        report = train.diagnose(model, next(iter(loader)), functional.cross_entropy, optimizer)
        print(report)
        report.save("net.svg")

    Args:
        model: called on the batch's inputs, in training mode.
        batch: ``(*inputs, target)``, as a loader gives it.
        loss: of output and target, one number.
        optimizer: its step determines the updates of the parameters.

    Returns:
        Numbers for each layer without layers inside, in the order of the calls, and for each parameter; remarks on what
        is conspicuous.  Rules of thumb: the standard deviations of neighboring layers are of one size, activations are
        saturated in a minority, and a step changes a parameter by about a thousandth.

    Raises:
        ArgumentError: something else than a module, or an optimizer without any of its parameters.
        GraphError: a loss that depends on no parameter.
    """
    if not isinstance(model, Module):
        raise ArgumentError(explain("diagnose: model", got=type(model).__name__, expected="an nn.Module"))
    parameters = dict(model.named_parameters())
    if optimizer is not None and (
        not isinstance(optimizer, PerParameter) or not set(optimizer.params) & set(parameters.values())
    ):
        fix = "an optimizer made of this model's parameters, other than LBFGS"
        raise ArgumentError(explain("diagnose: optimizer", got=type(optimizer).__name__, fix=fix))
    inputs, target, _ = parts_of(batch)
    modes = [(module, module.training) for module in model.modules()]
    undo = as_it_is([*parameters.values(), *model.buffers()], optimizer)
    calls: list[tuple[str, Module, Any, Any]] = []
    hooks = [
        module.register_forward_hook(_noted(calls, name or type(module).__name__))
        for name, module in model.named_modules()
        if next(module.named_children(), None) is None
    ]
    try:
        model.train()
        for p in parameters.values():
            p.grad = None
        value = loss(model(*inputs), target)
        if not isinstance(value, Variable) or not value.requires_grad:
            raise GraphError(explain("diagnose: the loss depends on no parameter", got=type(value).__name__))
        number = measured({"loss": lambda output, target: value}, None, target)["loss"]
        value.backward()
        layers = _layers(calls)
        before = {name: p.data for name, p in parameters.items()}
        gradients = {name: p.grad for name, p in parameters.items()}
        moved: Mapping[str, Any] = {}
        if optimizer is not None and any(g is not None for g in gradients.values()):
            with np.errstate(all="ignore"):
                optimizer.step()
            moved = {name: p.data for name, p in parameters.items() if p in set(optimizer.params)}
        reports = [_parameter(name, before[name], gradients[name], moved.get(name)) for name in parameters]
        return Diagnosis(number, tuple(layers), tuple(reports))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
        undo()


def _noted(calls: list[tuple[str, Module, Any, Any]], name: str) -> Any:
    def hook(module: Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.dtype.kind == "f":
            if output.requires_grad:
                output.retain_grad()
            calls.append((name, module, args[0] if args else None, output))

    return hook


# -- what is measured -------------------------------------------------------------------------------------------------------


def _layers(calls: list[tuple[str, Module, Any, Any]]) -> list[LayerReport]:
    names = [name for name, *_ in calls]
    seen: dict[str, int] = {}
    reports = []
    for name, module, given, output in calls:
        seen[name] = seen.get(name, 0) + 1
        shown = f"{name} (call {seen[name]})" if names.count(name) > 1 else name
        reports.append(_layer(shown, module, given, output))
    largest = max(
        (r.gradient_std for r in reports if r.gradient_std is not None and r.gradient_std < math.inf), default=0.0
    )
    return [_with_neighbors(report, largest) for report in reports]


def _layer(name: str, module: Module, given: Any, output: Tensor) -> LayerReport:
    data = output.numpy()
    gradient = None if output.grad is None else output.grad.numpy()
    saturated, dead = _saturation(module, given, data.ndim)
    mean, std = _moments(data)
    remarks = []
    if not math.isfinite(std):
        remarks.append("the output is not finite; with tg.detect_anomaly(): ... names the operation")
    elif data.size and std < 1e-6 * max(abs(mean), 1.0):
        remarks.append("the output is all but constant")
    if saturated is not None and saturated > (0.9 if _reacts_on_one_side(module) else 0.5):
        remarks.append(f"saturated in {saturated:.0%}: smaller initial weights, or a normalization before it")
    if dead is not None and dead > 0.1:
        remarks.append(
            f"{dead:.0%} of its units do not react to any row: a smaller learning rate, or another activation"
        )
    return LayerReport(
        name, type(module).__name__, data.shape, mean, std, _histogram(data),
        None if gradient is None else _moments(gradient)[1], None if gradient is None else _histogram(gradient),
        saturated, dead, tuple(remarks),
    )  # fmt: skip


def _with_neighbors(report: LayerReport, largest: float) -> LayerReport:
    """With a remark on a gradient that is nothing beside those of other layers."""
    size = report.gradient_std
    if size is None or not size < 1e-4 * largest:
        return report
    remark = (
        f"its gradient is {size / largest:.1e} of the largest: it vanishes on the way; normalize, or shorten the way"
    )
    return LayerReport(**{**vars(report), "remarks": (*report.remarks, remark)})


def _saturation(module: Module, given: Any, ndim: int) -> tuple[float | None, float | None]:
    """Shares of elements, and of units, in which an elementwise activation hardly reacts."""
    elementwise = type(module).__module__ == activations.__name__ and "Softmax" not in type(module).__name__
    if not elementwise or not isinstance(given, Variable) or not given.size:
        return None, None
    with np.errstate(all="ignore"):
        flat = np.abs(_slopes(module, given.numpy())) < FLAT * np.abs(_slopes(module, PROBE)).max()
    rows = (0, *range(2, ndim)) if ndim > 1 else ()
    return float(flat.mean()), float(flat.all(axis=rows).mean()) if rows else None


def _slopes(module: Module, x: Array) -> Array:
    return np.asarray(grad(lambda x: module.forward(x).sum())(x.astype(np.float64)))


def _reacts_on_one_side(module: Module) -> bool:
    """Whether the activation is one like ReLU, of which about a half is always without a slope."""
    slopes = np.abs(_slopes(module, PROBE))
    return bool(slopes[-1] > FLAT * slopes.max())


def _parameter(name: str, before: Array, gradient: Any, after: Array | None) -> ParameterReport:
    std = _size(before)
    grad_std = None if gradient is None else _size(gradient.numpy())
    ratio = None if grad_std is None else _over(grad_std, std)
    with np.errstate(all="ignore"):
        update = None if after is None else _over(_size(after.astype(float) - before.astype(float)), std)
    remarks = []
    if grad_std is None:
        remarks.append("no gradient: tg.testing.why_no_grad(parameter, loss) says why")
    elif not math.isfinite(grad_std):
        remarks.append("its gradient is not finite; with tg.detect_anomaly(): ... names the rule")
    elif grad_std == 0.0:
        remarks.append("its gradient is exactly 0")
    elif ratio is not None and ratio < 1e-7:
        why = "a bias in front of a normalization is subtracted again (bias=False)"
        remarks.append(f"its gradient is nothing but rounding beside its size; {why}")
    elif update is not None and math.isfinite(update):
        if update > 0.1:
            remarks.append(f"a step changes it by {update:.0%}: a smaller learning rate")
        elif update < 1e-6:
            remarks.append(f"a step changes it by {update:.0e} of its size: it hardly learns; a larger learning rate")
    return ParameterReport(name, before.shape, std, grad_std, ratio, update, tuple(remarks))


def _size(array: Array) -> float:
    """Root mean square, in float64."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(array, dtype=float)))) if array.size else 0.0


def _over(part: float, whole: float) -> float | None:
    """The ratio; ``None`` beside something of size 0, as a bias that was just made."""
    return part / whole if whole > 0.0 else None


def _moments(array: Array) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        return (float(array.mean(dtype=float)), float(array.std(dtype=float))) if array.size else (0.0, 0.0)


def _histogram(array: Array) -> tuple[tuple[int, ...], float, float]:
    finite = array[np.isfinite(array)].astype(float)
    if not finite.size:
        return (0,) * BINS, 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # all one value: in the middle
        return tuple(finite.size if i == BINS // 2 else 0 for i in range(BINS)), low, high
    counts, _ = np.histogram(finite / (high - low), BINS, (low / (high - low), high / (high - low)))
    return tuple(counts.tolist()), low, high


# -- as text ------------------------------------------------------------------------------------------------------------------


def _named(report: LayerReport) -> str:
    return clean(report.name if report.name == report.kind else f"{report.name} {report.kind}", 60)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines
