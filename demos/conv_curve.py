"""The curves of runs of ``demos.conv_mnist``, as a picture.

    python -m demos.conv_curve out/conv_mnist-0.json [more.json ...] --out curve.svg

Test accuracy after each epoch against the CPU seconds of training until then, one line per run.  Needs matplotlib, which
the extra ``demos`` brings.  The same files give the same picture, byte for byte, with the same version of matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from tinygrad_bn.errors import explain

from .lab.output import OutputError, write_whole
from .lab.show import colors

MARKERS = "os^D"
SERIES = (colors.BN, colors.of("BN at a large learning rate"), colors.of("BN at a small learning rate"), colors.INK)


class CurveError(Exception):
    """Files that show no curve, or no program to draw one."""


def read(path: Path) -> tuple[str, list[float], list[float]]:
    """A run's label, CPU seconds until the end of each epoch, and test accuracies in percent.

    Raises:
        CurveError: not a file that ``demos.conv_mnist`` wrote, or one of a run that was interrupted and whose CPU time
            is not known.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        epochs = document["epochs"]
        cpu, accuracies = ([record[name] for record in epochs] for name in ("cpu_seconds", "test_accuracy"))
        label = f"seed {document['seed']}"
    except OSError as error:
        raise CurveError(explain(f"{path}: cannot be read", got=error.strerror)) from error
    except (ValueError, KeyError, TypeError) as error:
        expected = "a file that python -m demos.conv_mnist wrote"
        raise CurveError(explain(f"{path}: no results", got=repr(error), expected=expected)) from error
    if not epochs or not all(isinstance(value, (int, float)) for value in [*cpu, *accuracies]):
        fix = "draw a run that was not interrupted"
        raise CurveError(explain(f"{path}: CPU time or accuracy of an epoch is not known", fix=fix))
    return label, list(accumulate(cpu)), [100 * value for value in accuracies]


def draw(paths: Sequence[Path], out: Path) -> None:
    """Write the picture, in the format of the file's suffix.

    Raises:
        CurveError: see ``read``; or matplotlib is missing, or does not know the format.
        OutputError: the file cannot be written.
    """
    curves = [read(path) for path in paths]
    try:
        import matplotlib
    except ImportError as error:
        raise CurveError(
            explain("pictures of curves need matplotlib", fix="pip install 'tinygrad-bn[demos]'")
        ) from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    # Text stays text; no random names and no date.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "conv_mnist", "font.family": "sans-serif"}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for i, (label, cpu, accuracies) in enumerate(curves):
            style: dict[str, Any] = {"color": SERIES[i % len(SERIES)], "marker": MARKERS[i % len(MARKERS)]}
            axes.plot(cpu, accuracies, label=f"{label}: {accuracies[-1]:.2f} %", **style)
        axes.set_xlabel("CPU seconds of training, one thread")
        axes.set_ylabel("test accuracy, %")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend()
        metadata = {"Date": None} if out.suffix == ".svg" else None
        try:
            write_whole(out, lambda path: figure.savefig(path, metadata=metadata))
        except ValueError as error:
            raise CurveError(explain(f"cannot draw {out}: {error}", fix="--out curve.svg")) from error
        finally:
            pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 when a file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m demos.conv_curve", allow_abbrev=False, description="Draw runs of demos.conv_mnist."
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="JSON", help="files that demos.conv_mnist wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture: .svg, .png, .pdf")
    options = parser.parse_args(argv)
    try:
        draw(options.results, options.out)
    except (CurveError, OutputError) as error:
        print(f"conv_curve: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
