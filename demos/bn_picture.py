"""The picture of a BatchNorm1d layer, with every value and every gradient in it.

    python -m demos.bn_picture [--out DIR]

The batch is X = 1, 2, 3, 4 of one feature: mean 2.5, variance 1.25, normalised ∓1.3416, ∓0.4472.  The gradient that
comes in is 1 for the first result and 0 for the others, so what arrives at x is one row of the layer's Jacobian; a sum
over all results would show zeros only, since their sum does not depend on x.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import graph, nn

from .output import OutputError, prepare, write_whole


def batch_norm_picture() -> graph.Picture:
    """The layer in training mode on the batch 1, 2, 3, 4, in float64."""
    layer = nn.BatchNorm1d(1, dtype=np.float64)
    x = tg.Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True, name="x")
    y = layer(x)
    y.name = "y"
    incoming = np.array([[1.0], [0.0], [0.0], [0.0]])
    return graph.draw(y, gradient=incoming, module=layer, title="Batch Normalization of 1, 2, 3, 4")


def write_picture(out: Path) -> tuple[Path, str]:
    """Write ``batch_norm.svg``, or where no layout program is found ``batch_norm.dot``.

    Returns:
        The file, and what to say about it.

    Raises:
        OutputError: the folder cannot be written to.
    """
    picture = batch_norm_picture()
    try:
        return write_whole(out / "batch_norm.svg", picture.save), "the graph of a BN layer, values and gradients"
    except graph.LayoutError as error:
        return write_whole(out / "batch_norm.dot", picture.save), f"the graph of a BN layer as text, because {error}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 when the folder cannot be written to."""
    parser = argparse.ArgumentParser(
        prog="python -m demos.bn_picture", allow_abbrev=False, description="Draw a BatchNorm1d layer."
    )
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="default: out")
    options = parser.parse_args(argv)
    try:
        path, note = write_picture(prepare(options.out))
    except OutputError as error:
        print(f"bn_picture: {error}", file=sys.stderr)
        return 2
    print(f"wrote {path}: {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
