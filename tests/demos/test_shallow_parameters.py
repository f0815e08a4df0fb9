"""Shallow against deep, row 3: the networks are as large as said, the targets what they are called, the rule can fail."""

import math

import numpy as np
import pytest
import torch
from shown import by_name, drawn, only, too_long

from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Table, Verdict
from demos.shallow_vs_deep import show
from demos.shallow_vs_deep.measure import parameters, trees
from tinygrad_bn import nn


def by_hand(name, x):
    """The target at one point, in Python's floats."""
    if name == "compositional":
        while len(x) > 1:
            x = [math.tanh(a + b + 2 * a * b) for a, b in zip(x[::2], x[1::2])]
        return x[0]
    return math.sin(2 * sum(a * a for a in x)) if name == "radial" else sum(math.sin(2.5 * a) for a in x)


@pytest.mark.parametrize("name", parameters.TARGETS)
def test_targets(name):
    x = np.random.default_rng(0).uniform(-1, 1, (5, 8))
    expected = [by_hand(name, row.tolist()) for row in x]
    np.testing.assert_allclose(parameters.TARGETS[name](x), expected, rtol=1e-12)


def test_a_function_task_is_standardized_and_its_rows_are_used_once():
    task = parameters.function_task(parameters.additive, 3, rows=900, held_out=300)
    x = np.concatenate([rows[0] for rows in (task.train, task.validation, task.test)])
    y = np.concatenate([rows[1] for rows in (task.train, task.validation, task.test)])
    assert x.shape == (1500, 8)
    assert y.shape == (1500, 1)
    assert len(np.unique(x[:, 0])) > 1490
    assert abs(y.mean()) < 1e-5
    assert abs(y.std() - 1) < 1e-5


def test_the_digits_are_split_without_overlap():
    task = parameters.digits_task(5)
    assert [len(rows[1]) for rows in (task.train, task.validation, task.test)] == [997, 300, 500]
    all_labels = np.concatenate([rows[1] for rows in (task.train, task.validation, task.test)])
    assert np.array_equal(
        np.bincount(all_labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    )  # of the whole set


@pytest.mark.parametrize("budget", [75, 150, 600, 800])
@pytest.mark.parametrize("name", [*parameters.DEPTHS, parameters.TREE])
def test_networks_are_as_large_as_the_budget_allows(name, budget):
    chosen = parameters.net(name, 8, 1, budget)
    model = chosen.build([0, 1])
    assert sum(p.data.size for p in model.parameters()) == 2 * chosen.parameters <= 2 * budget
    units = chosen.widths[-1] + 1
    wider = trees.tree(units, [0]) if name == parameters.TREE else None
    if wider is None:
        sizes = [8, *[units] * len(chosen.widths), 1]
        wider = nn.Sequential(*(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])))  # noqa: RUF007
    assert sum(p.data.size for p in wider.parameters()) > budget


def test_a_node_of_the_tree_sees_its_two_neighbors_only():
    """The network against a loop over nodes in PyTorch: values and, for a random cotangent, all gradients."""
    rng = np.random.default_rng(1)
    model = trees.tree(3, [4, 9], np.float64)
    for p in model.parameters():
        p.data = rng.standard_normal(p.shape)
    x, cotangent = rng.standard_normal((5, 8)), rng.standard_normal((2, 5, 1))
    y = model(x)
    y.backward(cotangent)

    leaves = [torch.tensor(p.data.copy(), requires_grad=True) for p in model.parameters()]
    outputs = []
    for copy in range(2):
        values = [torch.tensor(x[:, [i]]) for i in range(8)]
        for weight, bias in zip(leaves[0:6:2], leaves[1:6:2]):
            values = [
                torch.relu(torch.cat(values[2 * node : 2 * node + 2], dim=1) @ weight[copy, node] + bias[copy, node])
                for node in range(weight.shape[1])
            ]
        outputs.append(values[0] @ leaves[6][copy] + leaves[7][copy])
    expected = torch.stack(outputs)
    (expected * torch.tensor(cotangent)).sum().backward()
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12)
    for p, leaf in zip(model.parameters(), leaves):
        np.testing.assert_allclose(p.grad.data, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_a_copy_does_not_depend_on_the_others():
    task = parameters.function_task(parameters.radial, 0, rows=500, held_out=100)
    for name in ("depth 2", parameters.TREE):
        net = parameters.net(name, 8, 1, 150)
        both = parameters.errors(task, task.test, net, [7, 8], [0.03, 0.01], 30, Progress(), "")
        alone = parameters.errors(task, task.test, net, [8], [0.01], 30, Progress(), "")
        np.testing.assert_allclose(both[1], alone[0], rtol=2e-4)  # float32, and the step is scaled in another place


def test_a_constant_has_the_error_one_and_so_has_divergence():
    y = np.random.default_rng(0).standard_normal((50, 1))
    outputs = np.stack([np.full_like(y, y.mean()), y, np.full_like(y, np.nan)])
    np.testing.assert_allclose(parameters.relative_error(outputs, y), [1, 0, 1], atol=1e-12)
    scores = np.eye(10)[None, [1, 2, 3]]
    assert parameters.share_wrong(scores, np.array([1, 2, 4])) == pytest.approx(1 / 3)


def test_depth_helps_where_there_is_something_to_compose_and_hurts_where_not():
    """At full length the deep error by the shallow one is 0.6 (compositional) and 1.7 or more (additive)."""
    ratio = {}
    for name in ("compositional", "additive"):
        task = parameters.function_task(parameters.TARGETS[name], 0, rows=6000)
        one, two = (
            parameters.errors(
                task, task.test, parameters.net(net, 8, 1, 600), [0, 1, 2], [0.06] * 3, 600, Progress(), ""
            )
            for net in ("depth 1", "depth 2")
        )
        ratio[name] = float(np.exp(np.log(two / one).mean()))
    assert ratio["compositional"] < 0.85
    assert ratio["additive"] > 1.3


def run(error, parameters=600, rate=0.03, validation=(0.5, 0.4, 0.6), widths=(9,)):
    return {
        "budget": 600, "parameters": parameters, "widths": list(widths), "rate": rate,
        "validation": list(validation), "error": list(error),
    }  # fmt: skip


def made_up(shallow, deep):
    """A part with these errors at the larger budget."""
    start = [0.95, 0.96, 0.94]
    nets = {
        "depth 1": [run(start, 100), run(shallow)],
        "depth 2": [run(start, 100), run(deep)],
        "depth 3": [run(start, 100), run([0.9, 0.9, 0.9], validation=(0.9, 0.9, 0.9))],
    }
    return {"rates": [0.01, 0.03, 0.1], "steps": 10, "nets": nets}


BETTER, WORSE = ([0.8, 0.82, 0.81], [0.4, 0.42, 0.41]), ([0.4, 0.42, 0.41], [0.8, 0.82, 0.81])


def test_the_ratio_and_its_interval():
    found = show.parameters.duel("radial", made_up([0.8, 0.8, 0.8], [0.4, 0.4, 0.2]))
    logs = [math.log(0.5), math.log(0.5), math.log(0.25)]
    mean = sum(logs) / 3
    half = 4.302653 * math.sqrt(sum((value - mean) ** 2 for value in logs) / 2 / 3)  # t, two degrees of freedom, 97.5 %
    np.testing.assert_allclose(
        [found.ratio, found.low, found.high], np.exp([mean, mean - half, mean + half]), rtol=1e-5
    )
    assert found.name == "depth 2"  # the better on the validation rows
    assert found.winner == "neither"


def verdict_of(**tasks):
    measured = {parameters.PREFIX + task: made_up(*errors) for task, errors in tasks.items()}
    return only(show.parameters.show(measured), Verdict)


def test_the_verdict_can_come_out_each_way():
    assert verdict_of(radial=BETTER, additive=BETTER).outcome == "holds"
    assert verdict_of(radial=WORSE, additive=WORSE).outcome == "does not hold"
    mixed = verdict_of(compositional=WORSE, additive=BETTER)
    assert mixed.outcome == "holds if"
    assert mixed.condition == "It holds on the additive task. It does not hold on the compositional task."
    unclear = ([0.4, 0.6, 0.5], [0.5, 0.4, 0.6])
    assert verdict_of(radial=unclear).outcome == "not decided"


def test_what_is_said_is_short():
    wild = ([0.001, 0.9, 0.5], [0.9, 0.001, 0.5])
    for errors in ((BETTER,) * 4, (BETTER, WORSE, BETTER, WORSE), (wild,) * 4, (WORSE,) * 4):
        names = (*parameters.TARGETS, "digits")
        measured = {parameters.PREFIX + name: made_up(*pair) for name, pair in zip(names, errors)}
        assert too_long(show.parameters.show(measured)) == []


def test_parameters_needed():
    runs = [run([4 / n], n) for n in (10, 100, 1000)]  # the error is 4 / parameters
    assert show.parameters.needed(runs, 4 / 250) == "250"
    assert show.parameters.needed(runs, 0.5) == "at most 10"
    assert show.parameters.needed(runs, 0.001) == "more than 1,000"


def test_what_is_shown_copes_with_absent_parts_and_warns_of_the_edge():
    assert show.parameters.show({}) == []
    part = made_up(*BETTER)
    assert "edge" not in show.parameters.show({"parameters_digits": part})[0].text
    part["nets"]["depth 2"][1]["rate"] = 0.1
    blocks = show.parameters.show({"parameters_digits": part})
    assert "edge of the grid for depth 2 on digits (600)" in blocks[0].text
    assert len(drawn(blocks)) == 1
    assert list(by_name(blocks, Table)) == [
        "parameters_error", "parameters_needed", "parameters_ratio"
    ]  # fmt: skip


def test_the_part_for_digits_returns_plain_data(monkeypatch):
    monkeypatch.setattr(parameters, "DIGIT_RATES", (0.03,))
    task = parameters.digits_task(0)
    part = parameters.compare(task, ["depth 1"], (800,), 150, Settings(2, 0), Progress())
    (only,) = part["nets"]["depth 1"]
    assert only["parameters"] == 760
    assert only["widths"] == [10]
    assert len(only["error"]) == 4
    assert max(only["error"]) < 0.4  # chance is 0.9; 0.057 is what it comes to in the end
