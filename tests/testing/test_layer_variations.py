"""check_layer, where the inputs alone show nothing: each kind of fault that needs another call to be seen."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn, ops
from tinygrad_bn.random import generator
from tinygrad_bn.testing import Report, check_layer

X = np.random.default_rng(0).normal(size=(4, 3))


def check(layer: Any, *inputs: Any, **settings: Any) -> Report:
    return check_layer(layer, *inputs, quiet=True, raise_exception=False, **settings)


class Layer(nn.Module):
    """A weight, and a forward to be given."""

    def __init__(self, forward: Any) -> None:
        super().__init__()
        self.function = forward
        self.weight = nn.Parameter(np.array([1.0, -0.5, 2.0], np.float32))

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


def is_single(x: Any) -> bool:
    return bool(x.dtype == np.float32)


def by_order(x: Any) -> Any:
    """Twice as much where the array does not lie in C order."""
    return 1.0 if x.data.flags.c_contiguous else 2.0


clipping = tg.Primitive("clipping", lambda x: x * 1.0, lambda g, out, x: ops.clip(g, -1e3, 1e3), elementwise=True)
single = tg.Primitive(
    "single", lambda x: x * 1.0, lambda g, out, x: g * (2.0 if x.dtype == np.float32 else 1.0), elementwise=True
)


def keeps_input(layer: Any, x: Any) -> Any:
    layer.last = x
    return layer.weight * x


def keeps_inputs(layer: Any, x: Any) -> Any:
    layer.__dict__.setdefault("seen", []).append((x,))
    return layer.weight * x


BAD: dict[str, tuple[Any, str, str]] = {
    "twice in float32": (lambda s, x: s.weight * x * (2.0 if is_single(x) else 1.0), "float32 values",
                         "the result in training is another one in float32"),
    "the weight's dtype": (lambda s, x: s.weight * x + (0.1 if is_single(s.weight) else 0.0), "float32 values", "in float32"),
    "a gradient in float32": (lambda s, x: single(s.weight * x), "float32 values", "a gradient in training is another one"),
    "memory order": (lambda s, x: s.weight * x * by_order(x), "memory order", "depends on how the inputs lie in memory"),
    "limits gradients": (lambda s, x: clipping(s.weight * x), "size of cotangents", r"with 1e\+07 times it"),
    "squeezes": (lambda s, x: ops.squeeze(s.weight * x), "batch of one", "got:      \\(3,\\)"),
    "squeezes the sum": (lambda s, x: (s.weight * x).sum(axis=1, keepdims=True).squeeze(), "batch of one", "with an axis"),
    "divides by n": (lambda s, x: s.weight * x * (x.shape[0] / x.shape[0]), "batch of none", "ZeroDivisionError"),
    "no empty batch": (lambda s, x: s.weight * x[0] if x.shape[0] == 0 else s.weight * x, "batch of none", "refused"),
    "squeezes nothing": (lambda s, x: s.weight * x if x.shape[0] else tg.Tensor(np.zeros(0)), "batch of none", "another shape"),
    "keeps its input": (keeps_input, "keeps nothing alive", "inputs stay alive .*\n  got:      'input 0'"),
    "keeps all inputs": (keeps_inputs, "keeps nothing alive", "inputs stay alive"),
    "branches on the mean": (lambda s, x: s.weight * x if float(x.numpy().mean()) > X.mean() - 0.1 else s.weight * x * x,
                             "values decide", "forward branches on values"),
    "branches on the largest": (lambda s, x: s.weight * x if x.data.max(initial=0.0) < 3.0 else s.weight * x * 2.0,
                                "values decide", "let operations decide"),
    "branches on its weight": (lambda s, x: s.weight * x if s.weight.data[0] > 0.0 else s.weight * x * 2.0,
                               "values decide", "forward branches on values"),
    "a mask as an index": (lambda s, x: (s.weight * x)[x.data > 0.0], "values decide", "forward branches on values"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    forward, where, said = BAD[name]
    report = check(
        Layer(forward), X, skip=["batch of one", "other batch sizes"] if name == "a mask as an index" else ()
    )
    if name == "no empty batch":  # refused in words is as it should be
        assert report.ok
        assert said in report[where].detail
        return
    told = {c.name for c in (*report.failures, *report.warnings)}
    assert told - {"deepcopy"} == {where}, report  # what keeps a recorded input cannot be copied either
    assert re.search(said, report[where].message), report


def test_the_other_branch_is_differentiated_too() -> None:
    """Right for these values, wrong for others: a failure rather than a warning."""

    def forward(layer: Any, x: Any) -> Any:
        y = layer.weight * x
        return y if x.data.sum() > X.sum() - 1e-9 else y * y.detach()

    report = check(Layer(forward), X)
    assert [c.name for c in report.failures] == ["values decide"]
    assert "derivatives disagree with central differences" in report["values decide"].message


def test_a_choice_by_operations_is_none_by_values() -> None:
    report = check(Layer(lambda s, x: ops.where(x > 0.0, s.weight * x, ops.maximum(x, -0.5))), X)
    assert report.ok
    assert not report.warnings
    assert re.fullmatch(r"the record holds for \d+ others", report["values decide"].detail)


# -- one input twice, nothing recorded, the rest of the batch, what a small batch leaves ------------------------------------


def puts_in_training(layer: Any, x: Any) -> Any:
    layer.train()
    return layer.weight * x


def collects(layer: Any, x: Any) -> Any:
    layer.__dict__.setdefault("seen", []).append(x.data)
    return layer.weight * x


def clears(layer: Any, x: Any) -> Any:
    layer.zero_grad()
    return layer.weight * x


def seeded(seed: Any) -> Any:
    def forward(layer: Any, x: Any) -> Any:
        seed(0)
        return layer.weight * x * (generator().uniform() if layer.training else 1.0)

    return forward


def batch_statistic(layer: Any, x: Any) -> Any:
    return layer.weight * (x - ops.mean(x, axis=0))


BESIDE: dict[str, tuple[Any, str, str]] = {
    "statistics of the batch": (batch_statistic, "examples apart", "use statistics of the batch only if self.training"),
    "a batch size of its own": (lambda s, x: s.weight * x * (4.0 / x.shape[0] if x.shape[0] > 4 else 1.0), "examples apart",
                                "a batch of 9 gives its examples another result than a batch of 4"),
    "one is special": (lambda s, x: s.weight * x * (0.0 if x.shape[0] == 1 else 1.0), "examples apart", "a batch of 1"),
    "mixes examples": (lambda s, x: ops.reshape(ops.transpose(s.weight * x), x.shape), "examples apart", "rest of the batch"),
    "asks for requires_grad": (lambda s, x: s.weight * x * (1.0 if x.requires_grad else 2.0), "recorded or not",
                               "from constants, in training"),
    "asks for recording": (lambda s, x: s.weight * x * (1.0 if (s.weight * x).requires_grad else 2.0), "recorded or not",
                           "in no_grad, in training"),
    "no slope at zero": (lambda s, x: s.weight * x / ops.sqrt(ops.sum(x * x, axis=1, keepdims=True) + 1e-5) *
                         ops.sqrt(ops.sum(x * x, axis=1, keepdims=True)), "special inputs", "is NaN where .* 0 in training"),
    "another mode": (puts_in_training, "train and eval", "into another mode than evaluation"),
    "collects arrays": (collects, "keeps nothing alive", "arrays stay alive after two more calls"),
    "clears gradients": (clears, "writes to nothing", "forward changed weight.grad"),
    "seeds the library": (seeded(tg.manual_seed), "repeatable", "forward seeds the library's generator"),
    "seeds NumPy": (seeded(np.random.seed), "repeatable", "forward seeds numpy.random"),
    "seeds Python": (seeded(random.seed), "repeatable", "forward seeds Python's random"),
    "unused in evaluation": (lambda s, x: s.weight * x if s.training else x * 1.0, "gradients arrive",
                             "none, or zero, for weight in evaluation"),
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_each_fault_that_stands_beside_the_derivatives_is_found(name: str) -> None:
    forward, where, said = BESIDE[name]
    report = check(Layer(forward), X)
    assert [c.name for c in (*report.failures, *report.warnings)] == [where], report
    assert re.search(said, f"{report[where].detail}\n{report[where].message}"), report


def test_one_input_twice() -> None:
    report = check(lambda x, y: x * y * (2.0 if x is y else 1.0), X, X + 1.0)
    assert [c.name for c in report.failures] == ["one input twice"]
    assert "where inputs 0 and 1 are one and the same" in report["one input twice"].message
    right = check(lambda x, y: x * y, X, X + 1.0)
    assert right.ok
    assert right["one input twice"].detail == "1 pairs"
    assert check(lambda x, y: ops.log(ops.abs(x - y)), X, X + 1.0).ok  # equal ones have no finite result


class Running(nn.Module):
    """A running value, and how it moves."""

    def __init__(self, move: Any) -> None:
        super().__init__()
        self.move = move
        self.weight = nn.Parameter(np.ones(3))
        self.register_buffer("kept", np.ones(3))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.kept.data = self.kept.data * 0.9 + 0.1 * self.move(x.numpy())
        return self.weight * (x if self.training else x / self.kept)


def refusing(size: int) -> Any:
    class Refusing(Running):
        def forward(self, x: Any) -> Any:
            y = super().forward(x)
            if self.training and x.shape[0] == size:
                raise ValueError("too small")
            return y

    return Refusing(lambda x: x.sum(0))


def test_what_a_small_batch_leaves_in_buffers() -> None:
    with np.errstate(all="ignore"):
        report = check(Running(lambda x: x.var(0, ddof=1)), X)
        assert [c.name for c in report.failures] == ["batch of one"]
        assert "a batch of one leaves NaN or infinity in kept in training" in report["batch of one"].message
        report = check(Running(lambda x: x.var(0)), X)
    assert report.ok
    assert not report.warnings
    assert "leaves NaN in kept" in report["batch of none"].detail
    report = check(refusing(1), X)
    assert report.ok
    assert [c.detail for c in report.warnings] == ["a batch of one is refused in training, after kept changed"]
    assert not check(refusing(0), X).warnings
    assert not check(Running(lambda x: x.sum(0)), X).warnings


def test_a_plain_tensor_is_not_saved() -> None:
    layer = Layer(lambda s, x: s.weight * x * s.scale)
    layer.scale = tg.Tensor(np.ones(3, np.float32))
    report = check(layer, X)
    assert report.ok
    assert [c.detail for c in report.warnings] == ["not saved: self.scale"]
    assert "register_buffer" in report["registered"].message


@pytest.mark.parametrize("size", [1e-13, 1e-12, 1e8])
def test_a_small_gradient_is_one(size: float) -> None:
    report = check(Layer(lambda s, x: s.weight * x), X * size)
    assert report["gradients arrive"].verdict == "passed"
    cancels = check(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), X)
    assert cancels["gradients arrive"].detail == "none, or zero, for 0.bias"


# -- state and randomness ---------------------------------------------------------------------------------------------------


class BatchRenorm(nn.Module):
    """Ioffe 2017 (arXiv:1702.03275): batch statistics, corrected towards the running ones, which it moves itself.

    The corrections r and d are constants to the derivative by definition; ``cut`` makes them so.
    """

    def __init__(self, cut: Any = lambda v: ops.stop_gradient(v)) -> None:
        super().__init__()
        self.cut = cut
        self.weight = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("running_mean", np.zeros(3, np.float32))
        self.register_buffer("running_std", np.ones(3, np.float32))

    def forward(self, x: Any) -> Any:
        if not self.training:
            return self.weight * (x - self.running_mean) / self.running_std
        mean = ops.mean(x, axis=0)
        std = ops.sqrt(ops.mean(ops.square(x - mean), axis=0) + 1e-5)
        r = ops.clip(self.cut(std) / self.running_std.data, 1 / 3, 3.0)
        d = ops.clip((self.cut(mean) - self.running_mean.data) / self.running_std.data, -5.0, 5.0)
        self.running_mean.data = self.running_mean.data * 0.9 + mean.data * 0.1
        self.running_std.data = self.running_std.data * 0.9 + std.data * 0.1
        return self.weight * ((x - mean) / std * r + d)


def test_batch_renorm_passes_whole() -> None:
    layer = BatchRenorm()
    report = check(layer, X)
    assert report.ok, report
    assert not report.warnings
    assert report["repeatable"].detail == "training depends on buffers that it moves"
    assert "training updates running_mean, running_std" in report["train and eval"].detail
    np.testing.assert_array_equal(layer.running_mean.data, 0.0)
    np.testing.assert_array_equal(ops.stop_gradient(X), X)


@pytest.mark.parametrize("cut", [lambda v: v.detach(), lambda v: v.data])
def test_what_is_cut_without_a_word_is_not_taken_for_meant(cut: Any) -> None:
    """Whether a value that leaves the graph was meant to, only the author can tell; and does, by stop_gradient or skip=."""
    report = check(BatchRenorm(cut), X)
    assert "cut on purpose, as by no_grad or detach: ops.stop_gradient(x)" in report["first derivatives"].message
    assert {c.name for c in report.failures} == {"first derivatives", "second derivatives"}
    assert check(BatchRenorm(cut), X, skip=["first derivatives", "second derivatives", "values decide"]).ok


def test_a_straight_through_estimator_passes() -> None:
    def rounded(x: Any) -> Any:
        return x + ops.stop_gradient(ops.sin(3.0 * x) - x)

    assert check(rounded, X).ok
    wrong = tg.Primitive("wrong", np.sin, lambda g, out, x: g * 2.0, elementwise=True)
    assert not check(lambda x: wrong(x) + ops.stop_gradient(x), X).ok


class Momentum(nn.Module):
    """Adds a running mean of what came before: in the first derivative a constant, and one that moves."""

    def __init__(self, name: str = "running") -> None:
        super().__init__()
        self.weight = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("running", np.full(3, 0.5, np.float32))

    def forward(self, x: Any) -> Any:
        y = self.weight * x + self.running.data
        if self.training:
            self.running.data = self.running.data * 0.9 + x.data.mean(axis=0) * 0.1
        return y


def test_buffers_are_put_back_between_calls() -> None:
    report = check(Momentum(), X)
    assert report.ok, report
    assert not report.warnings
    assert report["first derivatives"].detail == "12 inputs, 3 parameters"
    assert report["repeatable"].detail == "training depends on buffers that it moves"


class Stateful(nn.Module):
    """Different from call to call, for a reason to be given."""

    def __init__(self, draw: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.ones(3, np.float32))
        self.draw = draw
        self.calls = 0
        self.rng = np.random.default_rng(0)
        self.old = np.random.RandomState(0)
        self.own = random.Random(0)

    def forward(self, x: Any) -> Any:
        return self.weight * x * self.draw(self)


def counting(layer: Any) -> float:
    layer.calls += 1
    return float(layer.calls)


def nested(layer: Any) -> float:
    layer.seen = [*getattr(layer, "seen", []), 1.0]
    return float(len(layer.seen))


OUTSIDE = iter(range(1, 10**9))
CAUSES = {
    "a counter": (counting, "it keeps state from call to call: self.calls changed", "register_buffer"),
    "a list": (nested, "it keeps state from call to call: self.seen changed", "register_buffer"),
    "its own generator": (lambda s: s.rng.uniform(0.5, 1.5), "self.rng is a generator of its own", "manual_seed"),
    "an old one": (lambda s: s.old.uniform(0.5, 1.5), "self.old is a generator of its own", "manual_seed"),
    "one of Python's": (lambda s: s.own.uniform(0.5, 1.5), "self.own is a generator of its own", "manual_seed"),
    "NumPy's global one": (lambda s: np.random.uniform(0.5, 1.5), "it draws from numpy.random", "manual_seed"),
    "Python's global one": (lambda s: random.uniform(0.5, 1.5), "it draws from Python's random", "manual_seed"),
    "elsewhere": (
        lambda s: float(next(OUTSIDE)),
        "it draws random numbers or keeps state outside the layer",
        "keep no state outside",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_why_two_calls_differ(name: str) -> None:
    draw, why, fix = CAUSES[name]
    report = check(Stateful(draw), X)
    message = report["repeatable"].message
    assert f"two calls differ in training: {why}" in message, message
    assert fix in message
    assert "dropout" not in str(report)


def test_what_draws_from_the_library_is_random_and_no_more() -> None:
    report = check(Stateful(lambda s: generator().uniform(0.5, 1.5) if s.training else 1.0), X)
    assert report.ok, report
    assert report["repeatable"].detail == "random, and repeats after manual_seed"
    report = check(nn.Sequential(Momentum(), nn.Dropout()), X)
    assert report.ok, report
    assert (
        report["repeatable"].detail
        == "training depends on buffers that it moves; random, and repeats after manual_seed"
    )


def test_draws_that_depend_on_the_dtype_are_not_compared_between_dtypes() -> None:
    def noisy(layer: Any, x: Any) -> Any:
        noise = generator().standard_normal(x.shape, dtype=x.dtype) if layer.training else np.zeros(x.shape, x.dtype)
        return layer.weight * x + noise

    report = check(Layer(noisy), X)
    assert report.ok, report
    assert report["float32 values"].detail == "random in training: not compared"


def test_a_shape_that_depends_on_values_is_a_branch() -> None:
    def rows(x: Any) -> Any:
        return ops.reshape(x, (x.shape[0] * x.shape[1],))[: 3 if x.data.max(initial=0.0) < 3.0 else 2] * 2.0

    report = check(rows, X, batched=())
    assert report["values decide"].verdict == "warning"


# -- settings ----------------------------------------------------------------------------------------------------------------


def test_what_is_skipped_is_said() -> None:
    forward, where, _ = BAD["limits gradients"]
    report = check(Layer(forward), X, skip=[where])
    assert report.ok
    assert report[where].detail == "left out, as asked"
    with pytest.raises(
        tg.TinygradError, match=r"check_layer of Tanh: skip= names no check\n  got:      nothing\n  expected: forward"
    ):
        check(nn.Tanh(), X, skip="nothing")


def test_what_is_told_twice_is_told_once() -> None:
    report = check(lambda x: x.no_such(), X)
    assert str(report).count("no_such") == 2  # in the table and below it
    wrong = tg.Primitive("wrong", np.sin, lambda g, out, x: None, elementwise=True)
    told = str(check(lambda x: wrong(x) * 1.0, X))
    assert told.count("return the cotangent of this one argument") == 1, told
