"""Which nodes run together: kernels of elementwise operations and reductions over one domain, in as few passes as possible.

A kernel has a domain (the shape that its loops run over) and perhaps axes that it reduces.  Its nodes are *full* (one value
for each point of the domain) or *small* (one for each point of what is left without the reduced axes: a mean, or what is
computed from it).  The whole of Batch Normalization, forward, is one kernel with domain (N, C) that reduces N: a pass for the
mean, one for the variance, and one for the result.

Nodes are taken in order.  Each has a depth, one more than that of the products and calls before it; so kernels of one depth
do not wait for each other, and those of equal form become one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..kinds import Shape
from ..program.shapes import without_leading_ones
from .c_operations import CHEAP
from .lower import CALL, ELEMENTWISE, GIVEN, NUMERIC, PRODUCT, REDUCTION, SPECIAL, Lowered, Node

AGAIN = 3  # so many additions and multiplications are rather computed again than read from memory
SMALL = 512  # what is smaller is always stored
BARRIERS = (PRODUCT, SPECIAL, CALL)  # what no loops are shared with


class Kernel:
    """Nodes that run in the same loops.

    Attributes:
        depth: when it can run.
        domain: the shape that the loops run over.
        axes: those that are reduced; ``None`` where none are.
        members: its nodes, in order.
        stored: those of them that are needed elsewhere.
    """

    def __init__(self, depth: int, domain: Shape) -> None:
        self.depth = depth
        self.domain = domain
        self.axes: tuple[int, ...] | None = None
        self.members: list[int] = []
        self.stored: set[int] = set()

    def fits(self, shape: Shape) -> bool:
        """Whether an elementwise node of this shape can be a member."""
        axes = self.axes or ()
        small = tuple(1 if i in axes else n for i, n in enumerate(self.domain))
        return without_leading_ones(shape) in (without_leading_ones(self.domain), without_leading_ones(small))

    def is_full(self, shape: Shape) -> bool:
        """Whether a node of this shape has a value for each point of the domain."""
        return self.axes is None or without_leading_ones(shape) == without_leading_ones(self.domain)


Unit = Kernel | int  # a kernel; a product, special operation or call by its node


def group(lowered: Lowered, leave: Iterable[int]) -> list[Unit]:
    """The units of a program in an order in which they can run: calls as early as they can, the others in long rows.

    Args:
        lowered: the nodes.
        leave: the nodes whose values leave.
    """
    home = _kernels(lowered)
    kernels = list(dict.fromkeys(home.values()))
    _store(lowered, kernels, home, leave)
    barriers = [n for n, node in enumerate(lowered.nodes) if node.kind in BARRIERS]
    return _ordered(lowered, [*(kernel for kernel in kernels if kernel.members), *barriers])


def source_of(lowered: Lowered, number: int) -> int:
    """A node itself, or the one that owns the memory, where it is the same with other axes of length 1."""
    root = lowered.places[number].root
    same = without_leading_ones(lowered.nodes[number].shape) == without_leading_ones(lowered.nodes[root].shape)
    if same and lowered.places[number].offset == 0 and _bare(lowered, number) == _bare(lowered, root):
        return root
    return number


def _bare(lowered: Lowered, number: int) -> Shape:
    """Strides of the axes that are longer than 1."""
    return tuple(s for s, n in zip(lowered.places[number].strides, lowered.nodes[number].shape) if n != 1)


def _kernels(lowered: Lowered) -> dict[int, Kernel]:
    """The kernel of each elementwise node and reduction."""
    nodes = lowered.nodes
    depth = [0] * len(nodes)
    home: dict[int, Kernel] = {}

    def merge(kernel: Kernel, other: Kernel) -> None:
        kernel.members = sorted(kernel.members + other.members)
        kernel.axes = other.axes if kernel.axes is None else kernel.axes
        home.update(dict.fromkeys(other.members, kernel))

    for number, node in enumerate(nodes):
        depth[number] = deepest = max((depth[i] for i in node.args), default=0)
        if node.kind in BARRIERS:
            depth[number] += 1
        if node.kind not in (ELEMENTWISE, REDUCTION):
            continue
        last = [source_of(lowered, i) for i in node.args if depth[i] == deepest]
        near = list(dict.fromkeys(home[i] for i in last if i in home))
        alone = any(i not in home and nodes[_root(lowered, i)].kind not in (GIVEN, NUMERIC) for i in last)
        if near and not alone and _can_share(near, lowered, node):
            kernel, *others = near
            for other in others:
                merge(kernel, other)
        else:
            kernel = Kernel(deepest + 1, nodes[node.args[0]].shape if node.kind == REDUCTION else node.shape)
        if node.kind == REDUCTION:
            kernel.axes = node.params["axis"]
        kernel.members.append(number)
        home[number] = kernel
        depth[number] = kernel.depth
    alike: dict[tuple[int, Shape, tuple[int, ...] | None], Kernel] = {}
    for kernel in dict.fromkeys(home.values()):
        first = alike.setdefault((kernel.depth, kernel.domain, kernel.axes), kernel)
        if first is not kernel:
            merge(first, kernel)
    return home


def _root(lowered: Lowered, number: int) -> int:
    return lowered.places[number].root


def _can_share(near: Sequence[Kernel], lowered: Lowered, node: Node) -> bool:
    """Whether a node and the kernels before it can be one kernel."""
    if node.kind == REDUCTION:
        source, axes = lowered.nodes[node.args[0]].shape, node.params["axis"]
        return all(kernel.domain == source and kernel.axes in (None, axes) for kernel in near)
    reduced = {kernel.axes for kernel in near if kernel.axes is not None}
    return len({kernel.domain for kernel in near}) == 1 and len(reduced) <= 1 and all(k.fits(node.shape) for k in near)


# -- what is stored, and what is computed again ---------------------------------------------------------------------------


def cheap(lowered: Lowered, numbers: Iterable[int]) -> set[int]:
    """Those of some nodes that are rather computed again than read from memory: a few additions and multiplications."""
    cost: dict[int, int] = {}
    for number in numbers:
        node = lowered.nodes[number]
        cost[number] = CHEAP.get(node.op, AGAIN + 1) + sum(cost.get(source_of(lowered, i), 0) for i in node.args)
    return {number for number, total in cost.items() if total <= AGAIN}


def _store(lowered: Lowered, kernels: Sequence[Kernel], home: dict[int, Kernel], leave: Iterable[int]) -> None:
    """Decide which members have to be in memory.  Cheap ones are computed again in each kernel, which then has them, too."""
    nodes = lowered.nodes
    needed = {_root(lowered, number) for number in leave}
    needed.update(_root(lowered, i) for node in nodes if node.kind in BARRIERS for i in node.args)
    free = [n for n in home if nodes[n].kind == ELEMENTWISE and n not in needed and math.prod(nodes[n].shape) >= SMALL]
    again = cheap(lowered, free)
    for kernel in kernels:
        have, todo = set(kernel.members), list(kernel.members)
        while todo:
            for source in [source_of(lowered, i) for i in nodes[todo.pop()].args]:
                if source in again and kernel.is_full(nodes[source].shape) and source not in have:
                    have.add(source)
                    todo.append(source)
                elif source not in have:
                    needed.add(_root(lowered, source))
        kernel.members = sorted(have)
    for kernel in kernels:
        kernel.stored = {n for n in kernel.members if n in needed and home[n] is kernel}
        keep = set(kernel.stored)
        for number in reversed(kernel.members):
            if number in keep:
                keep.update(source_of(lowered, i) for i in nodes[number].args)
        kernel.members = [number for number in kernel.members if number in keep]


# -- the order ------------------------------------------------------------------------------------------------------------


def _ordered(lowered: Lowered, units: Sequence[Unit]) -> list[Unit]:
    nodes = lowered.nodes
    maker: dict[int, int] = {}
    for place, unit in enumerate(units):
        maker.update(dict.fromkeys([unit] if isinstance(unit, int) else unit.stored, place))
    waits = []
    for place, unit in enumerate(units):
        read = set(nodes[unit].args) if isinstance(unit, int) else reads(lowered, unit)
        read |= lowered.numeric(read)
        waits.append({maker[root] for i in read if (root := _root(lowered, i)) in maker} - {place})
    done: dict[int, Unit] = {}
    while len(done) < len(units):
        for calls in (True, False):
            before = -1
            while before < len(done):
                before = len(done)
                for place, unit in enumerate(units):
                    if place not in done and _is_early(lowered, unit) == calls and waits[place] <= done.keys():
                        done[place] = unit
    return list(done.values())


def _is_early(lowered: Lowered, unit: Unit) -> bool:
    """A call, or a check, which may end the run before anything is written."""
    return isinstance(unit, int) and (lowered.nodes[unit].kind == CALL or lowered.nodes[unit].op == "checked_index")


def reads(lowered: Lowered, kernel: Kernel) -> set[int]:
    """The nodes that a kernel reads from memory."""
    have = set(kernel.members)
    return {i for number in kernel.members for i in lowered.nodes[number].args if source_of(lowered, i) not in have}
