"""What each rank does: ``tinygrad-bn run -n N -m demos.sync_bn.measure.ranks JSON``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, optim, parallel

from ...datasets import shuffled_digits
from ...lab.measure.copies import Array
from .design import BATCH, EVERY, HELD_OUT, LARGE, MEETINGS, NORMS, RATE, SIZES, STRONG, TRAINING, WEAK, WIDTH, Norm


def dealt(rows: Array) -> Array:
    """This rank's share."""
    return np.array_split(rows, parallel.size())[parallel.rank()]


# -- training -------------------------------------------------------------------------------------------------------------


def network(norm: Norm, sizes: tuple[int, ...], seed: int, dtype: Any) -> nn.Sequential:
    """Linear layers with Batch Normalization and relu between them, the same on every rank."""
    tg.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after, bias=False, dtype=dtype), norm(after, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], dtype=dtype))


def trained(norm: Norm, seed: int, steps: int, shared: bool) -> tuple[list[float], Array]:
    """Test accuracy along the way, and the weights at the end; with the batch shared, or all of it on every rank."""
    digits = shuffled_digits(seed)
    x, y = digits.images.astype(np.float64), digits.labels
    model = network(norm, (64, 64, 64, 10), seed, np.float64)
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    order, accuracy = np.random.default_rng(seed), []
    for step in range(1, steps + 1):
        rows = order.choice(TRAINING, BATCH, replace=False)
        rows = dealt(rows) if shared else rows
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        if shared:
            parallel.backward(loss, optimizer.params, len(rows), BATCH)
        else:
            loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            right = model.eval()(x[HELD_OUT]).data.argmax(axis=1) == y[HELD_OUT]
            model.train()
            accuracy.append(float(right.mean()))
    return accuracy, np.concatenate([p.numpy().ravel() for p in model.parameters()])


def together(seeds: list[int], steps: int) -> dict[str, Any]:
    """Each norm with shared batches, against one process that has all rows."""
    at = list(range(EVERY, steps + 1, EVERY))
    result: dict[str, Any] = {"at": at, **{name: {"accuracy": [], "off": []} for name in NORMS}}
    for seed in seeds:
        alone = None if parallel.rank() else trained(nn.BatchNorm1d, seed, steps, shared=False)[1].tolist()
        whole = np.array(parallel.world().objects(alone, "the weights of one process")[0])
        for name, norm in NORMS.items():
            accuracy, weights = trained(norm, seed, steps, shared=True)
            result[name]["accuracy"].append(accuracy)
            result[name]["off"].append(float(np.abs(weights - whole).max()))
    return result


# -- time -----------------------------------------------------------------------------------------------------------------


def seconds(action: Callable[[], object], repeats: int) -> float:
    """The least over repeats, each begun by all ranks at once: what else runs on the machine can only add to it."""
    taken = []
    for _ in range(repeats):
        parallel.world().meet("a time")
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return min(taken)


def stepping(norm: Norm, rows: int) -> Callable[[], None]:
    """A training step with so many rows on this rank."""
    model = network(norm, (WIDTH, WIDTH, WIDTH, 10), 0, np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    rng = np.random.default_rng(parallel.rank())
    x, y = rng.normal(size=(rows, WIDTH)).astype(np.float32), rng.integers(0, 10, rows)

    def step() -> None:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        parallel.backward(loss, optimizer.params, rows)
        optimizer.step()

    step()
    return step


def meet() -> None:
    """Exchanges of the fewest bytes."""
    for _ in range(MEETINGS):
        parallel.world().meet("latency")


def scaling(repeats: int) -> dict[str, Any]:
    """A step with shared batches and with one batch per rank; an exchange of a few bytes, and one of many."""
    strong = len(dealt(np.arange(STRONG)))
    result: dict[str, Any] = {
        "strong": {name: seconds(stepping(norm, strong), repeats) for name, norm in NORMS.items()},
        "weak": {name: seconds(stepping(norm, WEAK), repeats) for name, norm in NORMS.items()},
        "latency": seconds(meet, 10 * repeats) / MEETINGS,
    }
    large = np.ones(LARGE)
    result["large"] = seconds(lambda: parallel.all_reduce(large), repeats)
    result["bytes"] = large.nbytes
    if parallel.size() == 1:
        result["computing"] = [seconds(stepping(nn.BatchNorm1d, rows), repeats) for rows in SIZES]
        model = network(nn.BatchNorm1d, (WIDTH, WIDTH, WIDTH, 10), 0, np.float32)
        result["gradient"] = sum(p.data.nbytes for p in model.parameters())
    return result


def main() -> None:
    """Measure what is asked for; rank 0 writes it."""
    asked = json.loads(sys.argv[1])
    what, file = asked.pop("what"), Path(asked.pop("file"))
    found = together(**asked) if what == "together" else scaling(**asked)
    if parallel.rank() == 0:
        file.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
