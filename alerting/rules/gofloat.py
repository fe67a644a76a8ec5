"""Floats as Go writes them: rule templates and Prometheus' API do."""

from __future__ import annotations

import math
from decimal import Decimal


def general(value: float) -> str:
    """%v: the shortest digits that read back; with an exponent below 1e-4 and from 1e6."""
    if not math.isfinite(value) or value == 0:
        return special(value)
    sign, digits, exponent = _parts(value)
    if exponent < -4 or exponent >= 6:
        return sign + _scientific(digits, exponent)
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def scientific(value: float) -> str:
    """strconv.FormatFloat(value, 'e', -1, 64): `9.1e+01`."""
    if not math.isfinite(value):
        return special(value)
    if value == 0:
        return f"{special(value)}e+00"
    sign, digits, exponent = _parts(value)
    return sign + _scientific(digits, exponent)


def special(value: float) -> str:
    """NaN, infinities and zeros."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "-0" if math.copysign(1, value) < 0 else "0"


def significant(value: float, digits: int = 4) -> str:
    """%.4g"""
    return f"{value:.{digits}g}" if math.isfinite(value) else special(value)


def _parts(value: float) -> tuple[str, str, int]:
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise TypeError(f"{value} has no digits")
    return "-" if sign else "", "".join(map(str, digits)), len(digits) - 1 + exponent


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
