"""Does a line go on with the record before it? A small state machine over the lines of one stream and iostream.

What is joined: indented lines (Java's `\\tat`, .NET's and Node's `    at`, Ruby's `\\tfrom`, pretty-printed text),
`Caused by:`, Python's tracebacks with their last line and chained ones, Go's panics with the goroutines behind them,
Rust's panics with their message and backtrace.
A traceback or an exception's own line also goes on with a line of level warn or above right before it: loggers print
the message first.
Ordinary lines are never joined, whatever stands in them.
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.levels import text_level
from collector.parse.kernels.tokens import is_exception_name, is_name_byte
from collector.parse.kernels.words import WARN
from collector.parse.layout import Bytes

RULE_TRACES, RULE_INDENTED = 1, 2
"""Bits of what may be joined, by format."""

ORDINARY = 0  # only lines that say so themselves go on with it
PY_TRACE = 1  # behind `Traceback (most recent call last):`
PY_END = 2  # behind its last line, `XError: text`
PY_BLANK = 3  # and an empty line behind that
PY_CHAIN = 4  # behind `During handling of the above exception, ...`
GO_PANIC = 5  # behind `panic: ...`
GO_STACK = 6  # behind `goroutine N [...]:`
RUST_PANIC = 7  # behind `thread 'main' panicked at src/main.rs:2:5:`, whose message is the next line
RUST_STACK = 8  # behind that message

BREAK = -1
"""The line begins a record of its own."""


def _text(text: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(text, np.uint8)


_TRACEBACK = _text(b"Traceback (most recent call last):")
_DURING = _text(b"During handling of the above exception")
_ABOVE = _text(b"The above exception was the direct cause")
_CAUSED_BY = _text(b"Caused by:")
_SUPPRESSED = _text(b"Suppressed:")
_END_OF = _text(b"--- End of ")
_GOROUTINE = _text(b"goroutine ")
_PANIC = _text(b"panic: ")
_FATAL_ERROR = _text(b"fatal error: ")
_SIGNAL = _text(b"[signal ")
_CREATED_BY = _text(b"created by ")
_EXIT_STATUS = _text(b"exit status ")
_RUNTIME_STACK = _text(b"runtime stack:")
_RECOVERED = _text(b"[recovered]")
_SIGQUIT = _text(b"SIGQUIT: ")
_AT = _text(b"at ")
_FROM = _text(b"from ")
_MORE = _text(b"... ")
_THREAD = _text(b"thread '")
_PANICKED = _text(b"' panicked at ")
_STACK_BACKTRACE = _text(b"stack backtrace:")
_RUN_WITH = _text(b"note: run with `RUST_BACKTRACE")
_SOME_DETAILS = _text(b"note: Some details are omitted")


@inner
def first_state(data: Bytes, at: int, length: int) -> int:
    """State behind a line that begins a record."""
    if length < 7:
        return ORDINARY
    c = data[at]
    if c == 112 and _starts(data, at, length, _PANIC):
        return GO_PANIC
    if c == 102 and _starts(data, at, length, _FATAL_ERROR):
        return GO_PANIC
    if c == 83 and _starts(data, at, length, _SIGQUIT):
        return GO_PANIC
    if c == 103 and _is_goroutine(data, at, length):
        return GO_STACK
    if c == 116 and _starts(data, at, length, _THREAD):
        return _rust_panic(data, at, length)
    if _ends_with_traceback(data, at, length):
        return PY_TRACE
    return ORDINARY


@inner
def next_state(
    data: Bytes, at: int, length: int, state: int, rules: int, lines: int, first_at: int, first_length: int
) -> int:
    """State behind the line if it goes on with a record of `lines` lines in `state`, else BREAK.

    [first_at, first_at + first_length) is the record's first line.
    """
    c = data[at] if length else 0
    if c == 32 or c == 9:
        return _indented(data, at, length, state, rules)
    if rules & RULE_INDENTED and lines > 1 and _is_closing(data, at, length):
        return state
    if rules & RULE_TRACES == 0:
        return BREAK
    if length == 0:
        return _blank(state)
    if state == ORDINARY:
        if (c == 67 and _starts(data, at, length, _CAUSED_BY)) or (c == 45 and _starts(data, at, length, _END_OF)):
            return ORDINARY
        if c == 83 and _starts(data, at, length, _SUPPRESSED):
            return ORDINARY
        return _after_message(data, at, length, lines, first_at, first_length)
    if state >= RUST_PANIC:
        return _rust(data, at, length, state)
    if state >= GO_PANIC:
        return _go(data, at, length, state)
    return _python(data, at, length, state)


@inner
def _indented(data: Bytes, at: int, length: int, state: int, rules: int) -> int:
    i, end = at, at + length
    while i < end and (data[i] == 32 or data[i] == 9):
        i += 1
    traces = rules & RULE_TRACES
    if i == end:
        return _blank(state) if traces else BREAK
    if rules & RULE_INDENTED or (traces and state != ORDINARY):
        return state
    left = end - i
    frame = _starts(data, i, left, _AT) or _starts(data, i, left, _FROM) or _starts(data, i, left, _MORE)
    cause = _starts(data, i, left, _CAUSED_BY) or _starts(data, i, left, _SUPPRESSED) or _starts(data, i, left, _END_OF)
    return state if traces and (frame or cause) else BREAK


@inner
def _is_closing(data: Bytes, at: int, length: int) -> bool:
    """Nothing but closing brackets, as behind pretty-printed objects: `}`, `]);`"""
    if length == 0 or length > 4:
        return False
    for i in range(at, at + length):
        c = data[i]
        if c != 125 and c != 93 and c != 41 and (i == at or (c != 44 and c != 59)):
            return False
    return True


@inner
def _blank(state: int) -> int:
    if state in (PY_END, PY_BLANK):
        return PY_BLANK
    return state if state in (PY_CHAIN, GO_PANIC, GO_STACK) else BREAK


@inner
def _after_message(data: Bytes, at: int, length: int, lines: int, first_at: int, first_length: int) -> int:
    """A traceback, an exception's line or a goroutine right behind the one line that told of the failure."""
    if lines != 1:
        return BREAK
    traceback = _starts(data, at, length, _TRACEBACK)
    goroutine = not traceback and _is_goroutine(data, at, length)
    if not traceback and not goroutine and not _is_exception_line(data, at, length):
        return BREAK
    if goroutine:  # `http: panic serving 10.0.0.1:5: text` comes from a server that goes on
        return GO_STACK if _has_panic(data, first_at, first_length) else BREAK
    if text_level(data, first_at, first_at + first_length) < WARN:
        return BREAK
    if traceback:
        return PY_TRACE
    # An exception's line behind another one is a failure of its own.
    return BREAK if _is_exception_line(data, first_at, first_length) else ORDINARY


@inner
def _python(data: Bytes, at: int, length: int, state: int) -> int:
    if state == PY_TRACE:
        return PY_END if _is_exception_line(data, at, length) else BREAK
    if state == PY_CHAIN:
        return PY_TRACE if _starts(data, at, length, _TRACEBACK) else BREAK
    if _starts(data, at, length, _DURING) or _starts(data, at, length, _ABOVE):
        return PY_CHAIN
    return BREAK


@inner
def _go(data: Bytes, at: int, length: int, state: int) -> int:
    if _starts(data, at, length, _EXIT_STATUS):
        return ORDINARY
    if _is_goroutine(data, at, length) or _starts(data, at, length, _RUNTIME_STACK):
        return GO_STACK
    if _starts(data, at, length, _SIGNAL) or _starts(data, at, length, _PANIC) or _starts(data, at, length, _RECOVERED):
        return state
    if state == GO_STACK and (_starts(data, at, length, _CREATED_BY) or _is_go_call(data, at, length)):
        return GO_STACK
    return BREAK


@inner
def _rust_panic(data: Bytes, at: int, length: int) -> int:
    """Before Rust 1.73 the message stood between quotes in the same line."""
    for i in range(at, at + length - len(_PANICKED)):
        if data[i] == 39 and _starts(data, i, len(_PANICKED), _PANICKED):
            return RUST_PANIC if data[at + length - 1] == 58 else RUST_STACK
    return ORDINARY


@inner
def _rust(data: Bytes, at: int, length: int, state: int) -> int:
    if state == RUST_PANIC or _starts(data, at, length, _STACK_BACKTRACE) or _starts(data, at, length, _RUN_WITH):
        return RUST_STACK
    return RUST_STACK if _starts(data, at, length, _SOME_DETAILS) else BREAK


@inner
def _is_go_call(data: Bytes, at: int, length: int) -> bool:
    """`main.(*T).f(0xc000010000, 0x5)`, `net/http.HandlerFunc.ServeHTTP(...)`: a package path, a dot, arguments."""
    if length < 5 or data[at + length - 1] != 41:
        return False
    i, end, dot = at, at + length, False
    while i < end and data[i] != 40 and data[i] != 32:
        dot = dot or data[i] == 46
        i += 1
    return dot and i < end and data[i] == 40


@inner
def _is_exception_line(data: Bytes, at: int, length: int) -> bool:
    """`ValueError: text`, `a.b.FooException`, `KeyboardInterrupt`: a name, then a colon or nothing.

    The name ends in Error or Exception, or is one of Python's that do not.
    """
    i, end = at, at + length
    if i == end or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122 or data[i] == 95):
        return False
    while i < end and is_name_byte(data[i]):
        i += 1
    if i < end and (data[i] != 58 or (i + 1 < end and data[i + 1] != 32)):
        return False
    return is_exception_name(data, at, i) or _is_python_exit(data, at, i - at)


_NOT_ERRORS = (_text(b"KeyboardInterrupt"), _text(b"SystemExit"), _text(b"StopIteration"), _text(b"GeneratorExit"))


@inner
def _is_python_exit(data: Bytes, at: int, length: int) -> bool:
    for name in _NOT_ERRORS:  # noqa: SIM110 - numba compiles no generator
        if length == len(name) and _starts(data, at, length, name):
            return True
    return False


@inner
def _is_goroutine(data: Bytes, at: int, length: int) -> bool:
    """`goroutine 18 [running]:`"""
    return _starts(data, at, length, _GOROUTINE) and data[at + length - 1] == 58 and 48 <= data[at + 10] <= 57


@inner
def _has_panic(data: Bytes, at: int, length: int) -> bool:
    for i in range(at, at + min(length, 256) - 4):  # noqa: SIM110 - numba compiles no generator
        if data[i] == 112 and _starts(data, i, 5, _PANIC[:5]):
            return True
    return False


@inner
def _ends_with_traceback(data: Bytes, at: int, length: int) -> bool:
    n = len(_TRACEBACK)
    return length >= n and data[at + length - 1] == 58 and _starts(data, at + length - n, n, _TRACEBACK)


@inner
def _starts(data: Bytes, at: int, length: int, text: Bytes) -> bool:
    if length < len(text):
        return False
    for k in range(len(text)):  # noqa: SIM110 - numba compiles no generator
        if data[at + k] != text[k]:
            return False
    return True
