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
from .c_operations import CHEAP
from .lower import CALL, ELEMENTWISE, GIVEN, NUMERIC, PRODUCT, REDUCTION, SPECIAL, VIEW, Lowered

AGAIN = 3  # so many additions and multiplications are rather computed again than read from memory
SMALL = 512  # what is smaller is always stored


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
        self.into: Kernel | None = None

    @property
    def small_shape(self) -> Shape:
        """The domain with length 1 for the reduced axes."""
        axes = self.axes or ()
        return tuple(1 if i in axes else n for i, n in enumerate(self.domain))

    def fits(self, shape: Shape) -> bool:
        """Whether an elementwise node of this shape can be a member."""
        bare = without_ones(shape)
        return bare == without_ones(self.domain) or (self.axes is not None and bare == without_ones(self.small_shape))

    def is_full(self, shape: Shape) -> bool:
        """Whether a node of this shape has a value for each point of the domain."""
        return self.axes is None or without_ones(shape) == without_ones(self.domain)


Unit = Kernel | int  # a kernel; a product, special operation or call by its node


def group(lowered: Lowered, leave: Iterable[int]) -> list[Unit]:
    """The units of a program in an order in which they can run: calls as early as they can, the others in long rows.

    Args:
        lowered: the nodes.
        leave: the nodes whose values leave.
    """
    kernels, home = _kernels(lowered)
    stored = _stored(lowered, kernels, home, set(leave))
    kernels = [kernel for kernel in kernels if kernel.members]
    for kernel in kernels:
        kernel.stored = {n for n in kernel.members if n in stored and home[n] is kernel}
    barriers = [n for n, node in enumerate(lowered.nodes) if node.kind in (PRODUCT, SPECIAL, CALL)]
    return _ordered(lowered, [*kernels, *barriers])


def source_of(lowered: Lowered, number: int) -> int:
    """A node itself, or the one that owns the memory, where it is the same with other axes of length 1."""
    root = lowered.places[number].root
    same = without_ones(lowered.nodes[number].shape) == without_ones(lowered.nodes[root].shape)
    if same and lowered.places[number].offset == 0 and _bare(lowered, number) == _bare(lowered, root):
        return root
    return number


def _bare(lowered: Lowered, number: int) -> Shape:
    """Strides of the axes that are longer than 1."""
    return tuple(s for s, n in zip(lowered.places[number].strides, lowered.nodes[number].shape) if n != 1)


def without_ones(shape: Shape) -> Shape:
    """The shape that broadcasting sees: axes of length 1 in front mean nothing."""
    start = 0
    while start < len(shape) and shape[start] == 1:
        start += 1
    return shape[start:]


def _kernels(lowered: Lowered) -> tuple[list[Kernel], dict[int, Kernel]]:
    nodes = lowered.nodes
    depth = [0] * len(nodes)
    home: dict[int, Kernel] = {}
    kernels: list[Kernel] = []
    for number, node in enumerate(nodes):
        deepest = max((depth[i] for i in node.args), default=0)
        depth[number] = deepest
        if node.kind == VIEW:
            continue
        if node.kind in (PRODUCT, SPECIAL, CALL):
            depth[number] = deepest + 1
            continue
        if node.kind in (GIVEN, NUMERIC):
            continue
        last = [source_of(lowered, i) for i in node.args if depth[i] == deepest]
        near = list(dict.fromkeys(_final(home[i]) for i in last if i in home))
        apart = [i for i in last if i not in home and nodes[_root(lowered, i)].kind not in (GIVEN, NUMERIC)]
        kernel = None if apart else _common(near, lowered, number)
        if kernel is None:
            shape = nodes[node.args[0]].shape if node.kind == REDUCTION else node.shape
            kernel = Kernel(deepest + 1, shape)
            kernels.append(kernel)
        if node.kind == REDUCTION:
            kernel.axes = node.params["axis"]
        kernel.members.append(number)
        home[number] = kernel
        depth[number] = kernel.depth
    alike: dict[tuple[int, Shape, tuple[int, ...] | None], Kernel] = {}
    for kernel in kernels:
        if kernel.into is None:
            first = alike.setdefault((kernel.depth, kernel.domain, kernel.axes), kernel)
            if first is not kernel:
                _merge(first, kernel)
    kernels = [kernel for kernel in kernels if kernel.into is None]
    return kernels, {number: _final(kernel) for number, kernel in home.items()}


def _root(lowered: Lowered, number: int) -> int:
    return lowered.places[number].root


def _final(kernel: Kernel) -> Kernel:
    while kernel.into is not None:
        kernel = kernel.into
    return kernel


def _merge(kernel: Kernel, other: Kernel) -> None:
    kernel.members = sorted(kernel.members + other.members)
    kernel.axes = kernel.axes if kernel.axes is not None else other.axes
    other.into, other.members = kernel, []


def _common(near: Sequence[Kernel], lowered: Lowered, number: int) -> Kernel | None:
    """The kernel that a node and the kernels before it can share."""
    if not near:
        return None
    node = lowered.nodes[number]
    if node.kind == REDUCTION:
        source, axes = lowered.nodes[node.args[0]].shape, node.params["axis"]
        if any(kernel.domain != source or kernel.axes not in (None, axes) for kernel in near):
            return None
    elif not all(kernel.fits(node.shape) for kernel in near):
        return None
    if len({kernel.domain for kernel in near}) > 1 or len({k.axes for k in near if k.axes is not None}) > 1:
        return None
    first, *others = near
    for kernel in others:
        _merge(first, kernel)
    return first


# -- what is stored, and what is computed again ---------------------------------------------------------------------------


def _stored(lowered: Lowered, kernels: Sequence[Kernel], home: dict[int, Kernel], leave: set[int]) -> set[int]:
    """The members that have to be in memory.  Cheap ones are computed again in each kernel, which then has them, too."""
    nodes = lowered.nodes
    needed = {_root(lowered, number) for number in leave}
    for node in nodes:
        if node.kind in (PRODUCT, SPECIAL, CALL):
            needed.update(_root(lowered, i) for i in node.args)
    cost: dict[int, int] = {}
    for number, node in enumerate(nodes):
        if node.kind == ELEMENTWISE and node.op in CHEAP and number not in needed and math.prod(node.shape) >= SMALL:
            total = CHEAP[node.op] + sum(cost.get(source_of(lowered, i), 0) for i in node.args)
            if total <= AGAIN:
                cost[number] = total
    for kernel in kernels:
        have, todo = set(kernel.members), list(kernel.members)
        while todo:
            for arg in nodes[todo.pop()].args:
                source = source_of(lowered, arg)
                if source in have or source not in home:
                    if source not in home:
                        needed.add(_root(lowered, source))
                elif source in cost and kernel.is_full(nodes[source].shape):
                    have.add(source)
                    todo.append(source)
                else:
                    needed.add(source)
        kernel.members = sorted(have)
    for kernel in kernels:
        keep = {n for n in kernel.members if n in needed and home[n] is kernel}
        for number in reversed(kernel.members):
            if number in keep:
                keep.update(source_of(lowered, i) for i in nodes[number].args)
        kernel.members = [number for number in kernel.members if number in keep]
    return {number for number in needed if number in home}


# -- the order ------------------------------------------------------------------------------------------------------------


def _ordered(lowered: Lowered, units: Sequence[Unit]) -> list[Unit]:
    nodes = lowered.nodes
    maker: dict[int, int] = {}
    for place, unit in enumerate(units):
        for number in [unit] if isinstance(unit, int) else [n for n in unit.members if n in unit.stored]:
            maker[number] = place
    waits = []
    for place, unit in enumerate(units):
        read = set(nodes[unit].args) if isinstance(unit, int) else reads(lowered, unit)
        read |= lowered.numeric(read)
        waits.append({maker[root] for i in read if (root := _root(lowered, i)) in maker and maker[root] != place})
    done: set[int] = set()
    left = list(range(len(units)))
    found: list[Unit] = []
    while left:
        for calls in (True, False):
            went = True
            while went:
                went = False
                for place in left:
                    unit = units[place]
                    if _is_early(lowered, unit) == calls and waits[place] <= done:
                        found.append(unit)
                        done.add(place)
                        went = True
                left = [place for place in left if place not in done]
    return found


def _is_early(lowered: Lowered, unit: Unit) -> bool:
    """A call, or a check, which may end the run before anything is written."""
    return isinstance(unit, int) and (lowered.nodes[unit].kind == CALL or lowered.nodes[unit].op == "checked_index")


def reads(lowered: Lowered, kernel: Kernel) -> set[int]:
    """The nodes that a kernel reads from memory."""
    have = set(kernel.members)
    return {i for number in kernel.members for i in lowered.nodes[number].args if source_of(lowered, i) not in have}
