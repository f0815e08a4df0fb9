"""Which nodes run together: kernels of elementwise operations and reductions over one domain, in as few passes as possible.

A kernel has a domain (the shape that its loops run over) and perhaps axes that it reduces.  Its nodes are *full* (one value
for each point of the domain) or *small* (one for each point of what is left without the reduced axes: a mean, or what is
computed from it).  The whole of Batch Normalization, forward, is one kernel with domain (N, C) that reduces N: a pass for the
mean, one for the variance, and one for the result.

Nodes are taken in order.  Each has a depth: kernels of one depth do not wait for each other, so those of equal form become
one; what a product or call reads is of a lesser depth than it is, and so is what a kernel reads from memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..kinds import Shape
from ..program.shapes import without_leading_ones
from .c.operations import CHEAP
from .lower import CALL, CHECK, ELEMENTWISE, NUMERIC, PRODUCT, PUTTING, REDUCTION, Lowered

AGAIN = 3  # so many additions and multiplications are rather computed again than read from memory
SMALL = 512  # what is smaller is always stored
BARRIERS = (PRODUCT, PUTTING, CHECK, CALL)  # what no loops are shared with
EARLY = (CALL, CHECK)  # what may end the run, before anything is written


class Kernel:
    """Nodes that run in the same loops.

    Attributes:
        depth: when it can run.
        domain: the shape that the loops run over, without axes of length 1 in front.
        axes: those that are reduced, counted from the end; none where nothing is.
        members: its nodes, in order.
        stored: those of them that are needed elsewhere.
        again: those that are rather computed again, in each pass, than read from memory.
    """

    def __init__(self, depth: int, domain: Shape, axes: Shape) -> None:
        self.depth = depth
        self.domain = domain
        self.axes = axes
        self.members: list[int] = []
        self.stored: set[int] = set()
        self.again: set[int] = set()

    def is_full(self, shape: Shape) -> bool:
        """Whether a node of this shape has a value for each point of the domain."""
        return without_leading_ones(shape) == self.domain

    def fits(self, shape: Shape) -> bool:
        """Whether an elementwise node of this shape can be a member."""
        small = tuple(1 if i - len(self.domain) in self.axes else n for i, n in enumerate(self.domain))
        return self.is_full(shape) or without_leading_ones(shape) == without_leading_ones(small)


Unit = Kernel | int  # a kernel; a product, call or the like by its node


def group(lowered: Lowered, leave: Iterable[int]) -> list[Unit]:
    """The units of a program in an order in which they can run: calls as early as they can, the others in long rows.

    Args:
        lowered: the nodes.
        leave: the nodes whose values leave.
    """
    depth, home = _kernels(lowered)
    kernels = list(dict.fromkeys(home.values()))
    _store(lowered, kernels, home, leave)
    others = [n for n, node in enumerate(lowered.nodes) if node.kind in (*BARRIERS, NUMERIC)]
    units: list[Unit] = [*others, *(kernel for kernel in kernels if kernel.members)]
    return _ordered(lowered, sorted(units, key=lambda unit: depth[unit] if isinstance(unit, int) else unit.depth))


def _kernels(lowered: Lowered) -> tuple[list[int], dict[int, Kernel]]:
    """The depth of each node, and the kernel of each elementwise node and reduction."""
    nodes = lowered.nodes
    depth: list[int] = []
    home: dict[int, Kernel] = {}

    def merge(kernel: Kernel, other: Kernel) -> None:
        kernel.members = sorted(kernel.members + other.members)
        kernel.axes = kernel.axes or other.axes
        home.update(dict.fromkeys(other.members, kernel))

    for number, node in enumerate(nodes):
        deepest = max((depth[i] for i in node.args), default=0)
        depth.append(deepest + (node.kind in BARRIERS and node.kind != CHECK))  # which comes before all else anyway
        if node.kind not in (ELEMENTWISE, REDUCTION):
            continue
        axes = node.params["axis"] if node.kind == REDUCTION else ()
        domain = without_leading_ones(nodes[node.args[0]].shape if axes else node.shape)
        kernel = Kernel(deepest + 1, domain, axes)
        last = [i for i in node.args if depth[i] == deepest]
        near = list(dict.fromkeys(home[i] for i in last if i in home))
        if all(i in home for i in last) and _can_share(near, kernel):
            kernel, *others = near
            kernel.axes = kernel.axes or axes
            for other in others:
                merge(kernel, other)
        kernel.members.append(number)
        home[number] = kernel
        depth[number] = kernel.depth
    alike: dict[tuple[int, Shape, Shape], Kernel] = {}
    for kernel in dict.fromkeys(home.values()):
        first = alike.setdefault((kernel.depth, kernel.domain, kernel.axes), kernel)
        if first is not kernel:
            merge(first, kernel)
    return depth, home


def _can_share(near: Sequence[Kernel], new: Kernel) -> bool:
    """Whether kernels, and a new one of a node that reads what they compute, can be one."""
    axes = {kernel.axes for kernel in (*near, new) if kernel.axes}
    one = len({kernel.domain for kernel in near}) == 1 and len(axes) <= 1
    return one and all(kernel.domain == new.domain if new.axes else kernel.fits(new.domain) for kernel in near)


# -- what is stored, and what is computed again ---------------------------------------------------------------------------


def _cheap(lowered: Lowered) -> set[int]:
    """The nodes that cost a few additions and multiplications to compute from what lies in memory."""
    cost: dict[int, int] = {}
    for number, node in enumerate(lowered.nodes):
        total = CHEAP.get(node.op, AGAIN + 1) + sum(cost.get(i, 0) for i in node.args)
        if node.kind == ELEMENTWISE and total <= AGAIN:
            cost[number] = total
    return set(cost)


def _store(lowered: Lowered, kernels: Sequence[Kernel], home: dict[int, Kernel], leave: Iterable[int]) -> None:
    """Decide which members have to be in memory.  Cheap ones are computed again in each kernel, which then has them, too."""
    nodes, places = lowered.nodes, lowered.places
    needed = {places[number].root for number in leave}
    needed.update(places[i].root for node in nodes if node.kind in BARRIERS for i in node.args)
    cheap = _cheap(lowered)
    large = {n for n in cheap - needed if math.prod(nodes[n].shape) >= SMALL}
    for kernel in kernels:
        have = set(kernel.members)
        todo = list(kernel.members)
        for number in todo:  # which grows
            for source in nodes[number].args:
                if source in have:
                    continue
                if source in large and kernel.is_full(nodes[source].shape):
                    have.add(source)
                    todo.append(source)
                else:
                    needed.add(places[source].root)
        kernel.members = sorted(have)
    for kernel in kernels:
        kernel.stored = {n for n in kernel.members if n in needed and home[n] is kernel}
        keep = set(kernel.stored)
        for number in reversed(kernel.members):
            if number in keep:
                keep.update(nodes[number].args)
        kernel.members = [number for number in kernel.members if number in keep]
        kernel.again = {n for n in kernel.members if n in cheap and kernel.is_full(nodes[n].shape)}


# -- the order ------------------------------------------------------------------------------------------------------------


def _ordered(lowered: Lowered, units: Sequence[Unit]) -> list[Unit]:
    """Units, given by depth, in rows: each in the first one after what it reads; every other row is of what comes early."""
    nodes, places = lowered.nodes, lowered.places
    row: dict[int, int] = {}  # of each node that owns memory, or is a number
    rows: list[tuple[int, Unit]] = []
    for unit in units:
        members = [unit] if isinstance(unit, int) else unit.members
        at = max((row.get(places[i].root, 0) for n in members for i in nodes[n].args if i not in members), default=0)
        kind = nodes[unit].kind if isinstance(unit, int) else ELEMENTWISE
        if kind != NUMERIC:  # which is computed wherever it is read
            at += at % 2 == (kind in EARLY)  # so even rows are the early ones
            rows.append((at, unit))
        row.update(dict.fromkeys(members, at))
    return [unit for _, unit in sorted(rows, key=lambda pair: pair[0])]
