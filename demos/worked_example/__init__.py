"""The lecture's worked example, X = [1, 2, 3, 4], step by step: forward beside the lecture's numbers, backward beside
the closed form, and both as pictures.

The lecture normalizes four numbers (mean 2.5, standard deviation 1.118, then -1.3416, -0.4472, 0.4472, 1.3416, which
scale 1 and shift 0 leave as they are).  Here the four equations of Batch Normalization (Ioffe and Szegedy 2015,
arXiv:1502.03167, Algorithm 1) run on one tensor and, the same text, on four single numbers; every intermediate is held
against the lecture's, under each convention for variance and epsilon that could have been meant.  The backward pass is
derived by the engine and held against the closed form that follows from section 3 of the paper.

The lecture calls m the number of neurons.  Whether that can be is decided by what comes out of each reading.

python -m demos.worked_example [--seed N] [--out DIR]
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="worked_example",
    title="The worked example, step by step",
    claim="1, 2, 3, 4 have mean 2.5 and standard deviation 1.118, and are normalized to -1.3416, -0.4472, 0.4472, 1.3416.",
    parts=measure.PARTS,
    show=show.show,
    seeds=(1, 1),
    fewest=1,
)
