"""Text to tree: precedence climbing over the lexer's tokens.

promql-parser would be there, but it takes the whole process down on deeply nested input and knows no positions; this
parser serves a network-facing evaluator, so text, depth and number of nodes are limited. Grammar and messages follow
Prometheus' (promql/parser/generated_parser.y); `tests/collector/metrics/promql/test_parser.py` compares both parsers.
"""

from __future__ import annotations

import math

import msgspec

from collector.metrics.promql import ast
from collector.metrics.promql.ast import Cardinality, Expr, Matching, Op, Span
from collector.metrics.promql.check import check
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.lexer import Kind, Token
from collector.metrics.promql.modifiers import with_at, with_offset, with_range
from collector.metrics.promql.selectors import matcher, name_matcher, selector
from collector.metrics.promql.signatures import AGGREGATIONS, FUNCTIONS
from collector.metrics.promql.tokens import TokenStream
from collector.metrics.selector import Matcher, MatchOp

MAX_DEPTH = 60
"""Of nesting. Each level takes up to six frames of Python's stack when it is parsed."""
MAX_OPERATORS = 1000
"""In a chain such as `a or b or c ...`."""

MAX_TIME_S = 2**53 / 1000
"""Behind `@`: some 285,000 years, so that no arithmetic with times overflows."""

_PRECEDENCE = {
    Op.OR: 1,
    Op.AND: 2,
    Op.UNLESS: 2,
    **dict.fromkeys(ast.COMPARISONS, 3),
    Op.ADD: 4,
    Op.SUB: 4,
    Op.MUL: 5,
    Op.DIV: 5,
    Op.MOD: 5,
    Op.ATAN2: 5,
    Op.POW: 6,
}
_OPERATORS = {op.value: op for op in Op}
_NOT_METRICS = frozenset({"bool", "on", "ignoring", "group_left", "group_right", "atan2"})


class Query(msgspec.Struct, frozen=True):
    """An expression and the text that its positions refer to."""

    text: str
    expr: Expr


def parse(text: str, *, experimental: bool = False) -> Query:
    """Raises ParseError with the place of the first fault. `experimental` functions are refused unless allowed."""
    expr = _Parser(text, experimental).whole()
    check(text, expr)
    return Query(text, expr)


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a vector selector alone: `match[]` of the HTTP API. Raises ParseError."""
    expr = parse(text).expr
    if not isinstance(expr, ast.VectorSelector) or expr.at is not None or expr.offset_ms:
        raise ParseError(text, expr.span, "expected a vector selector without modifiers")
    return expr.matchers


class _Parser(TokenStream):
    def __init__(self, text: str, experimental: bool) -> None:
        super().__init__(text)
        self._experimental = experimental
        self._depth = 0

    # -- expressions

    def whole(self) -> Expr:
        if self.ended():
            raise self.error(self.token.span, "no expression found in input")
        expr = self._expression(0)
        if not self.ended():
            raise self.unexpected("")
        return expr

    def _expression(self, binding: int) -> Expr:
        """Operators that bind tighter than `binding`, or as tight as it where it is POW's (right to left)."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(self.token.span, f"the expression is nested more than {MAX_DEPTH} levels deep")
        left = self._unary()
        operators = 0
        while (op := self._operator(binding)) is not None:
            operators += 1
            if operators > MAX_OPERATORS:
                raise self.error(self.token.span, f"more than {MAX_OPERATORS} operators in a row")
            left = self._binary(left, op)
        self._depth -= 1
        return left

    def _operator(self, binding: int) -> Op | None:
        token = self.token
        if token.kind not in (Kind.SIGN, Kind.KEYWORD):
            return None
        op = _OPERATORS.get(token.text)
        return op if op is not None and _PRECEDENCE[op] > binding else None

    def _binary(self, left: Expr, op: Op) -> Expr:
        op_span = self.next().span
        as_bool = self.keyword("bool")
        matching = self._matching()
        right = self._expression(_PRECEDENCE[op] - (op is Op.POW))
        span = Span(left.span.start, right.span.end)
        return ast.Binary(op, left, right, as_bool, matching, op_span, span)

    def _matching(self) -> Matching:
        token = self.token
        if not self.keyword("on", "ignoring"):
            self._refuse_fill()
            return Matching()
        labels = self._grouping()
        cardinality = Cardinality.ONE_TO_ONE
        include: tuple[str, ...] = ()
        grouping = self.token
        if self.keyword("group_left", "group_right"):
            cardinality = Cardinality.MANY_TO_ONE if grouping.text == "group_left" else Cardinality.ONE_TO_MANY
            include = self._grouping() if self.token.sign("(") else ()
        self._refuse_fill()
        return Matching(token.text == "on", labels, cardinality, include)

    def _refuse_fill(self) -> None:
        if self.token.keyword("fill", "fill_left", "fill_right"):
            raise self.error(self.token.span, "binop fill modifiers are not supported")

    def _unary(self) -> Expr:
        sign = self.accept("+", "-")
        if sign is None:
            return self._postfix(self._primary())
        operand = self._expression(_PRECEDENCE[Op.POW] - 1)
        span = Span(sign.span.start, operand.span.end)
        negative = sign.text == "-"
        if isinstance(operand, ast.Number):
            return ast.Number(-operand.value if negative else operand.value, span, operand.duration)
        return ast.Unary(negative, operand, span)

    def _primary(self) -> Expr:
        token = self.token
        match token.kind:
            case Kind.NUMBER | Kind.DURATION:
                self.next()
                return ast.Number(self.number(token), token.span, token.kind is Kind.DURATION)
            case Kind.STRING:
                self.next()
                return ast.String(self.string(token), token.span)
            case Kind.SIGN if token.text == "(":
                return self._paren()
            case Kind.SIGN if token.text == "{":
                return self._selector(None)
            case Kind.IDENTIFIER | Kind.METRIC | Kind.KEYWORD:
                return self._named()
        raise self.unexpected("")

    def _named(self) -> Expr:
        """A function, an aggregation or a metric; most keywords may be names of metrics."""
        token = self.next()
        following = self.token
        if token.text in AGGREGATIONS and (following.sign("(") or following.keyword("by", "without")):
            return self._aggregation(token)
        callable_keyword = token.keyword("start", "end", "step", "range")
        if following.sign("(") and (token.kind is Kind.IDENTIFIER or callable_keyword):
            return self._call(token)
        if token.kind is Kind.KEYWORD and token.text in _NOT_METRICS:
            self.back()
            raise self.unexpected("")
        return self._selector(token)

    def _paren(self) -> Expr:
        opening = self.next()
        inner = self._expression(0)
        closing = self.expect(")", "", "")
        return ast.Paren(inner, Span(opening.span.start, closing.span.end))

    # -- aggregations and calls

    def _aggregation(self, name: Token) -> Expr:
        labels: tuple[str, ...] = ()
        without = grouped = False
        if self.token.keyword("by", "without"):
            without, grouped = self.next().text == "without", True
            labels = self._grouping()
        args = self._args("aggregation")
        end = self.last_end()
        if not grouped and self.token.keyword("by", "without"):
            without = self.next().text == "without"
            labels = self._grouping()
            end = self.last_end()
        span = Span(name.span.start, end)
        about = AGGREGATIONS[name.text]
        if not args:
            raise self.error(span, "no arguments for aggregate expression provided")
        if about.experimental and not self._experimental:
            raise self.error(span, _experimental(name.text))
        wanted = 1 if about.param is None else 2
        if len(args) != wanted:
            reason = "wrong number of arguments for aggregate expression provided, "
            raise self.error(span, f"{reason}expected {wanted}, got {len(args)}")
        param = None if about.param is None else args[0]
        return ast.Aggregate(name.text, args[-1], param, labels, without, span)

    def _call(self, name: Token) -> Expr:
        function = name.text if name.kind is Kind.KEYWORD else name.written
        if function == "info":
            raise self.error(name.span, "info() is not supported")
        if function not in FUNCTIONS:
            raise self.error(name.span, f'unknown function with name "{function}"')
        args = self._args("")
        span = Span(name.span.start, self.last_end())
        if FUNCTIONS[function].experimental and not self._experimental:
            raise self.error(span, _experimental(function))
        return ast.Call(function, args, span)

    def _args(self, context: str) -> tuple[Expr, ...]:
        self.expect("(", context, "")
        if self.accept(")"):
            return ()
        args = [self._expression(0)]
        while comma := self.accept(","):
            if self.token.sign(")"):
                raise self.error(comma.span, "trailing commas not allowed in function call args")
            args.append(self._expression(0))
        self.expect(")", "", "")
        return tuple(args)

    def _grouping(self) -> tuple[str, ...]:
        context = "grouping opts"
        self.expect("(", context, '"("')
        labels: list[str] = []
        while not self.accept(")"):
            if labels:
                self.expect(",", context, '"," or ")"')
                if self.accept(")"):
                    break
            labels.append(self.label(context))
        return tuple(labels)

    # -- selectors and what stands behind them

    def _selector(self, name: Token | None) -> Expr:
        start = self.token.span.start if name is None else name.span.start
        matchers = self._matchers() if self.token.sign("{") else ()
        span = Span(start, self.last_end())
        return selector("" if name is None else name.written, matchers, span)

    def _matchers(self) -> tuple[Matcher, ...]:
        context = "label matching"
        self.next()
        found: list[Matcher] = []
        while not self.accept("}"):
            if found:
                self.expect(",", context, '"," or "}"')
                if self.accept("}"):
                    break
            found.append(self._matcher(context))
        return tuple(found)

    def _matcher(self, context: str) -> Matcher:
        token = self.token
        if token.kind not in (Kind.IDENTIFIER, Kind.STRING):
            raise self.unexpected(context, 'identifier or "}"')
        self.next()
        label = self.string(token) if token.kind is Kind.STRING else token.text
        if token.kind is Kind.STRING and self.token.sign(",", "}"):
            return matcher(self.text, name_matcher(label), token.span)
        if not self.token.sign("=", "!=", "=~", "!~"):
            raise self.unexpected(context, "label matching operator")
        op = MatchOp(self.next().text)
        value = self.token
        if value.kind is not Kind.STRING:
            raise self.unexpected(context, "string")
        self.next()
        span = Span(token.span.start, value.span.end)
        return matcher(self.text, Matcher(label, op, self.string(value)), span)

    def _postfix(self, expr: Expr) -> Expr:
        while True:
            if self.token.sign("["):
                expr = self._brackets(expr)
            elif self.keyword("offset"):
                expr = self._offset(expr)
            elif self.accept("@"):
                expr = self._at_modifier(expr)
            elif self.token.keyword("anchored", "smoothed"):
                raise self.error(self.token.span, f"{self.token.text} modifier is not supported")
            else:
                return expr

    def _brackets(self, expr: Expr) -> Expr:
        if isinstance(expr, ast.MatrixSelector | ast.Subquery):  # also keeps `x[1m:][1m:]...` from growing deep
            raise self.error(expr.span, "subquery is only allowed on instant vector, got matrix instead")
        opening = self.next()
        range_ms = self.positive_duration("subquery or range selector", "duration")
        if closing := self.accept("]"):
            brackets = Span(opening.span.start, closing.span.end)
            return with_range(self.text, expr, range_ms, brackets)
        self.refuse_duration_expression()
        self.expect(":", "subquery or range", '":" or "]"')
        step_ms = None
        if not self.token.sign("]"):
            step_ms = self.positive_duration("subquery selector", 'duration or "]"')
        self.refuse_duration_expression()
        closing = self.expect("]", "subquery selector", '"]"')
        return ast.Subquery(expr, range_ms, step_ms, span=Span(expr.span.start, closing.span.end))

    def _offset(self, expr: Expr) -> Expr:
        negative = self.signed()
        token = self.token
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            self.refuse_duration_expression()
            raise self.unexpected("offset", "number, duration, step(), or range()")
        self.next()
        value_ms = self.seconds_ms(token)
        return with_offset(self.text, expr, -value_ms if negative else value_ms, self.last_end())

    def _at_modifier(self, expr: Expr) -> Expr:
        edge = self.token
        if edge.keyword("start", "end"):
            self.next()
            self.expect("(", "@", "timestamp")
            self.expect(")", "@", "timestamp")
            return with_at(self.text, expr, ast.Edge(edge.text), self.last_end())
        negative = self.signed()
        token = self.token
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self.unexpected("@", "timestamp")
        self.next()
        seconds = self.number(token)
        if not math.isfinite(seconds) or abs(seconds) >= MAX_TIME_S:
            signed = -seconds if negative else seconds
            raise self.error(expr.span, f"timestamp out of bounds for @ modifier: {signed:f}")
        at_ms = round(seconds * 1000)
        return with_at(self.text, expr, -at_ms if negative else at_ms, self.last_end())


def _experimental(name: str) -> str:
    return f"{name}() is experimental and must be enabled (setting experimental_functions)"
