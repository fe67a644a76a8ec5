"""The tokens of an expression as the grammar takes them, and what is in them: numbers, durations, strings, labels."""

from __future__ import annotations

import math

from collector.metrics.promql.ast import Span
from collector.metrics.promql.durations import parse_duration_ms
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.lexer import Kind, Lexer, Token
from collector.metrics.promql.numbers import parse_float
from collector.metrics.promql.quoting import BadEscape, is_label, unquote


class TokenStream:
    """A token is read when it is looked at, so that faults come in the order of the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lexer = Lexer(text)
        self._tokens: list[Token] = []
        self._at = 0

    @property
    def token(self) -> Token:
        while len(self._tokens) <= self._at:
            self._tokens.append(self._lexer.next())
        return self._tokens[self._at]

    def next(self) -> Token:
        token = self.token
        self._at += 1
        return token

    def back(self) -> None:
        """One token back."""
        self._at -= 1

    def ended(self) -> bool:
        return self.token.kind is Kind.END

    def accept(self, *signs: str) -> Token | None:
        return self.next() if self.token.sign(*signs) else None

    def expect(self, sign: str, context: str, expected: str) -> Token:
        found = self.accept(sign)
        if found is None:
            raise self.unexpected(context, expected)
        return found

    def unexpected(self, context: str, expected: str = "") -> ParseError:
        reason = f"unexpected {self.token.described}"
        reason += f" in {context}" if context else ""
        reason += f", expected {expected}" if expected else ""
        return self.error(self.token.span, reason)

    def error(self, span: Span, reason: str) -> ParseError:
        return ParseError(self.text, span, reason)

    def last_end(self) -> int:
        return self._tokens[self._at - 1].span.end

    def keyword(self, *texts: str) -> bool:
        if self.token.keyword(*texts):
            self._at += 1
            return True
        return False

    def number(self, token: Token) -> float:
        """Whole numbers as Go reads them with base 0: hexadecimal, octal with a leading 0, underscores."""
        if token.kind is Kind.DURATION:
            return self.duration_ms(token) / 1000
        text = token.text.lower()
        digits = text.replace("_", "")
        if digits.startswith("0x"):
            return float(int(digits, 16))
        if len(digits) > 1 and digits[0] == "0" and set(digits) <= set("01234567"):
            return float(int(digits, 8))
        value = parse_float(digits if digits.isdigit() else text)
        if value is None:
            raise self.error(token.span, f'error parsing number: strconv.ParseFloat: parsing "{text}": invalid syntax')
        return value

    def duration_ms(self, token: Token) -> int:
        value = parse_duration_ms(token.text)
        if value is None:
            raise self.error(token.span, f'not a valid duration string: "{token.text}"')
        return value

    def string(self, token: Token) -> str:
        try:
            return unquote(token.written)
        except BadEscape as error:
            at = token.span.start + error.at
            raise self.error(Span(at, token.span.end), str(error)) from None

    def positive_duration(self, context: str, expected: str) -> int:
        token = self.token
        self.refuse_duration_expression()
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self.unexpected(context, expected)
        self.next()
        value_ms = self.seconds_ms(token)
        if value_ms <= 0:
            raise self.error(token.span, "duration must be greater than 0")
        return value_ms

    def seconds_ms(self, token: Token) -> int:
        if token.kind is Kind.DURATION:
            return self.duration_ms(token)
        seconds = self.number(token)
        if not math.isfinite(seconds) or abs(seconds) > 2**63 / 1e9:
            raise self.error(token.span, "duration out of range")
        return round(seconds * 1000)

    def refuse_duration_expression(self) -> None:
        """`[5m + step()]`, `offset (1m * 2)`: known to be meant, and not there."""
        token = self.token
        if token.sign("+", "-", "*", "/", "%", "^", "(") or token.keyword("step", "range", "min", "max"):
            raise self.error(token.span, "duration expressions are not supported")

    def signed(self) -> bool:
        sign = self.accept("+", "-")
        return sign is not None and sign.text == "-"

    def label(self, context: str) -> str:
        token = self.token
        match token.kind:
            case Kind.IDENTIFIER | Kind.KEYWORD:
                name = token.written
            case Kind.STRING:
                name = self.string(token)
                if not is_label(name):
                    raise self.unexpected(context, "label")
            case _:
                raise self.unexpected(context, "label")
        self.next()
        return name
