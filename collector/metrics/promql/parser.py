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
from collector.metrics.promql.durations import parse_duration_ms
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.lexer import Kind, Lexer, Token
from collector.metrics.promql.modifiers import with_at, with_offset, with_range
from collector.metrics.promql.numbers import parse_float
from collector.metrics.promql.quoting import BadEscape, is_label, unquote
from collector.metrics.promql.selectors import matcher, name_matcher, selector
from collector.metrics.promql.signatures import AGGREGATIONS, FUNCTIONS
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


class _Parser:
    def __init__(self, text: str, experimental: bool) -> None:
        self._text = text
        self._experimental = experimental
        self._lexer = Lexer(text)
        self._tokens: list[
            Token
        ] = []  # read so far; a token is read when it is looked at, so that faults come in order
        self._at = 0
        self._depth = 0

    # -- tokens

    @property
    def _token(self) -> Token:
        while len(self._tokens) <= self._at:
            self._tokens.append(self._lexer.next())
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _ended(self) -> bool:
        return self._token.kind is Kind.END

    def _accept(self, *signs: str) -> Token | None:
        return self._next() if self._token.sign(*signs) else None

    def _expect(self, sign: str, context: str, expected: str) -> Token:
        found = self._accept(sign)
        if found is None:
            raise self._unexpected(context, expected)
        return found

    def _unexpected(self, context: str, expected: str = "") -> ParseError:
        reason = f"unexpected {self._token.described}"
        reason += f" in {context}" if context else ""
        reason += f", expected {expected}" if expected else ""
        return self._error(self._token.span, reason)

    def _error(self, span: Span, reason: str) -> ParseError:
        return ParseError(self._text, span, reason)

    def _last_end(self) -> int:
        return self._tokens[self._at - 1].span.end

    # -- expressions

    def whole(self) -> Expr:
        if self._ended():
            raise self._error(self._token.span, "no expression found in input")
        expr = self._expression(0)
        if not self._ended():
            raise self._unexpected("")
        return expr

    def _expression(self, binding: int) -> Expr:
        """Operators that bind tighter than `binding`, or as tight as it where it is POW's (right to left)."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(self._token.span, f"the expression is nested more than {MAX_DEPTH} levels deep")
        left = self._unary()
        operators = 0
        while (op := self._operator(binding)) is not None:
            operators += 1
            if operators > MAX_OPERATORS:
                raise self._error(self._token.span, f"more than {MAX_OPERATORS} operators in a row")
            left = self._binary(left, op)
        self._depth -= 1
        return left

    def _operator(self, binding: int) -> Op | None:
        token = self._token
        if token.kind not in (Kind.SIGN, Kind.KEYWORD):
            return None
        op = _OPERATORS.get(token.text)
        return op if op is not None and _PRECEDENCE[op] > binding else None

    def _binary(self, left: Expr, op: Op) -> Expr:
        op_span = self._next().span
        as_bool = self._keyword("bool")
        matching = self._matching()
        right = self._expression(_PRECEDENCE[op] - (op is Op.POW))
        span = Span(left.span.start, right.span.end)
        return ast.Binary(op, left, right, as_bool, matching, op_span, span)

    def _keyword(self, *texts: str) -> bool:
        if self._token.keyword(*texts):
            self._at += 1
            return True
        return False

    def _matching(self) -> Matching:
        token = self._token
        if not self._keyword("on", "ignoring"):
            self._refuse_fill()
            return Matching()
        labels = self._grouping()
        cardinality = Cardinality.ONE_TO_ONE
        include: tuple[str, ...] = ()
        grouping = self._token
        if self._keyword("group_left", "group_right"):
            cardinality = Cardinality.MANY_TO_ONE if grouping.text == "group_left" else Cardinality.ONE_TO_MANY
            include = self._grouping() if self._token.sign("(") else ()
        self._refuse_fill()
        return Matching(token.text == "on", labels, cardinality, include)

    def _refuse_fill(self) -> None:
        if self._token.keyword("fill", "fill_left", "fill_right"):
            raise self._error(self._token.span, "binop fill modifiers are not supported")

    def _unary(self) -> Expr:
        sign = self._accept("+", "-")
        if sign is None:
            return self._postfix(self._primary())
        operand = self._expression(_PRECEDENCE[Op.POW] - 1)
        span = Span(sign.span.start, operand.span.end)
        negative = sign.text == "-"
        if isinstance(operand, ast.Number):
            return ast.Number(-operand.value if negative else operand.value, span, operand.duration)
        return ast.Unary(negative, operand, span)

    def _primary(self) -> Expr:
        token = self._token
        match token.kind:
            case Kind.NUMBER | Kind.DURATION:
                self._next()
                return ast.Number(self._number(token), token.span, token.kind is Kind.DURATION)
            case Kind.STRING:
                self._next()
                return ast.String(self._string(token), token.span)
            case Kind.SIGN if token.text == "(":
                return self._paren()
            case Kind.SIGN if token.text == "{":
                return self._selector(None)
            case Kind.IDENTIFIER | Kind.METRIC | Kind.KEYWORD:
                return self._named()
        raise self._unexpected("")

    def _named(self) -> Expr:
        """A function, an aggregation or a metric; most keywords may be names of metrics."""
        token = self._next()
        following = self._token
        if token.text in AGGREGATIONS and (following.sign("(") or following.keyword("by", "without")):
            return self._aggregation(token)
        callable_keyword = token.keyword("start", "end", "step", "range")
        if following.sign("(") and (token.kind is Kind.IDENTIFIER or callable_keyword):
            return self._call(token)
        if token.kind is Kind.KEYWORD and token.text in _NOT_METRICS:
            self._at -= 1
            raise self._unexpected("")
        return self._selector(token)

    def _paren(self) -> Expr:
        opening = self._next()
        inner = self._expression(0)
        closing = self._expect(")", "", "")
        return ast.Paren(inner, Span(opening.span.start, closing.span.end))

    # -- literals

    def _number(self, token: Token) -> float:
        """Whole numbers as Go reads them with base 0: hexadecimal, octal with a leading 0, underscores."""
        if token.kind is Kind.DURATION:
            return self._duration_ms(token) / 1000
        text = token.text.lower()
        digits = text.replace("_", "")
        if digits.startswith("0x"):
            return float(int(digits, 16))
        if len(digits) > 1 and digits[0] == "0" and set(digits) <= set("01234567"):
            return float(int(digits, 8))
        value = parse_float(digits if digits.isdigit() else text)
        if value is None:
            raise self._error(token.span, f'error parsing number: strconv.ParseFloat: parsing "{text}": invalid syntax')
        return value

    def _duration_ms(self, token: Token) -> int:
        value = parse_duration_ms(token.text)
        if value is None:
            raise self._error(token.span, f'not a valid duration string: "{token.text}"')
        return value

    def _string(self, token: Token) -> str:
        try:
            return unquote(token.written)
        except BadEscape as error:
            at = token.span.start + error.at
            raise self._error(Span(at, token.span.end), str(error)) from None

    # -- aggregations and calls

    def _aggregation(self, name: Token) -> Expr:
        labels: tuple[str, ...] = ()
        without = grouped = False
        if self._token.keyword("by", "without"):
            without, grouped = self._next().text == "without", True
            labels = self._grouping()
        args = self._args("aggregation")
        end = self._last_end()
        if not grouped and self._token.keyword("by", "without"):
            without = self._next().text == "without"
            labels = self._grouping()
            end = self._last_end()
        span = Span(name.span.start, end)
        about = AGGREGATIONS[name.text]
        if not args:
            raise self._error(span, "no arguments for aggregate expression provided")
        if about.experimental and not self._experimental:
            raise self._error(span, _experimental(name.text))
        wanted = 1 if about.param is None else 2
        if len(args) != wanted:
            reason = "wrong number of arguments for aggregate expression provided, "
            raise self._error(span, f"{reason}expected {wanted}, got {len(args)}")
        param = None if about.param is None else args[0]
        return ast.Aggregate(name.text, args[-1], param, labels, without, span)

    def _call(self, name: Token) -> Expr:
        function = name.text if name.kind is Kind.KEYWORD else name.written
        if function == "info":
            raise self._error(name.span, "info() is not supported")
        if function not in FUNCTIONS:
            raise self._error(name.span, f'unknown function with name "{function}"')
        args = self._args("")
        span = Span(name.span.start, self._last_end())
        if FUNCTIONS[function].experimental and not self._experimental:
            raise self._error(span, _experimental(function))
        return ast.Call(function, args, span)

    def _args(self, context: str) -> tuple[Expr, ...]:
        self._expect("(", context, "")
        if self._accept(")"):
            return ()
        args = [self._expression(0)]
        while comma := self._accept(","):
            if self._token.sign(")"):
                raise self._error(comma.span, "trailing commas not allowed in function call args")
            args.append(self._expression(0))
        self._expect(")", "", "")
        return tuple(args)

    def _grouping(self) -> tuple[str, ...]:
        context = "grouping opts"
        self._expect("(", context, '"("')
        labels: list[str] = []
        while not self._accept(")"):
            if labels:
                self._expect(",", context, '"," or ")"')
                if self._accept(")"):
                    break
            labels.append(self._label(context))
        return tuple(labels)

    def _label(self, context: str) -> str:
        token = self._token
        match token.kind:
            case Kind.IDENTIFIER | Kind.KEYWORD:
                name = token.written
            case Kind.STRING:
                name = self._string(token)
                if not is_label(name):
                    raise self._unexpected(context, "label")
            case _:
                raise self._unexpected(context, "label")
        self._next()
        return name

    # -- selectors and what stands behind them

    def _selector(self, name: Token | None) -> Expr:
        start = self._token.span.start if name is None else name.span.start
        matchers = self._matchers() if self._token.sign("{") else ()
        span = Span(start, self._last_end())
        return selector("" if name is None else name.written, matchers, span)

    def _matchers(self) -> tuple[Matcher, ...]:
        context = "label matching"
        self._next()
        found: list[Matcher] = []
        while not self._accept("}"):
            if found:
                self._expect(",", context, '"," or "}"')
                if self._accept("}"):
                    break
            found.append(self._matcher(context))
        return tuple(found)

    def _matcher(self, context: str) -> Matcher:
        token = self._token
        if token.kind not in (Kind.IDENTIFIER, Kind.STRING):
            raise self._unexpected(context, 'identifier or "}"')
        self._next()
        label = self._string(token) if token.kind is Kind.STRING else token.text
        if token.kind is Kind.STRING and self._token.sign(",", "}"):
            return matcher(self._text, name_matcher(label), token.span)
        if not self._token.sign("=", "!=", "=~", "!~"):
            raise self._unexpected(context, "label matching operator")
        op = MatchOp(self._next().text)
        value = self._token
        if value.kind is not Kind.STRING:
            raise self._unexpected(context, "string")
        self._next()
        span = Span(token.span.start, value.span.end)
        return matcher(self._text, Matcher(label, op, self._string(value)), span)

    def _postfix(self, expr: Expr) -> Expr:
        while True:
            if self._token.sign("["):
                expr = self._brackets(expr)
            elif self._keyword("offset"):
                expr = self._offset(expr)
            elif self._accept("@"):
                expr = self._at_modifier(expr)
            elif self._token.keyword("anchored", "smoothed"):
                raise self._error(self._token.span, f"{self._token.text} modifier is not supported")
            else:
                return expr

    def _brackets(self, expr: Expr) -> Expr:
        if isinstance(expr, ast.MatrixSelector | ast.Subquery):  # also keeps `x[1m:][1m:]...` from growing deep
            raise self._error(expr.span, "subquery is only allowed on instant vector, got matrix instead")
        opening = self._next()
        range_ms = self._positive_duration("subquery or range selector", "duration")
        if closing := self._accept("]"):
            brackets = Span(opening.span.start, closing.span.end)
            return with_range(self._text, expr, range_ms, brackets)
        self._refuse_duration_expression()
        self._expect(":", "subquery or range", '":" or "]"')
        step_ms = None
        if not self._token.sign("]"):
            step_ms = self._positive_duration("subquery selector", 'duration or "]"')
        self._refuse_duration_expression()
        closing = self._expect("]", "subquery selector", '"]"')
        return ast.Subquery(expr, range_ms, step_ms, span=Span(expr.span.start, closing.span.end))

    def _positive_duration(self, context: str, expected: str) -> int:
        token = self._token
        self._refuse_duration_expression()
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self._unexpected(context, expected)
        self._next()
        value_ms = self._seconds_ms(token)
        if value_ms <= 0:
            raise self._error(token.span, "duration must be greater than 0")
        return value_ms

    def _seconds_ms(self, token: Token) -> int:
        if token.kind is Kind.DURATION:
            return self._duration_ms(token)
        seconds = self._number(token)
        if not math.isfinite(seconds) or abs(seconds) > 2**63 / 1e9:
            raise self._error(token.span, "duration out of range")
        return round(seconds * 1000)

    def _refuse_duration_expression(self) -> None:
        """`[5m + step()]`, `offset (1m * 2)`: known to be meant, and not there."""
        token = self._token
        if token.sign("+", "-", "*", "/", "%", "^", "(") or token.keyword("step", "range", "min", "max"):
            raise self._error(token.span, "duration expressions are not supported")

    def _offset(self, expr: Expr) -> Expr:
        negative = self._signed()
        token = self._token
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            self._refuse_duration_expression()
            raise self._unexpected("offset", "number, duration, step(), or range()")
        self._next()
        value_ms = self._seconds_ms(token)
        return with_offset(self._text, expr, -value_ms if negative else value_ms, self._last_end())

    def _signed(self) -> bool:
        sign = self._accept("+", "-")
        return sign is not None and sign.text == "-"

    def _at_modifier(self, expr: Expr) -> Expr:
        edge = self._token
        if edge.keyword("start", "end"):
            self._next()
            self._expect("(", "@", "timestamp")
            self._expect(")", "@", "timestamp")
            return with_at(self._text, expr, ast.Edge(edge.text), self._last_end())
        negative = self._signed()
        token = self._token
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self._unexpected("@", "timestamp")
        self._next()
        seconds = self._number(token)
        if not math.isfinite(seconds) or abs(seconds) >= MAX_TIME_S:
            signed = -seconds if negative else seconds
            raise self._error(expr.span, f"timestamp out of bounds for @ modifier: {signed:f}")
        at_ms = round(seconds * 1000)
        return with_at(self._text, expr, -at_ms if negative else at_ms, self._last_end())


def _experimental(name: str) -> str:
    return f"{name}() is experimental and must be enabled (setting experimental_functions)"
