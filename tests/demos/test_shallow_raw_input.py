"""Shallow against deep, row 2: the inputs are what they are called, the views are equal, the rule can fail."""

import numpy as np
import pytest
from shown import drawn, only, too_long

from demos.datasets import load_digits, load_syllables
from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Table, Verdict
from demos.shallow_vs_deep import show
from demos.shallow_vs_deep.measure import raw_input
from demos.shallow_vs_deep.measure.raw_input import DENSE1, DENSE3, SMALL, TWICE, WIDE


def test_a_digit_is_placed_whole_and_anywhere():
    plain, placed = raw_input.digits_task(4), raw_input.placed_task(4)
    assert np.array_equal(plain.y, placed.y)
    assert placed.x.shape == (1797, 1, 12, 12)
    corners = set()
    for digit, image in zip(plain.x[:300, 0], placed.x[:300, 0]):
        found = [(i, j) for i in range(5) for j in range(5) if np.array_equal(image[i : i + 8, j : j + 8], digit)]
        assert len(found) == 1 or digit[:, [0, -1]].sum() == 0 or digit[[0, -1]].sum() == 0  # an empty edge may shift
        corners.update(found)
        assert image.sum() == pytest.approx(digit.sum())
    assert len(corners) == 25


def test_all_digits_are_used_once():
    task = raw_input.digits_task(1)
    pixels = task.x.reshape(len(task.x), -1)
    assert np.array_equal(np.sort(pixels.sum(axis=1)), np.sort(load_digits().images.sum(axis=1)))
    assert task.train + task.validation < len(task.x)


def test_words_can_be_read_back_and_rules_are_right():
    task = raw_input.text_task(2, train=300, validation=50, test=100)
    data = load_syllables()
    known = dict(zip(data.words, data.syllables))
    assert task.x.shape == (450, 26, 14)
    words = ["".join(chr(97 + int(column.argmax())) for column in x.T if column.any()) for x in task.x]
    assert len(set(words)) == 450  # none twice, so none on both sides
    assert np.array_equal(task.y, [min(known[word], 6) - 1 for word in words])
    for word, group in zip(words, task.rules["vowel groups"]):
        starts = sum(a not in "aeiouy" and b in "aeiouy" for a, b in zip(" " + word, word))
        assert group == min(max(starts, 1), 6) - 1
    counts = [int((task.y[:300] == k).sum()) for k in range(6)]
    assert set(task.rules["most frequent"].tolist()) == {counts.index(max(counts))}


def reach(layers, x, out, axis):
    """The span of inputs along the last axis that one hidden unit depends on, found by moving each of them."""

    def unit(values):
        for layer in layers:
            values = layer(values)
        return values.data[out]

    base, moved = unit(x), []
    for i in range(x.shape[axis]):
        other = x.copy()
        other[..., i] += 1.0
        if unit(other) != base:
            moved.append(i)
    return max(moved) - min(moved) + 1


@pytest.mark.parametrize(("name", "view"), [(SMALL, 3), (WIDE, 5), (TWICE, 5)])
def test_views(name, view):
    """Windows of 5 and two of 3 see equally much, on images and in words."""
    rng = np.random.default_rng(0)
    image, word = rng.uniform(1, 2, (1, 1, 12, 12)).astype("f"), rng.uniform(1, 2, (1, 26, 14)).astype("f")
    for build, x, last in ((raw_input.image_nets(12)[name], image, 3), (raw_input.WORD_NETS[name], word, 2)):
        layers = list(build())[
            :-last
        ]  # without pooling, flattening and the linear layer, or summing and the linear layer
        for layer in layers:
            if hasattr(layer, "weight"):
                layer.weight.data = np.abs(layer.weight.data) + 0.01  # every unit is active and depends on all it sees
        out = (0, 0, 3, 3) if x is image else (0, 0, 6)
        assert reach(layers, x, out, x.ndim - 1) == view


@pytest.mark.parametrize("side", [8, 12])
def test_shapes_and_sizes(side):
    x = np.zeros((2, 1, side, side), "f")
    for name, build in raw_input.image_nets(side).items():
        model = build()
        assert model(x).shape == (2, 10), name
    count = {name: sum(p.data.size for p in build().parameters()) for name, build in raw_input.image_nets(12).items()}
    assert count[WIDE] == 24 * 26 + 10 * (4 * 24 + 1)
    assert count[TWICE] == 8 * 10 + 16 * (8 * 9 + 1) + 10 * (4 * 16 + 1)
    assert count[DENSE1] == 32 * 145 + 10 * 33
    for build in raw_input.WORD_NETS.values():
        assert build()(np.zeros((3, 26, 14), "f")).shape == (3, 6)


def test_windows_beat_dense_layers_where_the_place_does_not_matter():
    """At full length, one layer of windows is 25 points and more above three dense ones on digits at random places."""
    task, nets = raw_input.placed_task(0), raw_input.image_nets(12)
    found = {
        name: raw_input.accuracy(raw_input.fit(task, nets[name], 0, 0.02, 100, Progress(), ""), task, slice(1297, None))
        for name in (DENSE3, WIDE)
    }
    assert found[WIDE] > found[DENSE3] + 0.1
    assert found[WIDE] > 0.5  # chance is 0.1


def made_up(dense1, dense3, small, wide, twice):
    """A part with these accuracies in percent, three seeds each."""
    nets = {
        name: {
            "parameters": 9,
            "rate": 0.02,
            "validation": [0.5],
            "accuracy": [v / 100, (v + 1) / 100, (v - 0.5) / 100],
        }
        for name, v in zip((DENSE1, DENSE3, SMALL, WIDE, TWICE), (dense1, dense3, small, wide, twice))
    }
    return {"rates": [0.005, 0.02, 0.08], "steps": 3, "nets": nets, "rules": {"most frequent": 0.4}}


KIND, DEPTH, STACK = made_up(70, 71, 80, 90, 91), made_up(70, 95, 80, 90, 91), made_up(50, 52, 55, 58, 90)


def verdict_of(**parts):
    measured = {raw_input.PREFIX + name: part for name, part in parts.items()}
    return only(show.raw_input.show(measured), Verdict)


def test_the_verdict_can_come_out_each_way():
    assert verdict_of(digits=KIND, placed=KIND, text=KIND).outcome == "does not hold"
    assert verdict_of(digits=DEPTH, text=STACK).outcome == "holds"  # dense depth is better; a second window decides
    mixed = verdict_of(digits=KIND, text=DEPTH)
    assert mixed.outcome == "holds if"
    assert mixed.condition == "It holds on syllables of a word. It does not hold on 8x8 digits."
    unclear = made_up(50, 52, 55, 58, 64)  # a second layer of windows gains as much as the first
    unclear["nets"][TWICE]["accuracy"][0] += 0.03
    assert verdict_of(digits=unclear).outcome == "not decided"


def test_what_is_said_is_short():
    wild = made_up(5, 0.5, 80, 99, 1)
    wild["nets"][TWICE]["accuracy"] = [0.0, 1.0, 0.5]
    for parts in ((KIND, KIND, KIND), (KIND, DEPTH, STACK), (wild, wild, wild)):
        measured = {raw_input.PREFIX + name: part for name, part in zip(show.raw_input.TITLES, parts)}
        assert too_long(show.raw_input.show(measured)) == []


def test_a_gain_is_paired_and_has_students_interval():
    part = made_up(70, 71, 80, 90, 91)
    part["nets"][WIDE]["accuracy"] = [0.80, 0.84, 0.81]
    part["nets"][DENSE3]["accuracy"] = [0.70, 0.72, 0.71]
    found = show.raw_input.gain(part, DENSE3, WIDE)
    sd = float(np.std([10, 12, 10], ddof=1))
    assert found.mean == pytest.approx(32 / 3)
    assert found.half == pytest.approx(4.302653 * sd / 3**0.5, rel=1e-5)
    assert found.sign == 1
    assert show.raw_input.gain(part, WIDE, DENSE3).sign == -1
    assert show.raw_input.Gain(1.0, 1.5).sign == 0


def test_what_is_shown_copes_with_absent_parts_and_warns_of_the_edge():
    assert show.raw_input.show({}) == []
    part = made_up(70, 71, 80, 90, 91)
    assert "edge" not in show.raw_input.show({"raw_input_text": part})[0].text
    part["nets"][WIDE]["rate"] = 0.08
    blocks = show.raw_input.show({"raw_input_text": part})
    assert f"edge of the grid for: {WIDE} (syllables of a word)" in blocks[0].text
    assert len(drawn(blocks)) == 1
    accuracies = next(block for block in blocks if isinstance(block, Table))
    assert accuracies.rows[-1] == ("syllables of a word", "rule: most frequent", "-", "-", "40.0")


def test_a_part_returns_plain_data(monkeypatch):
    monkeypatch.setattr(raw_input, "RATES", (0.02,))
    task, nets = raw_input.digits_task(0), {DENSE1: raw_input.image_nets(8)[DENSE1]}
    part = raw_input.compare(task, nets, 60, Settings(2, 0), Progress())
    found = part["nets"][DENSE1]
    assert found["parameters"] == 32 * 65 + 330
    assert found["rate"] == 0.02
    assert len(found["accuracy"]) == 2
    assert min(found["accuracy"]) > 0.6
    again = raw_input.compare(task, nets, 60, Settings(1, 1), Progress())["nets"][DENSE1]
    assert again["accuracy"] == found["accuracy"][1:]  # a seed's run does not depend on the others
