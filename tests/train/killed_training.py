"""A training run for ``test_resume``: goes on from its checkpoint if there is one, then writes its final weights.

Arguments: the checkpoint, the log, the file for the final weights.
"""

import sys
import time

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import nn, optim
from tinygrad_bn.data import ArrayDataset, DataLoader
from tinygrad_bn.train import accuracy, fit, save_checkpoint


def main(checkpoint: str, log: str, final: str, epochs: int = 30, pause: float = 0.002, compile=False) -> None:  # noqa: A002
    rng = np.random.default_rng(0)
    x = rng.standard_normal((70, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    tg.manual_seed(5)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
    )  # fmt: skip
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    schedule = optim.OneCycleLR(optimizer, 0.05, total_steps=9 * epochs)
    fit(
        model, DataLoader(ArrayDataset(x, y), 8, shuffle=True, seed=3), optimizer, tg.functional.cross_entropy,
        epochs=epochs, validation=DataLoader(ArrayDataset(x, y), 35), metrics={"accuracy": accuracy}, schedule=schedule,
        schedule_each="step", clip_norm=1.0, log=log, checkpoint=checkpoint, checkpoint_every=2, resume=True,
        compile=compile,
        callbacks=[lambda event, run: time.sleep(pause)],  # at least 0.54 s in all, however fast the machine
    )  # fmt: skip
    save_checkpoint(final, model=model, optimizer=optimizer)


if __name__ == "__main__":
    main(*sys.argv[1:])
