"""Layers and neurons: what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...lab.measure.part import Measured
from ...lab.show import evidence
from ...lab.show.blocks import Block, Table, Text, Verdict
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ..measure.regions import UNITS
from . import parameters


@dataclass(frozen=True)
class Win:
    """A deep network that did better than a shallow one, and the most neurons that each has in a layer."""

    what: str
    deep: int
    shallow: int


def wins(measured: Measured) -> list[Win]:
    """Where depth won in the other rows, as far as they were measured."""
    found = [
        Win(
            f"{duel.task} task ({duel.deep['budget']:,} parameters)",
            max(duel.deep["widths"]),
            max(duel.shallow["widths"]),
        )
        for duel in parameters.duels(measured)
        if duel.winner == "deep"
    ]
    if "regions_constructed" in measured:
        by_depth = {row["depth"]: row["pieces"] for row in measured["regions_constructed"]["networks"]}
        best = max(by_depth, key=lambda depth: (by_depth[depth], -depth))
        if by_depth[best] > by_depth[1]:
            found.append(Win(f"{by_depth[best]:,} pieces with {UNITS} units", UNITS // best, UNITS))
    if "growth_sawtooth" in measured:
        last = measured["growth_sawtooth"]["rows"][-1]
        if last["deep"]["units"] < last["shallow"]["units"]:
            per_layer = last["deep"]["units"] // last["k"]
            found.append(Win(f"sawtooth of {2 ** last['k']:,} pieces", per_layer, last["shallow"]["units"]))
    return found


def cases(won: Sequence[Win], open_tasks: Sequence[str]) -> list[Case]:
    """Does a deep network that won have more neurons in its widest layer? As many are not more.

    Where it is open which network is better, this is open too.
    """
    found = [
        evidence.exact(f"for the {win.what}", win.deep / win.shallow, 1 + 1e-9, against=1 + 1e-9, ratio=True)
        for win in won
    ]
    return found + [Case(f"for the {task}", None, None, None, 0, 1.0, ratio=True) for task in open_tasks]


def undecided(measured: Measured) -> list[str]:
    """Tasks on which it is open which network is better."""
    return [f"{each.task} task" for each in parameters.duels(measured) if each.winner == "neither"]


def judged(won: Sequence[Win], open_tasks: Sequence[str]) -> Verdict:
    """The verdict, on all deep networks that win, or may."""
    fewer = sum(win.deep < win.shallow for win in won)
    ordered = sorted(won, key=lambda win: win.deep / win.shallow)
    ends = [f"{win.deep:,} against {win.shallow:,}" for win in (ordered[:1] + ordered[1:][-1:])]
    said = f": {'; '.join(ends)}" if ends else ""
    return verdict(
        "definition",
        "Deep networks have many layers, with more neurons in each",
        f"Of {len(won)} deep networks that win in other rows, {fewer} have fewer neurons in their widest layer than the "
        f"shallow network they beat{said}.",
        cases(won, open_tasks),
        short="Deep networks have more neurons in each layer",
        form="{:.2g}x",
        noun="network",
    )


def show(measured: Measured) -> list[Block]:
    """The counts, the winners, and whether more neurons in a layer made them win."""
    blocks: list[Block] = []
    if "definition_sizes" in measured:
        networks = measured["definition_sizes"]["networks"]
        blocks += [
            Text(
                "From how many layers on a network is called deep is a matter of definition. Whether it has more neurons in "
                "each layer is not: if the same number of hidden units is divided among more layers, each layer has fewer."
            ),
            Table(
                "definition_sizes",
                f"Networks with {UNITS} hidden units between one input and one output",
                ("hidden layers", "neurons in each layer", "parameters"),
                [(str(n["layers"]), str(n["width"]), f"{n['parameters']:,}") for n in networks],
            ),
        ]
    won = wins(measured)
    if won:
        blocks.append(
            Table(
                "definition_wins",
                "Neurons in the widest layer, for the deep networks that win in other rows and the shallow networks they beat",
                ("task", "deep network", "shallow network"),
                [(win.what, f"{win.deep:,}", f"{win.shallow:,}") for win in won],
            )
        )
    open_tasks = undecided(measured)
    return [*blocks, judged(won, open_tasks)] if won or open_tasks else blocks
