"""Laws of algebra that add up or multiply in another order, so that last bits differ; used by ``simplify``.

A product is a number, times factors, over factors; a sum is a list of products.  They are taken apart no further than
eight parts, and products of sums are never multiplied out: that would turn the mean of (x - mean)² into a difference of
large numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..engine import Primitive
from ..ops import primitives
from ..ops.primitives.reduce import kept
from .parts import NUMBER, Constant, Shape, Size, Step
from .shapes import broadcast, count, is_invariant, without_leading_ones

if TYPE_CHECKING:
    from .simplify import Table

MOST = 8  # parts that a product or a sum is taken apart into


@dataclass(frozen=True)
class Product:
    """``number * over[0] * over[1] ... / (under[0] * under[1] ...)``; factors are values of the table, in their order."""

    number: float = 1.0
    over: tuple[int, ...] = ()
    under: tuple[int, ...] = ()

    def times(self, other: Product) -> Product:
        """The product of two; nothing is cancelled, see ``_cancelled``."""
        number = self.number * other.number
        if abs(number) < 2**52 and abs(number - round(number)) <= 4e-16 * abs(number):  # 49 * (1 / 49) is not quite 1
            number = float(round(number))
        return Product(number, self.over + other.over, self.under + other.under)

    def inverse(self) -> Product:
        """One over it."""
        return Product(1.0 / self.number, self.under, self.over)

    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Equal for products that differ in their number only."""
        return tuple(sorted(self.over)), tuple(sorted(self.under))


def product_of(table: Table, i: int) -> Product:
    """A value as a product: what multiply, divide, negative, square and reciprocal made it of."""
    i = table.thin(i)
    known = table.products.get(i)
    if known is None:
        known = table.products[i] = _product_of(table, i)
    return known


def _product_of(table: Table, i: int) -> Product:
    number = table.number_at(i)
    if isinstance(number, float):
        return Product(number=number)
    step = table.step(i)
    atom = Product(over=(i,))
    if step is None or not (_fits(table, step) or step.dtype == NUMBER):
        return atom
    name = step.primitive.name
    parts = [product_of(table, j) for j in step.args]
    if name == "multiply":
        made = parts[0].times(parts[1])
    elif name == "divide" and parts[1].number:
        made = parts[0].times(parts[1].inverse())
    elif name == "negative":
        made = replace(parts[0], number=-parts[0].number)
    elif name == "square":
        made = parts[0].times(parts[0])
    elif name == "reciprocal" and parts[0].number:
        made = parts[0].inverse()
    else:
        return atom
    if len(made.over) + len(made.under) > MOST or not _holds(made.number, step.dtype):
        return atom
    return _cancelled(table, made)


def _holds(number: float, dtype: str) -> bool:
    """Whether a dtype can hold a number: neither overflows nor underflows, as x * 1e200 * 1e200 would in one factor."""
    limits = np.finfo(np.float64 if dtype == NUMBER else dtype)
    return float(limits.tiny) <= abs(number) <= float(limits.max)


def _cancelled(table: Table, product: Product) -> Product:
    """n * x / n = x, for a count n (never infinite or NaN; a mean of nothing was refused before)."""
    over, under = list(product.over), list(product.under)
    for i in product.over:
        if isinstance(table.number_at(i), Size) and i in under:
            over.remove(i)
            under.remove(i)
    return replace(product, over=tuple(over), under=tuple(under))


def terms_of(table: Table, i: int) -> list[Product]:
    """A value as a sum: what add, subtract and negative made it of."""
    i = table.thin(i)
    known = table.terms.get(i)
    if known is None:
        step = table.step(i)
        known = [product_of(table, i)]
        if step is not None and step.primitive.name in ("add", "subtract") and _fits(table, step):
            terms = _both(step, *(terms_of(table, j) for j in step.args))
            if len(terms) <= MOST:
                known = terms
        table.terms[i] = known
    return known


def _both(step: Step, left: list[Product], right: list[Product]) -> list[Product]:
    """The terms of two sums added or subtracted."""
    if step.primitive.name == "subtract":
        right = [replace(term, number=-term.number) for term in right]
    return left + right


# -- laws ---------------------------------------------------------------------------------------------------------------


def means(table: Table, step: Step) -> int | None:
    """mean(x) = Σ x / n, for the count n of what is averaged."""
    if step.primitive.name != "mean" or not _fits(table, step):
        return None
    n = count(table[step.args[0]].shape, step.params["axis"])
    if n is None:
        return None
    total = table.make(step, primitive=primitives.sum, params=step.params)
    return table.make(step, primitive=primitives.divide, args=(total, table.number(n)))


def products(table: Table, step: Step) -> int | None:
    """a * (b * x) = (a * b) * x: numbers and small factors together, before they meet a large array; x / s found again.

    Of the factors that broadcasting stretches, one small product is made; a quotient that was computed already is used.
    """
    if step.primitive.name not in ("multiply", "divide", "square", "reciprocal", "negative") or not _fits(table, step):
        return None
    parts = [product_of(table, i) for i in step.args]
    if any(part.number == 0.0 for part in parts):
        return None
    made = {
        "multiply": lambda: parts[0].times(parts[1]),
        "divide": lambda: parts[0].times(parts[1].inverse()),
        "square": lambda: parts[0].times(parts[0]),
        "reciprocal": lambda: parts[0].inverse(),
        "negative": lambda: replace(parts[0], number=-parts[0].number),
    }[step.primitive.name]()
    if len(made.over) + len(made.under) > MOST or not (made.over or made.under) or not _holds(made.number, step.dtype):
        return None
    return table.shaped(build_product(table, _cancelled(table, made), step), step)


def sums(table: Table, step: Step) -> int | None:
    """a * x + b * x = (a + b) * x, x - x = 0, and s * x + s * y = s * (x + y) for a small factor s."""
    if step.primitive.name not in ("add", "subtract") or not _fits(table, step):
        return None
    terms = _both(step, *(terms_of(table, i) for i in step.args))
    if len(terms) > MOST:
        terms = _both(step, *([product_of(table, i)] for i in step.args))
    return table.shaped(build_sum(table, terms, step), step)


def factors_out_of_sums(table: Table, step: Step) -> int | None:
    """Σ s * x = s * Σ x, Σ x / s = (Σ x) / s, Σ s = n * s, for what is the same along the summed axes."""
    if step.primitive.name != "sum" or not _fits(table, step):
        return None
    terms = terms_of(table, step.args[0])
    if len(terms) != 1:
        return None
    total = _summed(table, terms[0], step)
    if total is None:
        return None
    return table.shaped(build_product(table, total, step), step)


def sums_of_sums(table: Table, step: Step) -> int | None:
    """Σ (x + y) = Σ x + Σ y, where both are known already, or 0, or the same along the summed axes.

    So Σ (x - mean(x)) = Σ x - n * (Σ x / n) = 0.
    """
    if step.primitive.name != "sum" or not _fits(table, step):
        return None
    terms = _known_sums(table, table.thin(step.args[0]), step, depth=0)
    return None if terms is None else table.shaped(build_sum(table, terms, step), step)


def small_terms_out_of_sums(table: Table, step: Step) -> int | None:
    """Σ (x + s) = n * (Σ x / n + s), for an s that is the same along the summed axes.

    So x + s - mean(x + s) = x - mean(x), and nobody needs x + s.
    """
    if step.primitive.name != "sum" or not _fits(table, step):
        return None
    whole, axes = table[step.args[0]].shape, step.params["axis"]
    made, n = table.step(step.args[0]), count(whole, axes)
    if made is None or made.primitive.name not in ("add", "subtract") or not _fits(table, made) or n is None:
        return None
    is_small = [is_invariant(table[i].shape, axes, len(whole)) for i in made.args]
    if sorted(is_small) != [False, True] or table[made.args[is_small[0]]].shape != whole:
        return None
    number = product_of(table, table.number(n))
    parts = [product_of(table, i if small else table.make(step, args=(i,))) for i, small in zip(made.args, is_small)]
    shares = [[part if small else part.times(number.inverse())] for part, small in zip(parts, is_small)]
    mean = product_of(table, build_sum(table, _both(made, *shares), step))
    return table.shaped(build_product(table, _cancelled(table, mean.times(number)), step), step)


ALGEBRA = (means, sums_of_sums, small_terms_out_of_sums, factors_out_of_sums, sums, products)


# -- sums along axes ----------------------------------------------------------------------------------------------------


def _parted(table: Table, term: Product, step: Step) -> tuple[Product, Product]:
    """A product as what is the same along the axes of a sum, times the rest."""
    axes, ndim = step.params["axis"], len(table[step.args[0]].shape)

    def invariant(i: int) -> bool:
        return is_invariant(table[i].shape, axes, ndim)

    outside = Product(
        term.number,
        tuple(i for i in term.over if invariant(i)),
        tuple(i for i in term.under if invariant(i)),
    )
    rest = Product(
        1.0, tuple(i for i in term.over if not invariant(i)), tuple(i for i in term.under if not invariant(i))
    )
    return outside, rest


def _summed(table: Table, term: Product, step: Step) -> Product | None:
    """The sum of one product, as a product."""
    outside, rest = _parted(table, term, step)
    source = table[step.args[0]].shape
    if not rest.over and not rest.under:
        n = count(source, step.params["axis"])
        return None if n is None else outside.times(product_of(table, table.number(n)))
    if outside == Product():
        return None
    inner = build_product(table, rest, step)
    shape = table[inner].shape
    lead = len(source) - len(shape)
    if any(axis < lead for axis in step.params["axis"]) or any(
        shape[axis - lead] != source[axis] for axis in step.params["axis"]
    ):
        return None  # what is left would have to be stretched first
    axes = tuple(axis - lead for axis in step.params["axis"])
    total = table.make(step, args=(inner,), params={"axis": axes, "keepdims": True}, shape=kept(shape, axes))
    return _cancelled(table, outside.times(product_of(table, total)))


def _known_sums(table: Table, i: int, step: Step, depth: int) -> list[Product] | None:
    """The terms of the sum of a value, if it is known, or the sum of each part is; see ``sums_of_sums``."""
    i = table.thin(i)
    outside, rest = _parted(table, product_of(table, i), step)
    if not rest.over and not rest.under:
        n = count(table[step.args[0]].shape, step.params["axis"])
        return None if n is None else [_cancelled(table, outside.times(product_of(table, table.number(n))))]
    known = _known_sum(table, rest, step)
    if known is not None:
        return [_cancelled(table, outside.times(known))]
    if depth > MOST or len(rest.over) != 1 or rest.under:
        return None
    if rest.over[0] != i:
        inner = _known_sums(table, rest.over[0], step, depth + 1)
        return None if inner is None else [_cancelled(table, outside.times(part)) for part in _collected(inner)]
    made = table.step(i)
    if made is None or made.primitive.name not in ("add", "subtract") or not _fits(table, made):
        return None
    parts = []
    for j in made.args:
        found = _known_sums(table, j, step, depth + 1)
        if found is None:
            return None
        parts.append(found)
    return _both(made, *parts)


def _known_sum(table: Table, rest: Product, step: Step) -> Product | None:
    """The sum of a product, if it stands in the table."""
    inner = _built(table, rest, step, only_known=True)
    if inner is None or table[inner].shape != table[step.args[0]].shape:
        return None
    known = table.known(step._replace(args=(inner,)))
    return None if known is None else product_of(table, known)


# -- from products and sums to steps ------------------------------------------------------------------------------------


def build_sum(table: Table, terms: list[Product], like: Step) -> int:
    """A value equal to the sum of products."""
    terms = _collected(terms)
    if not terms:
        return table.constant(Constant(np.zeros((), like.dtype), like.shape, like.dtype))
    if len(terms) == 1:
        return build_product(table, terms[0], like)
    common = _common(table, terms, like)
    if common.over or common.under:
        inside = build_sum(table, [_without(term, common) for term in terms], like)
        return build_product(table, common.times(product_of(table, inside)), like)
    large = without_leading_ones(like.shape)

    def taken_away(term: Product) -> tuple[bool, bool]:
        is_large = any(without_leading_ones(table[i].shape) == large for i in term.over)
        return term.number < 0, term.number < 0 and is_large

    terms.sort(key=taken_away)  # what is added first, then what is taken away, small ones before large ones
    total = build_product(table, terms[0], like)
    for term in terms[1:]:
        primitive = primitives.subtract if term.number < 0 else primitives.add
        part = build_product(table, replace(term, number=abs(term.number)), like)
        total = table.elementwise(primitive, (total, part), like)
    return total


def _collected(terms: list[Product]) -> list[Product]:
    """Terms that differ in their number only as one; those that cancel left out."""
    found: dict[object, Product] = {}
    for term in terms:
        known = found.get(term.key())
        found[term.key()] = term if known is None else replace(known, number=known.number + term.number)
    return [term for term in found.values() if term.number != 0.0]


def _common(table: Table, terms: list[Product], like: Step) -> Product:
    """The small factors and divisors that all terms have; -1 where all are taken away."""
    large = without_leading_ones(like.shape)

    def shared(parts: list[tuple[int, ...]]) -> tuple[int, ...]:
        both = Counter(parts[0])
        for part in parts[1:]:
            both &= Counter(part)
        return tuple(i for i in both.elements() if without_leading_ones(table[i].shape) != large)

    over, under = shared([term.over for term in terms]), shared([term.under for term in terms])
    if any(len(term.over) == len(over) for term in terms):
        over = ()  # a term would be left without a factor
    return Product(1.0, over, tuple(i for i in under if not isinstance(table.number_at(i), Size)) if over else ())


def _without(term: Product, common: Product) -> Product:
    over, under = list(term.over), list(term.under)
    for i in common.over:
        over.remove(i)
    for i in common.under:
        under.remove(i)
    return Product(term.number, tuple(over), tuple(under))


def build_product(table: Table, product: Product, like: Step) -> int:
    """A value equal to a product."""
    built = _built(table, product, like)
    assert built is not None
    return built


def _with_known_parts(table: Table, product: Product) -> tuple[list[int], list[int]]:
    """Factors and divisors, where a quotient of two, or a product with a number, that is there to stay takes their place."""
    over, under = list(product.over), list(product.under)
    for a in product.over:
        numbers = [i for i in over if table[i].dtype == NUMBER and i != a]
        for primitive, b in (*((primitives.divide, i) for i in under), *((primitives.multiply, i) for i in numbers)):
            known, others = (
                table.known_elementwise(primitive, (a, b)),
                under if primitive is primitives.divide else over,
            )
            if known is not None and (table.all_there or known in table.lasting) and a in over and b in others:
                over[over.index(a)] = known
                others.remove(b)
    return over, under


def _built(table: Table, product: Product, like: Step, only_known: bool = False) -> int | None:
    shapes = [table[i].shape for i in (*product.over, *product.under)]
    whole: Shape | None = broadcast(shapes) if shapes else ()
    large = without_leading_ones(whole if whole is not None else like.shape)

    def is_large(i: int) -> bool:
        return without_leading_ones(table[i].shape) == large

    def make(primitive: Primitive, args: tuple[int, ...]) -> int | None:
        return table.known_elementwise(primitive, args) if only_known else table.elementwise(primitive, args, like)

    over, under = _with_known_parts(table, product)

    def multiplied(factors: list[int]) -> int | None:
        total: int | None = None
        for i in sorted(factors, key=lambda i: table[i].dtype == NUMBER):
            if total is None:
                total = i
            elif total == i and len(factors) == 2:
                total = make(primitives.square, (i,))
            else:
                total = make(primitives.multiply, (total, i))
            if total is None:
                return None
        return total

    def quotient_of(a: list[int], b: list[int], number: float) -> int | None:
        top, bottom = multiplied(a), multiplied(b)
        if (a and top is None) or (b and bottom is None):
            return None
        if top is None:
            top, number = table.number(number), 1.0
        return scaled(top if bottom is None else make(primitives.divide, (top, bottom)), number)

    def scaled(value: int | None, number: float) -> int | None:
        if value is None or number == 1.0:
            return value
        if number == -1.0:
            return make(primitives.negative, (value,))
        if 0.0 < abs(number) < 1.0 and (1.0 / number).is_integer():  # x / 4 rather than x * 0.25
            return make(primitives.divide, (value, table.number(1.0 / number)))
        return make(primitives.multiply, (value, table.number(number)))

    big = [i for i in over if is_large(i)], [i for i in under if is_large(i)]
    small = [i for i in over if not is_large(i)], [i for i in under if not is_large(i)]
    if not big[0] or (not small[0] and not small[1]):
        return quotient_of([*big[0], *small[0]], [*big[1], *small[1]], product.number)
    first = quotient_of(big[0], big[1], 1.0)
    if first is None:
        return None
    if not small[0] and product.number in (1.0, -1.0):
        bottom = multiplied(small[1])
        return scaled(None if bottom is None else make(primitives.divide, (first, bottom)), product.number)
    second = quotient_of(small[0], small[1], product.number)
    return None if second is None else make(primitives.multiply, (first, second))


def _fits(table: Table, step: Step) -> bool:
    """Whether these are arrays of one floating-point dtype, so that another order of operations changes no dtype."""
    return step.dtype.startswith("float") and all(table[i].dtype in (step.dtype, NUMBER) for i in step.args)
