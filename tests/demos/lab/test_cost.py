"""CPU time of steps, by a clock that the test moves; and the network that is timed is the one that is trained."""

from functools import partial

import numpy as np
import pytest

from demos.lab.measure import copies, cost
from tinygrad_bn import nn


def test_networks_take_turns_and_the_first_round_is_not_counted(monkeypatch):
    clock, turns = [0.0], []
    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])
    price = {"plain": 1.0, "bn": 3.0}

    def step(name):
        slow = {0: 100.0, 1: 1.0, 2: 10.0, 3: 1.0}[len(turns) // 4]  # by round: the machine slows both alike
        turns.append(name)
        clock[0] += slow * price[name]

    found = cost.step_costs({name: partial(step, name) for name in price}, rounds=3, inner=2)
    assert turns == ["bn", "bn", "plain", "plain", "plain", "plain", "bn", "bn"] * 2
    assert found == {"plain": {"seconds": 1.0, "ratio": 1.0}, "bn": {"seconds": 3.0, "ratio": 3.0}}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_ordinary_network_computes_what_a_copy_does(batch_norm):
    sizes = (5, 7, 6, 3)
    one = cost.ordinary_network(sizes, nn.Tanh, batch_norm)
    many = copies.network(copies.draw_weights(sizes, [4], "he"), nn.Tanh, batch_norm)
    assert sum(p.size for p in one.parameters()) == sum(p.size for p in many.parameters())
    layers, drawn = ([layer for layer in model if hasattr(layer, "weight")] for model in (one, many))
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for ours, theirs in zip(linear, drawn, strict=True):
        ours.weight.data = theirs.weight.data[0].T
        if ours.bias is not None:
            ours.bias.data = np.zeros_like(ours.bias.data)
    x = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
    np.testing.assert_allclose(one(x).data, many(x).data[0], rtol=1e-4, atol=1e-5)
