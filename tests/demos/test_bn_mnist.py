"""The MNIST demo: a fair race, claims that hold in small, and a command line that explains itself."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from demos import bn_mnist
from demos.bn_mnist import (
    BATCH,
    NETWORKS,
    SIZES,
    TUNED,
    Runner,
    accuracy,
    batches,
    build,
    draw_weights,
    enter,
    main,
    race,
    spread,
    sweep_table,
    table,
    verdicts,
    write_picture,
)
from demos.datasets import DatasetError, Splits, load_mnist
from tinygrad_bn import graph

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


@pytest.fixture
def few(mnist, monkeypatch):
    """MNIST cut short, so that the command line runs in a moment; the demo loads this instead."""
    data = Splits(mnist.train[:600], mnist.validation[:100], mnist.test[:200])
    monkeypatch.setattr(bn_mnist, "load_mnist", lambda: data)
    return data


def runner(network, std, seed, curve, final=None, cpu=None):
    """A finished runner with invented measurements."""
    cpu = cpu or [0.001 * steps for steps, _ in curve]
    return Runner(network, std, 2.0, seed, None, None, curve, cpu, cpu[-1], curve[-1][0], final=final)


def test_sizes_are_the_papers():
    assert SIZES == (784, 100, 100, 100, 10)
    assert BATCH == 60


# -- the race -------------------------------------------------------------------------------------------------------


def test_both_networks_start_from_the_same_weights():
    plain, bn = (enter(network, 0.1, 2.0, 7) for network in NETWORKS)
    matrices = [[p.data for p in r.model.parameters() if p.data.ndim == 2] for r in (plain, bn)]
    assert [m.shape for m in matrices[0]] == [(100, 784), (100, 100), (100, 100), (10, 100)]
    assert all(np.array_equal(a, b) for a, b in zip(*matrices))
    assert 0.098 < matrices[0][0].std() < 0.102
    vectors = {name: p.data for name, p in bn.model.named_parameters() if p.data.ndim == 1}
    assert sorted(set(map(len, vectors.values()))) == [10, 100]
    assert len(vectors) == 3 * 2 + 1  # γ and β of three layers, one bias: the hidden ones are β's work
    assert not np.any([p.data.any() for n, p in plain.model.named_parameters() if n.endswith("bias")])


def test_other_widths_scale_the_same_draw_and_other_seeds_draw_anew():
    wide, narrow = draw_weights(3, 0.1), draw_weights(3, 0.01)
    assert np.allclose(wide[0], 10 * narrow[0], rtol=1e-6)
    assert not np.allclose(wide[0], draw_weights(4, 0.1)[0])


def test_an_epoch_uses_every_row_once_and_drops_the_short_batch():
    drawn = batches(3 * BATCH + 7, seed=1)
    first, second = ([next(drawn) for _ in range(3)] for _ in range(2))
    for epoch in (first, second):
        assert {len(rows) for rows in epoch} == {BATCH}
        assert len(np.unique(np.concatenate(epoch))) == 3 * BATCH
    assert not np.array_equal(first, second)
    again = batches(3 * BATCH + 7, seed=1)
    assert np.array_equal(first, [next(again) for _ in range(3)])


def test_fewer_rows_than_a_batch_is_an_error_rather_than_an_endless_search():
    with pytest.raises(ValueError, match="59 rows"):
        next(batches(BATCH - 1, seed=1))


def test_a_network_trains_the_same_alone_or_in_company(mnist):
    def weights(networks):
        runners = [enter(network, 0.1, 2.0, 5) for network in networks]
        race(runners, mnist.train, 5, mnist.validation[:50], 10, range(1, 21))
        return runners[-1].model.state_dict()

    alone, together = weights(["with BN"]), weights(NETWORKS)
    assert all(np.array_equal(alone[name], together[name]) for name in alone)


def test_accuracy_is_that_of_the_textbook_forward_pass(mnist):
    data = mnist.test[:500]
    weights = [np.asarray(w, dtype=float) for w in draw_weights(0, 0.1)]
    hidden = np.asarray(data.images, dtype=float)
    for w in weights[:-1]:
        hidden = 1 / (1 + np.exp(-hidden @ w.T))
    expected = np.mean(np.argmax(hidden @ weights[-1].T, axis=1) == data.labels)
    model = build(draw_weights(0, 0.1), batch_norm=False)
    assert accuracy(model, data) == pytest.approx(expected, abs=0.004)  # float32 may turn a near tie
    assert model.training  # given back as it was


def test_with_the_small_weights_bn_learns_while_plain_is_still_at_chance(mnist):
    runners = [enter(network, 0.01, TUNED[0.01, network], seed=11) for network in NETWORKS]
    race(runners, mnist.train, 11, mnist.test[::5], 50, range(1, 301))
    plain, bn = (r.curve[-1][1] for r in runners)
    assert bn > 0.80  # 0.858 to 0.884 with four seeds, plain 0.228 to 0.369
    assert plain < 0.50
    assert runners[1].cpu_seconds > runners[0].cpu_seconds > 0  # a BN step does more work


def test_with_the_larger_weights_bn_is_ahead_early(mnist):
    runners = [enter(network, 0.1, TUNED[0.1, network], seed=11) for network in NETWORKS]
    race(runners, mnist.train, 11, mnist.test[::5], 50, range(1, 201))
    plain, bn = (r.curve[-1][1] for r in runners)
    assert bn > 0.80  # 0.866 to 0.873 with four seeds, plain 0.209 to 0.318
    assert plain < 0.50


def test_divergence_is_noticed_and_named(mnist):
    wild = enter("plain", 0.1, 1e38, seed=0)
    race([wild], mnist.train, 0, mnist.test[:100], 5, range(1, 11))
    assert wild.diverged
    assert "diverged" in table([wild])


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_steps_and_cpu_time_to_the_target_are_those_of_its_first_crossing():
    r = runner("plain", 0.1, 0, [(50, 0.5), (100, 0.9), (150, 0.89), (200, 0.95)])
    assert r.steps_to(0.9) == 100
    assert r.cpu_to(0.9) == pytest.approx(0.1)
    assert r.steps_to(0.99) == math.inf == r.cpu_to(0.99)


def test_spread_shows_the_lower_median_the_range_and_what_was_never_reached():
    assert spread([3.0, 1.0, 2.0]) == "2 (1 to 3)"
    assert spread([1.0, math.inf]) == "1 (1 to never)"
    assert spread([math.inf, math.inf, 5.0]) == "never (5 to never)"
    assert spread([0.25], "{:.1f}") == "0.2"
    assert spread([]) == "not measured"


def test_verdicts_compare_medians_and_can_go_either_way():
    finished = [
        runner("plain", 0.1, 0, [(100, 0.8), (200, 0.91)], final=0.95, cpu=[0.1, 0.2]),
        runner("with BN", 0.1, 0, [(100, 0.92), (200, 0.93)], final=0.94, cpu=[0.3, 0.6]),
        runner("plain", 0.01, 0, [(100, 0.1), (200, 0.2)], final=0.20),
        runner("with BN", 0.01, 0, [(100, 0.5), (200, 0.91)], final=0.91),
    ]
    first, second = verdicts(finished).splitlines()
    assert "90% in 50% of the steps and 150% of the CPU time" in first
    assert "-1.00 points" in first
    assert "90% reached by with BN only" in second
    assert "+71.00 points" in second


def test_a_verdict_says_when_only_plain_or_neither_got_there():
    def pair(plain, bn):
        return [runner(n, 0.1, 0, [(100, final)], final=final) for n, final in zip(NETWORKS, (plain, bn))]

    assert "90% reached by plain only" in verdicts(pair(0.91, 0.8))
    assert "90% reached by neither" in verdicts(pair(0.7, 0.8))


def test_table_has_one_aligned_row_per_network_and_width():
    finished = [runner(n, s, 0, [(50, 0.95)], final=0.955) for s in (0.1, 0.01) for n in NETWORKS]
    lines = table(finished).splitlines()
    assert len(lines) == 5
    assert len({line.index(word) for line, word in zip(lines[1:], ["plain", "with BN"] * 2)}) == 1
    assert all("95.50" in line for line in lines[1:])


def test_a_run_cut_short_before_the_target_is_not_called_one_that_never_reached_it():
    cut, reached, whole = (
        runner("plain", 0.1, 0, [(50, value)], final) for value, final in ((0.8, None), (0.91, None), (0.8, 0.8))
    )
    assert "not measured" in table([cut])
    assert "50 " in table([cut, reached])
    assert "never" not in table([cut, reached])
    assert "never" in table([whole])


def test_sweep_names_the_rate_with_the_best_late_accuracy_and_warns_at_the_edge():
    def group(network, late):
        runs = []
        for lr, value in late.items():
            for seed, shift in ((100, -0.1), (101, 0.1)):
                curve = [(50 * i, 0.99) for i in range(1, 9)] + [(450, value + shift), (500, value + shift)]
                runs.append(runner(network, 0.1, seed, curve))
                runs[-1].lr = lr
        return runs

    text = sweep_table([*group("plain", {1.0: 0.5, 2.0: 0.6, 4.0: 0.4}), *group("with BN", {1.0: 0.5, 2.0: 0.6})])
    assert "N(0, 0.1), plain: best lr 2\n" in text
    assert "N(0, 0.1), with BN: best lr 2, at the edge of the grid\n" in text
    assert "late accuracy 40.00 %" in text


def test_the_picture_shows_the_worked_example_and_the_published_gradient(tmp_path):
    path, _ = write_picture(tmp_path)
    assert [path] == list(tmp_path.iterdir())
    text = "".join(ElementTree.parse(path).getroot().itertext())
    for step in ("2.5", "1.25", "1.118", "-1.3416", "-0.4472"):  # mean, variance, deviation, normalised
        assert step in text
    dy, root = np.array([1.0, 0.0, 0.0, 0.0]), np.sqrt(1.25 + 1e-5)
    x_hat = np.array([-1.5, -0.5, 0.5, 1.5]) / root
    for slope in (4 * dy - dy.sum() - x_hat * (dy * x_hat).sum()) / (4 * root):
        assert f"{slope:.4f}" in text


def test_without_a_layout_program_the_picture_is_text_and_the_reason_said(tmp_path, monkeypatch):
    monkeypatch.setattr(graph.layout, "programs", lambda _: [])
    path, note = write_picture(tmp_path)
    assert [path.name] == [p.name for p in tmp_path.iterdir()] == ["batch_norm.dot"]
    assert path.read_text().startswith("digraph")
    assert "no layout program" in note


# -- the command --------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_table_and_writes_whole_files(few, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main(["--steps", "20", "--seed", "0", "1", "--init-std", "0.1", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("N(0, 0.1)") == 3  # two rows and a verdict
    assert "600 training images" in shown
    assert "2 seeds" in shown
    assert {p.name for p in out.iterdir()} == {"bn_mnist.json", "batch_norm.svg"}
    assert str(out / "batch_norm.svg") in shown
    runs = json.loads((out / "bn_mnist.json").read_text())["runs"]
    assert [(r["network"], r["seed"], r["steps"]) for r in runs] == [(n, s, 20) for s in (0, 1) for n in NETWORKS]
    assert all(r["evaluations"][-1]["steps"] == 20 and 0 < r["test_accuracy"] < 1 for r in runs)
    assert all(0 < r["cpu_seconds"] < 60 for r in runs)


def test_the_sweep_uses_validation_images_only(few, capsys):
    few.test.images.setflags(write=False)
    tested = []
    original = bn_mnist.accuracy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bn_mnist, "accuracy", lambda model, data: tested.append(data) or original(model, data))
        patch.setattr(bn_mnist, "SWEEP_SEEDS", (100,))
        assert main(["--sweep", "--steps", "4", "--init-std", "0.3"]) == 0
    assert tested
    assert all(data is few.validation for data in tested)
    assert capsys.readouterr().out.count("best lr") == 2


def test_on_a_terminal_there_is_a_progress_bar(few, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["--steps", "2", "--seed", "0", "--init-std", "0.1", "--out", str(tmp_path)]) == 0
    assert "0/2" in capsys.readouterr().err


def test_without_tqdm_it_runs_the_same(few, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert main(["--steps", "2", "--seed", "0", "--init-std", "0.1", "--out", str(tmp_path)]) == 0
    assert "N(0, 0.1), seed 0 ..." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stepps", "5"], "unrecognized arguments: --stepps"),
        (["--step", "5"], "unrecognized arguments: --step"),
        (["--steps", "0"], "a whole number of at least 1, not '0'"),
        (["--steps", "2.5"], "a whole number of at least 1, not '2.5'"),
        (["--seed", "-1"], "a whole number of at least 0, not '-1'"),
        (["--lr-bn", "nan"], "a number greater than 0, not 'nan'"),
        (["--lr-plain", "inf"], "a number greater than 0, not 'inf'"),
        (["--lr-plain", "fast"], "a number greater than 0, not 'fast'"),
        (["--init-std", "0"], "a number greater than 0, not '0'"),
        (["--init-std", "0.5", "--lr-bn", "1"], "no learning rates were chosen for --init-std 0.5"),
    ],
)
def test_bad_options_end_with_code_2_and_say_what_is_wrong(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_used_is_found_before_training(few, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(Runner, "step", lambda *args: pytest.fail("trained first"))
    assert main(["--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_a_bad_data_file_ends_with_code_2(tmp_path, capsys, monkeypatch):
    def missing():
        raise DatasetError("mnist.npz: no such file")

    monkeypatch.setattr(bn_mnist, "load_mnist", missing)
    assert main(["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "bn_mnist: mnist.npz: no such file\n"


def test_after_an_interruption_what_is_known_is_printed_and_nothing_is_written(few, tmp_path, capsys, monkeypatch):
    original = Runner.step

    def step(self, images, labels):
        if self.seed == 1 and self.steps == 3:
            raise KeyboardInterrupt
        original(self, images, labels)

    monkeypatch.setattr(Runner, "step", step)
    assert main(["--steps", "5", "--seed", "0", "1", "--init-std", "0.1", "--out", str(tmp_path)]) == 130
    shown = capsys.readouterr().out
    assert "Interrupted" in shown
    assert shown.count("N(0, 0.1)") == 2
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_real_program_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "demos.bn_mnist", "--steps", "1000000", "--out", str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job inherits it ignored
    )  # fmt: skip
    try:
        head = process.stdout.readline()  # printed once the data is loaded and training starts
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "55,000 training images" in head
    assert process.returncode == 130
    assert "Interrupted" in rest
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
