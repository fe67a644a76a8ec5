"""Labels and annotations of alerts are templates; here they are expanded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import msgspec

from alerting.rules.template_functions import (
    FUNCTIONS,
    IN_CONTEXT,
    Datum,
    FunctionFailed,
    QueryFailed,
    TemplateSample,
    is_true,
    text_of,
)
from alerting.rules.template_nodes import (
    Branch,
    Call,
    Chain,
    Command,
    Function,
    Jump,
    Node,
    Operand,
    Parsed,
    Path,
    Pipeline,
    Range,
    Text,
    Value,
    parse_template,
)

__all__ = ["NO_QUERIES", "QueryFailed", "Template", "TemplateData", "TemplateQuery", "TemplateSample"]

_PROLOGUE = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
"""What Prometheus puts before each template; places in its error messages count from there."""
_TYPE = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }"
_VARIABLES = frozenset({"$labels", "$externalLabels", "$externalURL", "$value"})
_FUNCTIONS = frozenset(FUNCTIONS) | IN_CONTEXT
_MAX_CALLS = 100

TemplateQuery = Callable[[str], list[TemplateSample]]
"""PromQL at the time of evaluation; raises QueryFailed."""


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
        self._parsed = parse_template(text, _FUNCTIONS, _VARIABLES)

    def expand(self, alert: str, data: TemplateData) -> str:
        """Never fails: a template that does yields `<error expanding template: ...>`, and its alert fires anyway."""
        nodes = self._parsed.nodes
        if len(nodes) == 1 and isinstance(nodes[0], Text):
            return nodes[0].text
        run = _Run(f"__alert_{alert}", self.text, data, self._parsed)
        try:
            return run.render(nodes, data)
        except FunctionFailed as error:
            return f"<error expanding template: error executing template __alert_{alert}: {error}>"


_Dot = Datum | TemplateData


class _Jumped(Exception):
    """`break` or `continue`, on the way to its range, with the text that came before it."""

    def __init__(self, ends: bool, text: str) -> None:
        self.ends = ends
        self.text = text


class _Run:
    def __init__(self, name: str, source: str, data: TemplateData, parsed: Parsed) -> None:
        self._name = name
        self._source = source
        self._data = data
        self._parsed = parsed
        self._calls = 0
        self._variables: dict[str, _Dot] = {
            "$": data,
            "$labels": data.labels,
            "$externalLabels": data.external_labels,
            "$externalURL": data.external_url,
            "$value": data.value,
        }

    def render(self, nodes: tuple[Node, ...], dot: _Dot) -> str:
        text = ""
        for node in nodes:
            try:
                text += self._node(node, dot)
            except _Jumped as jumped:
                jumped.text = text + jumped.text
                raise
        return text

    def _node(self, node: Node, dot: _Dot) -> str:
        match node:
            case Text(text):
                return text
            case Pipeline():
                value = self._pipeline(node, dot)
                return "" if node.declares else text_of(_datum(value))
            case Branch():
                value = self._pipeline(node.condition, dot)
                if isinstance(value, TemplateData) or is_true(value):
                    return self.render(node.then, value if node.is_with else dot)
                return self.render(node.otherwise, dot)
            case Range():
                return self._range(node, dot)
            case Jump(ends):
                raise _Jumped(ends, "")
            case Call():
                data = None if node.data is None else self._pipeline(node.data, dot)
                return self._template(node.name, data, node.at)

    def _range(self, node: Range, dot: _Dot) -> str:
        items = list(self._items(node, _datum(self._pipeline(node.over, dot))))
        if not items:
            return self.render(node.otherwise, dot)
        text = ""
        for key, item in items:
            self._variables.update(
                zip(node.declares, (key, item) if len(node.declares) == 2 else (item,), strict=False)
            )
            try:
                text += self.render(node.body, item)
            except _Jumped as jumped:
                text += jumped.text
                if jumped.ends:
                    break
        return text

    def _items(self, node: Range, over: Datum) -> Iterator[tuple[Datum, Datum]]:
        match over:
            case list():
                yield from enumerate(over)
            case Mapping():
                yield from sorted(over.items())
            case int() if not isinstance(over, bool):
                yield from ((number, number) for number in range(over))
            case None:
                return
            case _:
                raise self._failed(node.at, "range", f"range can't iterate over {text_of(over)}")

    def _template(self, name: str, data: _Dot, at: int) -> str:
        body = self._parsed.defined.get(name)
        if body is None:
            raise self._failed(at, "template", f'template "{name}" not defined')
        if self._calls >= _MAX_CALLS:
            raise self._failed(at, "template", f"exceeded maximum template depth ({_MAX_CALLS})")
        self._calls += 1
        outside, self._variables = self._variables, {"$": data}
        text = self.render(body, data)
        self._variables = outside
        self._calls -= 1
        return text

    def _pipeline(self, pipeline: Pipeline, dot: _Dot) -> _Dot:
        value: _Dot = None
        for place, command in enumerate(pipeline.commands):
            piped = () if place == 0 else (_datum(value),)
            value = self._command(command, dot, piped)
        if pipeline.declares:
            self._variables[pipeline.declares] = value
        return value

    def _command(self, command: Command, dot: _Dot, piped: tuple[Datum, ...]) -> _Dot:
        first, *rest = command.operands
        if not isinstance(first, Function):
            if rest or piped:
                where = first.source if isinstance(first, Path | Chain) else "pipeline"
                raise self._failed(getattr(first, "at", 0), where, f"can't give argument to non-function {where}")
            return self._operand(first, dot)
        return self._call(first, (*(_datum(self._operand(operand, dot)) for operand in rest), *piped))

    def _operand(self, operand: Operand, dot: _Dot) -> _Dot:
        match operand:
            case Value(value):
                return value
            case Path():
                root = dot if operand.root == "." else self._variables[operand.root]
                return self._fields(root, operand)
            case Chain():
                return self._fields(self._pipeline(operand.pipeline, dot), operand)
            case Function():
                return self._call(operand, ())
            case Pipeline():
                return self._pipeline(operand, dot)

    def _call(self, function: Function, arguments: tuple[Datum, ...]) -> Datum:
        name = function.name
        try:
            if name in IN_CONTEXT:
                return self._in_context(function, *arguments)
            return FUNCTIONS[name](*arguments)
        except FunctionFailed as error:
            if str(error).startswith("template: "):
                raise
            raise self._failed(function.at, name, f"error calling {name}: {error}") from None
        except TypeError:
            raise self._failed(function.at, name, f"wrong number of args for {name}") from None

    def _in_context(self, function: Function, *arguments: Datum) -> Datum:
        match function.name, arguments:
            case "query", (str(text),):
                return list(self._data.query(text))
            case "now", ():
                return self._data.now_ns // 1_000_000 / 1000
            case "externalURL", ():
                return self._data.external_url
            case "pathPrefix", ():
                return urlsplit(self._data.external_url).path
            case "tmpl", (str(name), data):
                return self._template(name, data, function.at)
            case "call", (_, *_):
                raise FunctionFailed("there is no function that could be called")
        raise TypeError(function.name)

    def _fields(self, value: _Dot, path: Path | Chain) -> _Dot:
        for field in path.fields:
            value = self._field(path, value, field)
        return value

    def _field(self, path: Path | Chain, value: _Dot, field: str) -> _Dot:
        known: dict[str, _Dot]
        match value:
            case TemplateData():
                known = {
                    "Labels": value.labels,
                    "ExternalLabels": value.external_labels,
                    "ExternalURL": value.external_url,
                    "Value": value.value,
                }
                kind = _TYPE
            case TemplateSample():
                known = {"Labels": value.labels, "Value": value.value}
                kind = "*template.sample"
            case Mapping():
                return value.get(field, "")
            case None:
                raise self._failed(path.at, path.source, f"nil data; no entry for key {field}")
            case _:
                known = {}
                kind = "string" if isinstance(value, str) else "float64"
        if field in known:
            return known[field]
        raise self._failed(path.at, path.source, f"can't evaluate field {field} in type {kind}")

    def _failed(self, at: int, what: str, problem: str) -> FunctionFailed:
        line = self._source.count("\n", 0, at) + 1
        column = at - (self._source.rfind("\n", 0, at) + 1) + (len(_PROLOGUE) if line == 1 else 0)
        name = self._name
        return FunctionFailed(f'template: {name}:{line}:{column}: executing "{name}" at <{what}>: {problem}')


def _datum(value: _Dot) -> Datum:
    if isinstance(value, TemplateData):
        raise FunctionFailed("the whole of . can't be printed or handed to a function")
    return value
