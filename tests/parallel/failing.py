"""A script of which one rank goes wrong, in the way that its argument says: ``failing.py HOW [FILE]``."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import data, functional, nn, ops, optim, parallel, train

HOW = sys.argv[1]
LAST = parallel.rank() == parallel.size() - 1


def fit_for_long() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.SyncBatchNorm(3))
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    loader = parallel.DataLoader(data.ArrayDataset(x, np.arange(64) % 3), 8)

    def say(event: str, run: train.Run) -> None:
        time.sleep(0.01)
        if run.step == 3 and parallel.rank() == 0:
            print("begun", flush=True)

    optimizer = optim.SGD(model.parameters(), lr=0.01)
    train.fit(
        model, loader, optimizer, functional.cross_entropy, epochs=10**6, checkpoint=sys.argv[2], callbacks=[say],
        progress=False,
    )  # fmt: skip


parallel.all_reduce(1.0)
if HOW == "fit":
    fit_for_long()
if HOW == "wait":
    print("begun", flush=True)
    if LAST:
        time.sleep(1000)
if LAST:
    if HOW == "raise":
        raise ValueError("what rank 2 says")
    if HOW == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if HOW == "exit":
        sys.exit("enough")
    if HOW == "end":
        sys.exit(0)
if HOW == "no gradient":
    x = tg.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=not LAST)
    layer = nn.SyncBatchNorm(2, dtype=np.float64)
    ops.sum(layer(x) ** 3).backward()
parallel.all_reduce(np.ones(3))
print(f"rank {parallel.rank()} of {parallel.size()} is done: {' '.join(sys.argv[1:])}")
