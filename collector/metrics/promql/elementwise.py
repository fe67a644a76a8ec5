"""Functions of each value by itself: arithmetic, trigonometry, dates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Call, VectorSelector, unwrapped
from collector.metrics.promql.frame import Frame
from collector.metrics.promql.matrix import Floats, Matrix, Scalar
from collector.metrics.promql.selecting import vector

MATHS: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": lambda values: values * 180 / np.pi,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda values: values * np.pi / 180,
    "sgn": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}

DAY_S = 86_400


def maths(call: Call, frame: Frame) -> Matrix:
    of = frame.matrix(call.args[0])
    return mx.replaced(of, MATHS[call.function](of.values))


def round_to(call: Call, frame: Frame) -> Matrix:
    """To the nearest multiple, ties upwards."""
    of = frame.matrix(call.args[0])
    per = 1.0 / frame.scalar(call.args[1]) if len(call.args) > 1 else np.ones(frame.steps)
    return mx.replaced(of, np.floor(of.values * per + 0.5) / per)


def clamp(call: Call, frame: Frame) -> Matrix:
    """clamp, clamp_min, clamp_max. Nothing at steps whose lower limit lies above the upper one."""
    of = frame.matrix(call.args[0])
    low, high = np.full(frame.steps, -np.inf), np.full(frame.steps, np.inf)
    if call.function != "clamp_max":
        low = frame.scalar(call.args[1])
    if call.function != "clamp_min":
        high = frame.scalar(call.args[-1])
    clamped = mx.replaced(of, np.maximum(low, np.minimum(high, of.values)))
    return mx.filtered(clamped, np.broadcast_to(~(high < low), of.present.shape))


def timestamp(call: Call, frame: Frame) -> Matrix:
    """When a selector's samples were taken; of anything else the time of evaluation."""
    arg = unwrapped(call.args[0])
    if isinstance(arg, VectorSelector):
        taken = vector(arg, frame, as_time=True)
        return mx.replaced(taken, taken.values)
    of = frame.matrix(arg)
    return mx.replaced(of, np.tile(frame.times_s, (len(of), 1)))


def _years(days: Floats) -> tuple[Floats, Floats, Floats]:
    """Year, month and day of days since 1970 (UTC). NaN where there is no such day."""
    known = np.isfinite(days) & (np.abs(days) < 1e9)
    dates = np.where(known, days, 0).astype(np.int64).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = months.astype("datetime64[Y]")
    month = (months - years.astype("datetime64[M]")).astype(np.float64) + 1
    day = (dates - months.astype("datetime64[D]")).astype(np.float64) + 1
    year = years.astype(np.int64).astype(np.float64) + 1970
    return np.where(known, year, np.nan), np.where(known, month, np.nan), np.where(known, day, np.nan)


def _first_of_year(days: Floats) -> Floats:
    years = np.where(np.isfinite(days), _years(days)[0], 1970) - 1970
    return years.astype(np.int64).astype("datetime64[Y]").astype("datetime64[D]").astype(np.float64)


def _days_in_month(days: Floats) -> Floats:
    _, _, day = _years(days)
    first = days - day + 1
    _, _, past = _years(first + 31)  # a day of the next month, or the 32nd - n of it
    return 32 - past


def _day(seconds: Floats) -> Floats:
    return np.floor(np.trunc(seconds) / DAY_S)


def _second_of_day(seconds: Floats) -> Floats:
    return np.trunc(seconds) - _day(seconds) * DAY_S


DATES: dict[str, Callable[[Floats], Floats]] = {
    "year": lambda seconds: _years(_day(seconds))[0],
    "month": lambda seconds: _years(_day(seconds))[1],
    "day_of_month": lambda seconds: _years(_day(seconds))[2],
    "day_of_week": lambda seconds: np.mod(_day(seconds) + 4, 7),  # 1970-01-01 was a Thursday; Sunday is 0
    "day_of_year": lambda seconds: _day(seconds) - _first_of_year(_day(seconds)) + 1,
    "days_in_month": lambda seconds: _days_in_month(_day(seconds)),
    "hour": lambda seconds: np.floor(_second_of_day(seconds) / 3600),
    "minute": lambda seconds: np.floor(np.mod(_second_of_day(seconds), 3600) / 60),
}


def date(call: Call, frame: Frame) -> Matrix:
    """Of values in Unix seconds (UTC), or of the time of evaluation."""
    if call.args:
        of = frame.matrix(call.args[0])
        return mx.replaced(of, DATES[call.function](of.values))
    return constant(DATES[call.function](frame.times_s))


def constant(values: Floats) -> Matrix:
    """One series without labels that is there at every step."""
    row = np.ascontiguousarray(values, np.float64).reshape(1, -1)
    return Matrix(((),), row, np.ones(row.shape, np.bool_), np.zeros(1, np.bool_))


def scalar(call: Call, frame: Frame) -> Scalar:
    """The value of the only series; NaN where there is none or more than one."""
    of = frame.matrix(call.args[0])
    total = np.where(of.present, of.values, 0).sum(axis=0)
    return Scalar(np.where(of.present.sum(axis=0) == 1, total, np.nan))


SCALARS: dict[str, Callable[[Frame], Floats | float]] = {
    "time": lambda frame: frame.times_s,
    "pi": lambda frame: np.pi,
    "start": lambda frame: frame.run.start_ms / 1000,
    "end": lambda frame: frame.run.end_ms / 1000,
    "step": lambda frame: frame.run.step_ms / 1000,
    "range": lambda frame: (frame.run.end_ms - frame.run.start_ms) / 1000,
}


def number(call: Call, frame: Frame) -> Scalar:
    return Scalar(np.broadcast_to(np.float64(SCALARS[call.function](frame)), frame.steps).copy())


def smaller_or_larger(call: Call, frame: Frame) -> Scalar:
    """min_of, max_of."""
    pick = np.minimum if call.function == "min_of" else np.maximum
    return Scalar(pick(frame.scalar(call.args[0]), frame.scalar(call.args[1])))
