"""The style of all plots: a title, colors with one meaning, lines that differ without color, text that is text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from . import colors
from .blocks import Plot

BLACK, GRAY, WHITE = colors.INK, colors.GRAY, colors.PAPER
PLAIN, BN = colors.PLAIN, colors.BN  # without and with Batch Normalization, in every plot
MARKERS = "osD^vPX"
KINDS = ("svg", "png", "pdf")

STYLE: Any = {
    "figure.facecolor": WHITE,
    "figure.constrained_layout.use": True,
    "text.color": BLACK,
    "axes.edgecolor": BLACK,
    "axes.labelcolor": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "font.family": "sans-serif",
    # The first comes with matplotlib: the same picture on every machine. The others are for readers of the SVG.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 13,
    "figure.titlesize": 15,
    "figure.titleweight": "bold",
    "legend.fontsize": 12,
    "legend.frameon": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": colors.GRID,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tinygrad_bn",
}
TITLE = 0.4  # inches


MISSING = "no plots, because matplotlib is not installed: pip install -e '.[demos]'"


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def render(plot: Plot, kinds: Sequence[str] = KINDS) -> dict[str, bytes]:
    """The picture as a file's content, in several formats, drawn once; the same measurements give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None}}
    found = {}
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter(
            "error", UserWarning
        )  # a letter the font lacks, or a layout that does not fit, is a fault
        figure = Figure(figsize=(plot.size[0], plot.size[1] + (TITLE if plot.title else 0)))
        plot.draw(figure)
        if plot.title:
            figure.suptitle(plot.title, x=0.01, ha="left")
        for kind in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=144 if kind == "png" else 110, metadata=metadata[kind])
            found[kind] = buffer.getvalue()
            figure.set_layout_engine("none")  # everything is in its place: the other formats need no layout
    if "svg" in found and plot.title:
        start = found["svg"].index(b">", found["svg"].index(b"<svg ")) + 1
        found["svg"] = found["svg"][:start] + f"\n <title>{escape(plot.title)}</title>".encode() + found["svg"][start:]
    return found


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


def smooth(runs: Any) -> Any:
    """The running median of each row over 5 points, fewer at the ends: to draw, not to compute with."""
    import numpy as np

    values = np.array(runs, float)
    points = range(values.shape[1])
    return np.stack([np.median(values[:, max(0, i - 2) : i + 3], axis=1) for i in points], axis=1)
