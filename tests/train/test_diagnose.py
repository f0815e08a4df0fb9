"""A step looked at and undone: the numbers against NumPy's, faults that are planted, and nothing left behind."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, ops, optim, train
from tinygrad_bn.errors import ArgumentError, GraphError
from tinygrad_bn.random import generator

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
Y = np.arange(40) % 3


def net(*activations, width=8):
    tg.manual_seed(0)
    layers, size = [], 6
    for activation in activations:
        layers += [nn.Linear(size, width, dtype=np.float64), activation]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 3, dtype=np.float64))


def test_the_numbers_are_those_of_numpy():
    model = net(nn.Tanh())
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    report = train.diagnose(model, (X, Y), functional.cross_entropy, optimizer)
    first, second = model[0], model[2]
    h = X @ first.weight.numpy().T + first.bias.numpy()
    a = np.tanh(h)
    scores = a @ second.weight.numpy().T + second.bias.numpy()
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    d_scores = (p - np.eye(3)[Y]) / len(Y)
    d_a = d_scores @ second.weight.numpy()
    d_h = d_a * (1 - a * a)
    assert_allclose(report.loss, -np.log(p[np.arange(40), Y]).mean())
    assert [(r.name, r.kind, r.shape) for r in report.layers] == [
        ("0", "Linear", (40, 8)), ("1", "Tanh", (40, 8)), ("2", "Linear", (40, 3)),
    ]  # fmt: skip
    for found, value, gradient in zip(report.layers, (h, a, scores), (d_h, d_a, d_scores)):
        assert_allclose(
            [found.mean, found.std, found.gradient_std], [value.mean(), value.std(), gradient.std()], rtol=1e-9
        )
        counts, low, high = found.histogram
        assert (low, high) == (value.min(), value.max())
        assert sum(counts) == value.size
        assert np.abs(np.array(counts) - np.histogram(value, 31)[0]).sum() <= 2  # an element on the edge of a bin
    assert_allclose(report.layers[1].saturated, ((1 - a * a) < 0.05).mean())
    assert_allclose(report.layers[1].dead, ((1 - a * a) < 0.05).all(axis=0).mean())
    assert report.layers[0].saturated is None
    weight, d_weight = first.weight.numpy(), d_h.T @ X
    size = np.sqrt(np.mean(weight**2))
    found = report.parameters[0]
    assert (found.name, found.shape) == ("0.weight", (8, 6))
    assert_allclose([found.std, found.gradient_std], [size, np.sqrt(np.mean(d_weight**2))])
    assert_allclose([found.ratio, found.update], [found.gradient_std / size, 0.5 * found.gradient_std / size])


def everything(model, optimizer):
    slots = [slot.data for kept in optimizer.state.values() for slot in kept.values()]
    arrays = [*(t.data for t in (*model.parameters(), *model.buffers())), *slots]
    kept = [np.asarray(a).tobytes() for a in arrays]
    return (
        kept,
        [p.grad for p in model.parameters()],
        [m.training for m in model.modules()],
        str(generator().bit_generator.state),
    )


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.NAdam])
@pytest.mark.parametrize("stepped", [False, True])
def test_everything_is_as_before(kind, stepped):
    model = nn.Sequential(
        net(nn.Tanh(), nn.BatchNorm1d(8, dtype=np.float64), nn.Dropout(0.5)), nn.BatchNorm1d(3, dtype=np.float64)
    )
    optimizer = kind(model.parameters(), **({"momentum": 0.9} if kind is optim.SGD else {}))
    if stepped:
        functional.cross_entropy(model(X), Y).backward()
        optimizer.step()
    model[0].eval()
    before = everything(model, optimizer)
    train.diagnose(model, (X, Y), functional.cross_entropy, optimizer)
    assert everything(model, optimizer) == before
    assert all(not module._forward_hooks for module in model.modules())

    def failing(output, target):
        raise ZeroDivisionError

    for loss, error in ((failing, ZeroDivisionError), (lambda output, target: output.detach().sum(), GraphError)):
        with pytest.raises(error):
            train.diagnose(model, (X, Y), loss, optimizer)
        assert everything(model, optimizer) == before
    assert all(not module._forward_hooks for module in model.modules())


def remarks(model, optimizer=None, loss=functional.cross_entropy):
    with np.errstate(all="ignore"):
        return train.diagnose(model, (X, Y), loss, optimizer).remarks


def test_a_healthy_net_is_left_alone():
    model = net(nn.Tanh(), nn.ReLU(), nn.GELU())
    found = train.diagnose(model, (X, Y), functional.cross_entropy, optim.SGD(model.parameters(), lr=0.1))
    assert found.remarks == []
    assert "nothing conspicuous" in str(found)
    assert "nothing conspicuous" in found.svg()


def test_planted_faults_are_found():
    model = net(nn.Sigmoid())
    model[0].weight.data = model[0].weight.numpy() * 100
    assert any("1: saturated in 9" in remark for remark in remarks(model))
    model = net(nn.ReLU())
    model[0].bias.data = np.where(np.arange(8) < 4, -100.0, 0.0)
    assert any("1: 50% of its units do not react" in remark for remark in remarks(model))
    model = net(*(nn.Sigmoid() for _ in range(9)))
    assert any("0: its gradient is" in remark and "vanishes" in remark for remark in remarks(model))
    model = net(nn.Tanh())
    lost = nn.Parameter(np.ones(3))
    model.lost = lost
    assert any(remark.startswith("lost: no gradient") for remark in remarks(model))
    model = net(nn.BatchNorm1d(8, dtype=np.float64))
    assert any(remark.startswith("0.bias: its gradient is nothing but rounding") for remark in remarks(model))
    model = net(nn.Tanh())
    assert any(
        "a step changes it by" in remark and "smaller" in remark
        for remark in remarks(model, optim.Adam(model.parameters(), lr=1.0))
    )
    assert any("it hardly learns" in remark for remark in remarks(model, optim.SGD(model.parameters(), lr=1e-7)))
    model[0].weight.data = np.full((8, 6), np.inf)
    assert any("not finite" in remark for remark in remarks(model))
    model = net(nn.Tanh())
    model[0].weight.data, model[0].bias.data = np.zeros((8, 6)), np.ones(8)
    assert any("all but constant" in remark for remark in remarks(model))
    assert any("exactly 0" in remark for remark in remarks(model, loss=lambda output, target: (output * 0.0).sum()))


class Twice(nn.Module):
    """One layer called twice, a result that is no tensor, and a hostile name."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6, dtype=np.float64)
        self.__dict__["<b>&\x1b[31m"] = nn.Tanh()

    def forward(self, x):
        return ops.sum(self.__dict__["<b>&\x1b[31m"](self.inner(self.inner(tg.Tensor(x)))), axis=1, keepdims=True)


def test_calls_are_counted_and_names_are_harmless(tmp_path):
    report = train.diagnose(Twice(), (X, X[:, :1]), functional.mse_loss)
    assert [layer.name for layer in report.layers][:2] == ["inner (call 1)", "inner (call 2)"]
    assert all(parameter.update is None for parameter in report.parameters)
    svg = report.svg()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "<b>" not in svg
    assert "\x1b" not in svg + str(report)
    assert report.save(tmp_path / "net.svg").read_text() == svg
    with pytest.raises(ArgumentError, match="SVG"):
        report.save(tmp_path / "net.png")
    assert set(report._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}


@pytest.mark.parametrize("rows", [1, 0])
def test_a_batch_of_one_and_float32(rows):
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    x, y = X[:rows].astype(np.float32), X[:rows, :1].astype(np.float32)
    if rows:
        assert math.isfinite(train.diagnose(model, (x, y), functional.mse_loss, optim.SGD(model.parameters())).loss)
    else:
        with pytest.raises(ValueError, match="rows"):
            train.diagnose(model, (x, y), functional.mse_loss)


def test_what_cannot_be_diagnosed():
    model = net(nn.Tanh())
    with pytest.raises(ArgumentError, match=r"model[\s\S]*an nn.Module"):
        train.diagnose(lambda x: x, (X, Y), functional.cross_entropy)
    for optimizer in (optim.SGD([nn.Parameter(np.ones(1))]), optim.LBFGS(model.parameters()), model):
        with pytest.raises(ArgumentError, match="optimizer"):
            train.diagnose(model, (X, Y), functional.cross_entropy, optimizer)
