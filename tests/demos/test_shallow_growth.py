"""Row 5 of shallow against deep: the written networks compute the task, and the verdict follows from their sizes."""

import copy
import itertools
from functools import reduce

import numpy as np
import pytest
from shown import check_any_part_may_be_absent, drawn, only, too_long

from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Verdict
from demos.shallow_vs_deep import show
from demos.shallow_vs_deep.measure import exact, growth, parameters


def bits_by_hand(count):
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


# -- the networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("deep", [False, True])
def test_both_sawtooths_are_exact_on_dyadic_points(k, deep):
    layers = exact.sawtooth(k, deep)
    x = np.arange(2 ** (k + 3) + 1) / 2 ** (k + 3)
    expected = 1 - np.abs((2**k * x) % 2 - 1)
    assert np.array_equal(growth.run(layers, x[:, None])[:, 0], expected)
    assert np.array_equal(growth.triangle(x, k), expected)
    assert exact.units(layers) == (2 * k if deep else 2**k)
    assert exact.parameters(layers) == (6 * k + 1 if deep else 3 * 2**k + 1)
    model = exact.model(layers)
    assert sum(p.size for p in model.parameters()) == exact.parameters(layers)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_three_networks_for_parity_have_the_whole_truth_table(bits):
    x = bits_by_hand(bits)
    expected = [reduce(lambda a, b: a ^ b, map(int, row)) for row in x]
    sizes = {"one layer": bits, "tree of two-bit parities": 2 * (bits - 1)}
    for name, build in growth.PARITY.items():
        layers = build(bits)
        assert growth.run(layers, x)[:, 0].tolist() == expected
        assert exact.units(layers) == sizes.get(name, 2 * int(np.log2(bits)))
    table, parity = growth.truth_table(bits)
    assert sorted(map(tuple, table)) == list(map(tuple, x))
    assert np.array_equal(parity[:, 0], table.sum(axis=1) % 2)


def test_a_wrong_network_would_be_seen(monkeypatch):
    def wrong(k, deep):
        layers = exact.zigzag(2, k) if deep else exact.zigzag(2**k, 1)
        return [*layers[:-1], (layers[-1][0] * 1.001, layers[-1][1])]

    monkeypatch.setattr(growth, "FOLDS", (3,))
    (row,) = growth.written_sawtooth(Settings(2), Progress())["rows"]
    assert row["shallow"]["difference"] == row["deep"]["difference"] == 0
    monkeypatch.setattr(exact, "sawtooth", wrong)
    (row,) = growth.written_sawtooth(Settings(2), Progress())["rows"]
    assert row["shallow"]["difference"] == pytest.approx(0.001)


# -- training -----------------------------------------------------------------------------------------------------------


def test_noise_is_relative_and_a_seed_of_its_own():
    layers = exact.sawtooth(3, True)
    for (weight, bias), (w, b) in zip(growth.disturbed(layers, 0.0, [4, 5]), layers):
        assert np.array_equal(weight, [w, w])
        assert np.array_equal(bias, [b, b])
    both, alone = growth.disturbed(layers, 0.1, [4, 5]), growth.disturbed(layers, 0.1, [5])
    for (weight, _), (w, _), (original, _) in zip(both, alone, layers):
        assert np.array_equal(weight[1], w[0])
        assert not np.array_equal(weight[0], weight[1])
        assert np.all(np.abs(weight / original - 1) < 0.6)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_widest_network_within_a_budget(depth):
    def count(width):
        sizes = [1, *[width] * depth, 1]
        return exact.parameters([(np.zeros(shape), np.zeros(shape[1])) for shape in itertools.pairwise(sizes)])

    width = parameters.layer_sizes(depth, 1, 1, 150)[1]
    assert count(width) <= 150 < count(width + 1)


def test_the_exact_size_is_kept_from_close_by_and_not_found_from_afar():
    seeds = range(6)
    written = growth.sawtooth_errors(growth.disturbed(exact.sawtooth(3, True), 0.02, seeds), 3, 400, Progress())
    found = growth.sawtooth_errors(exact.random_layers([1, 2, 2, 2, 1], seeds), 3, 400, Progress())
    assert np.sum(written < show.growth.LEARNED) >= 4  # 17 of 18 to 20 of 20 after 1500 steps
    assert np.sum(found < show.growth.LEARNED) <= 1  # 0 of 20
    untouched = growth.sawtooth_errors(growth.disturbed(exact.sawtooth(3, True), 0.0, [0]), 3, 5, Progress())
    assert untouched[0] < 1e-6


# -- showing ------------------------------------------------------------------------------------------------------------


def made_up():
    """Measurements as they come out, for k up to 4 and 8 bits."""
    networks = (("one layer", 1), ("tree of two-bit parities", 2), ("sum folded in half again and again", 3))
    sizes = {2: (2, 2, 2), 4: (4, 6, 4), 8: (8, 14, 6)}
    return {
        "growth_sawtooth": {
            "rows": [
                {
                    "k": k,
                    "shallow": {"units": 2**k, "parameters": 3 * 2**k + 1, "difference": 0.0},
                    "deep": {"units": 2 * k, "parameters": 6 * k + 1, "difference": 0.0},
                    "pieces": 2**k,
                }
                for k in range(1, 9)
            ]
        },
        "growth_parity": {
            "rows": [
                {"bits": bits, "network": name, "layers": 1, "units": units, "parameters": 1, "difference": 0.0}
                for bits, all_units in sizes.items()
                for (name, _), units in zip(networks, all_units)
            ]
        },
        "growth_sawtooth_trained": {
            "steps": 10,
            "starts": 2,
            "exact": {"3": {"random": [0.1, 0.2], "0.02": [1e-5, 1e-6], "0.2": [0.1, 1e-6]}},
            "larger": {"2": {"1": {"width": 9, "errors": [0.1, 1e-9]}}},
        },
        "growth_parity_trained": {
            "steps": 10,
            "starts": 2,
            "rows": [{"bits": 2, "hidden": [4], "learned": [True, False]}],
        },
    }


def verdict(measured):
    return only(show.growth.show(measured), Verdict)


def changed(sawtooth=lambda row: None, parity=lambda row: None):
    measured = copy.deepcopy(made_up())
    for row in measured["growth_sawtooth"]["rows"]:
        sawtooth(row)
    for row in measured["growth_parity"]["rows"]:
        parity(row)
    return measured


def test_the_verdict_as_things_are():
    found = verdict(made_up())
    assert found.outcome == "holds if"
    assert found.condition == (
        "It holds on the sawtooth. It does not hold on parity. It is not decided where training has to find the weights: "
        "3 seeds could decide it."
    )
    assert "0 of 2 random starts" in found.measured


def test_the_verdict_follows_from_the_sizes():
    def constant(row):
        row["deep"]["units"] = 5

    def exponential(row):
        if row["network"] == "one layer":
            row["units"] = 2 ** row["bits"]

    def linear(row):
        row["shallow"]["units"] = 3 * row["k"]

    def doubling(row):
        row["deep"]["units"] = 2 ** row["k"] - 1

    def wrong(row):
        row["deep"]["difference"] = 1e-3

    def untrained(measured):
        del measured["growth_sawtooth_trained"]
        return verdict(measured)

    assert untrained(changed(constant, exponential)).outcome == "holds"
    assert untrained(changed(constant)).outcome == "holds if"
    for change in (linear, doubling):
        assert untrained(changed(change)).outcome == "does not hold"
    both = changed(wrong)
    for row in both["growth_parity"]["rows"]:
        row["difference"] = 1.0
    assert untrained(both).outcome == "not decided"  # the sizes of networks that are wrong say nothing
    for errors, answer in (([0.0] * 9, "yes"), ([1.0] * 9, "no"), ([0.0, 1.0] * 5, "open")):
        learned = made_up()
        learned["growth_sawtooth_trained"]["exact"]["3"]["random"] = errors
        assert verdict(learned).cases[-1].answer == answer


def test_what_is_said_is_short():
    assert too_long(show.growth.show(made_up())) == []


def test_any_part_may_be_absent():
    check_any_part_may_be_absent(show.growth.show, made_up())


def test_the_pictures_can_be_drawn():
    assert drawn(show.growth.show(made_up())) == ["growth_units", "growth_learned"]
