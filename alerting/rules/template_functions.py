"""Functions of templates, with the results of Prometheus (template/template.go) and of Go's text/template."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote_plus

import msgspec
import polars as pl
from polars.exceptions import ComputeError

from alerting.rules.durations import parse_duration_ns
from alerting.rules.gofloat import general, significant
from deckwatch.runtime.faults import Reject


class TemplateSample(msgspec.Struct, frozen=True):
    """An element of what `query` answers: `.Labels` and `.Value`."""

    labels: Mapping[str, str]
    value: float


class Duration(msgspec.Struct, frozen=True):
    """Go's time.Duration."""

    ns: int


Datum = str | float | int | bool | None | Mapping[str, "Datum"] | list["Datum"] | TemplateSample | Duration | datetime
"""What a template can hold."""


class FunctionFailed(Exception):
    """Its text goes into `<error expanding template: ...>`."""


class QueryFailed(FunctionFailed):
    """What `query` was asked can't be answered."""


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
        return "map[" + " ".join(f"{name}:{text_of(text)}" for name, text in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(text_of, value)) + "]"
    if isinstance(value, TemplateSample):
        return f"{{{text_of(value.labels)} {general(value.value)}}}"
    if isinstance(value, datetime):
        return time_text(value)
    return duration_text(value.ns) if isinstance(value, Duration) else str(value)


def time_text(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def duration_text(ns: int) -> str:
    """As Go prints it: 1h0m0s, 1.5s, 100ms, 0s."""
    sign, left = ("-", -ns) if ns < 0 else ("", ns)
    if left < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
            if left >= size:
                return f"{sign}{left / size:.9f}".rstrip("0").rstrip(".") + unit
        return "0s"
    minutes, rest_ns = divmod(left, 60_000_000_000)
    seconds = f"{rest_ns // 1_000_000_000}.{rest_ns % 1_000_000_000:09d}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def is_true(value: Datum) -> bool:
    if isinstance(value, Duration):
        return value.ns != 0
    return isinstance(value, TemplateSample | datetime) or bool(value)


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
    return time_text(_moment(number))


def to_time(value: Datum) -> datetime:
    return _moment(_float(value))


def to_duration(value: Datum) -> Duration:
    number = _float(value)
    if not math.isfinite(number) or abs(number) > 2**63 / 1e9:
        raise FunctionFailed(f"{general(number)} cannot be represented as a duration")
    return Duration(round(number * 1e9))


def _moment(number: float) -> datetime:
    try:
        return datetime.fromtimestamp(number, UTC)
    except (OverflowError, ValueError, OSError):
        raise FunctionFailed(f"{general(number)} cannot be represented as a timestamp") from None


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


def index(container: Datum, *keys: Datum) -> Datum:
    for key in keys:
        if isinstance(container, list):
            if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < len(container):
                raise FunctionFailed(f"index out of range: {text_of(key)}")
            container = container[key]
        elif isinstance(container, Mapping):
            container = container.get(_string(key), "")
        else:
            raise FunctionFailed(f"can't index item of type {_go_type(container)}")
    return container


def first(vector: Datum) -> Datum:
    elements = _vector(vector)
    if not elements:
        raise FunctionFailed("first() called on vector with no elements")
    return elements[0]


def label_of(name: Datum, sample: Datum) -> str:
    return _sample(sample).labels.get(_string(name), "")


def sort_by_label(name: Datum, vector: Datum) -> Datum:
    key = _string(name)
    return sorted(_vector(vector), key=lambda one: _sample(one).labels.get(key, ""))


def arguments(*values: Datum) -> dict[str, Datum]:
    return {f"arg{place}": value for place, value in enumerate(values)}


def cut(text: Datum, *bounds: Datum) -> Datum:
    """Go's slice."""
    places = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
    if len(places) < len(bounds) or len(bounds) > 2 or not isinstance(text, str | list):
        raise FunctionFailed(f"can't slice item of type {_go_type(text)}")
    raw = text.encode() if isinstance(text, str) else text
    low, high = (*places, 0)[0] if places else 0, places[1] if len(places) == 2 else len(raw)
    if not 0 <= low <= high <= len(raw):
        raise FunctionFailed(f"index out of range: {max(low, high)}")
    part = raw[low:high]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def graph_link(expression: Datum, tab: int) -> str:
    return f"/graph?g0.expr={quote_plus(_string(expression))}&g0.tab={tab}"


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
    if isinstance(value, Mapping | list):
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
    "first": first,
    "label": label_of,
    "value": lambda sample: _sample(sample).value,
    "strvalue": lambda sample: _sample(sample).labels.get("__value__", ""),
    "args": arguments,
    "sortByLabel": sort_by_label,
    "graphLink": lambda expression: graph_link(expression, 0),
    "tableLink": lambda expression: graph_link(expression, 1),
    "toTime": to_time,
    "toDuration": to_duration,
    "slice": cut,
    "html": lambda *values: escape(joined(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "js": lambda *values: _js(joined(*values)),
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

IN_CONTEXT = frozenset({"query", "now", "pathPrefix", "externalURL", "tmpl", "call"})
"""Functions that need more than their arguments: the template's run has them."""


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
    match value:
        case bool():
            return "bool"
        case list():
            return "template.queryResult"
        case TemplateSample():
            return "*template.sample"
        case Duration():
            return "*time.Duration"
        case datetime():
            return "*time.Time"
        case str():
            return "string"
        case float():
            return "float64"
        case int():
            return "int"
        case None:
            return "<nil>"
    return "map[string]string"


def _vector(value: Datum) -> list[Datum]:
    if not isinstance(value, list):
        raise FunctionFailed(f"wrong type for value; expected template.queryResult; got {_go_type(value)}")
    return value


def _sample(value: Datum) -> TemplateSample:
    if not isinstance(value, TemplateSample):
        raise FunctionFailed(f"wrong type for value; expected *template.sample; got {_go_type(value)}")
    return value


def _js(text: str) -> str:
    """Go's template.JSEscapeString."""
    marks = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(marks.get(mark) or (f"\\u{ord(mark):04X}" if ord(mark) < 32 else mark) for mark in text)


def _float(value: Datum) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise FunctionFailed(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Duration):
        return value.ns / 1e9
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
