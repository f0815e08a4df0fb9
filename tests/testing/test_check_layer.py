"""check_layer: the library's own layers pass; each check fails for the fault it is there for, and for no other."""

from __future__ import annotations

import copy
import gc
import re
from typing import Any, ClassVar

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn, ops
from tinygrad_bn.errors import ArgumentError
from tinygrad_bn.random import generator
from tinygrad_bn.testing import CheckError, Report, check_layer

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3))
IMAGES = rng.normal(size=(2, 2, 2, 2))


def check(layer: Any, *inputs: Any, **settings: Any) -> Report:
    return check_layer(layer, *inputs, quiet=True, raise_exception=False, **settings)


# -- what is right passes -------------------------------------------------------------------------------------------------

GOOD = {
    "Linear": (lambda: nn.Linear(3, 2), [X]),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), [X]),
    "BatchNorm1d, cumulative": (lambda: nn.BatchNorm1d(3, momentum=None), [X]),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), [IMAGES]),
    "LayerNorm": (lambda: nn.LayerNorm(3), [X]),
    "RMSNorm": (lambda: nn.RMSNorm(3), [X]),
    "GroupNorm": (lambda: nn.GroupNorm(1, 2), [IMAGES]),
    "Conv1d": (lambda: nn.Conv1d(2, 2, 2), [rng.normal(size=(2, 2, 4))]),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), [IMAGES]),
    "Dropout": (lambda: nn.Dropout(), [X]),
    "Embedding": (lambda: nn.Embedding(5, 2), [np.array([0, 4, 1])]),
    "Flatten": (lambda: nn.Flatten(), [IMAGES]),
    "GELU": (lambda: nn.GELU(), [X]),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss(), [X, np.array([0, 2, 1, 1])]),
    "MSELoss": (lambda: nn.MSELoss(), [X, X[::-1].copy()]),
    "a function": (lambda: ops.softmax, [X]),
    "a function of two": (lambda: lambda x, y: (x * y, ops.exp(x)), [X, X[:, :1]]),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_layers_pass(name: str) -> None:
    make, inputs = GOOD[name]
    layer = make()
    report = check(layer, *inputs)
    assert report.ok, report
    assert not report.warnings, report
    assert report
    assert [c.name for c in report.checks][:4] == ["forward", "float32", "first derivatives", "second derivatives"]


def test_what_the_table_says_of_batch_norm() -> None:
    report = check(nn.BatchNorm1d(3), X)
    assert report["first derivatives"].detail == "12 inputs, 6 parameters, in training and evaluation"
    assert report["batch of one"].detail.startswith("the same as in a larger batch; refused in training: batch_norm:")
    assert "training updates num_batches_tracked, running_mean, running_var" in report["train and eval"].detail
    assert report["registered"].detail == "2 parameters, 3 buffers"
    assert re.fullmatch(
        r"\d+ operations with the loss, \d+ µs forward and backward, [\d.]+ µs each", report["cost"].detail
    )
    assert report["cost"].verdict == "note"
    with pytest.raises(KeyError):
        report["no such check"]


def test_the_layer_comes_back_as_it_was() -> None:
    tg.manual_seed(3)
    layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    layer[1].eval()
    before, modes = copy.deepcopy(layer.state_dict()), [part.training for part in layer.modules()]
    draws = generator().bit_generator.state
    x = X.copy()
    check(layer, x)
    after = layer.state_dict()
    assert all(np.array_equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    assert [part.training for part in layer.modules()] == modes
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert generator().bit_generator.state == draws
    assert np.array_equal(x, X)
    assert gc.isenabled()
    assert not gc.get_debug()


def test_the_table_is_printed_and_the_failure_raised(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_layer(nn.Linear(3, 2), X)
    assert capsys.readouterr().out == f"{report}\n"
    assert str(report).splitlines()[0] == "check_layer of Linear, inputs (4, 3)"
    assert str(report).splitlines()[-1] == "22 passed"
    with pytest.raises(CheckError, match="1 failed\nfloat32: ") as caught:
        check_layer(Widens(), X)
    printed = capsys.readouterr().out
    assert "  failed   float32" in printed
    assert "to fix" not in printed  # that is in the exception
    assert caught.value.report["float32"].verdict == "failed"
    assert isinstance(caught.value, AssertionError)
    check_layer(Widens(), X, raise_exception=False)
    assert "to fix" in capsys.readouterr().out


# -- what is wrong fails --------------------------------------------------------------------------------------------------


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.full(3, 1.5, np.float32))


class ReturnsArray(Base):
    def forward(self, x: Any) -> Any:
        return (x * self.weight).numpy()


class Raises(Base):
    def forward(self, x: Any) -> Any:
        return x.no_such_method()


class MakesNaN(Base):
    def forward(self, x: Any) -> Any:
        return ops.log(x * self.weight)


class Narrows(Base):
    def forward(self, x: Any) -> Any:
        return (x * self.weight).astype("float32")


class Widens(Base):
    def forward(self, x: Any) -> Any:
        return x * self.weight * np.sqrt(np.full(3, 2.0))


class WidensItself(Base):
    def forward(self, x: Any) -> Any:
        return tg.Tensor(np.ones(3)) if x.dtype == np.float32 else x * self.weight


class Detaches(Base):
    def forward(self, x: Any) -> Any:
        return x * self.weight.detach()


class OnlyInEvaluation(Base):
    def forward(self, x: Any) -> Any:
        return x * self.weight if self.training else x.detach() * self.weight + 1.0


once = tg.Primitive(  # right to first order; remembers a raw array, so its second derivative is wrong
    "once", np.square, lambda g, out, x: g * 2.0 * np.asarray(x.data if isinstance(x, tg.Variable) else x)
)


class FirstOrderOnly(Base):
    def forward(self, x: Any) -> Any:
        return once(x) * self.weight


class OneOverN(Base):
    """Unbiased variance: 0 / 0 for a batch of one."""

    def forward(self, x: Any) -> Any:
        return (x - x.mean(axis=0)) ** 2 / (x.shape[0] - 1) * self.weight


class NoSingle(Base):
    def forward(self, x: Any) -> Any:
        if x.shape[0] == 1:
            raise ValueError("one is not enough")
        return x * self.weight


class FixedBatch(Base):
    def forward(self, x: Any) -> Any:
        return ops.reshape(x, (4, 3)) * self.weight


class OddBatch(Base):
    def forward(self, x: Any) -> Any:
        return ops.reshape(x * self.weight, (1, -1) if x.shape[0] == 3 else (-1, 3))


class CutsBatch(Base):
    def forward(self, x: Any) -> Any:
        return (x * self.weight)[:4]


class MovesInEvaluation(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", np.zeros(1))

    def forward(self, x: Any) -> Any:
        self.count.data = self.count.data + 1.0
        return x * self.weight


class MovesParameter(Base):
    def forward(self, x: Any) -> Any:
        y = x * self.weight.data.copy() + self.weight * 0.0
        self.weight.data = self.weight.data * 0.5
        return y


class OtherShape(Base):
    def forward(self, x: Any) -> Any:
        return x * self.weight if self.training else (x * self.weight).sum(axis=1)


class PlainTensor(Base):
    def __init__(self) -> None:
        super().__init__()
        self.bias = tg.Tensor(np.ones(3, np.float32), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return x * self.weight + self.bias


class FilledLater(Base):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[nn.Module] = []
        self.parts.append(nn.Linear(3, 3))

    def forward(self, x: Any) -> Any:
        return x * self.weight


class HiddenState(Base):
    """Running statistics in a plain attribute: not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.running = np.zeros(3, np.float32)

    def forward(self, x: Any) -> Any:
        if self.training:
            self.running = x.data.mean(axis=0).astype(self.weight.dtype)
            return x * self.weight
        return (x - self.running) * self.weight


class KeepsResult(Base):
    def forward(self, x: Any) -> Any:
        y = x * self.weight
        self.last = [y]
        return y


class CopiesBadly(Base):
    def __init__(self) -> None:
        super().__init__()
        self.used = False

    def __deepcopy__(self, memo: Any) -> CopiesBadly:
        made = CopiesBadly()
        if self.used:
            made.weight.data = made.weight.data * 2.0
        return made

    def forward(self, x: Any) -> Any:
        self.used = True
        return x * self.weight


class CopiesAnotherLayer(Base):
    def __deepcopy__(self, memo: Any) -> Base:
        return CopiesTransposed()

    def forward(self, x: Any) -> Any:
        return x * self.weight


class CopiesTransposed(Base):
    def __deepcopy__(self, memo: Any) -> Base:
        return Sums()

    def forward(self, x: Any) -> Any:
        return x * self.weight


class Sums(Base):
    def forward(self, x: Any) -> Any:
        return (x * self.weight).sum(axis=1)


SHARED = nn.Parameter(np.full(3, 1.5))


class SharesWithCopies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = SHARED

    def __deepcopy__(self, memo: Any) -> SharesWithCopies:
        return self

    def forward(self, x: Any) -> Any:
        return x * self.weight


class WritesRaw(Base):
    def forward(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            x *= 2.0
        return x * self.weight


class WritesTensor(Base):
    def forward(self, x: Any) -> Any:
        if isinstance(x, tg.Variable) and x.is_leaf:
            with x.unlocked() as array:
                array *= 1.0  # even the same values: an operation that was recorded before is outdated
        return x * self.weight


class WritesDict(Base):
    def forward(self, x: Any, options: dict[str, float]) -> Any:
        options["seen"] = options.get("seen", 0.0) + 1.0
        return x * self.weight


class MakesCycle(Base):
    def forward(self, x: Any) -> Any:
        y = x * self.weight
        circle: list[Any] = [y]
        circle.append(circle)
        return y


class KeepsForever(Base):
    kept: ClassVar[list[Any]] = []

    def forward(self, x: Any) -> Any:
        y = x * self.weight
        self.kept.append(y)
        return y


class OwnRandom(Base):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        return x * self.weight * self.rng.uniform(0.5, 1.5) if self.training else x * self.weight


class RandomInEvaluation(Base):
    def forward(self, x: Any) -> Any:
        return x * self.weight * float(generator().uniform(0.5, 1.5))


BAD: dict[str, tuple[Any, set[str], str]] = {
    "array": (ReturnsArray, {"forward"}, "got:      ndarray"),
    "raises": (Raises, {"forward"}, r"AttributeError: .*\n  where:    .*test_check_layer.py:\d+"),
    "not finite": (MakesNaN, {"forward"}, "find_nonfinite"),
    "narrows": (Narrows, {"forward"}, "got:      a result of dtype float32"),
    "widens": (Widens, {"float32"}, r"multiply \(.*test_check_layer.py:\d+\) made float64 of float32"),
    "widens itself": (WidensItself, {"float32"}, "the result is float64"),
    "detaches": (Detaches, {"first derivatives", "second derivatives"}, "weight, index .*: got 0, expected"),
    "only in evaluation": (OnlyInEvaluation, {"first derivatives", "second derivatives"}, "OnlyInEvaluation in evaluation"),
    "first order only": (FirstOrderOnly, {"second derivatives"}, "the gradient of FirstOrderOnly"),
    "NaN for one": (OneOverN, {"batch of one"}, "a batch of one gives NaN or infinity in training"),
    "refuses one": (NoSingle, {"batch of one"}, r"ValueError: one is not enough\n  where:    .*test_check_layer.py:\d+"),
    "fixed batch": (FixedBatch, {"batch of one", "other batch sizes"}, "a batch of 2 fails: ShapeError"),
    "odd batch": (OddBatch, {"other batch sizes"}, r"\(1, 9\) for 3"),
    "cuts batch": (CutsBatch, {"other batch sizes"}, r"\(4, 3\) for 9"),
    "buffer moves": (MovesInEvaluation, {"train and eval"}, "forward changed count in evaluation.*\n.*\n.*\n.*self.training"),
    "parameter moves": (MovesParameter, {"first derivatives", "second derivatives", "train and eval", "deepcopy",
                        "repeatable"}, "forward changed weight in training"),
    "other shape": (OtherShape, {"train and eval"}, r"\(4, 3\) and \(4,\)"),
    "plain tensor": (PlainTensor, {"registered"}, r"self.bias is not trained or saved"),
    "hidden state": (HiddenState, {"state_dict"}, "loaded the state computes something else.*\n.*difference of up to"),
    "keeps result": (KeepsResult, {"deepcopy", "keeps nothing alive"}, r"the last one made by multiply \(.*:\d+\)"),
    "copies badly": (CopiesBadly, {"deepcopy"}, "the copy computes something else"),
    "copies another": (CopiesAnotherLayer, {"deepcopy"}, r"got:      shapes \(4,\) and \(4, 3\)"),
    "shares": (SharesWithCopies, {"deepcopy"}, "a change to the copy changes the original"),
    "writes raw": (WritesRaw, {"writes to nothing"}, "forward changed its input 0, a raw array"),
    "writes tensor": (WritesTensor, {"first derivatives", "second derivatives", "writes to nothing"},
                      "forward changed its input 0, a tensor"),
    "cycle": (MakesCycle, {"keeps nothing alive"}, "a reference cycle waits .*\n.* Tensor"),
    "forever": (KeepsForever, {"keeps nothing alive"}, "2, the last one made by multiply"),
    "own random": (OwnRandom, {"first derivatives", "second derivatives", "repeatable"}, "two calls differ in training"),
    "random evaluation": (RandomInEvaluation, {"repeatable"}, "evaluation is random"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    make, expected, said = BAD[name]
    report = check(make(), X)
    KeepsForever.kept.clear()
    SHARED.data = np.full(3, 1.5)
    assert {c.name for c in report.failures} == expected, report
    assert not report
    assert re.search(said, str(report)), report
    assert all(c.message.startswith(c.detail) for c in report.failures)


def test_a_list_that_hides_modules_is_refused_by_the_layer_itself() -> None:
    with pytest.raises(ArgumentError, match=r"FilledLater\.parts: a plain list is not looked into"):
        check(FilledLater(), X)


def test_an_input_that_is_no_array_is_not_written_to_either() -> None:
    report = check(WritesDict(), X, {})
    assert [c.name for c in report.failures] == ["writes to nothing"]
    assert "forward changed its input 1, of type dict" in str(report)


def test_integers_are_watched_too() -> None:
    def shifts(x: Any, index: Any) -> Any:
        y = x[index]
        index += 0
        index[0] = 2
        return y

    report = check(shifts, X, np.array([0, 1]), batched=(0,))
    assert "forward changed its input 1, of type ndarray" in str(report["writes to nothing"].message)


# -- what may be meant so is a warning --------------------------------------------------------------------------------------


class Unused(Base):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(np.ones(2))

    def forward(self, x: Any) -> Any:
        return x * self.weight


def test_a_parameter_without_influence() -> None:
    report = check(Unused(), X)
    assert report.ok
    assert report["gradients arrive"].detail == "none, or zero, for spare"
    assert "no recorded operation leads from 'spare' to the loss" in str(report)
    assert str(report).count("1 warning") == 1


def test_a_gradient_that_proves_nothing() -> None:
    report = check(lambda x: ops.softmax(x).sum(), X)
    assert report.ok
    assert report["first derivatives"].verdict == report["second derivatives"].verdict == "warning"
    assert report["first derivatives"].detail.endswith("proves nothing")
    assert "cancel in their sum" in report["gradients arrive"].message


def test_nothing_requires_a_gradient() -> None:
    report = check(lambda x: ops.stop_gradient(ops.sign(x)), X)
    assert report["gradients arrive"].detail == "no output requires a gradient"
    assert report["cost"].detail == "nothing is recorded"
    assert report["first derivatives"].verdict == "warning"


def test_a_function_may_refuse_a_batch_of_one() -> None:
    report = check(lambda x: tg.functional.batch_norm(x, training=True), X)
    assert report["batch of one"].verdict == "warning"
    assert report["batch of one"].detail.startswith("refused: batch_norm:")


def test_a_layer_that_mixes_examples_says_so() -> None:
    assert check(lambda x: x - x.mean(axis=0), X)["batch of one"].detail == "depends on the rest of the batch"


# -- settings -------------------------------------------------------------------------------------------------------------


def test_which_inputs_have_a_batch() -> None:
    square = rng.normal(size=(3, 3))

    def product(x: Any, w: Any) -> Any:
        return x @ w

    assert check(product, square, square)["other batch sizes"].verdict != "passed"  # w is taken for a batch
    assert check(product, square, square, batched=(0,))["other batch sizes"].detail == "2, 3, 7"
    report = check(product, square, square, batched=())
    assert report["other batch sizes"].detail == report["batch of one"].detail == "no batch axis"
    assert check(lambda x: x * 2.0, 3.0)["other batch sizes"].detail == "no batch axis"


def test_parameters_of_a_function() -> None:
    weight = tg.Parameter(np.ones(3), name="w")
    report = check(lambda x: x * weight, X, parameters=[weight])
    assert report.ok, report
    assert report["first derivatives"].detail == "12 inputs, 3 parameters"
    assert report["float32"].detail == "float64, as the parameters= are float64"
    assert "index (0,): got 0" in str(check(lambda x: x * weight.detach(), X, parameters=[weight]))


def test_inputs_of_all_kinds() -> None:
    def mixed(x: Any, scale: Any, index: Any, flag: Any, note: str, more: list[float]) -> Any:
        assert note == "as it is"
        return ops.where(flag, x * scale, ops.take(x, index, axis=0)) + more

    flag = tg.Tensor([True, False, True])
    report = check(mixed, tg.Tensor(X), 2.0, np.zeros(4, int), flag, "as it is", [1.0, 2.0, 3.0])
    assert report.ok, report
    assert report["first derivatives"].detail == "16 inputs, 0 parameters"


def test_a_frozen_parameter_is_left_out() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad = False
    assert check(layer, X)["first derivatives"].detail == "12 inputs, 2 parameters"


def test_a_shared_parameter_stays_shared() -> None:
    layer = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    layer[2].weight = layer[0].weight
    report = check(layer, X)
    assert report.ok, report
    assert report["first derivatives"].detail == "12 inputs, 15 parameters"


def test_the_collector_may_be_off_before() -> None:
    gc.disable()
    try:
        assert check(nn.Tanh(), X).ok
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("not a layer", X), {}, "a Module or a function is needed"),
        ((nn.Tanh(), np.array([1, 2])), {}, "pass floating-point inputs"),
        ((nn.Linear(40, 40), X), {}, "1652 numbers in inputs and parameters"),
        ((nn.Tanh(), X), {"max_elements": 11}, "expected: 1 to 11"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: Any, settings: Any, said: str) -> None:
    with pytest.raises(tg.TinygradError, match=said):
        check_layer(*arguments, **settings)


class LeavesMore:
    """Once collected, it leaves another cycle, as array types of ctypes do."""

    def __init__(self):
        self.me = self

    def __del__(self):
        rest = []
        rest.append(rest)


def test_what_others_left_is_not_the_layers():
    thing = LeavesMore()
    gc.collect()  # it is old now: no quick collection on the way takes it
    del thing
    report = check(nn.Linear(3, 2), X)
    assert report.ok, str(report)


class SpectralNorm(nn.Module):
    """x @ (W / σ).T, σ by one step of power iteration, through which no gradient goes."""

    def __init__(self, cut):
        super().__init__()
        self.cut = cut
        self.weight = nn.Parameter(np.array([[0.3, -1.2, 0.5], [0.9, 0.4, -0.7]]))
        self.register_buffer("u", np.array([0.6, 0.8]))

    def forward(self, x):
        u, v = (self.under_no_grad if self.cut == "no_grad" else self.stopped)()
        return x @ (self.weight / (u * (self.weight @ v)).sum()).T

    def under_no_grad(self):
        with tg.no_grad():
            return self.iterated()

    def stopped(self):
        u, v = self.iterated()
        return ops.stop_gradient(u), ops.stop_gradient(v)

    def iterated(self):
        v = self.weight.T @ self.u
        v = v / ops.sqrt((v * v).sum() + 1e-12)
        u = self.weight @ v
        u = u / ops.sqrt((u * u).sum() + 1e-12)
        if self.training:
            self.u = ops.stop_gradient(u)
        return u, v


def test_power_iteration_passes_as_the_message_says_to_write_it():
    x = np.array([[0.5, -0.3, 1.1], [0.2, 0.8, -0.6], [-1.0, 0.1, 0.4], [0.7, 0.9, 0.3]])
    with pytest.raises(CheckError, match=r"as by no_grad or detach: ops.stop_gradient\(x\)"):
        check_layer(SpectralNorm("no_grad"), x, quiet=True)
    assert check_layer(SpectralNorm("stop_gradient"), x, quiet=True)
    gradients = []
    for cut in ("no_grad", "stop_gradient"):
        layer = SpectralNorm(cut)
        (layer(x) ** 2).sum().backward()
        gradients.append(layer.weight.grad.numpy())
    np.testing.assert_array_equal(*gradients)
