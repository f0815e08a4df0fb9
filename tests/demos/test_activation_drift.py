"""The drift demo on short runs, its measures against PyTorch and closed forms, its verdicts on made-up measurements.

The bands come from full runs at 12 seeds: R at rate 1 is 1.2 to 1.6 plain (more in short runs, where the spread is still
small) and 0.09 to 0.10 with Batch Normalization; the spread of five sigmoid layers is .86 .17 .041 .009 .002 from Xavier's
weights, 7.8 4.2 3.2 2.6 2.2 from N(0, 1), and 1 with Batch Normalization.
"""

import json
from dataclasses import replace

import in_torch
import numpy as np
import pytest
import torch
from shown import by_name, drawn, too_long

from demos.activation_drift import DEMO, measure, show
from demos.lab.measure import copies, probe
from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Verdict
from demos.lab.show.terminal import as_text
from tinygrad_bn import nn


@pytest.fixture(scope="module")
def measured():
    """All parts, short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "RATES", (1.0,))
        patch.setattr(measure, "DRIFT_STEPS", (340, 0))
        patch.setattr(measure, "DEPTH_STEPS", (10, 0))
        for name, steps in (("sig3", 160), ("relu5", 80)):
            patch.setitem(measure.NETS, name, replace(measure.NETS[name], steps=(steps, 0)))
        found = {part.name: part.measure(Settings(2), Progress()) for part in DEMO.parts}
    return json.loads(json.dumps(found, allow_nan=False))


# -- the claims on short runs --------------------------------------------------------------------------------------------


def test_the_plain_network_drifts_and_the_other_does_not(measured):
    part = measured["drift"]
    assert min(part["plain"]["R"][0]) > 1
    assert min(part["plain"]["S"][0]) > 20
    assert max(part["bn"]["R"][0]) < 0.2
    assert max(part["bn"]["S"][0]) < 2
    assert by_name(show.show(measured), Verdict)["drift"].outcome == "holds"


def test_running_statistics_make_the_stable_network_seem_to_drift(measured):
    part = measured["drift"]
    assert min(part["bn_running"]["S"][0]) > 10 * max(part["bn"]["S"][0])
    assert part["lag"][0][0] < 0.05  # the running variance starts at 1
    assert part["lag"][0][-1] == pytest.approx(1, abs=0.1)
    assert part["bn_running"]["accuracy"] == part["bn"]["accuracy"]  # one network, probed in two ways


def test_the_spread_across_depth(measured):
    part = measured["depth"]
    plain = {start: np.median(part["plain"][start]["start"], axis=0) for start in measure.STARTS}
    np.testing.assert_allclose(plain["Xavier"], [0.86, 0.17, 0.041, 0.0095, 0.0022], rtol=0.3)
    np.testing.assert_allclose(plain["N(0, 1)"], [7.8, 4.2, 3.2, 2.6, 2.2], rtol=0.2)
    for start in measure.STARTS:
        # Exactly 1 but for eps: sqrt(v / (v + eps)), the smallest v being about 0.05.
        np.testing.assert_allclose(part["bn"][start]["start"], 1, rtol=2e-3)
    assert by_name(show.show(measured), Verdict)["depth_spread"].outcome == "holds"


def test_the_two_definitions_disagree_where_the_plain_network_is_on_its_plateau(measured):
    sigmoid, relu = measured["shift"]["sig3"], measured["shift"]["relu5"]
    for runs in (sigmoid, relu):
        assert max(runs["bn"]["R"]) < 0.5 * min(runs["plain"]["R"])
    assert np.median(sigmoid["plain"]["relative"]) < 0.1 < 0.3 < np.median(sigmoid["bn"]["relative"])
    assert np.median(relu["bn"]["relative"]) < np.median(relu["plain"]["relative"])
    assert np.median(relu["bn"]["cosine"]) > np.median(relu["plain"]["cosine"])
    verdict = by_name(show.show(measured), Verdict)["ics_gradient"]
    assert verdict.outcome == "holds if"
    assert verdict.condition.startswith("It holds with 5 relu layers.")
    assert " times as much as with it in 5 relu layers, and 0.00" in verdict.measured
    assert "in 3 sigmoid layers while plain still guesses." in verdict.measured


# -- the measures --------------------------------------------------------------------------------------------------------


def test_percentiles_are_numpys():
    inputs = np.random.default_rng(0).standard_normal((3, 41, 5)).astype(np.float32)
    expected = np.moveaxis(np.quantile(inputs.astype(np.float64), [0.15, 0.5, 0.85], axis=1), 0, -1)
    np.testing.assert_allclose(measure.percentiles(inputs), expected, rtol=1e-6, atol=1e-7)


def test_drift_of_a_history_worked_out_by_hand():
    # Spread 2, 2, 5 (mean 3); median 0, 6, 3 (moved 6): R 2, S 2.5.  The other unit is dead at one time.
    unit = [(-1, 0, 1), (5, 6, 7), (0, 3, 5)]
    dead = [(-1, 0, 1), (0, 0, 0), (0, 3, 5)]
    history = np.array([[[a, b]] for a, b in zip(unit, dead)], float)
    location, scale = measure.drift_of(history)
    np.testing.assert_allclose(location, [[2, np.nan]])
    np.testing.assert_allclose(scale, [[2.5, np.nan]])


def test_the_unit_shown_is_the_one_of_median_r():
    rng = np.random.default_rng(1)
    history = rng.standard_normal((6, 2, 5, 1)) + np.array([-1.0, 0.0, 1.0])
    kept = measure.summary(history, rates=2)
    location = measure.drift_of(history)[0]
    for copy in range(2):
        shown = measure.drift_of(np.array(kept["unit"][copy])[:, None, None])[0].item()
        assert shown == pytest.approx(np.median(location[copy]), rel=1e-3)
        assert kept["R"][copy] == pytest.approx([np.median(location[copy])])


@pytest.mark.parametrize("batch_norm", [False, True])
def test_shift_of_the_gradient_is_what_pytorch_finds(batch_norm):
    rate, rng = 0.7, np.random.default_rng(3)
    model = copies.network(copies.draw_weights((4, 6, 5, 3), [0, 1], "he", np.float64), nn.ReLU, batch_norm)
    optimizer = copies.optimizer("sgd", model, rate)
    x, y = rng.standard_normal((2, 8, 4)), rng.integers(0, 3, (2, 8))
    before = [p.data.copy() for p in model.parameters()]
    statistics_before = [b.data.copy() for _, b in model.named_buffers()]
    per_layer = 3 if batch_norm else 2  # weight and bias, or weight, scale and shift
    for layer in (1, 2):
        loss, change = measure.gradient_shift(model, optimizer, x, y, layer)
        for copy in range(2):
            values = [torch.tensor(b[copy]) for b in before]
            first, old = in_torch.gradients(values, batch_norm, x[copy], y[copy])
            below = layer * per_layer
            stepped = [v - rate * g if i < below else v for i, (v, g) in enumerate(zip(values, old))]
            _, new = in_torch.gradients(stepped, batch_norm, x[copy], y[copy])
            a, b = old[below].ravel(), new[below].ravel()
            assert loss[copy] == pytest.approx(first, rel=1e-10)
            assert change[copy, 0] == pytest.approx(((b - a).norm() / a.norm()).item(), rel=1e-8)
            assert change[copy, 1] == pytest.approx((a @ b / (a.norm() * b.norm())).item(), rel=1e-8)
            assert change[copy, 0] > 1e-3  # there is something to measure
    for p, old_value in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, old_value)
    for (_, buffer), old_value in zip(model.named_buffers(), statistics_before, strict=True):
        np.testing.assert_array_equal(buffer.data, old_value)


def test_nothing_is_below_the_first_layer_so_its_gradient_does_not_shift():
    model = copies.network(copies.draw_weights((4, 6, 3), [0], "he", np.float64), nn.ReLU, True)
    x, y = np.random.default_rng(0).standard_normal((1, 8, 4)), np.arange(8)[None] % 3
    _, change = measure.gradient_shift(model, copies.optimizer("sgd", model, 1.0), x, y, 0)
    np.testing.assert_allclose(change, [[0, 1]], atol=1e-12)


# -- verdicts that come out the other way --------------------------------------------------------------------------------


def made_up_drift(plain, bn):
    """R of each arm at rates 0.3 and 3; S 10 where it drifts, 1.5 where not."""

    def arm(values):
        return {"R": [[r, r] for r in values], "S": [[10.0 if r > 0.5 else 1.5] * 2 for r in values]}

    return {"rates": [0.3, 3.0], "plain": arm(plain), "bn": arm(bn)}


@pytest.mark.parametrize(
    ("plain", "bn", "outcome", "condition"),
    [
        ((1.0, 1.0), (0.1, 0.1), "holds", "It holds in both rates."),
        ((1.0, 1.0), (0.1, 0.6), "holds if", "It holds at learning rate 0.3. It does not hold at learning rate 3."),
        ((1.0, 1.0), (0.9, 0.9), "does not hold", "It fails in both rates."),  # with BN it drifts too
        ((0.2, 0.2), (0.1, 0.1), "does not hold", "It fails in both rates."),  # there is no drift to begin with
    ],
)
def test_verdict_on_drift(plain, bn, outcome, condition):
    verdict = show.drift_verdict(made_up_drift(plain, bn))
    assert (verdict.outcome, verdict.condition) == (outcome, condition)


def test_seeds_that_disagree_on_drift_decide_nothing():
    part = made_up_drift((1.0, 1.0), (0.1, 0.1))
    part["bn"] = {"R": [[0.1, 0.26]] * 2, "S": [[1.5, 1.5]] * 2}
    verdict = show.drift_verdict(part)
    assert verdict.outcome == "not decided"
    assert "seeds could decide" in verdict.condition


def made_up_depth(xavier, wide, bn):
    def arm(a, b):
        rows = {start: [values] * 2 for start, values in zip(measure.STARTS, (a, b))}
        return {start: {"start": row, "trained": row, "accuracy": [0.5, 0.5]} for start, row in rows.items()}

    return {"steps": 10, "rate": 0.3, "input": 1.0, "plain": arm(xavier, wide), "bn": arm(bn, bn)}


@pytest.mark.parametrize(
    ("xavier", "wide", "bn", "outcome"),
    [
        ([1, 0.5, 0.1, 0.02, 0.004], [8, 4, 3, 3, 2], [1] * 5, "holds"),
        ([1, 0.5, 0.1, 0.02, 0.004], [1, 1.1, 0.9, 1, 1], [1] * 5, "holds if"),
        ([1, 1.1, 0.9, 1, 1], [1, 1.1, 0.9, 1, 1], [1] * 5, "does not hold"),
        ([1, 0.5, 0.1, 0.02, 0.004], [8, 4, 3, 3, 2], [1, 0.5, 0.3, 0.2, 0.1], "does not hold"),
    ],
)
def test_verdict_on_depth(xavier, wide, bn, outcome):
    verdict = by_name(show.show({"depth": made_up_depth(xavier, wide, bn)}), Verdict)["depth_spread"]
    assert verdict.outcome == outcome
    said = {"holds if": "It holds with Xavier weights. It does not hold with N(0, 1) weights."}
    assert verdict.condition == said.get(outcome, verdict.condition)


def test_depth_that_seeds_disagree_on_is_not_decided():
    part = made_up_depth([1, 0.5, 0.1, 0.02, 0.004], [8, 4, 3, 3, 2], [1] * 5)
    for start in measure.STARTS:
        part["bn"][start]["start"] = [[1] * 5, [1, 0.5, 0.3, 0.2, 0.1]]
    assert by_name(show.show({"depth": part}), Verdict)["depth_spread"].outcome == "not decided"


LESS, MORE, EITHER = (2.0, 2.2), (0.5, 0.52), (0.5, 2.0)


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [
        ((LESS, LESS), "holds"),
        ((MORE, LESS), "holds if"),
        ((EITHER, LESS), "holds if"),
        ((MORE, MORE), "does not hold"),
        ((EITHER, MORE), "does not hold"),
        ((EITHER, EITHER), "not decided"),
    ],
)
def test_verdict_on_the_shift_of_gradients(ratios, outcome):
    cells = [show.Cell(name, "all along", list(row), [1.0, 1.0], "") for name, row in zip("ab", ratios)]
    verdict = show.shift_verdict(cells)
    assert verdict.outcome == outcome
    assert ("It holds with b." in verdict.condition) == (outcome == "holds if")


def test_where_the_shift_of_gradients_is_less():
    def cell(network, when, ratio, what):
        return show.Cell(network, when, [ratio, ratio], [1.0, 1.0], what)

    cells = [cell("a", "past", 2.0, "less"), cell("a", "on", 0.5, "more"), cell("b", "all along", 3.0, "less")]
    assert show.shift_verdict(cells).condition == "It holds with a past and with b. It does not hold with a on."
    assert "3.00 times as much as with it in b, and 0.50 times in a on." in show.shift_verdict(cells).measured
    cells.append(cell("a", show.SAME_LOSS, 0.4, "more"))
    assert (
        show.shift_caption(cells)
        == "With BN a layer's gradient changes less in b (1, plain 3), more in a on (1, plain 0.5)"
    )


def test_word_asks_all_seeds():
    assert show.word([1, 1], [0.5, 0.9]) == "less"
    assert show.word([1, 1], [2, 3]) == "more"
    assert show.word([1, 1], [0.5, 3]) == "less or more"


# -- showing -------------------------------------------------------------------------------------------------------------


def test_parts_that_did_not_run_are_not_shown(measured):
    assert show.show({}) == []
    only = by_name(show.show({"shift": measured["shift"]}), Verdict)
    assert list(only) == ["ics_gradient"]
    assert list(by_name(show.show(measured), Verdict)) == ["drift", "depth_spread", "ics_gradient"]


def test_what_it_says_is_short(measured):
    assert too_long(show.show(measured)) == []
    drifting = made_up_drift((1.0, 1.0), (0.1, 0.6))
    assert too_long([show.drift_verdict(drifting)]) == []
    for far in ([1, 1.1, 0.9, 1, 1], [8000.0, 4, 3, 3, 2]):
        assert too_long(show.show({"depth": made_up_depth([1, 0.5, 0.1, 0.02, 0.00004], far, [1] * 5)})) == []


def test_everything_shown_can_be_drawn_and_read(measured):
    blocks = show.show(measured)
    assert len(drawn(blocks)) == 4
    text = as_text(blocks)
    assert "nan" not in text
    assert "artifact" in text


def test_probing_does_not_change_the_training():
    x, y = measure.rows(0)
    finals = []
    for probing in (False, True):
        model = copies.network(copies.draw_weights((64, 20, 20, 10), [0, 1], "xavier"), nn.Sigmoid, True)
        optimizer, batches = copies.optimizer("sgd", model, 1.0), copies.batches(997, 60, [0, 1])
        for _ in range(5):
            chosen = next(batches)
            if probing:
                probe.activation_inputs(model, x[measure.PROBED])
                measure.gradient_shift(model, optimizer, x[chosen], y[chosen], 1)
            copies.step(model, optimizer, copies.cross_entropy, x[chosen], y[chosen])
        finals.append([v.data for v in (*model.parameters(), *(b for _, b in model.named_buffers()))])
    for without, with_probes in zip(*finals, strict=True):
        np.testing.assert_array_equal(without, with_probes)
