"""Labels and annotations of alerts are templates; here they are expanded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerting.rules.template_functions import FUNCTIONS, LATER, Datum, FunctionFailed, is_true, text_of
from alerting.rules.template_nodes import (
    Branch,
    Command,
    Function,
    Later,
    Node,
    Path,
    Pipeline,
    Text,
    Value,
    parse_template,
)

_PROLOGUE = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
"""What Prometheus puts before each template; places in its error messages count from there."""
_TYPE = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }"
_VARIABLES = frozenset({"$labels", "$externalLabels", "$externalURL", "$value"})
_FUNCTIONS = frozenset(FUNCTIONS) | LATER


class TemplateData(msgspec.Struct, frozen=True):
    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = {}
    external_url: str = ""


class Template:
    """A parsed template. Raises TemplateError (a Reject) where its text can't be parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._nodes = parse_template(text, _FUNCTIONS, _VARIABLES)

    def expand(self, alert: str, data: TemplateData) -> str:
        """Never fails: a template that does yields `<error expanding template: ...>`, and its alert fires anyway."""
        if len(self._nodes) == 1 and isinstance(self._nodes[0], Text):
            return self._nodes[0].text
        run = _Run(f"__alert_{alert}", self.text, data)
        try:
            return run.render(self._nodes, data)
        except FunctionFailed as error:
            return f"<error expanding template: error executing template __alert_{alert}: {error}>"


_Dot = Datum | TemplateData


class _Run:
    def __init__(self, name: str, source: str, data: TemplateData) -> None:
        self._name = name
        self._source = source
        self._variables: dict[str, _Dot] = {
            "$": data,
            "$labels": data.labels,
            "$externalLabels": data.external_labels,
            "$externalURL": data.external_url,
            "$value": data.value,
        }

    def render(self, nodes: tuple[Node, ...], dot: _Dot) -> str:
        return "".join(self._node(node, dot) for node in nodes)

    def _node(self, node: Node, dot: _Dot) -> str:
        match node:
            case Text(text):
                return text
            case Pipeline():
                value = self._pipeline(node, dot)
                return "" if node.declares else text_of(_datum(value))
            case Branch():
                value = self._pipeline(node.condition, dot)
                if is_true(_datum(value)):
                    return self.render(node.then, value if node.is_with else dot)
                return self.render(node.otherwise, dot)
            case Later(keyword, at):
                raise self._failed(at, f"{{{{{keyword}}}}}", f"{keyword} is not supported in this version yet")

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
                where = first.source if isinstance(first, Path) else "pipeline"
                raise self._failed(getattr(first, "at", 0), where, f"can't give argument to non-function {where}")
            return self._operand(first, dot)
        arguments = [_datum(self._operand(operand, dot)) for operand in rest]
        return self._call(first, (*arguments, *piped))

    def _operand(self, operand: Value | Path | Function | Pipeline, dot: _Dot) -> _Dot:
        match operand:
            case Value(value):
                return value
            case Path():
                return self._path(operand, dot)
            case Function():
                return self._call(operand, ())
            case Pipeline():
                return self._pipeline(operand, dot)

    def _call(self, function: Function, arguments: tuple[Datum, ...]) -> Datum:
        if function.name in LATER:
            raise self._failed(function.at, function.name, f"{function.name} is not supported in this version yet")
        try:
            return FUNCTIONS[function.name](*arguments)
        except FunctionFailed as error:
            raise self._failed(function.at, function.name, f"error calling {function.name}: {error}") from None
        except TypeError:
            raise self._failed(function.at, function.name, f"wrong number of args for {function.name}") from None

    def _path(self, path: Path, dot: _Dot) -> _Dot:
        value = dot if path.root == "." else self._variables[path.root]
        for field in path.fields:
            value = self._field(path, value, field)
        return value

    def _field(self, path: Path, value: _Dot, field: str) -> _Dot:
        if isinstance(value, TemplateData):
            known: dict[str, _Dot] = {
                "Labels": value.labels,
                "ExternalLabels": value.external_labels,
                "ExternalURL": value.external_url,
                "Value": value.value,
            }
            if field in known:
                return known[field]
            raise self._failed(path.at, path.source, f"can't evaluate field {field} in type {_TYPE}")
        if isinstance(value, Mapping):
            return value.get(field, "")
        kind = "string" if isinstance(value, str) else "float64"
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
