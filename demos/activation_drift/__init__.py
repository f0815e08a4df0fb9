"""Do the inputs of the layers drift while a network trains, and does Batch Normalization stop it?

python -m demos.activation_drift [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]

The lecture says that the later layers' inputs transform away from the normalized input of the first one, and that Batch
Normalization keeps them where they are, which is why training is fast.  Three measurements on the 8x8 digits:

- ``drift``, figure 1 (b, c) of the paper (Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.1): the 15th, 50th and 85th
  percentile of the input of a sigmoid in the last hidden layer, over training.  Two numbers for each unit: R, how far the
  median moved, by the mean distance from the 15th to the 85th percentile; and S, the largest such distance by the smallest.
  The network with Batch Normalization is probed with the statistics of the probe itself, as the paper does, and once more
  with its running statistics, which shows an artifact.
- ``depth``, the lecture's figure: the standard deviation of the inputs of five sigmoid layers.
- ``shift``, the question why: the paper calls a changing distribution internal covariate shift; Santurkar, Tsipras, Ilyas
  and Madry (2018, arXiv:1805.11604, definition 2.1) call so the change of a layer's gradient when only the layers below
  it make their step.  Both, on the same runs.
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="activation_drift",
    title="Do the inputs of layers drift?",
    claim="The inputs of the later layers change while a network trains; Batch Normalization keeps them stable, and that "
    "is why it helps.",
    parts=measure.PARTS,
    show=show.show,
    seeds=(4, 8),
)
