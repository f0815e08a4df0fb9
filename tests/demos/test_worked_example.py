"""The worked example: the lecture's numbers, the closed form, and verdicts that could have come out the other way."""

import copy
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from shown import attached, by_name, drawn, only, too_long

from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Attachment, Code, Drawing, Table, Text, Verdict
from demos.lab.show.terminal import as_text
from demos.worked_example import DEMO, measure, show


@pytest.fixture(scope="module")
def measured():
    found = {part.name: part.measure(Settings(1), Progress()) for part in DEMO.parts}
    return json.loads(json.dumps(found, allow_nan=False))


@pytest.fixture
def changed(measured):
    return copy.deepcopy(measured)


def verdict(measured, name):
    return only(show.show(measured), Verdict, name)


def table(measured, name):
    return only(show.show(measured), Table, name)


# -- what is measured ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["tensor", "scalar"])
def test_every_intermediate_is_numpys(measured, engine):
    x = np.arange(1.0, 5.0)
    for name, (ddof, eps) in measure.CONVENTIONS.items():
        found = measured["steps"]["unbiased"] if ddof else measured["steps"]["forward"][engine][name]
        sigma = np.sqrt(x.var(ddof=ddof) + eps)
        expected = {"mu": x.mean(), "sigma": sigma, "x_hat": (x - x.mean()) / sigma, "z": (x - x.mean()) / sigma}
        for key, values in expected.items():
            assert_allclose(found[key], np.atleast_1d(values), rtol=1e-14)


@pytest.mark.parametrize(("name", "eps"), [("0", 0.0), ("1e-05", 1e-5)])
def test_gradients_are_torchs(measured, name, eps):
    x = torch.tensor(measure.X, requires_grad=True)
    gamma, beta = torch.ones(1, dtype=float, requires_grad=True), torch.zeros(1, dtype=float, requires_grad=True)
    y = gamma * (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps) + beta  # its batch_norm refuses eps = 0
    y.backward(torch.tensor(measure.DY))
    expected = [*x.grad.ravel().tolist(), gamma.grad.item(), beta.grad.item()]
    for engine in ("tensor", "scalar", "closed"):
        assert_allclose(measured["steps"]["backward"][name][engine], expected, rtol=0, atol=1e-14)


def test_the_closed_form_with_other_scales_and_cotangents_is_torchs():
    rng = np.random.default_rng(1)
    data, dy = rng.standard_normal((7, 1)), rng.standard_normal((7, 1))
    x, gamma = torch.tensor(data, requires_grad=True), torch.tensor([1.7], dtype=float, requires_grad=True)
    torch.nn.functional.batch_norm(x, None, None, gamma, None, True, eps=1e-3).backward(torch.tensor(dy))
    dx, d_gamma, d_beta = measure.closed_form(data, dy, 1.7, 1e-3)
    assert_allclose(dx, x.grad.numpy(), atol=1e-14)
    assert_allclose([d_gamma, d_beta], [gamma.grad.item(), dy.sum()], atol=1e-13)


def test_running_statistics_and_evaluation_are_torchs(measured):
    layer = torch.nn.BatchNorm1d(1, dtype=float)
    for batch in range(1, 11):
        layer.train()(torch.tensor(measure.X))
        if batch in (1, 10):
            found = measured["layer"]["running"][str(batch)]
            assert_allclose(found["running_mean"], layer.running_mean, rtol=1e-13)
            assert_allclose(found["running_var"], layer.running_var, rtol=1e-13)
            assert_allclose(found["evaluation"], layer.eval()(torch.tensor(measure.X)).detach().ravel(), rtol=1e-12)
    assert_allclose(measured["layer"]["running"]["1"]["running_var"], 1.066667, atol=5e-7)


def test_sums_of_gradients_vanish_as_the_theory_says(measured):
    for eps, at in measured["layer"]["sums"].items():
        assert abs(at["dx"]) < 1e-15
        assert_allclose(at["dx_x_hat"], at["without_normalization"] * at["share"], atol=1e-15)
        assert (abs(at["dx_x_hat"]) < 1e-15) == (eps == "0")
    losses = measured["layer"]["losses"]
    assert losses["sum of z"] < 1e-14 < losses["sum of z²"] < 1e-3 < losses["random combination of z"]


def test_a_constant_batch_needs_epsilon(measured):
    assert measured["steps"]["constant"] == {"0": [None] * 4, "1e-05": [0.0] * 4}


def test_the_source_shown_is_the_program_that_ran(measured):
    names = {}
    exec(measured["steps"]["source"], {**vars(measure)}, names)
    again = names["normalize"](*measure.tensors(), 0.0)
    assert measure.numbers(again["z"]) == measured["steps"]["forward"]["tensor"][show.PLAIN]["z"]


def test_the_pictures_hold_the_values_of_every_step(measured):
    text = measured["graphs"]["tensor"]["text"]
    for value in ("2.5", "1.118", "-1.3416  -0.4472  0.4472  1.3416", "0.2683  -0.3578  -0.0894  0.1789"):
        assert value in text
    # on both sides x̂, γ x̂ and z, once with either sign, and the gradient of γ
    assert text.count("1.3416") == measured["graphs"]["scalar"]["text"].count("1.3416") == 7


# -- verdicts -----------------------------------------------------------------------------------------------------------


def test_the_lectures_numbers_hold_and_m_is_not_the_number_of_neurons(measured):
    assert verdict(measured, "worked_values").outcome == "holds"
    assert verdict(measured, "batch_size_m").outcome == "does not hold"
    assert [row[-1] for row in table(measured, "conventions").rows] == [
        "10 of 10",
        "10 of 10",
        "2 of 10",
        "1 of 10",
        "2 of 4 x̂",
    ]


def test_other_numbers_would_not_hold(changed):
    for engine in ("tensor", "scalar"):
        changed["steps"]["forward"][engine][show.PLAIN]["z"][2] = 0.4473
    assert verdict(changed, "worked_values").outcome == "holds if"
    assert verdict(changed, "worked_values").condition.startswith("It holds computed with 1/m, ε = 1e-5.")
    for convention in measure.CONVENTIONS:
        if convention in changed["steps"]["forward"]["tensor"]:
            changed["steps"]["forward"]["tensor"][convention]["sigma"] = [1.2]
    assert verdict(changed, "worked_values").outcome == "does not hold"


def test_where_the_engines_differ_it_is_not_decided(changed):
    for convention in (show.PLAIN, show.LAYER):
        changed["steps"]["forward"]["scalar"][convention]["mu"] = [2.6]
    assert verdict(changed, "worked_values").outcome == "not decided"


def test_a_lecture_that_rounded_otherwise_is_noticed(measured, monkeypatch):
    monkeypatch.setitem(show.LECTURE, "sigma", ("1.119",))
    assert verdict(measured, "worked_values").outcome == "does not hold"


def test_m_neurons_can_come_out_right(changed):
    part = changed["m"]
    right = {"mean": 1e-15, "variance": 1e-12}
    part["neurons"]["4x3"] = right
    assert [case.answer for case in verdict(changed, "batch_size_m").cases] == ["open", "no", "no"]  # so do rows
    for shape in show.shape_names():
        part["neurons"][shape] = right
    assert verdict(changed, "batch_size_m").outcome == "not decided"
    part["rows"]["60x100"] = {"mean": 0.1, "variance": 0.0}
    assert verdict(changed, "batch_size_m").outcome == "holds if"
    for shape in show.shape_names():
        part["rows"][shape] = part["rows"]["60x100"]
    assert verdict(changed, "batch_size_m").outcome == "holds"
    part["neurons"]["as neurons"] = part["neurons"]["as rows"] = [0.0]
    assert verdict(changed, "batch_size_m").outcome != "holds"


@pytest.mark.parametrize("seed", [1000, 2000])
def test_other_seeds_give_the_same_verdict(seed):
    part = measure.what_m_is(Settings(1, seed), Progress())
    assert show.m_verdict(part).outcome == "does not hold"
    assert show.normalized_shapes(part["neurons, rows summed"]) == ["4x4"]


@pytest.mark.parametrize(
    ("value", "printed", "same"),
    [
        (1.34164, "1.3416", True),
        (1.34166, "1.3416", False),
        (-0.44721, "-0.4472", True),
        (2.5, "2.5", True),
        (2.46, "2.5", True),
    ],
)
def test_rounding_as_printed(value, printed, same):
    assert show.rounds_to(value, printed) is same


# -- showing ------------------------------------------------------------------------------------------------------------


def test_everything_is_shown(measured, tmp_path):
    blocks = show.show(measured)
    drawings = by_name(blocks, Drawing)
    assert list(drawings) == ["tensor", "scalar", "backward"]
    for drawing in drawings.values():
        assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")
    assert b"1.3416" in attached(blocks, tmp_path)
    assert len(drawn(blocks)) == 1
    assert max(map(len, as_text(blocks).splitlines())) < 125


def test_what_it_says_is_short(measured, changed):
    part = changed["m"]
    part["neurons"]["4x3"] = {"mean": 0.0, "variance": 0.0}
    part["rows"]["4x3"] = {"mean": 0.5, "variance": 0.0}
    for engine in ("tensor", "scalar"):
        changed["steps"]["forward"][engine][show.PLAIN]["z"][2] = 0.4473
    assert {verdict(changed, name).outcome for name in ("worked_values", "batch_size_m")} == {"holds if"}
    for found in (measured, changed):
        assert too_long(show.show(found)) == []


def test_without_a_layout_program_graphs_are_text(measured, without_layout):
    blocks = show.show(measured)
    assert not [block for block in blocks if isinstance(block, (Drawing, Attachment))]
    assert measured["graphs"]["scalar"]["text"] in [block.text for block in blocks if isinstance(block, Code)]
    assert any("no layout program" in block.text for block in blocks if isinstance(block, Text))
    assert any("batch_norm.html was not written" in block.text for block in blocks if isinstance(block, Text))


def test_parts_may_be_absent(measured):
    assert show.show({}) == []
    for name in measured:
        assert show.show({name: measured[name]})
