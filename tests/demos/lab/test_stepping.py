"""Compiled training steps against eager ones, which are held against other sources elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from demos.lab.measure import copies, stepping
from tinygrad_bn import nn
from tinygrad_bn.compiler.c.build import available
from tinygrad_bn.errors import MissingCompilerError

SEEDS, BATCH, STEPS = (3, 4, 7), 12, 8
KINDS = {
    "scores": (copies.cross_entropy, 5, lambda rng: rng.integers(0, 5, (len(SEEDS), BATCH))),
    "logits": (copies.binary_cross_entropy, 1, lambda rng: rng.integers(0, 2, (len(SEEDS), BATCH))),
    "numbers": (copies.squared_error, 2, lambda rng: rng.standard_normal((len(SEEDS), BATCH, 2)).astype(np.float32)),
}
CASES = [
    ("scores", nn.Sigmoid, True, "sgd", (0.1, 1.0, 3.0)),
    ("scores", nn.ReLU, True, "adam", (0.001, 0.01, 0.1)),
    ("logits", nn.Tanh, True, "sgd", 0.5),
    ("numbers", nn.ReLU, False, "adam", 0.01),
]


def trained(by, kind, activation, batch_norm, optimizer, rates):
    """The losses of a few steps, and all parameters and running statistics after them."""
    loss, outputs, draw = KINDS[kind]
    model = copies.network(copies.draw_weights((6, 9, 9, outputs), SEEDS, "he"), activation, batch_norm)
    train_on = stepping.stepper(model, copies.optimizer(optimizer, model, rates), loss, by)
    rng = np.random.default_rng(0)
    batches = [(rng.random((len(SEEDS), BATCH, 6), dtype=np.float32), draw(rng)) for _ in range(STEPS)]
    return [train_on(x, y) for x, y in batches], model.state_dict()


@pytest.mark.parametrize("case", CASES)
def test_steps_compiled_to_numpy_have_the_bits_of_eager_ones(case):
    (eager, state), (compiled, other) = trained("eager", *case), trained("numpy", *case)
    assert eager == compiled
    assert all(np.array_equal(state[name], other[name]) for name in state)
    assert (
        min(np.abs(state[name] - np.broadcast_to(0, state[name].shape)).max() for name in state) > 0
    )  # all have moved


@pytest.mark.skipif(not available(), reason="needs a C compiler")
@pytest.mark.parametrize("case", [CASES[0], CASES[3]])
def test_steps_compiled_to_c_differ_from_eager_ones_by_rounding(case):
    (eager, state), (compiled, other) = trained("eager", *case), trained("c", *case)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)  # measured: 3e-7
    for name in state:
        np.testing.assert_allclose(other[name], state[name], rtol=1e-4, atol=1e-5, err_msg=name)  # measured: 6e-7


def test_a_run_chooses_how_steps_are_made_and_only_inside(monkeypatch):
    made = []
    monkeypatch.setattr(stepping.tg, "compile", lambda step, **how: made.append(how) or step)
    trained(None, *CASES[3])
    assert made == []
    with stepping.backend("numpy"):
        trained(None, *CASES[3])
        with stepping.backend("c"):
            trained(None, *CASES[3])
            stepping.stepper(nn.Linear(1, 1), None, copies.squared_error, brief=True)  # C is not worth it
        trained("eager", *CASES[3])
    trained(None, *CASES[3])
    assert [how["backend"] for how in made] == ["numpy", "c", "numpy"]


def test_without_a_c_compiler_numpy_does_it(monkeypatch):
    def refuse():
        raise MissingCompilerError("none")

    monkeypatch.setattr(stepping, "toolchain", refuse)
    assert stepping.usual() == "numpy"
