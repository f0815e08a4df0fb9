"""What both sides of the demo need to know; apart from what ranks do, so that it can be imported before they run it."""

from __future__ import annotations

from tinygrad_bn import nn

BATCH, RATE, EVERY = 8, 0.05, 20
TRAINING, HELD_OUT = 997, slice(1297, None)  # of the shuffled digits
Norm = type[nn.BatchNorm1d] | type[nn.SyncBatchNorm]
NORMS: dict[str, Norm] = {"own": nn.BatchNorm1d, "all": nn.SyncBatchNorm}

WIDTH, STRONG, WEAK = 256, 256, 64  # units of a layer; rows of all ranks, and rows of each
SIZES = (8, 16, 32, 64, 128, 256)  # rows of the batches whose computing is measured
MEETINGS = 4  # timed at once
LARGE = 1 << 19  # numbers of a large exchange
