"""Functions of templates, with the results of Prometheus (template/template.go) and of Go's text/template."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote_plus

import polars as pl
from polars.exceptions import ComputeError

from alerting.rules.durations import parse_duration_ns
from alerting.rules.gofloat import general, significant
from deckwatch.runtime.faults import Reject

Datum = str | float | int | bool | None | Mapping[str, str]
"""What a template can hold."""


class FunctionFailed(Exception):
    """Its text goes into `<error expanding template: ...>`."""


def text_of(value: Datum) -> str:
    """As Go's template prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return general(value)
    if value is None:
        return "<no value>"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{name}:{text}" for name, text in sorted(value.items())) + "]"
    return str(value)


def is_true(value: Datum) -> bool:
    return bool(value) and value != 0


def humanize(value: Datum) -> str:
    """SI prefixes: 1234567 -> 1.235M, 0.00123 -> 1.23m."""
    number = _float(value)
    if number == 0 or not math.isfinite(number):
        return significant(number)
    if abs(number) >= 1:
        return _scaled(number, "kMGTPEZY", 1000)
    return _scaled_down(number)


def humanize_1024(value: Datum) -> str:
    """IEC prefixes: 1048576 -> 1Mi."""
    number = _float(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return significant(number)
    return _scaled(number, "kMGTPEZY", 1024, "i")


def humanize_duration(value: Datum) -> str:
    number = _float(value)
    if not math.isfinite(number):
        return significant(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        return _scaled_down(number) + "s"
    sign = "-" if number < 0 else ""
    seconds = int(abs(number))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds % 60}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds % 60}s"
    if minutes:
        return f"{sign}{minutes}m {seconds % 60}s"
    return f"{sign}{significant(abs(number))}s"


def humanize_percentage(value: Datum) -> str:
    return significant(_float(value) * 100) + "%"


def humanize_timestamp(value: Datum) -> str:
    number = _float(value)
    if not math.isfinite(number):
        return significant(number)
    try:
        moment = datetime.fromtimestamp(number, UTC)
    except (OverflowError, ValueError, OSError):
        raise FunctionFailed(f"{general(number)} cannot be represented as a timestamp") from None
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def printf(form: Datum, *values: Datum) -> str:
    """Go's verbs %s %v %q %d %f %g %e %t %x %% with flags, width and precision."""
    left = list(values)

    def replace(match: re.Match[str]) -> str:
        flags, verb = match.group(1), match.group(2)
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        return _formatted(flags, verb, left.pop(0))

    text = re.sub(r"%([-+# 0]*[0-9]*(?:\.[0-9]*)?)([a-zA-Z%])", replace, _string(form))
    extra = ", ".join(f"{_go_type(value)}={text_of(value)}" for value in left)
    return f"{text}%!(EXTRA {extra})" if extra else text


def match(pattern: Datum, text: Datum) -> bool:
    return bool(_regex(lambda: pl.Series([_string(text)]).str.contains(_string(pattern), strict=True).item()))


def replace_all(pattern: Datum, replacement: Datum, text: Datum) -> str:
    return str(
        _regex(lambda: pl.Series([_string(text)]).str.replace_all(_string(pattern), _string(replacement)).item())
    )


def strip_port(text: Datum) -> str:
    found = re.fullmatch(r"\[?([^\[\]]*?)\]?:([0-9a-z]*)", _string(text))
    return found.group(1) if found and (":" not in found.group(1) or _string(text)[0] == "[") else _string(text)


def strip_domain(text: Datum) -> str:
    host, colon, port = _string(text).partition(":")
    if re.fullmatch(r"[0-9.]+", host) or ":" in port:
        return _string(text)
    return host.split(".", 1)[0] + colon + port


def index(container: Datum, key: Datum) -> Datum:
    if not isinstance(container, Mapping):
        raise FunctionFailed(f"error calling index: can't index item of type {_go_type(container)}")
    return container.get(_string(key), "")


def parse_duration(text: Datum) -> float:
    try:
        return parse_duration_ns(_string(text)) / 1e9
    except Reject as error:
        raise FunctionFailed(str(error)) from None


def equal(left: Datum, *others: Datum) -> bool:
    if not others:
        raise FunctionFailed("error calling eq: missing argument for comparison")
    return any(_same_kind(left, other) and left == other for other in others)


def less(left: Datum, right: Datum) -> bool:
    _same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return _float(left) < _float(right)


def all_of(*values: Datum) -> Datum:
    return next((value for value in values if not is_true(value)), values[-1])


def any_of(*values: Datum) -> Datum:
    return next((value for value in values if is_true(value)), values[-1])


def joined(*values: Datum) -> str:
    """Go's Sprint: spaces between operands of which neither is a string."""
    text = ""
    for place, value in enumerate(values):
        apart = place and not isinstance(value, str) and not isinstance(values[place - 1], str)
        text += (" " if apart else "") + text_of(value)
    return text


def length(value: Datum) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return len(value)
    raise FunctionFailed(f"error calling len: len of type {_go_type(value)}")


FUNCTIONS: dict[str, Callable[..., Datum]] = {
    "humanize": humanize,
    "humanize1024": humanize_1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "printf": printf,
    "print": joined,
    "println": lambda *values: " ".join(map(text_of, values)) + "\n",
    "title": lambda text: re.sub(r"\b\w", lambda first: first.group().upper(), _string(text)),
    "toUpper": lambda text: _string(text).upper(),
    "toLower": lambda text: _string(text).lower(),
    "match": match,
    "reReplaceAll": replace_all,
    "stripPort": strip_port,
    "stripDomain": strip_domain,
    "urlQueryEscape": lambda text: quote_plus(_string(text)),
    "urlquery": lambda text: quote_plus(text_of(text)),
    "safeHtml": lambda text: _string(text),
    "parseDuration": parse_duration,
    "index": index,
    "len": length,
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "lt": less,
    "le": lambda left, right: less(left, right) or equal(left, right),
    "gt": lambda left, right: less(right, left),
    "ge": lambda left, right: less(right, left) or equal(left, right),
    "not": lambda value: not is_true(value),
    "and": all_of,
    "or": any_of,
}

LATER = frozenset(
    {
        *("query", "first", "label", "value", "strvalue", "args", "tmpl", "sortByLabel", "graphLink", "tableLink"),
        *("toTime", "toDuration", "now", "pathPrefix", "externalURL", "html", "js", "slice", "call"),
    }
)
"""Functions that Prometheus knows and this version does not carry out: a template with them loads, and fails when it
is expanded."""


def _scaled(number: float, prefixes: str, base: int, suffix: str = "") -> str:
    used = ""
    for prefix in prefixes:
        if abs(number) < base:
            break
        used = prefix + suffix
        number /= base
    return significant(number) + used


def _scaled_down(number: float) -> str:
    used = ""
    for prefix in "munpfazy":
        if abs(number) >= 1:
            break
        used = prefix
        number *= 1000
    return significant(number) + used


def _formatted(flags: str, verb: str, value: Datum) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb == "v" or (verb == "s" and isinstance(value, str)):
        return f"%{flags}s" % text_of(value)
    if verb == "q" and isinstance(value, str):
        return f"%{flags}s" % ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')
    if verb == "t" and isinstance(value, bool):
        return text_of(value)
    if (verb in "feEgG" and isinstance(value, float)) or (verb in "dxX" and is_number and isinstance(value, int)):
        if verb in "gG" and "." not in flags and isinstance(value, float):
            return f"%{flags}s" % general(value)
        return f"%{flags}{verb}" % value
    return f"%!{verb}({_go_type(value)}={text_of(value)})"


def _go_type(value: Datum) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Mapping):
        return "map[string]string"
    return {str: "string", float: "float64", int: "int", type(None): "<nil>"}[type(value)]


def _float(value: Datum) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise FunctionFailed(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None
    if isinstance(value, int | float):
        return float(value)
    raise FunctionFailed(f"can't convert {_go_type(value)} to float")


def _string(value: Datum) -> str:
    if not isinstance(value, str):
        raise FunctionFailed(f"wrong type for value; expected string; got {_go_type(value)}")
    return value


def _same_kind(left: Datum, right: Datum) -> bool:
    if _go_type(left) != _go_type(right):
        raise FunctionFailed("error calling comparison: incompatible types for comparison")
    return True


def _regex(run: Callable[[], Datum]) -> Datum:
    try:
        return run()
    except ComputeError as error:
        raise FunctionFailed(str(error).split("\n\nThis error", 1)[0]) from None
