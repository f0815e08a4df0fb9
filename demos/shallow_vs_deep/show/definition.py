"""Layers and neurons: what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...lab.measure.part import Measured
from ...lab.show.blocks import Block, Outcome, Table, Text, Verdict
from ...lab.show.wording import CONDITION, fitting, listed
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
        Win(f"{duel.task} ({duel.deep['budget']:,} parameters)", max(duel.deep["widths"]), max(duel.shallow["widths"]))
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


def verdict(won: Sequence[Win]) -> tuple[Outcome, str]:
    """Holds where every deep network that won has more neurons in a layer, does not where none has."""
    more = [win.what for win in won if win.deep > win.shallow]
    if won and len(more) == len(won):
        return "holds", ""
    if not more:
        return "does not hold", ""
    count = f"it is one of {len(more)} of the {len(won)} deep networks that win in other rows"
    return "holds if", fitting(CONDITION, f"the task is {listed(more)}", count)


def show(measured: Measured) -> list[Block]:
    """The counts, the winners, and whether more neurons in a layer made them win."""
    blocks: list[Block] = []
    if "definition_sizes" in measured:
        networks = measured["definition_sizes"]["networks"]
        blocks += [
            Text(
                "How deep a network has to be called deep is a matter of definition. That it has more neurons in each layer "
                "is not: as many hidden units in more layers are fewer in each."
            ),
            Table(
                "definition_sizes",
                f"{UNITS} hidden units between one input and one output",
                ("layers", "neurons in each", "parameters"),
                [(str(n["layers"]), str(n["width"]), f"{n['parameters']:,}") for n in networks],
            ),
        ]
    won = wins(measured)
    if won:
        outcome, condition = verdict(won)
        fewer = sum(win.deep < win.shallow for win in won)
        ordered = sorted(won, key=lambda win: win.deep / win.shallow)
        ends = [f"{win.deep:,} against {win.shallow:,}" for win in (ordered[0], *ordered[1:][-1:])]
        said = f"between {ends[0]} and {ends[1]}" if len(ends) > 1 else ends[0]
        blocks += [
            Table(
                "definition_wins",
                "The deep networks that win in other rows: neurons in their widest layer, and in that of the shallow one",
                ("task", "deep", "shallow"),
                [(win.what, f"{win.deep:,}", f"{win.shallow:,}") for win in won],
            ),
            Verdict(
                "definition",
                "Deep networks have many layers, with more neurons in each",
                f"Of {len(won)} deep networks that win in other rows, {fewer} have fewer neurons in their widest layer than "
                f"the shallow network they beat: {said}",
                outcome,
                condition,
            ),
        ]
    return blocks
