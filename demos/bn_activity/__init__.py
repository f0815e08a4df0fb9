"""The activity: train a network with and without Batch Normalization on a benchmark, and compare speed and accuracy.

    python -m demos.bn_activity [--mnist] [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]
    python -m demos.bn_activity --data digits --depth 8 --activation relu --rates 0.1,1    # a setting of your own

The lecture says that Batch Normalization (BN) makes training faster and more stable, and in its case study that accuracy
on unseen data was higher.  Here the network of the paper's first experiment (Ioffe and Szegedy 2015, arXiv:1502.03167,
section 4.1: three hidden layers of 100 sigmoids, batches of 60) trains on 8x8 digits and on MNIST, in both arms
at the learning rate that suits it best.  The paper gives neither the rate nor the width of the "small random Gaussian"
it draws weights from; both decide what comes out, so several widths are shown, and beside them a baseline
with none of the plain network's troubles (rectifiers, He's initial weights, Adam) and one with little data.

What is kept equal: both arms of a pair start from the same weight matrices (biases and β at 0, γ at 1), see the same
batches in the same order, and have the same rates to choose from, on validation images and with seeds that are not
reported.  BN is evaluated with its running statistics.  CPU seconds are steps times the CPU time of a step of one
network alone, in one thread, with BN composed of primitive operations.
"""

from ..lab.demo import Demo, Own
from . import measure, show
from .measure import own

DEMO = Demo(
    name="bn_activity",
    title="With and without Batch Normalization",
    claim="Batch Normalization makes training faster and more stable, and accuracy on unseen data higher.",
    parts=measure.PARTS,
    show=show.show,
    own=Own(own.OPTIONS, own.PARTS, own.complaint),
    flags={"mnist": "longer runs on real MNIST, from two widths of initial weights; a few minutes"},
)
