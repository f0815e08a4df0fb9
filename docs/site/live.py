"""Interactive pages, shown inside the site: one entry of ``PAGES`` each.

To add one: a name, a title, a sentence on what it is for, its height, and a function that writes it as one file.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LivePage:
    """A page of its own, one HTML file, which the site frames and links to."""

    name: str
    title: str
    says: str
    write: Callable[[Path], object]  # given the path of the file
    height: str = "85vh"


def example(name: str) -> Callable[[Path], object]:
    """An example of the explorer."""

    def write(path: Path) -> object:
        from tinygrad_bn.explorer.examples import EXAMPLES

        return EXAMPLES[name]().save(path)

    return write


def report(path: Path) -> None:
    """What `make report` writes, from the results that the documentation shows.

    Raises:
        RuntimeError: the command failed.
    """
    from demos.__main__ import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(["--again", str(ROOT / "docs/measured/results.json"), "--out", str(path.parent)])
    if code:
        raise RuntimeError(f"the report was not written (exit status {code}):\n{said.getvalue()}")
    (path.parent / "report.html").replace(path)


def playground(path: Path) -> object:
    """Two networks to train in the browser."""
    from demos.playground.page import write

    return write(path)


PAGES = (
    LivePage(
        "batch_norm", "Batch Normalization, live",
        "the four equations, forward and backward one step at a time, on numbers that you can change.",
        example("batch_norm"),
    ),
    LivePage(
        "network", "A network, live",
        "linear layers with Batch Normalization between them; modules open one by one.",
        example("network"),
    ),
    LivePage(
        "cross_entropy", "A loss, live", "cross-entropy of a batch, from logits to gradients.", example("cross_entropy")
    ),
    LivePage("diamond", "A value used twice, live", "why cotangents are added up.", example("diamond")),
    LivePage(
        "topological_order", "The order of backward, live",
        "what goes wrong when an operation is visited before all of its cotangents have arrived, and the right order.",
        example("topological_order"),
    ),
    LivePage(
        "playground", "Does Batch Normalization train faster? Live",
        "two networks, with and without it, trained side by side on settings that you choose.", playground,
    ),
    LivePage("report", "The report of the demonstrations", "each claim, what was measured, and a verdict.", report),
)  # fmt: skip


def write_all(source: Path, extra: Path) -> None:
    """Write each page below ``extra``, and below ``source`` a page of the site that frames it."""
    (source / "live").mkdir(parents=True)
    for entry in PAGES:
        folder = extra / "live" / entry.name
        folder.mkdir(parents=True)
        entry.write(folder / "index.html")
        (source / "live" / f"{entry.name}.rst").write_text(frame(entry), encoding="utf-8")


def frame(entry: LivePage) -> str:
    """The page around it, as reStructuredText."""
    title = entry.title
    return f""":hide-toc:

{title}
{"=" * len(title)}

{entry.says[0].upper()}{entry.says[1:]}

.. raw:: html

   <p class="alone"><a href="{entry.name}/index.html">Open it on a page of its own</a></p>
   <iframe class="live" src="{entry.name}/index.html" title="{title}" loading="lazy" style="height: {entry.height}"></iframe>
"""
