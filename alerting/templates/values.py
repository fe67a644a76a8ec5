"""What a template can hold, and how Go prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from alerting.rules.gofloat import general
from alerting.templates.moments import Duration, Moment


class FunctionFailed(Exception):
    """Expanding ends here; its text tells the template's author why."""


class TemplateObject:
    """A Go struct, or a named type with methods. Subclasses say what their fields and methods are."""

    go_type = "struct"

    def fields(self) -> Mapping[str, Datum]:
        return {}

    def methods(self) -> Mapping[str, Method]:
        return {}

    def printed(self) -> str:
        """`{{ . }}`"""
        return "{" + " ".join(text_of(value) for value in self.fields().values()) + "}"


class TemplateSample(msgspec.Struct, frozen=True):
    """An element of what `query` answers: `.Labels` and `.Value`."""

    labels: Mapping[str, str]
    value: float


class SafeHtml(str):
    """HTML that its author vouches for: no escaper touches it where text is expected."""

    __slots__ = ()


Datum = (
    str
    | float
    | int
    | bool
    | None
    | Mapping[str, "Datum"]
    | list["Datum"]
    | TemplateSample
    | TemplateObject
    | Duration
    | Moment
)
Method = Callable[..., Datum]


def text_of(value: Datum) -> str:
    """As Go's template prints it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return general(value)
        case None:
            return "<no value>"
        case TemplateObject():
            return value.printed()
        case Mapping():
            return "map[" + " ".join(f"{name}:{text_of(text)}" for name, text in sorted(value.items())) + "]"
        case list():
            return "[" + " ".join(map(text_of, value)) + "]"
        case TemplateSample():
            return f"{{{text_of(value.labels)} {general(value.value)}}}"
        case _:
            return str(value)


def is_true(value: Datum) -> bool:
    """Go: not the zero value, not empty. A struct is always true."""
    if isinstance(value, TemplateObject) and not isinstance(value, list | Mapping):
        return True
    if isinstance(value, Duration):
        return value.ns != 0
    return isinstance(value, TemplateSample | Moment) or bool(value)


def type_of(value: Datum) -> str:
    """Go's name of its type, for error messages."""
    match value:
        case TemplateObject():
            return value.go_type
        case bool():
            return "bool"
        case list():
            return "template.queryResult"
        case TemplateSample():
            return "*template.sample"
        case Duration():
            return "*time.Duration"
        case Moment():
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


def as_text(value: Datum) -> str:
    if not isinstance(value, str):
        raise FunctionFailed(f"wrong type for value; expected string; got {type_of(value)}")
    return value


def as_number(value: Datum) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise FunctionFailed(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Duration):
        return value.ns / 1e9
    raise FunctionFailed(f"can't convert {type_of(value)} to float")


def as_texts(value: Datum) -> list[str]:
    if not isinstance(value, list):
        raise FunctionFailed(f"wrong type for value; expected []string; got {type_of(value)}")
    return [as_text(one) for one in value]
