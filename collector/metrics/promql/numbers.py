"""Numbers as Go reads and writes them (strconv), since clients compare what Prometheus' API writes."""

from __future__ import annotations

import math
import re

_GO_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII
)
_GO_HEX_FLOAT = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+",
    re.ASCII,
)


def parse_float(text: str) -> float | None:
    """strconv.ParseFloat: no spaces around it and no underscores, where Python takes both. None: not a number."""
    if _GO_FLOAT.fullmatch(text):
        return float(text)
    if _GO_HEX_FLOAT.fullmatch(text):
        return _from_hex(text)
    return None


def _from_hex(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return -math.inf if text.startswith("-") else math.inf


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits that read back as the same float, and the decimal exponent of the first digit."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    if not stripped:
        return sign, "0", 0
    first = int(exponent or 0) + len(whole) - 1 - (len(digits) - len(stripped))
    return sign, stripped.rstrip("0") or "0", first


def format_plain(value: float) -> str:
    """strconv.FormatFloat(value, 'f', -1, 64): never an exponent."""
    if (special := _special(value)) is not None:
        return special
    sign, digits, first = _digits(value)
    if first < 0:
        return f"{sign}0.{'0' * (-first - 1)}{digits}"
    if len(digits) <= first + 1:
        return sign + digits.ljust(first + 1, "0")
    return f"{sign}{digits[: first + 1]}.{digits[first + 1 :]}"


def format_short(value: float) -> str:
    """strconv.FormatFloat(value, 'g', -1, 64), Go's `%g`: an exponent below 1e-4 and from 1e6."""
    return _special(value) or _with_exponent(value, -4, 6)


def format_api(value: float) -> str:
    """What Prometheus' HTTP API writes: 'f' with an exponent below 1e-6 and from 1e21 (util/jsonutil)."""
    return _special(value) or _with_exponent(value, -6, 21)


def _with_exponent(value: float, below: int, beyond: int) -> str:
    sign, digits, first = _digits(value)
    if below <= first < beyond:
        return format_plain(value)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if first < 0 else '+'}{abs(first):02d}"


def format_open_metrics(value: float) -> str:
    """As OpenMetrics canonicalises `le` and `quantile`: whole numbers get `.0`."""
    text = format_short(value)
    return text if any(sign in text for sign in "eIN.") else f"{text}.0"
