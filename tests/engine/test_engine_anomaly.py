"""Anomaly mode: the first operation, forward or backward, that makes a NaN or an infinity, and where it was called."""

import re

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Primitive, Scalar, Tensor, detect_anomaly, ops
from tinygrad_bn.errors import AnomalyError


def here(marker):
    """Where this file has ``# marker``: 'test_engine_anomaly.py:LINE'."""
    with open(__file__) as source:
        line = next(i for i, text in enumerate(source, 1) if text.rstrip().endswith(f"# {marker}"))
    return f"test_engine_anomaly.py:{line}"


def leaf(value):
    return Tensor(value, requires_grad=True)


def test_forward_names_the_operation_its_inputs_and_the_line():
    x = leaf([1.0, 0.0, -1.0, 4.0])
    with detect_anomaly(), np.errstate(all="ignore"):
        y = x * 2.0
        with pytest.raises(AnomalyError) as error:
            ops.log(y)  # forward log
    message = str(error.value)
    assert message.startswith("forward: log made shape (4,): [0.6931 ... 2.079], 1 NaN, 1 -inf")
    assert "inputs shape (4,): [-2 ... 8]" in message
    assert here("forward log") in message
    assert isinstance(error.value, FloatingPointError)


def test_forward_on_a_scalar():
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match="forward: divide made inf\n  got:      inputs 1; 0\n"),
    ):
        Scalar(1.0) / 0.0


def test_forward_is_checked_without_recording_and_integers_pass():
    with detect_anomaly():
        with pytest.raises(AnomalyError, match="forward: exp"), np.errstate(over="ignore"):
            ops.exp(Tensor([1000.0]))
        assert (Tensor([1, 2]) * 2).data.tolist() == [2, 4]
        assert (Tensor([1.0]) > 0.0).data.tolist() == [True]
        with pytest.raises(AnomalyError, match="; int64 of shape"), np.errstate(divide="ignore"):
            Tensor([1.0, 2.0]) / np.array([0, 1])


def test_backward_names_the_rule_and_the_line_of_the_forward():
    x, w = leaf([1.0, 0.0]), leaf([1.0, 1.0])
    with detect_anomaly(), np.errstate(all="ignore"):
        y = ops.sqrt(x)  # backward sqrt
        loss = (y * w).sum()
        with pytest.raises(AnomalyError) as error:
            loss.backward()
    message = str(error.value)
    assert message.startswith("backward: the rule of sqrt for argument 0 made shape (2,): [0.5 ... 0.5], 1 +inf")
    assert "got:      from the result shape (2,): [0 ... 1]" in message
    assert here("backward sqrt") in message
    assert x.grad is None
    assert w.grad is None


def test_backward_of_a_graph_that_was_recorded_without_lines():
    x = leaf([0.0])
    y = ops.sqrt(x)
    with detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError) as error:
        y.backward()
    assert "the rule of sqrt for argument 0" in str(error.value)
    assert "run the forward inside detect_anomaly() too" in str(error.value)


def test_backward_on_scalars():
    s = Scalar(0.0)
    with detect_anomaly(), pytest.raises(AnomalyError, match="the rule of sqrt for argument 0 made"):
        ops.sqrt(s).backward()
    assert s.grad is None


def test_a_recorded_backward_pass_says_which_rule_it_was_in():
    x = leaf([0.0])
    with detect_anomaly(), np.errstate(all="ignore"):
        y = ops.sqrt(x)
        with pytest.raises(AnomalyError) as error:
            y.backward(create_graph=True)
    message = str(error.value)
    assert message.startswith("backward, in the rule of sqrt for argument 0: divide made")


def test_a_recorded_cotangent_that_comes_without_an_operation():
    infinite = Primitive("infinite", lambda x: x * 1.0, lambda g, out, x: np.full(1, np.inf), elementwise=True)
    with detect_anomaly(), pytest.raises(AnomalyError, match="backward: the rule of infinite for argument 0 made"):
        infinite(leaf([1.0])).backward(create_graph=True)


def test_outside_of_the_mode_nothing_is_checked():
    x = leaf([0.0])
    with np.errstate(all="ignore"):
        with detect_anomaly():
            pass
        ops.sqrt(x).backward()
    assert np.isinf(x.grad.item())


def test_a_whole_network_without_a_fault_passes():
    tg.manual_seed(0)
    model = tg.nn.Sequential(tg.nn.Linear(4, 5), tg.nn.BatchNorm1d(5), tg.nn.ReLU(), tg.nn.Linear(5, 3))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with detect_anomaly():
        tg.functional.cross_entropy(model(x), np.arange(8) % 3).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_line_is_outside_of_the_package_even_next_to_it(tmp_path):
    neighbor = tg.__file__.rsplit("/", 2)[0] + "/tinygrad_bn_user/model.py"  # its path begins like the package's
    code = compile("def forward(x):\n    return ops.log(x)\n", neighbor, "exec")
    names = {"ops": ops}
    exec(code, names)
    with detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError) as error:
        names["forward"](leaf([0.0]))
    assert re.search(r"look at .*tinygrad_bn_user/model\.py:2", str(error.value))
