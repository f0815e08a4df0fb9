"""End to end, thin: a small network with Batch Normalization learns two interleaved half circles."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import functional, nn
from tinygrad_bn.optim import SGD


def two_moons(n, seed):
    rng = np.random.default_rng(seed)
    angle, label = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
    x = np.where(label, 1 - np.cos(angle), np.cos(angle))
    y = np.where(label, 0.5 - np.sin(angle), np.sin(angle))
    return (np.stack([x, y], 1) + rng.normal(0, 0.1, (n, 2))).astype(np.float32), label


def network(dtype=np.float32, lib=nn):
    return lib.Sequential(
        lib.Linear(2, 16, dtype=dtype), lib.BatchNorm1d(16, dtype=dtype), lib.Tanh(),
        lib.Linear(16, 16, dtype=dtype), lib.BatchNorm1d(16, dtype=dtype), lib.ReLU(),
        lib.Linear(16, 2, dtype=dtype),
    )  # fmt: skip


def train(model, optimizer, x, labels, epochs):
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(epochs):
        for rows in rng.permutation(len(x)).reshape(-1, 64):
            loss = functional.cross_entropy(model(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def trained():
    tg.manual_seed(0)
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=np.float64(1e-4))
    return model, optimizer, train(model, optimizer, *two_moons(256, seed=1), epochs=40)


def test_the_loss_falls_from_chance_below_0_05(trained):
    losses = trained[2]
    assert losses[0] > 0.5  # chance is log 2
    assert np.mean(losses[-8:]) < 0.05


def test_unseen_points_are_classified_with_the_running_statistics(trained):
    model = trained[0].eval()
    x, labels = two_moons(512, seed=2)
    assert np.mean(model(x).numpy().argmax(1) == labels) > 0.97
    singly = np.concatenate([model(x[i : i + 1]).numpy() for i in range(5)])
    assert_allclose(singly, model(x[:5]).numpy(), rtol=1e-4, atol=1e-5)


def test_float32_stayed_float32_in_parameters_gradients_buffers_and_optimizer(trained):
    model, optimizer, _ = trained
    for name, parameter in model.named_parameters():
        assert parameter.dtype == np.float32, name
        assert parameter.grad.dtype == np.float32, name
    for name, buffer in model.named_buffers():
        assert buffer.dtype == (np.int64 if name.endswith("tracked") else np.float32), name
    remembered = [array for state in optimizer.state.values() for array in state.values()]
    assert len(remembered) == 10
    assert {array.dtype for array in remembered} == {np.dtype(np.float32)}


def test_training_is_repeatable_by_its_seed(trained):
    tg.manual_seed(0)
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    assert train(model, optimizer, *two_moons(256, seed=1), epochs=3) == trained[2][:12]


def test_twenty_steps_in_float64_follow_pytorch():
    """Loss, parameters and running statistics; rounding grows along the way, hence the looser tolerance."""
    tg.manual_seed(1)
    ours, theirs = network(float), network(torch.float64, torch.nn)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    optimizer = SGD(ours.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for seed in range(20):
        x, labels = two_moons(32, seed)
        loss = functional.cross_entropy(ours(x.astype(float)), labels)
        their_loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x).double()), torch.tensor(labels))
        assert_allclose(loss.item(), their_loss.item(), rtol=1e-9)
        for one, value in ((optimizer, loss), (reference, their_loss)):
            one.zero_grad()
            value.backward()
            one.step()
    for name, value in theirs.state_dict().items():
        # The bias before a BatchNorm has gradient 0 up to rounding, which is all that moves it besides its decay.
        assert_allclose(ours.state_dict()[name], value, rtol=1e-8, atol=1e-10, err_msg=name)
