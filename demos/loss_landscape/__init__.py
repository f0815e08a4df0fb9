"""Does Batch Normalization make the loss landscape smoother, and is smoother easier to train?

python -m demos.loss_landscape [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]

Santurkar, Tsipras, Ilyas and Madry (2018, arXiv:1805.11604, section 3 and figure 4) explain Batch Normalization's success
by a smoother landscape.  As there, along the training of each network, at the point that it has reached: from the weights
w with gradient g on the step's minibatch, look at w - eta g for several eta.  Three measures, each over these points:

- loss range: the largest loss minus the smallest;
- gradient change: the largest ||g' - g||, g' being the gradient there;
- effective beta-smoothness: the largest ||g' - g|| / (eta ||g||).

Smaller is smoother.  The same minibatch is used everywhere and Batch Normalization takes its statistics from it; weights
and running statistics come back bit for bit.  The networks are small ones on the 8x8 digits, not the VGG of the paper,
which prints no figures to compare with: what can be reproduced is the sign.  One of them, five sigmoid layers, is chosen
because without Batch Normalization it does not train.
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="loss_landscape",
    title="Is the loss landscape smoother?",
    claim="Batch Normalization makes the loss landscape smoother, and that is why training is easier.",
    parts=measure.PARTS,
    show=show.show,
    seeds=(5, 10),
)
