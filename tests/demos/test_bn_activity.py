"""The activity: both networks are treated alike, claims come out in small, and every verdict can come out the other way."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from shown import by_name, drawn, only, too_long

from demos.bn_activity import DEMO
from demos.bn_activity.measure import asked_for_mnist, experiments, own
from demos.bn_activity.measure import training as measure
from demos.bn_activity.measure.experiments import DIGITS_NET, MNIST_NET, checkpoints, split_digits, split_mnist
from demos.bn_activity.show import show
from demos.bn_activity.show.findings import findings
from demos.datasets import load_digits
from demos.lab.measure import stepping
from demos.lab.measure.part import Progress, Settings
from demos.lab.show import texts
from demos.lab.show.blocks import Plot, Table, Text, Verdict
from demos.lab.show.terminal import as_text
from tinygrad_bn import nn

SILENT = Progress()


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def train(experiment, problem, batch_norm, seeds, rates, at):
    return measure.train(experiment, problem, batch_norm, seeds, rates, problem.probe, at, SILENT, "")


# -- what both networks get ---------------------------------------------------------------------------------------------


def test_the_network_and_the_batches_are_the_papers():
    assert MNIST_NET.sizes == (784, 100, 100, 100, 10)
    assert (MNIST_NET.activation, MNIST_NET.optimizer, MNIST_NET.batch) == (nn.Sigmoid, "sgd", 60)


def test_each_seed_divides_the_digits_its_own_way_whatever_the_other_seeds_are(digits):
    two, one = split_digits(digits, [3, 4]), split_digits(digits, [4])
    assert two.rows.shape == (2, 997)
    assert two.validation.images.shape == (2, 300, 64)
    assert two.test.labels.shape == (2, 500)
    assert np.array_equal(two.rows[1], one.rows[0])
    assert np.array_equal(two.test.images[1], one.test.images[0])
    assert not np.array_equal(two.rows[0], two.rows[1])
    everything = np.concatenate([digits.labels[two.rows[0]], two.validation.labels[0], two.test.labels[0]])
    assert np.array_equal(np.bincount(everything), np.bincount(digits.labels))  # each image once


def test_little_data_is_drawn_by_the_seed_from_the_training_images(mnist):
    problem = split_mnist(mnist, [3, 4], training=3200)
    assert problem.rows.shape == (2, 3200)
    assert all(len(np.unique(rows)) == 3200 for rows in problem.rows)
    assert len(np.intersect1d(*problem.rows)) < 400  # 186 expected of two draws of 3200 from 55000
    assert problem.pool is mnist.train
    assert (len(problem.validation), len(problem.probe), problem.test) == (1667, 2500, mnist.test)


def test_held_out_images_are_of_both_kinds(mnist):
    ink = [part.images.mean() for part in (mnist.train, mnist.validation, split_mnist(mnist, [0]).validation)]
    assert max(ink) - min(ink) < 0.002  # images of even number have 0.016 less ink than those of odd number


def test_checkpoints_are_close_together_in_proportion():
    at = checkpoints(1500)
    gaps = np.diff(at)
    assert (at[0], at[-1], at[:3]) == (10, 1500, [10, 20, 30])
    assert all(0 < gap <= max(10, 0.04 * step) for gap, step in zip(gaps, at))
    assert checkpoints(25) == [10, 20, 25]


def test_a_rate_is_chosen_by_accuracy_and_among_equals_by_speed():
    rates = (0.1, 1.0, 10.0)
    assert measure.choose(rates, (0.5, 0.8, 0.97), (10, 20, 300), 300) == 10.0
    # One standard error at 0.97 with 300 images is 0.0098.
    assert measure.choose(rates, (0.5, 0.961, 0.97), (10, 20, 300), 300) == 1.0
    assert measure.choose(rates, (0.5, 0.959, 0.97), (10, 20, 300), 300) == 10.0
    assert measure.choose(rates, (0.96, 0.97, 0.965), (math.inf, math.inf, math.inf), 300) == 1.0
    assert measure.choose(rates, (0.97, 0.97, 0.97), (math.inf, math.inf, math.inf), 300) == 0.1


# -- training -----------------------------------------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(weights, x, y, orders, lr, batch_norm, test):
    """Accuracy after training with gradients derived by hand, in float64; BN's from section 3 of the paper."""
    w = [np.asarray(each, float) for each in weights]
    b = [np.zeros(each.shape[1]) for each in w]  # with BN, those of the hidden layers are β
    gamma, mean, var = ([np.full(each.shape[1], v) for each in w[:-1]] for v in (1.0, 0.0, 1.0))
    for rows in orders:
        h, m = [np.asarray(x[rows], float)], len(rows)
        normal, root = [], []
        for i in range(len(w) - 1):
            u = h[-1] @ w[i]
            if batch_norm:
                center, spread = u.mean(axis=0), u.var(axis=0)
                mean[i] += 0.1 * (center - mean[i])
                var[i] += 0.1 * (spread * m / (m - 1) - var[i])
                root.append(np.sqrt(spread + 1e-5))
                normal.append((u - center) / root[-1])
                u = gamma[i] * normal[-1]
            h.append(sigmoid(u + b[i]))
        scores = h[-1] @ w[-1] + b[-1]
        g = np.exp(scores - scores.max(axis=1, keepdims=True))
        g = (g / g.sum(axis=1, keepdims=True) - np.eye(scores.shape[1])[y[rows]]) / m
        for i in reversed(range(len(w))):
            into = g
            if i < len(w) - 1:
                g = g * h[i + 1] * (1 - h[i + 1])
                into = g
                if batch_norm:
                    n = normal[i]
                    into = gamma[i] / (m * root[i]) * (m * g - g.sum(axis=0) - n * (g * n).sum(axis=0))
                    gamma[i] = gamma[i] - lr * (g * n).sum(axis=0)
            b[i] -= lr * g.sum(axis=0)
            below = into @ w[i].T
            w[i] -= lr * h[i].T @ into
            g = below
    a = np.asarray(test.images, float)
    for i in range(len(w) - 1):
        u = a @ w[i]
        a = sigmoid((gamma[i] * (u - mean[i]) / np.sqrt(var[i] + 1e-5) if batch_norm else u) + b[i])
    return np.mean(np.argmax(a @ w[-1] + b[-1], axis=1) == test.labels)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_training_agrees_with_gradients_derived_by_hand(digits, batch_norm):
    experiment = replace(DIGITS_NET, sizes=(64, 30, 20, 10), std=0.3, steps=60)
    seeds = [5, 6]
    problem = split_digits(digits, seeds)
    runs = train(experiment, problem, batch_norm, seeds, [2.0, 0.5], [20, 60])
    assert runs.curve.shape == (2, 2)
    for copy, (seed, lr) in enumerate(zip(seeds, (2.0, 0.5))):
        weights = [w[0] for w in measure.copies.draw_weights(experiment.sizes, [seed], experiment.std)]
        drawn = measure.copies.batches(997, 60, [seed])
        orders = [problem.rows[copy, next(drawn)[0]] for _ in range(60)]
        test = replace(problem.test, images=problem.test.images[copy], labels=problem.test.labels[copy])
        for step, accuracy in zip((20, 60), runs.curve[copy]):
            expected = by_hand(weights, digits.images, digits.labels, orders[:step], lr, batch_norm, test)
            assert accuracy == pytest.approx(expected, abs=0.0041)  # float32 may turn two near ties of 500


def test_a_copy_that_diverges_is_counted_and_disturbs_no_other(digits):
    experiment = replace(DIGITS_NET, sizes=(64, 20, 10), activation=nn.ReLU, steps=30)
    pair, alone = split_digits(digits, [1, 2]), split_digits(digits, [2])
    both = train(experiment, pair, False, [1, 2], [1e30, 0.5], [10, 30])
    one = train(experiment, alone, False, [2], [0.5], [10, 30])
    assert both.diverged.tolist() == [True, False]
    assert both.curve[0, -1] < 0.2
    assert np.array_equal(both.curve[1], one.curve[0])


def test_with_bn_the_digits_are_learned_before_the_plain_network_starts(digits):
    # With rate 1: BN at step 200 is at 0.924 to 0.972 over ten seeds, and the plain network at step 400 at 0.35 to 0.75.
    problem = split_digits(digits, [7, 8])
    experiment = replace(DIGITS_NET, steps=300)
    plain, bn = (train(experiment, problem, on, [7, 8], [1.0, 1.0], [300]).final for on in (False, True))
    assert bn.min() > 0.90
    assert plain.max() < 0.75


def test_a_hundredfold_rate_suits_bn_only(digits):
    # Late accuracy of BN was 0.96 to 0.97 at all of 0.03 to 30; plain, at chance from 10 on.
    problem = split_digits(digits, [7, 7])
    experiment = replace(DIGITS_NET, steps=250)
    plain, bn = (train(experiment, problem, on, [7, 7], [0.3, 30.0], [250]).final for on in (False, True))
    assert bn.min() > 0.85
    assert plain.max() < 0.50


def test_against_a_strong_baseline_little_is_left(digits):
    # ReLU, He and Adam: differences over seeds were -0.002 ± 0.016 after 800 steps.
    strong = replace(experiments.controls(Settings(2))[0], steps=250)
    problem = split_digits(digits, [7, 8])
    plain, bn = (train(strong, problem, on, [7, 8], [0.003] * 2, [250]).final for on in (False, True))
    assert plain.min() > 0.93
    assert np.abs(bn - plain).max() < 0.04


def test_on_mnist_small_weights_keep_the_plain_network_at_the_start(mnist):
    # After 300 steps, with four seeds: BN 0.858 to 0.884 at rate 8, plain 0.228 to 0.369 at rate 4.
    experiment = replace(MNIST_NET, std=0.01, steps=300)
    problem = split_mnist(mnist, [11])
    plain = train(experiment, problem, False, [11], [4.0], [300]).final[0]
    bn = train(experiment, problem, True, [11], [8.0], [300]).final[0]
    assert bn > 0.80
    assert plain < 0.50


def test_a_comparison_is_json_with_every_seed_once_and_tuning_seeds_apart(digits):
    tiny = replace(DIGITS_NET, sizes=(64, 20, 10), rates=(1.0, 3.0), steps=40, tuning=2)
    measured = measure.compare(tiny, Settings(3, seed=50), SILENT)
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    assert measured["seeds"] == [50, 51, 52]
    assert not set(measured["seeds"]) & set(measured["tuning"])
    for arm in ("plain", "bn"):
        assert np.shape(measured[arm]["accuracy"]) == (3, len(measured["at"]))
        assert np.shape(measured[arm]["validation"]) == (2, 2)
        assert measured[arm]["rate"] in tiny.rates
        assert [run[-1] for run in measured[arm]["accuracy"]] == measured[arm][
            "final"
        ]  # the probe is the test set here
    assert measure.compare(replace(tiny, most=2), Settings(3, seed=50), SILENT)["seeds"] == [50, 51]


def test_the_cost_of_a_step_is_that_of_whole_steps_of_each_kind_once():
    tiny = replace(DIGITS_NET, sizes=(64, 20, 10))
    measured = measure.cost([tiny, replace(tiny, std=0.5), replace(tiny, optimizer="adam")], rounds=2)
    assert sorted(measured) == ["64 inputs, Sigmoid, adam", "64 inputs, Sigmoid, sgd"]
    for cost in measured.values():
        for each in (cost, cost["compiled"]):
            assert min(each["bn"], each["plain"], each["ratio"]) > 0
        assert cost["compiled"]["backend"] == stepping.usual()


def test_longer_runs_belong_to_their_flags():
    usual, long, full = Settings(5), Settings(5, flags=frozenset({"mnist"})), Settings(10, full=True)
    names = {part.name for part in DEMO.parts_for(usual)}
    assert names == {part.name for part in DEMO.parts} - {"mnist_small_weights"}
    assert names < {part.name for part in DEMO.parts_for(long)} == {part.name for part in DEMO.parts_for(full)}
    assert (asked_for_mnist(usual), asked_for_mnist(long), asked_for_mnist(full)) == (False, True, True)
    steps = [experiments.mnist_small_weights(settings)[0].steps for settings in (usual, long, full)]
    assert steps == sorted(set(steps))
    assert experiments.digits(full)[0].steps == 2 * experiments.digits(usual)[0].steps


# -- what is shown: made-up measurements --------------------------------------------------------------------------------


def made_up(
    label="digits", plain=(100, 110, 120), bn=(10, 20, 30), gain=(0.018, 0.02, 0.022), working=(1, 3), rates=None
):
    """A comparison where each network is at 0.5, and from these steps on (``None``: never) at 0.95."""
    at = list(range(10, 201, 10))

    def arm(steps, count, final):
        curves = [[0.5 if first is None or step < first else 0.95 for step in at] for first in steps]
        validation = [[0.95 if i < count else 0.1] for i in range(3)]
        return {"validation": validation, "rate": 1.0, "accuracy": curves, "final": final, "diverged": 0}

    return {
        "label": label, "kind": "k", "steps": 200, "at": at, "targets": [0.9], "rates": [0.1, 1.0, 10.0],
        "seeds": list(range(len(plain))), "tuning": [100],
        "plain": arm(plain, working[0], [0.9] * len(plain)), "bn": arm(bn, working[1], [0.9 + g for g in gain]),
    }  # fmt: skip


def shown(*comparisons, ratio=2.0):
    measured = {"digits": {"comparisons": list(comparisons)}}
    if ratio is not None:
        measured["cost"] = {"k": {"plain": 0.001, "bn": 0.001 * ratio, "ratio": ratio}}
    return show(measured)


def verdicts(*comparisons, ratio=2.0):
    return by_name(shown(*comparisons, ratio=ratio), Verdict)


GOOD = made_up()
BAD = made_up("hard", plain=(10, 20, 30), bn=(100, 110, 120), gain=(-0.018, -0.02, -0.022), working=(3, 1))


OPEN = made_up("chance", plain=(10, 50, 190), bn=(190, 50, 10), gain=(-0.02, 0.0, 0.03), working=(2, 2))


def test_every_verdict_can_come_out_each_way():
    for name in ("faster_steps", "faster_cpu", "stable_rates", "better_accuracy"):
        assert verdicts(GOOD)[name].outcome == "holds"
        assert verdicts(BAD)[name].outcome == "does not hold"
        assert verdicts(OPEN, ratio=1.0)[name].outcome == "not decided"
        mixed = verdicts(GOOD, BAD, OPEN, ratio=1.1)[name]
        assert mixed.outcome == "holds if"
        assert mixed.condition.startswith("It holds on digits. It does not hold on hard. It is not decided on chance")


def test_two_seeds_that_disagree_are_too_few_to_say_no():
    few = made_up(gain=(0.092, 0.116), plain=(100, 110), bn=(10, 20))
    apart = made_up(gain=(0.09, 0.118, -0.02), plain=(100, 110), bn=(10, 20))
    apart["bn"]["final"] = apart["bn"]["final"][:1] + apart["bn"]["final"][2:]  # gains of 9 and of -2 points
    (case,) = verdicts(apart)["better_accuracy"].cases
    assert case.answer == "open"
    assert case.effect == pytest.approx(3.5)
    assert verdicts(apart)["better_accuracy"].outcome == "not decided"
    assert f"{case.seeds_needed} seeds could decide it" in verdicts(apart)["better_accuracy"].condition
    assert verdicts(few)["better_accuracy"].outcome in ("holds", "not decided")


def test_as_many_learning_rates_are_no_answer():
    def tied(name):
        return made_up(name, working=(2, 2))

    assert verdicts(GOOD, made_up("two"))["stable_rates"].outcome == "holds"
    assert verdicts(GOOD, tied("tie"))["stable_rates"].condition == "It holds on digits. It is not decided on tie."
    assert verdicts(tied("tie"))["stable_rates"].outcome == "not decided"
    assert verdicts(BAD, tied("tie"))["stable_rates"].outcome == "does not hold"


def test_what_steps_save_their_cost_can_eat_up():
    close = made_up(bn=(60, 60, 60))
    assert verdicts(close)["faster_steps"].outcome == "holds"
    assert verdicts(close, ratio=2.5)["faster_cpu"].outcome == "does not hold"
    assert verdicts(close, ratio=1.1)["faster_cpu"].outcome == "holds"
    assert "faster_cpu" not in verdicts(close, ratio=None)


def test_a_difference_within_chance_is_not_called_one():
    found = verdicts(OPEN)["better_accuracy"]
    assert "+0.3 ± " in found.measured
    assert found.condition.startswith("It is not decided: ")


def test_the_ends_are_told_with_their_settings():
    found = verdicts(GOOD, made_up("MNIST"), made_up("MNIST cut"), BAD)
    # 20 steps instead of 110, and 110 instead of 20
    assert found["faster_steps"].measured == (
        "The share of steps saved ranges from 82 % [75, 90] on digits to -450 % [-900, -300] on hard. "
        "The whole interval is above 0 in 3 of 4 comparisons."
    )
    assert (
        found["better_accuracy"].condition
        == "It holds on digits, on MNIST and on MNIST with cut. It does not hold on hard."
    )


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("digits N(0, 0.1)", "on digits with weights from N(0, 0.1)"),
        ("digits Xavier", "on digits with Xavier's weights"),
        ("digits ReLU + Adam", "on digits with ReLU and Adam"),
        ("MNIST 3,200 images", "on 3,200 images of MNIST"),
        ("digits", "on digits"),
    ],
)
def test_a_setting_ends_a_sentence(label, place):
    (f,) = findings({"digits": {"comparisons": [made_up(label)]}})
    assert f.place == place


def test_what_it_says_is_short_however_many_settings_there_are():
    never = made_up("digits ReLU + Adam", bn=(None, None, 10), gain=(-0.5, 0.0, 0.5))
    for many in ([GOOD], [BAD], [GOOD, BAD, never], [made_up(f"digits {i} of a long name", gain=(0.1 * (-1) ** i,) * 3,
                 bn=((10, 150)[i % 2],) * 3, working=((1, 3), (3, 1))[i % 2]) for i in range(15)]):  # fmt: skip
        assert too_long(shown(*many)) == []
    assert (
        verdicts(*many)["faster_steps"].condition
        == "It holds in 8 of 15 comparisons. It does not hold in 7 of 15 comparisons."
    )


def test_a_plain_network_that_never_gets_there_counts_as_if_with_its_last_step():
    (f,) = findings({"digits": {"comparisons": [made_up(plain=(None, None, 120), bn=(50, 50, 50))]}})
    share = f.steps_saved(0.9)
    assert (share.value, share.least, share.clear) == (0.75, True, True)
    assert str(share).startswith(">= 75 %")
    assert f.cpu_saved(0.9) is None  # a step's cost was not measured


def test_bn_that_never_gets_there_saves_nothing():
    never = made_up(bn=(None, None, 10))
    (f,) = findings({"digits": {"comparisons": [never]}})
    assert f.steps_saved(0.9) is None
    assert verdicts(never)["faster_steps"].outcome == "not decided"  # one of three seeds gets there, and sooner
    assert verdicts(made_up(bn=(None, None, None)))["faster_steps"].outcome == "does not hold"
    assert "BN does not get there" in as_text(shown(never))


def test_tables_give_unreached_targets_counts_and_edges():
    odd = made_up(plain=(None, None, 120))
    odd["bn"]["rate"], odd["plain"]["diverged"] = 10.0, 2
    blocks = shown(odd)
    tables = by_name(blocks, Table)
    assert tables["steps"].rows[0][2].startswith("never")
    assert tables["steps"].rows[0][2].endswith("1/3")
    assert tables["cpu"].rows[0][5:7] == ("never", "0.04")
    assert tables["accuracy"].rows[0][-1] == "+2.00 ± 0.50"  # t of 2 degrees of freedom 4.303, times 0.2 / sqrt(3)
    texts = " ".join(block.text for block in blocks if isinstance(block, Text))
    assert "edge of the grid for digits with BN (10)" in texts
    assert "not finite): digits plain (2)" in texts
    assert "still rising" not in texts
    assert "still rising by more than a point at the end for digits plain" in as_text(
        shown(made_up(plain=(190, 190, 190)))
    )


def test_show_copes_with_parts_that_did_not_run():
    assert show({}) == []
    assert show({"cost": {"k": {"plain": 0.001, "bn": 0.002, "ratio": 2.0}}}) == []
    assert set(by_name(shown(GOOD, ratio=None), Plot)) == {
        "curves", "rates", "saved", "gain",
    }  # fmt: skip


def test_all_pictures_can_be_drawn_whatever_was_measured():
    pytest.importorskip("matplotlib")
    never = made_up("none", plain=(None, None, None), bn=(None, None, None), gain=(0.3, 0.5, 0.4))
    for blocks in (shown(GOOD, BAD, never), shown(never, ratio=None)):
        assert drawn(blocks)


def chosen(**given):
    return {option.name: given.get(option.name, option.default) for option in own.OPTIONS}


def test_a_setting_of_ones_own_becomes_an_experiment():
    deep = own.experiment(chosen(depth=8, activation="relu", rates=(0.1, 1.0), optimizer="adam", batch=20, width=50))
    assert (deep.sizes, deep.std, deep.activation) == ((64, *[50] * 8, 10), "he", nn.ReLU)
    assert (deep.rates, deep.optimizer, deep.batch) == ((0.1, 1.0), "adam", 20)
    assert deep.label == "digits 8 relu layers of 50, He + Adam, batches of 20"
    images = own.experiment(chosen(data="mnist", weights=0.1, targets=(0.8, 0.9)))
    assert (images.sizes, images.std, images.targets) == ((784, 100, 100, 100, 10), 0.1, (0.9, 0.8))
    assert images.label == "MNIST 3 sigmoid layers of 100, N(0, 0.1)"
    assert own.experiment(chosen(depth=1)).label == "digits 1 sigmoid layer of 100, Xavier"
    assert own.complaint(chosen(batch=998)).startswith("argument --batch: digits has 997 images to train on")
    assert own.complaint(chosen(batch=997)) == own.complaint(chosen(batch=998, data="mnist")) == ""


def test_the_batch_that_was_chosen_is_the_one_that_is_trained_on(digits, monkeypatch):
    seen, draw = [], measure.copies.batches
    monkeypatch.setattr(
        measure.copies, "batches", lambda rows, size, seeds: seen.append(size) or draw(rows, size, seeds)
    )
    settings = Settings(2, own=chosen(width=10, steps=30, batch=17, rates=(1.0,)))
    shown = DEMO.show({"own": own.comparison(settings, SILENT)})
    assert seen == [17] * 4
    assert len([block for block in shown if isinstance(block, Verdict)]) == 3  # a step's cost was not measured


def test_mnist_has_as_many_images_as_the_option_says(mnist):
    assert len(mnist.train) == own.IMAGES["mnist"]


def test_the_price_of_compiled_steps_stands_beside_that_of_eager_ones():
    def heads(cost):
        blocks = show({"digits": {"comparisons": [GOOD]}, "cost": {"k": cost}})
        table = only(blocks, Table, "cpu")
        return dict(zip(table.head, table.rows[0])) | {"caption": table.caption}

    eager = {"plain": 0.001, "bn": 0.002, "ratio": 2.0}
    assert "ratio, compiled" not in heads(eager)
    both = heads({**eager, "compiled": {"backend": "c", "plain": 0.0005, "bn": 0.0006, "ratio": 1.2}})
    assert (both["ratio"], both["ratio, compiled"]) == ("2.00", "1.20")
    assert "costs 2.0 times as much, or 1.2 times if compiled" in both["caption"]
    assert both["CPU time saved"] == heads(eager)["CPU time saved"]  # which is at the price of eager steps


def test_the_price_in_words():
    assert texts.price_text([1.84, 2.2], [1.1, 1.32]) == "1.8 to 2.2 times as much, or 1.1 to 1.3 times if compiled"
    assert texts.price_text([2.0], []) == "2.0 times as much"
