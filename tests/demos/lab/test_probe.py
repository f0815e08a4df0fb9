"""Probes see what PyTorch computes for each copy, and leave no trace."""

import numpy as np
import pytest
import torch

from demos.lab.measure import copies, probe
from tinygrad_bn import nn

SIZES = (5, 7, 6, 4)


def batch(copy_count=2, rows=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((copy_count, rows, SIZES[0])), rng.integers(0, SIZES[-1], (copy_count, rows))


def model_of(batch_norm, activation=nn.Sigmoid, copy_count=2):
    weights = copies.draw_weights(SIZES, range(copy_count), "xavier", np.float64)
    model = copies.network(weights, activation, batch_norm)
    rng = np.random.default_rng(9)
    for p in model.parameters():  # so that biases, scales and shifts are not all alike
        p.data = p.data + 0.1 * rng.standard_normal(p.shape)
    return model


def in_torch(model, copy, x, y, parameters=None):
    """The loss, its gradients and the inputs of the activations of one copy, by PyTorch; batch statistics."""
    values = [torch.tensor(p.data[copy].copy()) for p in model.parameters()] if parameters is None else parameters
    values = [v.clone().requires_grad_() for v in values]
    rest, h, inputs = list(values), torch.tensor(x[copy]), []
    for layer in model:
        if isinstance(layer, copies.Linear):
            h = h @ rest.pop(0)
            h = h if layer.bias is None else h + rest.pop(0)
        elif isinstance(layer, copies.BatchNorm):
            gamma, beta = rest.pop(0)[0], rest.pop(0)[0]
            h = torch.nn.functional.batch_norm(h, None, None, gamma, beta, training=True, eps=layer.eps)
        else:
            inputs.append(h.detach().numpy())
            h = torch.sigmoid(h) if isinstance(layer, nn.Sigmoid) else torch.relu(h)
    loss = torch.nn.functional.cross_entropy(h, torch.tensor(y[copy]))
    return loss.item(), [g.numpy() for g in torch.autograd.grad(loss, values)], inputs


def state(model):
    values = [v.data.copy() for v in (*model.parameters(), *(b for _, b in model.named_buffers()))]
    return values, [p.grad for p in model.parameters()], [m.training for m in model.modules()]


def assert_same_state(before, after):
    for a, b in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(a is b for a, b in zip(before[1], after[1], strict=True))
    assert before[2] == after[2]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_losses_gradients_and_norms_are_pytorchs_copy_by_copy(batch_norm):
    model = model_of(batch_norm)
    x, y = batch()
    loss, gradients = probe.loss_and_gradients(model, x, y)
    for copy in range(2):
        expected, by_torch, _ = in_torch(model, copy, x, y)
        assert loss[copy] == pytest.approx(expected, rel=1e-12)
        for ours, theirs in zip(gradients, by_torch, strict=True):
            np.testing.assert_allclose(ours[copy], theirs, rtol=1e-9, atol=1e-12)
        length = np.sqrt(sum((g**2).sum() for g in by_torch))
        assert probe.norms(gradients)[copy] == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_inputs_of_activations_are_pytorchs(batch_norm):
    model = model_of(batch_norm)
    x, y = batch(copy_count=1)
    found = probe.activation_inputs(model, x[0])
    assert len(found) == 2
    for copy in range(2):
        _, _, expected = in_torch(model, copy, [x[0]] * 2, [y[0]] * 2)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours[copy], theirs, rtol=1e-10, atol=1e-12)


def test_inputs_by_running_statistics_use_those():
    model = model_of(batch_norm=True)
    x = batch(copy_count=1)[0][0]
    linear, norm = model[0], model[1]
    with norm.running_mean.unlocked() as mean, norm.running_var.unlocked() as variance:
        mean += 0.3
        variance *= 4
    first = probe.activation_inputs(model, x, batch_statistics=False)[0]
    expected = norm.gamma.data * (x @ linear.weight.data - 0.3) / np.sqrt(4 + norm.eps) + norm.beta.data
    np.testing.assert_allclose(first, expected, rtol=1e-12)


def test_probes_leave_no_trace():
    model = model_of(batch_norm=True)
    x, y = batch()
    copies.step(model, copies.optimizer("sgd", model, 0.1), copies.cross_entropy, x, y)  # gradients and statistics
    model[1].eval()  # one layer in another mode than the rest
    before = state(model)
    probe.activation_inputs(model, x[0])
    probe.loss_and_gradients(model, x, y)
    assert_same_state(before, state(model))


def test_untouched_takes_everything_back_even_after_an_error():
    model = model_of(batch_norm=True)
    x, y = batch()
    before = state(model)

    def move_and_fail():
        with probe.untouched(model):
            copies.step(model, copies.optimizer("sgd", model, 1.0), copies.cross_entropy, x, y)
            model.eval()
            changed = [a for a, b in zip(state(model)[0], before[0]) if (a != b).any()]
            assert len(changed) == len(before[0])  # the step did move everything, running statistics too
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        move_and_fail()
    assert_same_state(before, state(model))


def test_ratios_at_the_same_loss_are_one_a_seed():
    # What is compared is the loss itself to some power: plain twice as much in the first seed, the same in the other.
    levels = [3.0, 1.4, 1.3, 0.2, 0.21, 0.05]
    plain = {"loss": [levels, levels], "key": [[2 * v for v in levels], levels]}
    bn = {"loss": [levels[::-1], levels[::-1]], "key": [levels[::-1], levels[::-1]]}
    assert probe.ratios_at_same_loss(plain, bn, "key") == pytest.approx([2, 1])
    assert [ratio for _, ratio in probe.at_same_loss(plain, bn, "key")] == pytest.approx([1.5, 1.5], rel=0.1)
    far = {"loss": [levels, [100.0] * 6], "key": [levels, levels]}
    assert probe.ratios_at_same_loss(plain, far, "key") is None
