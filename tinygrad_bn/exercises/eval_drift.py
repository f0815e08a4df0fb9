"""The check of exercise 6: predictions that do not depend on company, of a network that stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kinds import Array
from ..nn import BatchNorm1d, Linear, Module, Sequential, Tanh
from .exercise import demand
from .plots import Plot


def check(work: Any) -> str:
    """One row alone and in company; what is left behind; an error in between."""
    x = np.random.default_rng(1).normal(1.0, 2.0, (8, 3))
    net = _trained()
    together = np.asarray(work.predict(net, x).numpy())
    for rows in (3, 1):
        alone = work.predict(net, x[:rows]).numpy()
        gap = float(np.abs(alone - together[:rows]).max())
        demand(
            gap < 1e-12,
            f"the first row gets another answer in a batch of {rows} than in one of {len(x)}",
            got=f"{alone[0]} and {together[0]}",
            expected="the same: Batch Normalization uses its running statistics in evaluation mode",
            fix="net.eval() before, and the old modes afterwards",
        )
    for frozen in (False, True):
        net = _trained(frozen)
        modes, state = [module.training for module in net.modules()], _state(net)
        result = work.predict(net, x)
        demand(not result.requires_grad, "predict records a graph for a backward pass", fix="with tg.no_grad():")
        left = _state(net)
        moved = [name for name in state if not np.array_equal(state[name], left[name])]
        demand(not moved, "predict has changed the network", got=", ".join(moved), expected="the same state as before")
        after = [module.training for module in net.modules()]
        what = "a network with a frozen part" if frozen else "a network in training"
        fix = "remember the mode of each of net.modules(), and set each one's training again"
        demand(after == modes, f"{what}: it is in other modes afterwards", got=after, expected=modes, fix=fix)
        try:
            work.predict(net, np.zeros((4, 2)))
        except ShapeError:
            after = [module.training for module in net.modules()]
            fix = "try: ... finally: ... puts the modes back whatever happens"
            demand(after == modes, f"{what}: an error left it in other modes", got=after, expected=modes, fix=fix)
        else:
            demand(False, "rows of two features, where the network takes three, were not refused")
    return "answers in batches of 8, 3 and 1, the state and the modes afterwards, and after an error"


def picture(work: Any) -> Plot:
    """The answer for one row, asked sixty times in changing company."""
    rng = np.random.default_rng(2)
    net, right = _trained(), _trained().eval()
    row = np.array([[1.0, 0.0, 2.0]])
    asked = [np.concatenate([row, rng.normal(4.0, 2.0, (5, 3))]) for _ in range(60)]
    yours = np.array([work.predict(net, x).numpy()[0, 0] for x in asked])
    fixed = np.array([right(x).numpy()[0, 0] for x in asked])
    curves = [("in evaluation mode", fixed), ("your predict", yours)]
    return Plot("The answer for the same row, in changing company", "question", "answer", curves)


def _trained(frozen: bool = False) -> Module:
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 4, dtype=float), BatchNorm1d(4, dtype=float), Tanh(), Linear(4, 1, dtype=float))
    for parameter in net.parameters():
        parameter.data = rng.normal(size=parameter.shape)
    for _ in range(50):
        net(rng.normal(1.0, 2.0, (16, 3)))
    if frozen:
        net[1].eval()
    return net


def _state(net: Module) -> dict[str, Array]:
    return {name: np.array(value) for name, value in net.state_dict().items()}
