"""Curves, drawn with Matplotlib where it is installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import missing_package
from ..files import write_whole
from ..kinds import Array

# Okabe and Ito's colors, which everyone can tell apart; what is right in gray and wide, behind.
COLORS = ("#BBBBBB", "#D55E00", "#0072B2")
WIDTHS = (6.0, 1.8, 1.8)


@dataclass(frozen=True)
class Plot:
    """Some curves over one axis.

    Attributes:
        title: what is to be seen.
        x: names the axis below.
        y: names the axis at the left.
        curves: a name and numbers each; the first one is what is right.
        start: the first number of the axis below.
    """

    title: str
    x: str
    y: str
    curves: Sequence[tuple[str, Array]]
    start: int = 1

    def save(self, path: Path) -> Path:
        """Write the plot as an SVG image.

        Raises:
            MissingPackageError: Matplotlib is not installed.
            FileError: the file cannot be written.
        """
        try:
            from matplotlib.backends.backend_svg import FigureCanvasSVG
            from matplotlib.figure import Figure
        except ImportError as error:
            raise missing_package("drawing curves", "matplotlib", "matplotlib") from error
        figure = Figure(figsize=(7.5, 3.8), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for (name, numbers), color, width in zip(self.curves, COLORS, WIDTHS):
            axes.plot(self.start + np.arange(len(numbers)), numbers, color=color, linewidth=width, label=name)
        axes.set_title(self.title, fontsize=11, loc="left")
        axes.set_xlabel(self.x)
        axes.set_ylabel(self.y)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        content = io.BytesIO()
        figure.savefig(content, format="svg")
        return write_whole(path, content.getvalue())

    def text(self) -> str:
        """Some of the numbers, for a terminal."""
        count = len(self.curves[0][1])
        places = sorted({round(i) for i in np.linspace(0, count - 1, min(count, 6))})
        width = max(len(name) for name, _ in [*self.curves, (self.x, None)])
        rows = [f"{self.x:<{width}}" + "".join(f"{self.start + i:>10}" for i in places)]
        rows += [f"{name:<{width}}" + "".join(f"{numbers[i]:>10.4f}" for i in places) for name, numbers in self.curves]
        return "\n".join([self.title, *rows])
