"""How near the playground is to Python, in settings drawn at random: ``python -m tests.demos.playground_at_random [N] [SEED]``.

For each: the largest difference of a loss within 100 steps, relative where losses are above 1, between the page and Python; and
between Python and Python with initial weights that are one unit in the last place larger.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from demos.playground.generator import DATA
from demos.playground.networks import ACTIVATIONS, DEPTHS
from demos.playground.page import write
from demos.playground.training import Setting, Training
from tests.conftest import NAMES, QUIET

from .test_playground import LOSSES, STEPS, numbers

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
BATCHES = (2, 4, 8, 16, 32, 64, 128)
SCALES = (0.1, 0.25, 0.5, 1.0, 1.4, 2.0, 4.0)


def drawn(source: random.Random) -> Setting:
    choices: tuple[Any, ...] = (DATA, BATCHES, RATES, SCALES, DEPTHS, list(ACTIVATIONS))
    return Setting(*map(source.choice, choices), seed=source.randrange(1000))


def distance(a: Any, b: Any) -> float:
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b))))


def main(count: int = 20, seed: int = 0) -> None:
    source, near, worst = random.Random(seed), {False: 0, True: 0}, 0.0
    program = next(filter(None, map(shutil.which, NAMES)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=program, args=list(QUIET)).new_page()
        page.goto(write(Path(folder) / "playground.html").as_uri())
        for _ in range(count):
            setting = drawn(source)
            for bn, got in zip((False, True), page.evaluate(LOSSES, [asdict(setting), STEPS])):
                one, other = (Training(setting, bn, recorded=False) for _ in range(2))
                for linear in (*other.network.linear, other.network.last):
                    linear.weight.data = np.nextafter(linear.weight.data, np.inf)
                expected = np.array(one.run(STEPS))
                gap, own = distance(numbers(got), expected), distance(np.array(other.run(STEPS)), expected)
                near[bn] += gap <= 1e-6
                worst = max(worst, gap / max(own, 1e-16))
                if gap > 1e-6:
                    print(
                        f"{setting} {'with BN' if bn else 'plain'}: {gap:.1e}, Python from itself {own:.1e}", flush=True
                    )
    print(f"to 1e-6: plain {near[False]} of {count}, with BN {near[True]} of {count}")
    print(f"the page's difference is at most {worst:.0f} times Python's own")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
