"""Selectors: what their matchers must be like."""

from __future__ import annotations

from collector.metrics.promql.ast import Span, VectorSelector
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.quoting import is_label, is_utf8, quote
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp, check_regex
from deckwatch.runtime.faults import Reject

_REGEX = (MatchOp.REGEX, MatchOp.NOT_REGEX)


def name_matcher(name: str) -> Matcher:
    return Matcher(NAME_LABEL, MatchOp.EQUAL, name)


def matcher(text: str, made: Matcher, span: Span) -> Matcher:
    """Raises ParseError where a regex doesn't compile or a label's name can't be one."""
    if not is_label(made.label):
        raise ParseError(text, span, f"invalid label name {quote(made.label)}")
    if made.op in _REGEX:
        if not is_utf8(made.value):
            raise ParseError(text, span, f"the regular expression {quote(made.value)} is not UTF-8")
        try:
            check_regex(made.value)
        except Reject as error:
            raise ParseError(text, span, str(error)) from None
    return made


def selector(name: str, matchers: tuple[Matcher, ...], span: Span) -> VectorSelector:
    return VectorSelector(name, (*matchers, name_matcher(name)) if name else matchers, span=span)


def check_selector(text: str, chosen: VectorSelector) -> None:
    """One name at most, and something that keeps it from selecting everything by a typo."""
    if chosen.name:
        for matcher in chosen.matchers[:-1]:
            if matcher.label == NAME_LABEL:
                twice = f"{quote(chosen.name)} or {quote(matcher.value)}"
                raise ParseError(text, chosen.span, f"metric name must not be set twice: {twice}")
    elif all(matcher.matches("") for matcher in chosen.matchers):
        raise ParseError(text, chosen.span, "vector selector must contain at least one non-empty matcher")
