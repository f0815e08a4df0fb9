"""The primitives: every operation that has a derivative rule of its own, by family.  Everything else is composed.

``primitives.name`` is the primitive of that name, whatever its family; ``TABLE`` has them all, for whoever looks one up
by name (a program read from a file, a translation into another language, the table of all rules).
"""

from typing import TYPE_CHECKING

from ...engine import Primitive, unbroadcast
from . import along, arithmetic, check, compare, draw, elementary, factor, index, linalg, reduce, shape, window

FAMILIES = (
    arithmetic,
    elementary,
    compare,
    reduce,
    linalg,
    factor,
    shape,
    index,
    along,
    window,
    draw,
    check,
    unbroadcast,
)

TABLE: dict[str, Primitive] = {
    thing.name: thing for family in FAMILIES for thing in vars(family).values() if isinstance(thing, Primitive)
}
globals().update(TABLE)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Primitive: ...
