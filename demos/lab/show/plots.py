"""The style of all plots: colors that everyone can tell apart, lines that differ without color, text for a slide."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from .blocks import Plot

# Okabe and Ito's colors (jfly.uni-koeln.de/color), chosen to be told apart with any color vision.
ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, BLACK = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000",
)  # fmt: skip
GRAY = "#6B6B6B"

PLAIN, BN = RED, BLUE  # without and with Batch Normalization, in every plot
CYCLE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK)  # other series, in this order
MARKERS = "osD^vPX"

STYLE: Any = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "svg.fonttype": "path",
    "svg.hashsalt": "tinygrad_bn",
}


MISSING = "no plots, because matplotlib is not installed: pip install -e '.[demos]'"


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def render(plot: Plot, kind: str = "svg") -> bytes:
    """The picture as a file's content, ``"svg"`` or ``"png"``; the same measurements give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=plot.size)
        plot.draw(figure)
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # A letter the font lacks, or a layout that does not fit, is a fault.
            warnings.simplefilter("error", UserWarning)
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(buffer, format=kind, dpi=110 if kind == "svg" else 144, metadata=metadata)
    return buffer.getvalue()


def band(axes: Any, x: Any, runs: Any, color: str, label: str, marker: str = "", **options: Any) -> None:
    """The median over runs as a line and their range as a band around it; ``runs`` has one row a run."""
    import numpy as np

    values = np.asarray(runs, float)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, linewidth=0)
    axes.plot(x, np.median(values, axis=0), color=color, label=label, marker=marker, **options)


def log_numbers(axis: Any, ticks: Sequence[float]) -> None:
    """Plain numbers at those of these places that a (logarithmic) axis shows already, and nothing between them."""
    low, high = sorted(axis.get_view_interval())
    only_ticks(axis, [tick for tick in ticks if low <= tick <= high])


def only_ticks(axis: Any, ticks: Sequence[float]) -> None:
    """Plain numbers at these places, wherever the axis ends, and nothing between them."""
    axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def plain_numbers(axis: Any, form: str = "g") -> None:
    """``10`` and ``1000`` instead of powers at the places that matplotlib chose, in this format."""
    axis.set_major_formatter(lambda value, _: f"{value:{form}}")


def smooth(runs: Any, width: int = 5) -> Any:
    """The running median of each row over so many points, fewer at the ends: to draw, not to compute with."""
    import numpy as np

    values, half = np.array(runs, float), width // 2
    points = range(values.shape[1])
    return np.stack([np.median(values[:, max(0, i - half) : i + half + 1], axis=1) for i in points], axis=1)
