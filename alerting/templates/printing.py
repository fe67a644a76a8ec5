"""Go's fmt: Printf with its verbs, Sprint, Sprintln."""

from __future__ import annotations

import re

from alerting.rules.gofloat import general
from alerting.templates.moments import Duration
from alerting.templates.values import Datum, as_text, text_of, type_of

_VERB = re.compile(r"%([-+# 0]*[0-9]*(?:\.[0-9]*)?)([a-zA-Z%])")


def printf(form: Datum, *values: Datum) -> str:
    """Go's verbs %s %v %q %d %f %g %e %t %x %c %% with flags, width and precision."""
    left = list(values)

    def replace(match: re.Match[str]) -> str:
        flags, verb = match.group(1), match.group(2)
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        return _formatted(flags, verb, left.pop(0))

    text = _VERB.sub(replace, as_text(form))
    extra = ", ".join(f"{type_of(value)}={text_of(value)}" for value in left)
    return f"{text}%!(EXTRA {extra})" if extra else text


def sprint(*values: Datum) -> str:
    """Spaces between operands of which neither is a string."""
    text = ""
    for place, value in enumerate(values):
        apart = place and not isinstance(value, str) and not isinstance(values[place - 1], str)
        text += (" " if apart else "") + text_of(value)
    return text


def sprintln(*values: Datum) -> str:
    return " ".join(map(text_of, values)) + "\n"


def quoted(text: str) -> str:
    """%q"""
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(marks.get(mark) or (mark if mark.isprintable() else _escaped(mark)) for mark in text) + '"'


def _escaped(mark: str) -> str:
    code = ord(mark)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _formatted(flags: str, verb: str, value: Datum) -> str:
    if verb == "v" or (verb == "s" and not isinstance(value, int | float | None)):
        return _padded(flags, text_of(value))
    if verb == "q" and isinstance(value, str):
        return _padded(flags, quoted(value))
    if verb == "t" and isinstance(value, bool):
        return text_of(value)
    if verb in "xX" and isinstance(value, str):
        digits = value.encode().hex()
        return _padded(flags, digits.upper() if verb == "X" else digits)
    return _number(flags, verb, value)


def _number(flags: str, verb: str, value: Datum) -> str:
    whole = value.ns if isinstance(value, Duration) else value
    is_number = isinstance(whole, int | float) and not isinstance(whole, bool)
    if isinstance(whole, int) and is_number:
        if verb in "dxX":
            return f"%{flags}{verb}" % whole
        if verb == "c":
            return _padded(flags, chr(whole))
    if verb in "feEgG" and isinstance(whole, float):
        if verb in "gG" and "." not in flags:
            return _padded(flags, general(whole))
        return f"%{flags}{verb}" % whole
    return f"%!{verb}({type_of(value)}={text_of(value)})"


def _padded(flags: str, text: str) -> str:
    kept = flags.replace("+", "").replace("#", "").replace("0", "", 1) if flags[:1] == "0" else flags
    return f"%{kept.lstrip('+#')}s" % text
