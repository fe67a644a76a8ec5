"""Labels and annotations of alerts are templates; here they are expanded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerting.rules.template_functions import (
    FUNCTION_NAMES,
    FUNCTIONS,
    QueryFailed,
    TemplateQuery,
    bound_functions,
)
from alerting.templates.execution import Execution, TextSink
from alerting.templates.nodes import Source, Text
from alerting.templates.parser import parse_template
from alerting.templates.values import Datum, FunctionFailed, TemplateObject, TemplateSample

__all__ = ["NO_QUERIES", "QueryFailed", "Template", "TemplateData", "TemplateQuery", "TemplateSample"]

_PROLOGUE = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
"""What Prometheus puts before each template; places in its error messages count from there."""
_VARIABLES = frozenset({"$labels", "$externalLabels", "$externalURL", "$value"})


def NO_QUERIES(text: str) -> list[TemplateSample]:
    raise QueryFailed("there is nobody to ask")


class TemplateData(msgspec.Struct, frozen=True):
    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = {}
    external_url: str = ""
    now_ns: int = 0
    query: TemplateQuery = NO_QUERIES


class Template:
    """A parsed template. Raises TemplateError (a Reject) where its text can't be parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = parse_template(Source("", text, len(_PROLOGUE)), FUNCTION_NAMES, _VARIABLES)

    def expand(self, alert: str, data: TemplateData) -> str:
        """Never fails: a template that does yields `<error expanding template: ...>`, and its alert fires anyway."""
        nodes = self._parsed.main.nodes
        if len(nodes) == 1 and isinstance(nodes[0], Text):
            return nodes[0].text
        try:
            return self._run(f"__alert_{alert}", data)
        except FunctionFailed as error:
            return f"<error expanding template: error executing template __alert_{alert}: {error}>"

    def _run(self, name: str, data: TemplateData) -> str:
        """In Prometheus a template has the name of its alert, and so have those that it defines."""
        sink = TextSink()
        bound = bound_functions(data.query, data.external_url, data.now_ns, lambda *called: execution.called(*called))
        execution = Execution(FUNCTIONS, self._parsed.defined, sink, bound=bound, file=name)
        variables: dict[str, Datum] = {
            "$labels": data.labels,
            "$externalLabels": data.external_labels,
            "$externalURL": data.external_url,
            "$value": data.value,
        }
        execution.run(self._parsed.main, _Dot(data), variables)
        return sink.whole()


class _Dot(TemplateObject):
    go_type = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }"

    def __init__(self, data: TemplateData) -> None:
        self._data = data

    def fields(self) -> Mapping[str, Datum]:
        data = self._data
        return {
            "Labels": data.labels,
            "ExternalLabels": data.external_labels,
            "ExternalURL": data.external_url,
            "Value": data.value,
        }

    def printed(self) -> str:
        raise FunctionFailed("the whole of . can't be printed or handed to a function")
