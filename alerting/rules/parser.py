"""The text of an expression -> Expression. What PromQL has and we don't yet is said so, with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from alerting.rules.durations import parse_duration_ns
from alerting.rules.expression import (
    COMPARISONS,
    Comparison,
    Expression,
    Instant,
    Literal,
    OverRange,
    RangeFunction,
)
from alerting.rules.lexer import ExpressionError, Kind, Token, tokens
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp, Selector, check_regex
from deckwatch.runtime.faults import Reject

MAX_DEPTH = 50

T = TypeVar("T")

_Node = Literal | Instant | OverRange | Comparison

_FUNCTIONS = {function.value for function in RangeFunction}
_MATCH_OPS = {op.value for op in MatchOp}
_NUMBER_WORDS = {"inf": float("inf"), "nan": float("nan")}
_LATER = {
    *("+", "-", "*", "/", "%", "^", "@", ":"),
    *("and", "or", "unless", "atan2", "offset", "on", "ignoring", "group_left", "group_right", "by", "without"),
}
_SUPPORTED = "this version takes a selector, rate() or increase() of one with a range, and a comparison with a number"


def parse_expression(text: str) -> Expression:
    """Raises ExpressionError with line and column."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> Expression:
        node = self._comparison()
        if self._peek().kind is not Kind.END:
            raise self._unexpected("a comparison or the end")
        return node

    # Grammar ----------------------------------------------------------------------------------------------------

    def _comparison(self) -> _Node:
        left = self._operand()
        while self._peek().text in COMPARISONS and self._peek().kind is Kind.OPERATOR:
            sign = self._take()
            as_bool = self._peek().kind is Kind.IDENTIFIER and self._peek().text.lower() == "bool"
            if as_bool:
                self._take()
            left = self._compare(left, sign, as_bool, self._operand())
        return left

    def _compare(self, left: _Node, sign: Token, as_bool: bool, right: _Node) -> _Node:
        if isinstance(left, Literal) and isinstance(right, Literal):
            if not as_bool:
                raise self._error(sign.at, "comparisons between two numbers must use the bool modifier")
            return Literal(float(COMPARISONS[sign.text](left.value, right.value)))
        if isinstance(right, Literal) and not isinstance(left, Literal):
            return Comparison(sign.text, left, right.value, as_bool=as_bool)
        if isinstance(left, Literal) and not isinstance(right, Literal):
            return Comparison(sign.text, right, left.value, number_is_left=True, as_bool=as_bool)
        raise self._later(sign.at, "comparing two vectors")

    def _operand(self) -> _Node:
        token = self._peek()
        if token.kind is Kind.OPERATOR and token.text in ("-", "+"):
            return self._signed()
        if token.text == "(" and token.kind is Kind.OPERATOR:
            return self._parenthesised()
        if token.kind is Kind.NUMBER:
            return Literal(_number(self._take().text))
        if token.kind is Kind.IDENTIFIER:
            return self._named()
        if token.text == "{" and token.kind is Kind.OPERATOR:
            return self._instant("", token)
        if token.kind is Kind.STRING:
            raise self._later(token.at, "a string as an expression")
        raise self._unexpected("a metric name, a number or (")

    def _signed(self) -> _Node:
        sign = self._take()
        operand = self._operand()
        if not isinstance(operand, Literal):
            raise self._later(sign.at, "a sign before a vector")
        return Literal(-operand.value) if sign.text == "-" else operand

    def _parenthesised(self) -> _Node:
        opening = self._take()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(opening.at, f"more than {MAX_DEPTH} nested parentheses")
        node = self._comparison()
        self._expect(")")
        self._depth -= 1
        return node

    def _named(self) -> _Node:
        token = self._take()
        if token.text.lower() in _NUMBER_WORDS and self._peek().text != "{":
            return Literal(_NUMBER_WORDS[token.text.lower()])
        follows_call = self._peek().kind is Kind.OPERATOR and self._peek().text == "("
        follows_clause = self._peek().kind is Kind.IDENTIFIER and self._peek().text.lower() in ("by", "without")
        if follows_call and token.text in _FUNCTIONS:
            return self._over_range(RangeFunction(token.text))
        if follows_call or follows_clause:
            raise self._later(token.at, f"{token.text}()")
        return self._instant(token.text, token)

    def _over_range(self, function: RangeFunction) -> OverRange:
        self._expect("(")
        first = self._peek()
        name = self._take().text if first.kind is Kind.IDENTIFIER else ""
        if name and self._peek().text == "(":
            raise self._later(first.at, f"{name}() inside {function.value}()")
        if not name and first.text != "{":
            raise self._unexpected("a metric name")
        selector = self._selector(name, first)
        if self._peek().text != "[":
            raise self._error(self._peek().at, f"{function.value}() needs a range behind its selector, such as [5m]")
        if not name:
            raise self._later(first.at, "a range of a selector without a metric name")
        range_ns = self._range()
        self._expect(")")
        return OverRange(function, selector, range_ns)

    def _range(self) -> int:
        self._expect("[")
        token = self._take()
        if token.kind is not Kind.DURATION:
            raise self._error(token.at, f"unexpected {token}; expected a duration such as 5m")
        range_ns = self._checked(token.at, parse_duration_ns, token.text)
        if range_ns <= 0:
            raise self._error(token.at, "a range must be longer than 0")
        if self._peek().text.startswith(":"):
            raise self._later(self._peek().at, "a subquery")
        self._expect("]")
        self._refuse_modifiers()
        return range_ns

    def _instant(self, name: str, first: Token) -> Instant:
        selector = self._selector(name, first)
        if self._peek().text == "[":
            raise self._error(self._peek().at, "a range stands inside rate() or increase() only")
        self._refuse_modifiers()
        return Instant(selector)

    def _selector(self, name: str, first: Token) -> Selector:
        matchers: list[Matcher] = []
        if self._peek().text == "{" and self._peek().kind is Kind.OPERATOR:
            self._take()
            while self._peek().text != "}" or self._peek().kind is not Kind.OPERATOR:
                matchers.append(self._matcher())
                if self._peek().text != ",":
                    break
                self._take()
            self._expect("}")
        selector = Selector(name, tuple(matchers))
        if name and any(matcher.label == NAME_LABEL for matcher in matchers):
            raise self._error(first.at, f'the metric name must not be set twice: "{name}" and by {NAME_LABEL}')
        if not name and not any(_demands_something(matcher) for matcher in matchers):
            raise self._error(first.at, "a selector must hold at least one matcher that doesn't match the empty string")
        return selector

    def _matcher(self) -> Matcher:
        label = self._take()
        if label.kind is not Kind.IDENTIFIER or ":" in label.text:
            raise self._error(label.at, f"unexpected {label}; expected a label name or }}")
        sign = self._take()
        if sign.text not in _MATCH_OPS or sign.kind is not Kind.OPERATOR:
            raise self._error(sign.at, f"unexpected {sign}; expected one of = != =~ !~")
        value = self._take()
        if value.kind is not Kind.STRING:
            raise self._error(value.at, f"unexpected {value}; expected a quoted string")
        matcher = Matcher(label.text, MatchOp(sign.text), value.text)
        if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
            self._checked(value.at, check_regex, value.text)
        return matcher

    # Tokens and faults ------------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _expect(self, text: str) -> None:
        if self._peek().text != text or self._peek().kind is not Kind.OPERATOR:
            raise self._unexpected(f'"{text}"')
        self._take()

    def _refuse_modifiers(self) -> None:
        if self._peek().text.lower() in ("offset", "@"):
            raise self._later(self._peek().at, self._peek().text)

    def _checked(self, at: int, check: Callable[[str], T], text: str) -> T:
        try:
            return check(text)
        except Reject as error:
            raise self._error(at, str(error)) from None

    def _unexpected(self, expected: str) -> ExpressionError:
        token = self._peek()
        if token.kind is not Kind.STRING and token.text.lower() in _LATER:
            return self._later(token.at, f'"{token.text}"')
        return self._error(token.at, f"unexpected {token}; expected {expected}")

    def _later(self, at: int, what: str) -> ExpressionError:
        return self._error(at, f"{what} is not supported in this version yet: {_SUPPORTED}")

    def _error(self, at: int, problem: str) -> ExpressionError:
        return ExpressionError(self._text, at, problem)


def _number(text: str) -> float:
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)


def _demands_something(matcher: Matcher) -> bool:
    return not matcher.matches("")
