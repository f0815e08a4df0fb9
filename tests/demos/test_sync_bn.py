"""The demo on several processes: short runs on two ranks, its model by hand, its verdicts on made-up measurements."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "parallel"))

from launching import need_mpi
from shown import by_name, drawn, too_long

from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Verdict
from demos.lab.show.terminal import as_text
from demos.sync_bn import DEMO, measure, show


@pytest.fixture(scope="module")
def measured():
    need_mpi()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "RANKS", (1, 2))
        patch.setattr(measure, "STEPS", (40, 0))
        patch.setattr(measure, "REPEATS", (2, 0))
        found = {part.name: part.measure(Settings(2), Progress()) for part in DEMO.parts}
    return json.loads(json.dumps(found, allow_nan=False))


def test_synchronized_is_one_process_and_own_rows_are_not(measured):
    part = measured["together"]
    assert max(part["2"]["all"]["off"]) < 1e-12
    assert min(part["2"]["own"]["off"]) > 1e-3
    assert part["1"]["own"]["off"] == [0, 0]
    assert part["1"]["own"]["accuracy"] == part["1"]["all"]["accuracy"]
    assert part["2"]["all"]["accuracy"] == part["1"]["own"]["accuracy"]


def test_all_is_shown(measured):
    blocks = show.show(measured)
    assert not too_long(blocks)
    assert "meeting, µs" in as_text(blocks)
    assert drawn(blocks)
    assert set(by_name(blocks, Verdict)) == {"synchronized", "own_rows"}


def test_the_model_is_the_sum_that_it_says():
    own = {"computing": [0.001, 0.002, 0.003, 0.004, 0.006, 0.010], "gradient": 8000}
    model = show.Model({"1": own, "2": {"latency": 1e-5, "bytes": 2e6, "large": 2e-5 + 1e-3}})
    assert model.bandwidth == pytest.approx(2e9)
    assert model.exchange(4, 4e6) == pytest.approx(2 * 2 * 1e-5 + 2 * 3 / 4 * 4e6 / 2e9)
    assert model.step(1, 64, "own") == pytest.approx(0.004)
    assert model.step(1, 48, "own") == pytest.approx(0.0035)
    assert model.step(1, 512, "own") == pytest.approx(0.010 + 256 * 0.004 / 128)
    added = model.step(1024, 64, "all") - model.step(1024, 64, "own")
    assert added == pytest.approx(2 * (5 * 20 * 1e-5 + 2 * 1023 / 1024 * (8 + 4 * 4 * 256) / 2e9))


def made_up(off_all, accuracy_own):
    one = {"accuracy": [[0.9, 0.92], [0.91, 0.93]], "off": [0.0, 0.0]}
    every = {"own": one, "all": one}

    def several(i):
        own = {"accuracy": accuracy_own[i], "off": [0.1, 0.2]}
        return {
            "at": [20, 40],
            "own": own,
            "all": {**one, "off": [off_all[i] if off_all[i] != off_all[i] else 1e-14, off_all[i]]},
        }

    return {"together": {"1": {"at": [20, 40], **every}, "2": several(0), "4": several(1)}}


WORSE, BETTER = [[0.5, 0.52], [0.5, 0.53]], [[0.95, 0.95], [0.96, 0.96]]
UNCLEAR = [[0.5, 0.6], [0.95, 0.95]]


@pytest.mark.parametrize(
    ("off_all", "accuracy_own", "outcomes"),
    [
        ((1e-14, 1e-13), (WORSE, WORSE), ("holds", "holds")),
        ((1e-14, 1e-3), (BETTER, WORSE), ("holds if", "holds if")),
        ((1e-3, 1e-3), (UNCLEAR, UNCLEAR), ("not decided", "not decided")),
        ((float("nan"), float("nan")), (BETTER, BETTER), ("does not hold", "does not hold")),
    ],
)
def test_verdicts_come_out_every_way(off_all, accuracy_own, outcomes):
    blocks = show.show(made_up(off_all, accuracy_own))
    found = by_name(blocks, Verdict)
    assert (found["synchronized"].outcome, found["own_rows"].outcome) == outcomes
    if outcomes[1] == "holds if":
        assert found["own_rows"].condition == "It holds with 2 rows each. It does not hold with 4 rows each."
        assert found["synchronized"].condition == "It holds on 2 ranks. It is not decided on 4 ranks."
