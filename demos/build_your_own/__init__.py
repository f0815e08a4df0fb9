"""Build a layer of your own: written from its formula, checked, drawn, trained, and given a primitive of its own.

A tour for the author of a layer.  The layer is root mean square normalization (Zhang and Sennrich 2019, arXiv:1910.07467,
equation 4): each example is divided by the root of the mean of its squares, and scaled by a learned gain.  Its backward
pass is written nowhere; it is compared with the complex step (Squire and Trapp 1998, SIAM Review 40(1), 110-112), which
runs the same forward on complex numbers and knows no rule.  Mistakes are planted to see whether the checks notice.

What the tour prints of the layer is the source of what ran.

python -m demos.build_your_own [--full] [--seeds N] [--seed N] [--out DIR]
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="build_your_own",
    title="Build a layer of your own",
    claim="Write the forward pass as the textbook writes it; the backward pass follows.",
    parts=measure.PARTS,
    show=show.show,
)
