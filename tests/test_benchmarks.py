"""The benchmarks run, compare what they time, count right, and can fail.  No test here depends on a time."""

from __future__ import annotations

import gc
import json
import math
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import (
    bn_layer,
    compile_cost,
    earlier,
    growth,
    overhead,
    peers,
    perceptron,
    report,
    scalar_step,
    timing,
    training_step,
)
from benchmarks.command import BENCHMARKS, main
from benchmarks.report import Figures, Goal, Table
from benchmarks.timing import Contestant, DisagreementError, Spread

from tinygrad_bn import Scalar, Tensor
from tinygrad_bn.program import Step, record, simplify

ROOT = Path(__file__).resolve().parents[1]
needs_a_peer = pytest.mark.skipif(peers.pytorch() is None and peers.hips() is None, reason="no peer is installed")
needs_micrograd = pytest.mark.skipif(peers.micrograd() is None, reason="micrograd is not installed")

Patch = pytest.MonkeyPatch


def same(times: float = 1.0, **numbers: Any) -> Contestant:
    return Contestant("x", lambda: {"time": times}, lambda: numbers)


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="no revision to compare with")
def test_an_earlier_version_runs_beside_this_one() -> None:
    for table in earlier.run(True, "HEAD"):
        goals = [row.goal for row in table.rows if row.phase == "whole step"]
        assert goals == [None, earlier.AT_MOST]
        assert "tinygrad_bn_earlier" in sys.modules
        assert sys.modules["tinygrad_bn_earlier"].Tensor is not Tensor


def test_an_unknown_revision_is_told() -> None:
    with pytest.raises(SystemExit, match=r"--earlier --nonsense: "):
        earlier.run(True, "--nonsense")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_runs(name: str) -> None:
    tables = BENCHMARKS[name](True)
    assert tables
    for table in tables:
        assert table.title in table.as_text()
        if isinstance(table, Figures):
            numbers = [cell for row in table.rows for cell in row if not isinstance(cell, str)]
            assert numbers
            assert all(number > 0 and math.isfinite(number) for number in numbers)
            continue
        ours = table.rows[0]
        assert ours.contestant.startswith("tinygrad_bn")
        assert ours.ratio is None
        for row in table.rows:
            assert 0 < row.seconds.lower <= row.seconds.median <= row.seconds.upper
            assert row.contestant.startswith("tinygrad_bn") or row.ratio is not None
        assert table.agreement is None or 0 <= table.agreement <= 1e-3
        assert {row.contestant for row in table.rows}.isdisjoint(table.absent)
    json.dumps([table.as_data() for table in tables], allow_nan=False)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_absent_peers_are_reported_and_the_rest_still_runs(name: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(peers, "optional", lambda module: None)
    for table in BENCHMARKS[name](True):
        for peer, reason in table.absent.items():
            assert f"{peer}: {reason}" in table.as_text()
        if isinstance(table, Table):
            assert peers.NOT_INSTALLED in table.absent.values()
            there = {row.contestant for row in table.rows}
            others = {row for row in there if not row.startswith("tinygrad_bn")}
            assert others <= {bn_layer.BY_HAND, training_step.FLOOR}
            assert (table.agreement is None) == (len(there) == 1)  # nobody to agree with


# -- the comparison before timing can fail ------------------------------------------------------------------------------


@needs_a_peer
def test_another_loss_is_not_timed(monkeypatch: Patch) -> None:
    original = perceptron.functional.cross_entropy
    monkeypatch.setattr(perceptron.functional, "cross_entropy", lambda *args: original(*args) * 1.01)
    with pytest.raises(DisagreementError, match="first loss"):
        training_step.run(True)


@needs_a_peer
def test_other_gradients_of_the_same_loss_are_not_timed(monkeypatch: Patch) -> None:
    original = perceptron.nn.Sigmoid.forward

    def saturating(self: Any, x: Any) -> Any:
        y = original(self, x)
        return y + (0.01 * (x - x.detach())) if isinstance(x, Tensor) else y  # same value, another derivative

    monkeypatch.setattr(perceptron.nn.Sigmoid, "forward", saturating)
    with pytest.raises(DisagreementError, match="gradient of"):
        training_step.run(True)


@needs_a_peer
def test_another_momentum_is_not_timed(monkeypatch: Patch) -> None:
    """The first step is the same; the later ones are not."""
    original = perceptron.optim.SGD
    monkeypatch.setattr(perceptron.optim, "SGD", lambda params, lr, momentum: original(params, lr, 0.8))
    with pytest.raises(DisagreementError, match="later"):
        training_step.run(True)


def test_a_compiled_step_that_does_something_else_is_not_timed(monkeypatch: Patch) -> None:
    def faulty(step: Any, backend: str) -> Any:
        return lambda x, labels: step(x, labels[::-1]) if backend == "numpy" else step(x, labels)

    monkeypatch.setattr(perceptron, "compiled", faulty)
    with pytest.raises(DisagreementError, match="compiled to NumPy"):
        training_step.run(True)


def test_the_floor_has_the_products_of_the_step(monkeypatch: Patch) -> None:
    """And no others: they are counted in what a step of ours records."""

    def product(first: tuple[int, ...], result: tuple[int, ...]) -> tuple[int, ...]:
        return first[1], *sorted(result)  # the transposed product is the same work

    work = perceptron.Work.make((6, 5, 4, 3), 7, 1)
    step = perceptron.stepping(perceptron.model(work.sizes))
    program = simplify(record(step, Tensor(work.x), work.labels, free=False))
    entries = [entry for _, entry in program.entries()]
    steps = [entry for entry in entries if isinstance(entry, Step) and entry.primitive.name == "matmul"]
    recorded = [product(entries[s.args[0]].shape, s.shape) for s in steps]
    found, original = [], np.matmul

    def counting(a: Any, b: Any, out: Any) -> Any:
        found.append(product(a.shape, out.shape))
        return original(a, b, out=out)

    monkeypatch.setattr(np, "matmul", counting)
    training_step.floor(work).run()
    assert sorted(found) == sorted(recorded)
    assert len(found) == 8


def test_another_variance_is_not_timed(monkeypatch: Patch) -> None:
    original = bn_layer.functional.batch_norm
    monkeypatch.setattr(bn_layer.functional, "batch_norm", lambda *a, **k: original(*a, **(k | {"eps": 1e-2})))
    with pytest.raises(DisagreementError, match=bn_layer.BY_HAND):
        bn_layer.run(True)


@needs_micrograd
def test_another_scalar_loss_is_not_timed_and_settings_are_restored(monkeypatch: Patch) -> None:
    before = sys.getrecursionlimit(), gc.isenabled()
    monkeypatch.setattr(scalar_step.OurTrainer, "loss", lambda self: scalar_step.Trainer.loss(self) * 1.000001)
    with pytest.raises(DisagreementError, match="loss"):
        scalar_step.run(True)
    assert (sys.getrecursionlimit(), gc.isenabled()) == before


@needs_a_peer
def test_another_chain_is_not_timed(monkeypatch: Patch) -> None:
    monkeypatch.setattr(overhead, "ours", lambda length: _renamed(overhead.scalars(length)))
    with pytest.raises(DisagreementError):
        overhead.time_arrays(True)


def _renamed(contestant: Contestant) -> Contestant:
    return Contestant(overhead.OURS, contestant.run, contestant.numbers)


def test_a_chain_with_a_wrong_gradient_is_reported() -> None:
    class Doubling(Scalar):
        __slots__ = ()

        def __add__(self, other: Any) -> Any:
            return super().__add__(other) * 2.0

    with pytest.raises(DisagreementError, match="expected 11"):
        growth.chain(Doubling(1.0), 10)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"g": [1.0, 2.1]}, "differs"),
        ({"g": [1.0, math.nan]}, "differs"),
        ({"g": [[1.0, 2.0]]}, "g: "),
        ({"h": [1.0, 2.0]}, "different things"),
    ],
)
def test_assert_same_rejects(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(DisagreementError, match=message):
        timing.assert_same([same(g=[1.0, 2.0]), same(**numbers)], rtol=1e-3)


def test_assert_same_accepts_small_differences_and_measures_them() -> None:
    assert timing.assert_same([same(g=[1.0, 2.0]), same(g=[1.0, 2.001])], rtol=1e-3) == pytest.approx(5e-4)
    assert timing.assert_same([same(g=[1.0, 2.0])], rtol=1e-3) is None


def test_assert_same_measures_rounding_noise_by_the_floor() -> None:
    sides = [same(g=[1.0], noise=[1e-9]), same(g=[1.0], noise=[-1e-9])]
    with pytest.raises(DisagreementError, match="noise"):
        timing.assert_same(sides, rtol=1e-3)
    assert timing.assert_same(sides, rtol=1e-3, floor=0.1) == pytest.approx(2e-8)


@pytest.mark.parametrize("value", [0.0, math.inf])
def test_assert_same_needs_something_to_compare(value: float) -> None:
    with pytest.raises(DisagreementError, match="nothing to compare"):
        timing.assert_same([same(g=[value]), same(g=[value])], rtol=1e-3)


# -- counting -----------------------------------------------------------------------------------------------------------


def test_contestants_take_turns_in_every_order() -> None:
    calls: list[str] = []

    def contestant(name: str) -> Contestant:
        def run() -> dict[str, float]:
            calls.append(name)
            return {"time": float(len(calls))}

        return Contestant(name, run, dict)

    measured = timing.interleave([contestant(name) for name in "abc"], rounds=6, warmup=2)
    rounds = ["".join(calls[i : i + 3]) for i in range(0, len(calls), 3)]
    assert len(rounds) == 8
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert all(first == second[::-1] for first, second in zip(rounds[::2], rounds[1::2]))
    assert len({order[0] for order in rounds[2:]}) == 3
    assert {name: len(phases["time"]) for name, phases in measured.items()} == {"a": 6, "b": 6, "c": 6}
    assert min(min(phases["time"]) for phases in measured.values()) == 7.0  # the two warm-up rounds do not count


def test_the_garbage_of_one_block_is_gone_before_the_next() -> None:
    class Node:
        pass

    left: list[weakref.ref[Node]] = []
    alive: list[int] = []

    def leave_a_cycle() -> dict[str, float]:
        alive.append(sum(reference() is not None for reference in left))
        node = Node()
        node.self = node  # type: ignore[attr-defined]
        left.append(weakref.ref(node))
        return {"time": 1.0}

    with scalar_step.cyclic_collector(False):
        timing.interleave([Contestant("a", leave_a_cycle, dict)], rounds=3, warmup=0, collect=True)
        assert alive == [0, 0, 0]
        timing.interleave([Contestant("a", leave_a_cycle, dict)], rounds=1, warmup=0)
        assert alive[-1] == 1


def test_ratios_are_medians_over_pairs_of_a_round() -> None:
    measured = {"ours": {"time": [1.0, 10.0, 30.0]}, "peer": {"time": [2.0, 5.0, 30.0]}}
    ours, peer = report.tabulate(measured, [Goal("peer", 1.0)])
    assert ours.seconds.median == 10.0
    assert ours.verdict == ""
    assert peer.ratio is not None
    assert (peer.ratio.lower, peer.ratio.median, peer.ratio.upper) == (0.75, 1.0, 1.5)  # of 0.5, 2 and 1
    assert peer.verdict == "met"
    assert report.tabulate(measured, [Goal("peer", 0.99)])[1].verdict == "missed"


def test_spread_is_the_quartiles() -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0)


def test_repeat_counts_and_divides() -> None:
    calls: list[int] = []
    times = timing.repeat(lambda: calls.append(1), 7, "forward")()
    assert len(calls) == 7
    assert 0 <= times["forward"] < 1


def test_a_large_stack_is_deep_returns_and_raises_like_a_call() -> None:
    def depth(n: int) -> int:
        return 0 if n == 0 else 1 + depth(n - 1)

    before = sys.getrecursionlimit()
    assert scalar_step.in_large_stack(lambda: depth(20_000)) == 20_000
    with pytest.raises(ZeroDivisionError):
        scalar_step.in_large_stack(lambda: 1 // 0)
    assert sys.getrecursionlimit() == before


def test_memory_is_what_tracemalloc_sees() -> None:
    """A list of n floats holds 8 bytes a slot and 24 a float, give or take what list growth leaves over."""

    class Growing(list):  # type: ignore[type-arg]
        def __add__(self, other: Any) -> Any:
            self.append(float(len(self)))
            return self

    assert overhead.bytes_per_node(Growing(), 10_000) == pytest.approx(32, abs=4)


def test_memory_of_an_eager_step_has_its_states_in_it() -> None:
    """Parameters, momentum and gradients are three times the parameters; and the batch is in it."""
    network, batch = compile_cost.parts_of("mlp")
    states = 3 * sum(p.data.nbytes for p in network.parameters()) + batch.x.nbytes
    step, _ = compile_cost.bytes_of_a_step("mlp", None)
    assert states < step < 5 * states


@pytest.mark.parametrize(("value", "said"), [(1.0, "met"), (1.1, "missed")])
def test_figures_have_verdicts(value: float, said: str) -> None:
    cells = compile_cost.verdict(value, 1.0, " s")
    assert cells == ["<= 1 s", said]
    assert Figures("", ["", "", ""], [["a", value, *cells]]).verdicts() == [said]


def test_a_first_call_in_another_process(tmp_path: Path) -> None:
    found = compile_cost.elsewhere("tiny", "numpy", str(tmp_path))
    parts = {part: found[part] for part in ("record", "simplify", "build")}
    assert min(parts.values()) > 0
    assert found["total"] == pytest.approx(sum(parts.values()) + found["compiler"])


def test_moons_are_two_halves() -> None:
    points, labels = scalar_step.moons(100)
    assert np.shape(points) == (100, 2)
    assert sorted(set(labels)) == [-1.0, 1.0]
    assert labels.count(1.0) == 50
    separated = np.mean(np.array(points)[:50, 1]) - np.mean(np.array(points)[50:, 1])
    assert separated == pytest.approx(0.78, abs=0.1)  # the arcs' mean heights: 2/pi above, 0.5 - 2/pi below


# -- the command --------------------------------------------------------------------------------------------------------


def test_command_prints_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.json"
    main(["--quick", "--only", "bn_layer", "--only", "growth", "--json", str(path)])
    printed = capsys.readouterr().out
    written = json.loads(path.read_text())
    assert list(written["results"]) == ["bn_layer", "growth"]
    assert written["quick"] is True
    assert written["machine"]["versions"]["numpy"] == np.__version__
    for table in written["results"]["bn_layer"]:
        assert table["title"] in printed
        verdicts = [row["verdict"] for row in table["rows"] if row["goal"] is not None]
        assert set(verdicts) <= {"met", "missed"}
        for row in table["rows"]:
            if row["goal"] is not None:
                assert row["verdict"] == ("met" if row["ratio"]["median"] <= row["goal"] else "missed")
    assert "goals met" in printed


def test_module_runs_on_one_thread() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", "growth"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1 thread," in done.stdout
    assert "Growth" in done.stdout
