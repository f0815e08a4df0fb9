"""Does Batch Normalization survive being split over several processes?

python -m demos.sync_bn [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]

Several processes (ranks) share each batch, so each has few rows.  Batch Normalization over a rank's own rows is another
network than with the whole batch; synchronized over the ranks it should be the same one.  Two measurements, with real processes
(MPI):

- ``together``: a network on the 8x8 digits with eight rows a batch, on 1 to 4 ranks: accuracy, steps, and how far the
  weights end from those of one process.
- ``scaling``: what a step takes on 1 to 4 ranks of this machine, with one batch for all and with one for each; and by a model
  of what was measured (latency, bandwidth, computing) on up to 1,024.
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="sync_bn",
    title="Batch Normalization over several processes",
    claim="Batch Normalization needs a batch; where several processes share one, it has to be normalized over the rows of all.",
    parts=measure.PARTS,
    show=show.show,
    seeds=(3, 8),
)
