"""The functions that every Go template has (text/template, funcs.go). `and` and `or` stop at the deciding operand;
that, like `call`, is for the execution to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import quote_plus

from alerting.templates.moments import Duration, Moment
from alerting.templates.printing import printf, sprint, sprintln
from alerting.templates.values import Datum, FunctionFailed, TemplateObject, as_number, is_true, text_of, type_of

_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def index(container: Datum, *keys: Datum) -> Datum:
    for key in keys:
        if isinstance(container, list):
            if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < len(container):
                raise FunctionFailed(f"index out of range: {text_of(key)}")
            container = container[key]
        elif isinstance(container, Mapping):
            if not isinstance(key, str):
                raise FunctionFailed(f"wrong type for value; expected string; got {type_of(key)}")
            container = container.get(key, "")
        else:
            raise FunctionFailed(f"can't index item of type {type_of(container)}")
    return container


def cut(text: Datum, *bounds: Datum) -> Datum:
    """Go's slice: by bytes."""
    places = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
    if len(places) < len(bounds) or len(bounds) > 2 or not isinstance(text, str | list):
        raise FunctionFailed(f"can't slice item of type {type_of(text)}")
    raw = text.encode() if isinstance(text, str) else text
    low, high = places[0] if places else 0, places[1] if len(places) == 2 else len(raw)
    if not 0 <= low <= high <= len(raw):
        raise FunctionFailed(f"index out of range: {max(low, high)}")
    part = raw[low:high]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def length(value: Datum) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list):
        return len(value)
    raise FunctionFailed(f"error calling len: len of type {type_of(value)}")


def equal(left: Datum, *others: Datum) -> bool:
    if not others:
        raise FunctionFailed("error calling eq: missing argument for comparison")
    return any(_same_kind(left, other) and left == other for other in others)


def less(left: Datum, right: Datum) -> bool:
    _same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return as_number(left) < as_number(right)


def html_escaped(*values: Datum) -> str:
    return escape(sprint(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def js_escaped(*values: Datum) -> str:
    """Go's template.JSEscapeString."""
    text = sprint(*values)
    return "".join(_JS.get(mark) or (f"\\u{ord(mark):04X}" if ord(mark) < 32 else mark) for mark in text)


def _same_kind(left: Datum, right: Datum) -> bool:
    if type_of(left) != type_of(right) or isinstance(left, TemplateObject | list | Mapping | Duration | Moment):
        raise FunctionFailed("error calling comparison: incompatible types for comparison")
    return True


BUILTINS: dict[str, Callable[..., Datum]] = {
    "printf": printf,
    "print": sprint,
    "println": sprintln,
    "index": index,
    "slice": cut,
    "len": length,
    "html": html_escaped,
    "js": js_escaped,
    "urlquery": lambda *values: quote_plus(sprint(*values), safe="~"),
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "lt": less,
    "le": lambda left, right: less(left, right) or equal(left, right),
    "gt": lambda left, right: less(right, left),
    "ge": lambda left, right: less(right, left) or equal(left, right),
    "not": lambda value: not is_true(value),
}
