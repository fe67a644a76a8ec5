"""A template's tree is walked and its output written to a sink (go/src/text/template/exec.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from alerting.templates.moments import Duration, Moment
from alerting.templates.nodes import (
    Body,
    Branch,
    Call,
    Chain,
    Command,
    Function,
    Jump,
    Node,
    Operand,
    Path,
    Pipeline,
    Range,
    Source,
    Text,
    Value,
)
from alerting.templates.values import (
    Datum,
    FunctionFailed,
    Method,
    TemplateObject,
    TemplateSample,
    is_true,
    text_of,
    type_of,
)

_MAX_CALLS = 100
_NOWHERE = Source("", "")


Functions = Mapping[str, Callable[..., Datum]]


class Sink(Protocol):
    """`text` is what the template's author wrote, `value` what an action gave."""

    def text(self, text: str) -> None: ...

    def value(self, value: Datum) -> None: ...


class TextSink:
    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, text: str) -> None:
        self.parts.append(text)

    def value(self, value: Datum) -> None:
        self.parts.append(text_of(value))

    def whole(self) -> str:
        return "".join(self.parts)


class TemplateFailed(FunctionFailed):
    """With its place: `template: name:1:2: executing "name" at <.x>: ...`"""


class _Jumped(Exception):
    """`break` or `continue`, on the way to its range."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends


class Execution:
    """One run of one template. `defined` are the templates that it may name; `bound` are functions of this run, which
    go before `functions`, those of all runs. `file` stands in messages instead of the sources' names."""

    def __init__(
        self,
        functions: Functions,
        defined: Mapping[str, Body],
        sink: Sink,
        *,
        bound: Functions = {},  # noqa: B006 - never changed
        file: str = "",
    ) -> None:
        self._functions = functions
        self._defined = defined
        self._sink = sink
        self._bound = bound
        self._file = file
        self._variables: list[tuple[str, Datum]] = []
        self._name = ""
        self._body = Body((), _NOWHERE)
        self._calls = 0

    def run(self, body: Body, dot: Datum, variables: Mapping[str, Datum] = {}) -> None:
        """Raises FunctionFailed. What was written to the sink until then stays there."""
        self._name = self._file or body.source.name
        self._body = body
        self._variables = [("$", dot), *variables.items()]
        try:
            self._nodes(body.nodes, dot)
        except RecursionError:
            raise FunctionFailed(f"exceeded maximum template depth ({_MAX_CALLS})") from None

    def called(self, name: str, data: Datum) -> str:
        """What the template `name` gives, as text."""
        outside, self._sink = self._sink, TextSink()
        try:
            self._template(name, data, 0)
            return self._sink.whole()
        finally:
            self._sink = outside

    # Nodes ------------------------------------------------------------------------------------------------------

    def _nodes(self, nodes: tuple[Node, ...], dot: Datum) -> None:
        mark = len(self._variables)
        for node in nodes:
            match node:
                case Text(text):
                    self._sink.text(text)
                case Pipeline():
                    value = self._pipeline(node, dot)
                    if not node.declares:
                        self._sink.value(value)
                case Branch():
                    self._branch(node, dot)
                case Range():
                    self._range(node, dot)
                case Jump(ends):
                    raise _Jumped(ends)
                case Call():
                    data = None if node.data is None else self._pipeline(node.data, dot)
                    self._template(node.name, data, node.at)
        del self._variables[mark:]

    def _branch(self, node: Branch, dot: Datum) -> None:
        mark = len(self._variables)
        value = self._pipeline(node.condition, dot)
        if is_true(value):
            self._nodes(node.then, value if node.is_with else dot)
        else:
            self._nodes(node.otherwise, dot)
        del self._variables[mark:]

    def _range(self, node: Range, dot: Datum) -> None:
        mark = len(self._variables)
        items = list(self._items(node, self._pipeline(node.over, dot)))
        for key, item in items:
            values = (key, item) if len(node.declares) == 2 else (item,)
            self._variables.extend(zip(node.declares, values, strict=False))
            try:
                self._nodes(node.body, item)
            except _Jumped as jumped:
                if jumped.ends:
                    break
            finally:
                del self._variables[mark:]
        if not items:
            self._nodes(node.otherwise, dot)

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

    def _template(self, name: str, data: Datum, at: int) -> None:
        body = self._defined.get(name)
        if body is None:
            raise self._failed(at, "template", f'template "{name}" not defined')
        if self._calls >= _MAX_CALLS:
            raise self._failed(at, "template", f"exceeded maximum template depth ({_MAX_CALLS})")
        outside = self._variables, self._body, self._name
        self._variables, self._body, self._name = [("$", data)], body, name
        self._calls += 1
        self._nodes(body.nodes, data)
        self._calls -= 1
        self._variables, self._body, self._name = outside

    # Pipelines --------------------------------------------------------------------------------------------------

    def _pipeline(self, pipeline: Pipeline, dot: Datum) -> Datum:
        commands = pipeline.commands
        value = self._command(commands[0], dot, ())
        for command in commands[1:]:
            value = self._command(command, dot, (value,))
        if pipeline.declares:
            self._set(pipeline, value)
        return value

    def _set(self, pipeline: Pipeline, value: Datum) -> None:
        if pipeline.assigns:
            place = max(place for place, (name, _) in enumerate(self._variables) if name == pipeline.declares)
            self._variables[place] = (pipeline.declares, value)
        else:
            self._variables.append((pipeline.declares, value))

    def _command(self, command: Command, dot: Datum, piped: tuple[Datum, ...]) -> Datum:
        first, *rest = command.operands
        if not isinstance(first, Function):
            if not rest and not piped:
                return self._operand(first, dot)
            return self._method(first, (*(self._operand(operand, dot) for operand in rest), *piped), dot)
        if first.name in ("and", "or"):
            return self._deciding(first, rest, dot, piped)
        return self._call(first, (*[self._operand(operand, dot) for operand in rest], *piped))

    def _method(self, first: Operand, arguments: tuple[Datum, ...], dot: Datum) -> Datum:
        """`.CommonLabels.Remove names`: the last field takes the arguments."""
        if isinstance(first, Path | Chain) and first.fields:
            *way, last = first.fields
            owner = self._walk(first, self._root(first, dot), way)
            method = _methods(owner).get(last)
            if method is not None:
                return self._invoke(first, last, method, arguments)
        where = first.source if isinstance(first, Path | Chain) else "pipeline"
        raise self._failed(getattr(first, "at", 0), where, f"can't give argument to non-function {where}")

    def _deciding(self, function: Function, rest: list[Operand], dot: Datum, piped: tuple[Datum, ...]) -> Datum:
        """`and` ends at the first false operand, `or` at the first true one; the others are not evaluated."""
        value: Datum = None
        if not rest and not piped:
            raise self._failed(function.at, function.name, f"wrong number of args for {function.name}")
        for operand in rest:
            value = self._operand(operand, dot)
            if is_true(value) == (function.name == "or"):
                return value
        return piped[0] if piped else value

    def _operand(self, operand: Operand, dot: Datum) -> Datum:
        if isinstance(operand, Path):  # most are
            return self._walk(operand, self._root(operand, dot), operand.fields)
        match operand:
            case Value(value):
                return value
            case Chain():
                return self._walk(operand, self._root(operand, dot), operand.fields)
            case Function():
                return self._call(operand, ())
            case Pipeline():
                return self._pipeline(operand, dot)

    def _root(self, path: Path | Chain, dot: Datum) -> Datum:
        if isinstance(path, Chain):
            return self._pipeline(path.pipeline, dot)
        if path.root == ".":
            return dot
        for name, value in reversed(self._variables):
            if name == path.root:
                return value
        raise self._failed(path.at, path.source, f"undefined variable {path.root}")

    def _walk(self, path: Path | Chain, value: Datum, fields: tuple[str, ...] | list[str]) -> Datum:
        for field in fields:
            value = self._field(path, value, field)
        return value

    def _field(self, path: Path | Chain, value: Datum, field: str) -> Datum:
        if type(value) is dict:  # most fields are labels
            text: Datum = value.get(field, "")
            return text
        method = _methods(value).get(field)
        if method is not None:
            return self._invoke(path, field, method, ())
        known: Mapping[str, Datum] = {}
        match value:
            case TemplateObject() if field in (known := value.fields()):
                return known[field]
            case TemplateSample():
                known = {"Labels": value.labels, "Value": value.value}
            case Mapping():
                return value.get(field, "")
            case None:
                raise self._failed(path.at, path.source, f"nil data; no entry for key {field}")
        if field in known:
            return known[field]
        kind = "float64" if isinstance(value, int | Duration | Moment) else type_of(value)
        raise self._failed(path.at, path.source, f"can't evaluate field {field} in type {kind}")

    def _invoke(self, path: Path | Chain, name: str, method: Method, arguments: tuple[Datum, ...]) -> Datum:
        try:
            return method(*arguments)
        except FunctionFailed as error:
            raise self._failed(path.at, path.source, f"error calling {name}: {error}") from None
        except (TypeError, AttributeError):
            raise self._failed(path.at, path.source, f"wrong arguments for {name}") from None
        except (ArithmeticError, LookupError, ValueError) as error:  # a number, name or text that there is no use for
            raise self._failed(path.at, path.source, f"error calling {name}: {error}") from None

    def _call(self, function: Function, arguments: tuple[Datum, ...]) -> Datum:
        name = function.name
        try:
            return (self._bound.get(name) or self._functions[name])(*arguments)
        except TemplateFailed:
            raise
        except FunctionFailed as error:
            raise self._failed(function.at, name, f"error calling {name}: {error}") from None
        except (TypeError, AttributeError):
            raise self._failed(function.at, name, f"wrong number of args for {name}") from None
        except (ArithmeticError, LookupError, ValueError) as error:
            raise self._failed(function.at, name, f"error calling {name}: {error}") from None

    def _failed(self, at: int, what: str, problem: str) -> TemplateFailed:
        place = self._body.source.place(at, self._file)
        return TemplateFailed(f'template: {place}: executing "{self._name}" at <{what}>: {problem}')


def _methods(value: Datum) -> Mapping[str, Method]:
    return value.methods() if isinstance(value, TemplateObject | Moment | Duration) else {}
