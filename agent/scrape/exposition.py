"""One line of the text formats: Prometheus text 0.0.4 and OpenMetrics 1.0. Pure.

Formats: prometheus/docs, instrumenting/exposition_formats; OpenMetrics 1.0.0 "Text format"; names in quotes inside the
braces are Prometheus 3's UTF-8 names. As Prometheus, one bad line makes the whole answer bad.
"""

from __future__ import annotations

import re

import msgspec

from deckwatch.runtime.faults import Reject

_SAMPLE = re.compile(
    r"""[ \t]*+(?P<series>(?:[a-zA-Z_:][a-zA-Z0-9_:]*+)?+(?:[ \t]*+\{(?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+\})?+)"""
    r"""[ \t]*+(?P<value>[^ \t#]++)(?:[ \t]++(?:-?[0-9][0-9.eE+-]*+))?+[ \t]*+(?:\#[ \t].*)?""",
    re.DOTALL,
)
_LABEL = re.compile(
    r"""[ \t]*+(?:(?P<name>[a-zA-Z_][a-zA-Z0-9_]*+)|"(?P<quoted>(?:[^"\\]++|\\.)*+)")"""
    r"""[ \t]*+(?:=[ \t]*+"(?P<value>(?:[^"\\]++|\\.)*+)"[ \t]*+)?+(?P<end>,|\Z)""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_SHOWN = 80
OPENMETRICS_TYPE = "application/openmetrics-text"
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
)


class Line(msgspec.Struct, frozen=True):
    series: str
    """The line up to its value: the same text is the same series."""
    value: float


def read_line(line: str) -> Line:
    """Of a line that is neither empty nor a comment. Its time and exemplar are checked and left. Raises Reject."""
    found = _SAMPLE.fullmatch(line)
    if found is None or not found["series"]:
        raise Reject(f"{shown(line)} is no sample: expected NAME{{LABELS}} VALUE")
    return Line(found["series"], read_value(found["value"]))


def read_value(text: str) -> float:
    """Raises Reject. Python alone would take 1_000 as well."""
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise Reject(f"{shown(text)} is no number")


def read_series(text: str) -> tuple[str, dict[str, str]]:
    """Name and labels of what stood before the value. Raises Reject."""
    name, brace, inner = text.partition("{")
    name, labels = name.strip(), {}
    at, inner = 0, inner.rstrip()[:-1].rstrip() if brace else ""
    while at < len(inner):
        found = _LABEL.match(inner, at)
        if found is None:
            raise Reject(f"labels can't be read at {shown(inner[at:])} in {shown(text)}")
        at = found.end()
        if found["value"] is None:
            if name or found["quoted"] is None:
                raise Reject(f"label without a value in {shown(text)}")
            name = _plain(found["quoted"])
            continue
        label = found["name"] or _plain(found["quoted"])
        if label in labels:
            raise Reject(f"label {label} is there twice in {shown(text)}")
        labels[label] = _plain(found["value"])
    if not name:
        raise Reject(f"{shown(text)} has no name")
    return name, labels


def end_of_openmetrics(text: str) -> str:
    """The text before `# EOF`, without which an answer was cut off. Raises Reject."""
    stripped = text.rstrip("\n")
    if stripped == "# EOF":
        return ""
    if not stripped.endswith("\n# EOF"):
        raise Reject("the answer is OpenMetrics and does not end with # EOF: it was cut off, or something follows it")
    return stripped.removesuffix("# EOF")


def shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def _plain(escaped: str) -> str:
    if "\\" not in escaped:
        return escaped
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), escaped)
