"""Row 6 of shallow against deep: the written minimum is one, depth hinders plain networks, and the verdict can turn."""

import copy

import numpy as np
import pytest
import torch
from shown import by_name, check_any_part_may_be_absent, drawn, only, too_long

import tinygrad_bn as tg
from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Plot, Verdict
from demos.shallow_vs_deep import show
from demos.shallow_vs_deep.measure import exact, minima, trainability

# -- the minimum --------------------------------------------------------------------------------------------------------


def torch_loss(theta, like):
    """The loss again, in PyTorch."""
    hidden, start, last = torch.tensor(minima.X), 0, len(like) - 1
    for i, (weight, bias) in enumerate(like):
        w = theta[start : start + weight.size].reshape(weight.shape)
        b = theta[start + weight.size : start + weight.size + bias.size]
        start += weight.size + bias.size
        hidden = hidden @ w + b
        hidden = hidden if i == last else torch.relu(hidden)
    return torch.mean((hidden - torch.tensor(minima.Y)) ** 2)


@pytest.mark.parametrize("depth", [1, 2])
def test_gradient_and_hessian_of_the_loss_are_pytorchs(depth):
    layers = [(w[0], b[0]) for w, b in exact.random_layers([1, *[8] * depth, 1], [3], np.float64)]
    theta = minima.flat(layers)
    there = torch.tensor(theta, requires_grad=True)
    value = torch_loss(there, layers)
    (gradient,) = torch.autograd.grad(value, there)
    hessian = torch.autograd.functional.hessian(lambda t: torch_loss(t, layers), there)
    assert float(minima.loss(theta, layers)) == pytest.approx(value.item(), rel=1e-12)
    assert minima.losses(theta[None], layers)[0] == pytest.approx(value.item(), rel=1e-12)
    assert np.allclose(tg.grad(lambda t: minima.loss(t, layers))(theta), gradient.numpy(), rtol=1e-9, atol=1e-12)
    assert np.allclose(tg.hessian(lambda t: minima.loss(t, layers))(theta), hessian.numpy(), rtol=1e-9, atol=1e-11)
    assert np.abs(hessian.numpy()).max() > 0.1


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_the_written_minimum_is_the_best_straight_line(depth):
    layers = minima.written_minimum(depth, 0)
    x, y = minima.X[:, 0], minima.Y[:, 0]
    residual = np.mean((np.polyval(np.polyfit(x, y, 1), x) - y) ** 2)
    assert float(minima.loss(minima.flat(layers), layers)) == pytest.approx(residual, abs=1e-9)
    assert residual == pytest.approx(0.458142, abs=1e-6)
    hidden = minima.X
    for weight, bias in layers[:-1]:
        hidden = hidden @ weight + bias
        assert hidden.min() > 0.1  # active with room to spare: that is what makes it a minimum


@pytest.fixture(scope="module")
def measured_minima():
    def few(start, rate, steps, progress):
        return real(start, rate, min(steps, 500), progress)

    real = minima.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minima, "train", few)
        patch.setattr(minima, "DEPTHS", (1, 2))
        return minima.minima(Settings(2), Progress())


def test_the_minimum_is_found_to_be_one_at_every_depth(measured_minima):
    for row in measured_minima["rows"]:
        assert row["gradient"] < 1e-12
        assert -1e-10 < row["smallest"] < 1e-10 < 50 < row["largest"]
        assert (row["lower"], row["tries"]) == (0, 6000)
        assert max(row["back"]) < row["loss"] + 0.02
        assert min(map(min, row["lines"])) > row["loss"] - 1e-6
        assert min(row["random"]) < 0.4  # 0.1 for one layer after 2000 steps, less for more
        assert show.trainability.is_minimum(row)


def test_a_point_that_is_no_minimum_is_not_taken_for_one(measured_minima):
    row = measured_minima["rows"][1]
    worse = {"gradient": 1e-3, "smallest": -1.0, "lower": 3, "random": [row["loss"]]}
    for name, value in worse.items():
        assert not show.trainability.is_minimum({**row, name: value})


def test_a_saddle_shows_in_curvature_and_neighbors():
    layers = [(np.zeros((1, 8)), np.full(8, 1.0)), (np.zeros((8, 1)), np.zeros(1))]  # the output is the mean: 0
    theta = minima.flat(layers)
    hessian = tg.hessian(lambda t: minima.loss(t, layers))(theta)
    assert np.linalg.norm(tg.grad(lambda t: minima.loss(t, layers))(theta)) < 1e-12
    assert np.linalg.eigvalsh(hessian)[0] < -1e-3
    directions = np.random.default_rng(0).standard_normal((200, len(theta)))
    assert np.sum(minima.losses(theta + 0.01 * directions, layers) < minima.loss(theta, layers)) > 0


# -- training -----------------------------------------------------------------------------------------------------------


def test_eight_plain_sigmoid_layers_do_not_start_and_normalized_ones_do(monkeypatch):
    monkeypatch.setattr(trainability, "DEPTHS", (1, 8))
    monkeypatch.setattr(trainability, "LARGE", 300)
    monkeypatch.setattr(trainability, "RATES", {"sgd": (1.0,)})
    plain, bn = (measure(Settings(1), Progress())["rows"] for measure in (trainability.plain_sgd, trainability.bn_sgd))
    assert None not in plain[0]["first"]  # 18 of 18 within 500 steps, 100 in the median
    assert plain[1]["first"] == [None, None]  # 0 of 18 within 4000
    assert max(plain[1]["last"]) < 0.3
    assert None not in bn[0]["first"] + bn[1]["first"]  # 18 of 18 within 350


def test_eight_units_solve_xor(monkeypatch):
    monkeypatch.setattr(minima, "XOR", {"wide, shallow": [8], "one unit": [1]})
    monkeypatch.setattr(minima, "XOR_STEPS", 400)
    for row in minima.xor(Settings(2), Progress())["rows"]:
        solved = sum(error < minima.SOLVED for error in row["errors"])
        assert solved >= 40 if row["shape"] == "wide, shallow" else solved == 0  # one unit cannot


# -- showing ------------------------------------------------------------------------------------------------------------


def by_depth(*firsts):
    return {
        "rates": [1.0],
        "seeds": 8,
        "rows": [{"depth": d, "first": list(first), "last": [0.5] * 8} for d, first in zip((1, 8), firsts)],
    }


def made_up():
    """Measurements as they come out."""
    never, soon = [None] * 8, [100] * 8
    minimum = {
        "loss": 0.45, "gradient": 1e-14, "smallest": -1e-14, "largest": 100.0, "tries": 10, "lower": 0,
        "lines": [[0.6, 0.45, 0.7]], "back": [0.45, 0.451], "random": [0.1, 0.2],
    }  # fmt: skip
    return {
        "trainability_plain": by_depth(soon, never),
        "trainability_adam": by_depth(soon, [None, 3000, None, 400] * 2),
        "trainability_bn": by_depth(soon, soon),
        "trainability_xor": {
            "steps": 10,
            "starts": 2,
            "rows": [{"activation": "sigmoid", "shape": "narrow, deep", "hidden": [2, 2], "errors": [0.0, 0.5]}],
        },
        "trainability_minimum": {
            "affine": 0.45, "variance": 0.49, "along": [-1, 0, 1],
            "rows": [{"depth": 1, **minimum}, {"depth": 2, **minimum}],
        },
    }  # fmt: skip


def verdict(measured):
    return only(show.trainability.show(measured), Verdict)


def test_the_verdict_as_things_are():
    found = verdict(made_up())
    assert found.outcome == "does not hold"
    assert "Of 8 runs on digits, 8 reach 90 % with one layer and 0 with 8 (8 with BN, 4 with Adam)." in found.measured
    assert "a bad local minimum with 2 layers" in found.measured
    assert "hard to train, that a deep one is easy to train or that" in found.condition
    assert found.condition.count("It is not true") == 1


def test_the_verdict_can_turn():
    measured = made_up()
    for row in measured["trainability_minimum"]["rows"]:
        row["lower"] = 2
    assert verdict(measured).outcome == "does not hold"  # one layer is easy
    first = measured["trainability_plain"]["rows"]
    first[0]["first"], first[1]["first"] = [None] * 7 + [400], [100] * 8
    assert verdict(measured).outcome == "holds"
    first[0]["first"] = [None, 400] * 4
    assert verdict(measured).outcome == "not decided"  # half of the runs
    first[0]["first"], first[1]["first"] = [None] * 8, [None] * 8
    found = verdict(measured)
    assert found.outcome == "holds if"
    assert "It is true that a shallow network is hard" in found.condition
    measured["trainability_bn"]["rows"][1]["first"] = [None] * 8
    assert verdict(measured).outcome == "does not hold"


def test_what_is_said_is_short():
    assert too_long(show.trainability.show(made_up())) == []


def test_any_part_may_be_absent():
    check_any_part_may_be_absent(show.trainability.show, made_up())


def test_the_pictures_can_be_drawn_and_their_captions_follow_the_figures():
    measured = copy.deepcopy(made_up())
    blocks = show.trainability.show(measured)
    assert set(drawn(blocks)) == {"trainability_depth", "trainability_minimum"}
    pictures = by_name(blocks, Plot)
    assert "SGD, 4,000 steps: 8, 0" in pictures["trainability_depth"].caption
    assert ") all of 1 random lines rise" in pictures["trainability_minimum"].caption
    measured["trainability_minimum"]["rows"][1]["lines"] = [[0.3, 0.45, 0.7]]
    picture = only(show.trainability.show(measured), Plot, "trainability_minimum")
    assert ") not all of 1 random lines rise" in picture.caption
