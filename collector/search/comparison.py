"""Ranges over texts, in columns: `quantities` says what a bound is, this what the values of a column are beside it.

A value that can't be compared with the bounds (a text beside a number, a size beside a duration) is in no range.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeVar

import msgspec
import polars as pl

from collector.search import query as q
from collector.search.instants import instants
from collector.search.quantities import (
    DURATION_UNIT,
    NUMBER,
    QUANTITIES,
    SIZE_UNIT,
    Measure,
    Network,
    Unit,
    Version,
    address_of,
    measure_of,
    network_of,
    quantity,
    unit_factor,
    unit_of_name,
    version_key,
)
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import absolute_span

T = TypeVar("T", int, Version)

_SINGLE = {
    Measure.DURATION: rf"^([+-]?{NUMBER}) ?({DURATION_UNIT})$",
    Measure.SIZE: rf"^([+-]?{NUMBER}) ?({SIZE_UNIT})$",
    Measure.SHARE: rf"^([+-]?{NUMBER}) ?(%)$",
}
_COMPOUND = rf"^[+-]?(?:{NUMBER} ?(?:{DURATION_UNIT}) ?){{2,}}$"


class Comparison(msgspec.Struct, frozen=True):
    """A range whose bounds are understood. Numeric bounds are in the measure's unit."""

    measure: Measure
    range: q.Range
    low: float | None = None
    high: float | None = None
    unit: Unit | None = None  # in which the field's plain numbers are


@lru_cache(maxsize=1024)
def comparison(leaf: q.Range) -> Comparison:
    """Of a range without relative times. Raises Reject where the bounds are of two kinds that can't be compared."""
    bounds = [bound for bound in (leaf.low, leaf.high) if bound is not None]
    measures = {measure_of(bound) for bound in bounds}
    unit = unit_of_name(leaf.field)
    measure = _common(measures)
    if measure in QUANTITIES:
        unit = unit if unit is not None and unit.measure is measure else None
        low, high = (_in_unit(bound, measure, unit, leaf) for bound in (leaf.low, leaf.high))
        return Comparison(measure, leaf, low, high, unit)
    if measure is Measure.NUMBER:
        low, high = (None if bound is None else float(bound) for bound in (leaf.low, leaf.high))
        return Comparison(measure, leaf, low, high, unit)
    return Comparison(measure, leaf)


def _common(measures: set[Measure]) -> Measure:
    if len(measures) == 1:
        return next(iter(measures))
    for measure in QUANTITIES:
        if measures == {Measure.NUMBER, measure}:
            return measure
    if measures == {Measure.NUMBER, Measure.VERSION}:
        return Measure.VERSION
    if Measure.TEXT not in measures:
        raise Reject(f"one bound is a {' and the other a '.join(sorted(measures))}: they can't be compared")
    return Measure.TEXT


def _in_unit(bound: str | None, measure: Measure, unit: Unit | None, leaf: q.Range) -> float | None:
    if bound is None:
        return None
    if (found := quantity(bound, measure)) is not None:
        return found
    if unit is None and float(bound) != 0:
        raise Reject(f"the bound {bound} of {leaf.field} has no unit beside a {measure}")
    return float(bound) * (1.0 if unit is None else unit.factor)


def in_range(leaf: q.Range, value: pl.Expr) -> pl.Expr:
    """Boolean, null where the value can't be compared; `value` is a String expression."""
    compared = comparison(leaf)
    if compared.measure is Measure.TEXT:
        return _limited(leaf, value, leaf.low, leaf.high)
    return value.map_batches(partial(_compare, compared), return_dtype=pl.Boolean(), is_elementwise=True)


def in_network(network: Network, value: pl.Expr) -> pl.Expr:
    """Null where the value is no address of that family."""
    first, last = str(network.network_address), str(network.broadcast_address)
    return in_range(q.Range("", first, last), value)


def _compare(compared: Comparison, values: pl.Series) -> pl.Series:
    leaf = compared.range
    match compared.measure:
        case Measure.NUMBER:
            return _by_number(compared, values)
        case Measure.TIME:
            return _by_time(leaf, instants(values))
        case Measure.ADDRESS:
            return _by_address(leaf, values)
        case Measure.VERSION:
            return _each(values, partial(_version_between, leaf))
    found = _quantities(values, compared.measure, compared.unit)
    return _series(_limited(leaf, pl.col("v"), compared.low, compared.high), found)


def _limited(leaf: q.Range, value: pl.Expr, low: str | float | None, high: str | float | None) -> pl.Expr:
    condition = value.is_not_null()
    if low is not None:
        condition &= value >= pl.lit(low) if leaf.include_low else value > pl.lit(low)
    if high is not None:
        condition &= value <= pl.lit(high) if leaf.include_high else value < pl.lit(high)
    return condition


def _series(condition: pl.Expr, values: pl.Series) -> pl.Series:
    return pl.DataFrame({"v": values}).select(condition).to_series()


def _each(values: pl.Series, decide: Callable[[str], bool | None]) -> pl.Series:
    """By a Python function, once for each distinct value."""
    distinct = values.unique().drop_nulls()
    decided = pl.Series([decide(value) for value in distinct], dtype=pl.Boolean)
    return values.replace_strict(distinct, decided, default=None, return_dtype=pl.Boolean)


# Numbers and quantities ----------------------------------------------------------------------------------------


def _by_number(compared: Comparison, values: pl.Series) -> pl.Series:
    """Plain numbers; in a field whose name has a unit, quantities of it too; versions where they are none."""
    numbers = _numbers(values)
    if (unit := compared.unit) is not None:
        numbers = numbers.zip_with(numbers.is_not_null(), _quantities(values, unit.measure, unit) / unit.factor)
    found = _series(_limited(compared.range, pl.col("v"), compared.low, compared.high), numbers)
    others = numbers.is_null() & values.str.contains(r"^v?\d+\.\d").fill_null(False)
    if not others.any():
        return found
    versions = _each(values.filter(others), partial(_version_between, compared.range))
    return found.scatter(others.arg_true(), versions)


def _numbers(values: pl.Series) -> pl.Series:
    """ "nan" is a text, and would sort above all."""
    return values.cast(pl.Float64, strict=False).fill_nan(None)


def _quantities(values: pl.Series, measure: Measure, unit: Unit | None) -> pl.Series:
    """In the measure's unit; plain numbers in that of the field's name, without one only 0."""
    groups = values.str.extract_groups(_SINGLE[measure]).struct
    factors = _factors(groups.field("2"), measure)
    found = groups.field("1").cast(pl.Float64, strict=False) * factors
    if measure is Measure.DURATION:
        found = _with_compounds(values, found)
    numbers = _numbers(values)
    plain = numbers.set(numbers != 0, None) if unit is None else numbers * unit.factor
    return found.zip_with(found.is_not_null(), plain)


def _factors(units: pl.Series, measure: Measure) -> pl.Series:
    distinct = units.unique().drop_nulls()
    factors = pl.Series([unit_factor(measure, unit) for unit in distinct], dtype=pl.Float64)
    return units.replace_strict(distinct, factors, default=None, return_dtype=pl.Float64)


def _with_compounds(values: pl.Series, found: pl.Series) -> pl.Series:
    """`1m30s` and its like, one by one."""
    left = found.is_null() & values.str.contains(_COMPOUND).fill_null(False)
    if not left.any():
        return found
    return found.scatter(left.arg_true(), [quantity(text, Measure.DURATION) for text in values.filter(left)])


# Times, addresses, versions ------------------------------------------------------------------------------------


def _by_time(leaf: q.Range, found: pl.Series) -> pl.Series:
    """A bound is the whole span that its text names: <= 2026-01-31 holds that day, > 2026-01-31 begins behind it."""
    value = pl.col("v")
    condition = value.is_not_null()
    if leaf.low is not None:
        first, behind = absolute_span(leaf.low)
        condition &= value >= (first if leaf.include_low else behind)
    if leaf.high is not None:
        first, behind = absolute_span(leaf.high)
        condition &= value < (behind if leaf.include_high else first)
    return _series(condition, found)


def _by_address(leaf: q.Range, values: pl.Series) -> pl.Series:
    bounds = [address_of(bound) for bound in (leaf.low, leaf.high) if bound is not None]
    if any(bound is None or bound.version == 6 for bound in bounds):
        return _each(values, partial(_address_between, leaf))
    octets = values.str.extract_groups(r"^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$").struct
    number = pl.Series([0], dtype=pl.Int64).new_from_index(0, len(values))
    for place in "1234":
        octet = octets.field(place).cast(pl.Int64)
        number = number * 256 + octet.set(octet > 255, None)
    low, high = (None if bound is None else int(address_of(bound) or 0) for bound in (leaf.low, leaf.high))
    return _series(_limited(leaf, pl.col("v"), low, high), number)


def _address_between(leaf: q.Range, text: str) -> bool | None:
    """None where the value is no address, or one of the other family."""
    value = address_of(text)
    if value is None:
        return None
    low = None if leaf.low is None else address_of(leaf.low)
    high = None if leaf.high is None else address_of(leaf.high)
    if any(bound is not None and bound.version != value.version for bound in (low, high)):
        return None
    return _between(leaf, int(value), None if low is None else int(low), None if high is None else int(high))


def _version_between(leaf: q.Range, text: str) -> bool | None:
    value = version_key(text)
    if value is None:
        return None
    low = None if leaf.low is None else version_key(leaf.low)
    high = None if leaf.high is None else version_key(leaf.high)
    return _between(leaf, value, low, high)


def _between(leaf: q.Range, value: T, low: T | None, high: T | None) -> bool:
    above = low is None or value > low or (leaf.include_low and value == low)
    below = high is None or value < high or (leaf.include_high and value == high)
    return above and below


def network_term(leaf: q.Query) -> Network | None:
    """The network that a term names: `client.ip:10.0.0.0/8`."""
    return network_of(leaf.value) if isinstance(leaf, q.Term) and leaf.value else None
