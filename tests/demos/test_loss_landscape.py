"""The landscape demo on short runs, its measures against PyTorch, its verdicts on made-up measurements.

The bands come from full runs at 15 seeds: with five sigmoid layers the plain network's effective beta is 0.13 to 0.18 of
that with Batch Normalization; with eight relu layers its loss range at the same loss is 2.6 to 9 times as wide and its
gradient changes 4.3 to 9 times as much.
"""

import json
from dataclasses import replace

import in_torch
import numpy as np
import pytest
import torch
from shown import by_name, drawn, too_long

from demos.lab.measure import copies
from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Plot, Verdict
from demos.lab.show.terminal import as_text
from demos.loss_landscape import DEMO, measure, show
from tinygrad_bn import nn


@pytest.fixture(scope="module")
def measured():
    """The network that does not train and the one that trains fast, short."""
    short = {"sig5": 100, "relu8": 140}
    found = {
        name: measure.along(replace(measure.NETS[name], steps=steps), Settings(2), Progress())
        for name, steps in short.items()
    }
    return json.loads(json.dumps(found, allow_nan=False))


# -- the claims on short runs --------------------------------------------------------------------------------------------


def test_the_plain_network_of_five_sigmoid_layers_is_smooth_and_stuck(measured):
    part = measured["sig5"]
    assert max(part["plain"]["accuracy"]) < 0.3 < 0.9 < min(part["bn"]["accuracy"])
    assert max(show.same_step(part, "beta").ratios) < 0.7  # 0.15 after 600 steps
    assert max(show.same_step(part, "change").ratios) < 1
    assert show.same_loss(part, "range") is None  # one is near 2.3 throughout, the other far below after 20 steps


def test_at_the_same_loss_eight_relu_layers_are_smoother_with_batch_normalization(measured):
    part = measured["relu8"]
    assert show.trains(part)
    assert min(show.same_loss(part, "range").ratios) > 1.5
    assert min(show.same_loss(part, "change").ratios) > 2


# -- the measures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
def test_landscape_is_what_pytorch_finds_and_leaves_no_trace(batch_norm):
    etas, rng = (0.3, 1.5), np.random.default_rng(5)
    model = copies.network(copies.draw_weights((4, 6, 5, 3), [0, 1], "he", np.float64), nn.ReLU, batch_norm)
    x, y = rng.standard_normal((2, 8, 4)), rng.integers(0, 3, (2, 8))
    variables = [*model.parameters(), *(b for _, b in model.named_buffers())]
    before = [v.data.copy() for v in variables]
    found = measure.landscape(model, x, y, etas)
    for variable, old in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.data, old)
    assert all(p.grad is None for p in model.parameters())
    for copy in range(2):
        values = [torch.tensor(p.data[copy].copy()) for p in model.parameters()]
        start, gradient = in_torch.gradients(values, batch_norm, x[copy], y[copy])
        losses, changes = [start], []
        for eta in etas:
            loss, there = in_torch.gradients(
                [v - eta * g for v, g in zip(values, gradient)], batch_norm, x[copy], y[copy]
            )
            losses.append(loss)
            changes.append(torch.sqrt(sum(((b - a) ** 2).sum() for a, b in zip(gradient, there))).item())
        length = torch.sqrt(sum((g**2).sum() for g in gradient)).item()
        expected = {
            "loss": start, "low": min(losses), "high": max(losses), "change": max(changes),
            "beta": max(change / (eta * length) for change, eta in zip(changes, etas)),
        }  # fmt: skip
        assert {key: values[copy] for key, values in found.items()} == pytest.approx(expected, rel=1e-8)


def test_effective_beta_of_softmax_regression_stays_below_its_smoothness():
    # Without hidden layers the loss is convex; its Hessian is at most 1/2 the largest eigenvalue of X'X / N (with the
    # constant that the bias sees), because the softmax's own Hessian is at most 1/2 (Boehning 1992).
    rng = np.random.default_rng(2)
    model = copies.network(copies.draw_weights((5, 3), [0], "he", np.float64), nn.ReLU, False)
    x, y = rng.standard_normal((1, 30, 5)), rng.integers(0, 3, (1, 30))
    rows = np.concatenate([x[0], np.ones((30, 1))], axis=1)
    bound = 0.5 * np.linalg.eigvalsh(rows.T @ rows / 30)[-1]
    beta = measure.landscape(model, x, y, (1e-3, 0.1, 1.0))["beta"][0]
    assert 0.1 * bound < beta <= bound


def test_probing_does_not_change_the_training():
    net = replace(measure.NETS["sig3"], layers=2, steps=24)
    rng = np.random.default_rng(0)
    x, y = rng.random((200, 64), np.float32), rng.integers(0, 10, 200)
    finals = []
    for probing in (False, True):
        model = copies.network(copies.draw_weights((64, 20, 20, 10), [0, 1], "xavier"), nn.Sigmoid, True)
        optimizer, batches = copies.optimizer("sgd", model, net.rate), copies.batches(200, 60, [0, 1])
        for _ in range(5):
            chosen = next(batches)
            if probing:
                measure.landscape(model, x[chosen], y[chosen], net.reach)
            copies.step(model, optimizer, copies.cross_entropy, x[chosen], y[chosen])
        finals.append([v.data for v in (*model.parameters(), *(b for _, b in model.named_buffers()))])
    for without, with_probes in zip(*finals, strict=True):
        np.testing.assert_array_equal(without, with_probes)


def test_a_comparison_is_told_by_its_interval():
    assert show.Comparison((2.0, 2.1, 1.9)).smoother == "bn"
    assert show.Comparison((0.5, 0.52, 0.48)).smoother == "plain"
    assert show.Comparison((0.5, 2.0, 1.0)).smoother == ""
    # log ratios 0 and log 4: mean log 2, standard error log 2, Student's t for one degree of freedom 12.7062.
    middle, low, high = show.Comparison((1.0, 4.0)).interval
    assert middle == pytest.approx(2)
    assert np.log([low, high]) == pytest.approx(np.log(2) * np.array([1 - 12.7062, 1 + 12.7062]), rel=1e-5)


# -- verdicts that come out the other way --------------------------------------------------------------------------------


def made_up(plain, bn, accuracy=(0.9, 0.95), same_level=True, seeds=3):
    """Two arms whose measures are these numbers all along, give or take 2 % from seed to seed."""
    at = list(range(20, 400, 20))

    def arm(value, right, loss):
        rows = [[value * (1 + 0.02 * s)] * len(at) for s in range(seeds)]
        flat = dict.fromkeys(("range", "change", "beta", "low", "high"), rows)
        return {**flat, "loss": [[loss] * len(at)] * seeds, "accuracy": [right] * seeds}

    return {"at": at, "plain": arm(plain, accuracy[0], 0.5), "bn": arm(bn, accuracy[1], 0.5 if same_level else 0.005)}


def outcomes(parts):
    return {name: verdict.outcome for name, verdict in by_name(show.show(parts), Verdict).items()}


def test_verdicts_if_batch_normalization_is_smoother_everywhere():
    found = outcomes({name: made_up(2.0, 1.0, (0.8, 0.95)) for name in ("sig3", "sig5", "relu8")})
    assert found == dict.fromkeys(("loss_range", "gradient_change", "effective_beta", "smooth_is_trainable"), "holds")


def test_verdicts_if_the_plain_network_is_smoother_everywhere():
    found = outcomes({name: made_up(1.0, 2.0, (0.8, 0.95)) for name in ("sig3", "sig5", "relu8")})
    assert set(found.values()) == {"does not hold"}


def test_a_smooth_network_that_does_not_train_speaks_against_smoothness_alone():
    parts = {"sig3": made_up(2.0, 1.0, (0.8, 0.95)), "sig5": made_up(1.0, 5.0, (0.1, 0.95), same_level=False)}
    shown = by_name(show.show(parts), Verdict)
    assert shown["smooth_is_trainable"].outcome == "holds if"
    assert shown["effective_beta"].outcome == "holds if"
    assert (
        shown["effective_beta"].condition == "It holds with 3 sigmoid layers. It does not hold with 5 sigmoid layers."
    )
    said = shown["smooth_is_trainable"].measured
    assert said.startswith(
        "With 5 sigmoid layers the plain network is smoother: per distance, the gradient changes 0.2 [0.2, 0.2]"
    )
    assert said.endswith("At the end, 10 % of the digits are recognized without BN, 95 % with it.")


def test_fewer_exceptions_than_cases_are_named_instead():
    parts = {name: made_up(2.0, 1.0) for name in ("sig3", "relu8", "relu8_fast")} | {"sig5": made_up(1.0, 2.0)}
    verdict = by_name(show.show(parts), Verdict)["loss_range"]
    assert verdict.condition == (
        "It holds with 3 sigmoid layers, with 8 relu layers and with 8 relu layers at rate 0.1. "
        "It does not hold with 5 sigmoid layers."
    )
    assert verdict.measured.startswith(
        "The plain network's loss range is 0.5 [0.5, 0.5] to 2 [2, 2] times BN's at the same loss and 0.5 [0.5, 0.5]"
    )


def test_what_it_says_is_short(measured):
    wild = {name: made_up(123.4 if i % 2 else 0.01, 1.0, (0.8, 0.95)) for i, name in enumerate(measure.NETS)}
    for parts in (measured, wild, {"sig5": made_up(1.0, 5.0, (0.1, 0.95))}):
        assert too_long(show.show(parts)) == []
    assert by_name(show.show(wild), Verdict)["loss_range"].condition.startswith("It holds with ")


def test_no_difference_speaks_for_nothing():
    parts = {"sig3": made_up(1.0, 1.0, (0.9, 0.9))}
    assert set(outcomes(parts).values()) == {"not decided"}


# -- showing -------------------------------------------------------------------------------------------------------------


def test_networks_that_did_not_run_are_not_shown(measured):
    assert show.show({}) == []
    blocks = show.show({"relu8": measured["relu8"]})
    assert len(by_name(blocks, Verdict)) == 4
    assert "sigmoid" not in as_text(blocks)
    assert "smooth_plateau" not in by_name(blocks, Plot)


def test_everything_shown_can_be_drawn_and_read(measured):
    blocks = show.show(measured)
    assert drawn(blocks) == ["loss_range", "gradient_change", "effective_beta", "same_loss", "smooth_plateau"]
    assert "nan" not in as_text(blocks)


def test_two_networks_more_at_full_size():
    assert [part.name for part in DEMO.parts_for(Settings(2))] == ["sig3", "sig5", "relu8"]
    assert [part.name for part in DEMO.parts_for(Settings(2, full=True))] == list(measure.NETS)
