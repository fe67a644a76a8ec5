"""Functions of rules' templates beyond those that all templates have (prometheus/template/template.go)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote_plus, urlsplit

from alerting.templates.builtins import BUILTINS
from alerting.templates.numbers import NUMBER_FUNCTIONS
from alerting.templates.texts import TEXT_FUNCTIONS
from alerting.templates.values import Datum, FunctionFailed, TemplateSample, as_text, type_of

TemplateQuery = Callable[[str], list[TemplateSample]]
"""PromQL at the time of evaluation; raises QueryFailed."""


class QueryFailed(FunctionFailed):
    """What `query` was asked can't be answered."""


def first(vector: Datum) -> Datum:
    elements = _vector(vector)
    if not elements:
        raise FunctionFailed("first() called on vector with no elements")
    return elements[0]


def label_of(name: Datum, sample: Datum) -> str:
    return _sample(sample).labels.get(as_text(name), "")


def sort_by_label(name: Datum, vector: Datum) -> Datum:
    key = as_text(name)
    return sorted(_vector(vector), key=lambda one: _sample(one).labels.get(key, ""))


def arguments(*values: Datum) -> dict[str, Datum]:
    return {f"arg{place}": value for place, value in enumerate(values)}


def graph_link(expression: Datum, tab: int) -> str:
    return f"/graph?g0.expr={quote_plus(as_text(expression))}&g0.tab={tab}"


def _uncallable(_function: Datum, *_arguments: Datum) -> Datum:
    raise FunctionFailed("there is no function that could be called")


def _vector(value: Datum) -> list[Datum]:
    if not isinstance(value, list):
        raise FunctionFailed(f"wrong type for value; expected template.queryResult; got {type_of(value)}")
    return value


def _sample(value: Datum) -> TemplateSample:
    if not isinstance(value, TemplateSample):
        raise FunctionFailed(f"wrong type for value; expected *template.sample; got {type_of(value)}")
    return value


FUNCTIONS: dict[str, Callable[..., Datum]] = {
    **BUILTINS,
    **NUMBER_FUNCTIONS,
    **TEXT_FUNCTIONS,
    "urlQueryEscape": lambda text: quote_plus(as_text(text)),
    "first": first,
    "label": label_of,
    "value": lambda sample: _sample(sample).value,
    "strvalue": lambda sample: _sample(sample).labels.get("__value__", ""),
    "args": arguments,
    "sortByLabel": sort_by_label,
    "graphLink": lambda expression: graph_link(expression, 0),
    "tableLink": lambda expression: graph_link(expression, 1),
    "call": _uncallable,
}
FUNCTION_NAMES = frozenset(FUNCTIONS) | {"and", "or", "query", "now", "pathPrefix", "externalURL", "tmpl"}


def bound_functions(
    query: TemplateQuery, external_url: str, now_ns: int, called: Callable[[str, Datum], str]
) -> dict[str, Callable[..., Datum]]:
    """Those that depend on what is evaluated. `called` gives what another template makes of data."""
    return {
        "query": lambda text: list(query(as_text(text))),
        "now": lambda: now_ns // 1_000_000 / 1000,
        "pathPrefix": lambda: urlsplit(external_url).path,
        "externalURL": lambda: external_url,
        "tmpl": lambda name, data: called(as_text(name), data),
    }
