"""Which functions and aggregations there are, and what they take and give.

Source: Prometheus' documentation (querying/functions, querying/operators) and promql/parser/functions.go.
"""

from __future__ import annotations

import msgspec

from collector.metrics.promql.ast import ValueType

SCALAR, VECTOR, MATRIX, STRING = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING
UNLIMITED = -1


class Signature(msgspec.Struct, frozen=True):
    """`variadic` more arguments of the last type than `args` less one; UNLIMITED: any number of them."""

    args: tuple[ValueType, ...] = ()
    variadic: int = 0
    returns: ValueType = VECTOR
    experimental: bool = False


def _of(*names: str, args: tuple[ValueType, ...] = (VECTOR,), **more: object) -> dict[str, Signature]:
    return {name: msgspec.convert({"args": args, **more}, Signature) for name in names}


FUNCTIONS: dict[str, Signature] = {
    **_of("abs", "ceil", "exp", "floor", "ln", "log10", "log2", "sgn", "sqrt", "deg", "rad"),
    **_of("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    **_of("absent", "sort", "sort_desc", "timestamp"),
    **_of("clamp", args=(VECTOR, SCALAR, SCALAR)),
    **_of("clamp_max", "clamp_min", args=(VECTOR, SCALAR)),
    **_of("round", args=(VECTOR, SCALAR), variadic=1),
    **_of("day_of_month", "day_of_week", "day_of_year", "days_in_month", variadic=1),
    **_of("hour", "minute", "month", "year", variadic=1),
    **_of("scalar", returns=SCALAR),
    **_of("vector", args=(SCALAR,)),
    **_of("time", "pi", args=(), returns=SCALAR),
    **_of("label_replace", args=(VECTOR, STRING, STRING, STRING, STRING)),
    **_of("label_join", args=(VECTOR, STRING, STRING, STRING), variadic=UNLIMITED),
    **_of("histogram_quantile", args=(SCALAR, VECTOR)),
    **_of("histogram_fraction", args=(SCALAR, SCALAR, VECTOR)),
    **_of("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"),
    **_of("rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv", args=(MATRIX,)),
    **_of("predict_linear", args=(MATRIX, SCALAR)),
    **_of("avg_over_time", "count_over_time", "last_over_time", "max_over_time", "min_over_time", args=(MATRIX,)),
    **_of("sum_over_time", "stddev_over_time", "stdvar_over_time", "present_over_time", args=(MATRIX,)),
    **_of("absent_over_time", args=(MATRIX,)),
    **_of("quantile_over_time", args=(SCALAR, MATRIX)),
    # experimental: refused unless the setting allows them
    **_of("double_exponential_smoothing", args=(MATRIX, SCALAR, SCALAR), experimental=True),
    **_of("first_over_time", "mad_over_time", args=(MATRIX,), experimental=True),
    **_of("ts_of_first_over_time", "ts_of_last_over_time", args=(MATRIX,), experimental=True),
    **_of("ts_of_max_over_time", "ts_of_min_over_time", args=(MATRIX,), experimental=True),
    **_of("histogram_quantiles", args=(VECTOR, STRING, SCALAR, SCALAR), variadic=9, experimental=True),
    **_of("sort_by_label", "sort_by_label_desc", args=(VECTOR, STRING), variadic=UNLIMITED, experimental=True),
    **_of("start", "end", "step", "range", args=(), returns=SCALAR, experimental=True),
    **_of("min_of", "max_of", args=(SCALAR, SCALAR), returns=SCALAR, experimental=True),
}

NATIVE_ONLY = frozenset({f"histogram_{what}" for what in ("avg", "count", "sum", "stddev", "stdvar")})
"""Functions of native histograms alone: over anything else they give nothing."""


class Aggregation(msgspec.Struct, frozen=True):
    param: ValueType | None = None
    experimental: bool = False


AGGREGATIONS: dict[str, Aggregation] = {
    **{name: Aggregation() for name in ("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar")},
    **{name: Aggregation(SCALAR) for name in ("topk", "bottomk", "quantile")},
    "count_values": Aggregation(STRING),
    **{name: Aggregation(SCALAR, experimental=True) for name in ("limitk", "limit_ratio")},
}
