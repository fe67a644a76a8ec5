"""Prometheus' paths as the OpenAPI document has them. Their meaning is Prometheus' own:
https://prometheus.io/docs/prometheus/latest/querying/api/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from collector.metrics.promql.faults import ErrorType

_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": _TEXT}
_WHOLE = {"type": "integer", "minimum": 0}

PARAMETERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "query": ("PromQL.", _TEXT),
    "time": ("Unix seconds or RFC 3339; now without it.", _TEXT),
    "start": ("Unix seconds or RFC 3339.", _TEXT),
    "end": ("Unix seconds or RFC 3339.", _TEXT),
    "step": ("Seconds, or a duration such as 15s.", _TEXT),
    "timeout": ("Most time of the evaluation; the collector's own bound holds beside it.", _TEXT),
    "limit": ("Most series or values; a warning says that there are more. 0: all.", _WHOLE),
    "lookback_delta": ("How old the newest sample of a series may be.", _TEXT),
    "stats": ("Anything: tell how long it took and how many samples it read.", _TEXT),
    "match[]": ("Selectors of series; each is one way for a series to be taken.", _LIST),
    "metric": ("Only this one.", _TEXT),
    "scrapePool": ("Only this pool.", _TEXT),
    "state": ("Which targets.", {"type": "string", "enum": ["active", "dropped", "any"]}),
    "type": ("Which rules.", {"type": "string", "enum": ["alert", "record"]}),
    "rule_name[]": ("Only rules of these names.", _LIST),
    "rule_group[]": ("Only these groups.", _LIST),
    "file[]": ("Only of these files.", _LIST),
    "exclude_alerts": ("true: rules without their alerts.", _TEXT),
    "name": ("The label; U__ escapes names that are no old ones.", _TEXT),
    "tenant": ("Whose series; `default` without it. Deckwatch's own.", _TEXT),
}
"""Name -> (what it is, its schema)."""


class Described(msgspec.Struct, frozen=True):
    summary: str
    parameters: tuple[str, ...] = ("tenant",)
    needed: tuple[str, ...] = ()
    media: str = ""  # of a body that is no form


_EVALUATION = ("timeout", "limit", "lookback_delta", "stats", "tenant")
_CHOICE = ("match[]", "start", "end", "limit", "tenant")

PATHS: Mapping[str, Described] = {
    f"/api/v1/{path}": described
    for path, described in {
        "query": Described("An instant query", ("query", "time", *_EVALUATION), ("query",)),
        "query_range": Described(
            "A range query", ("query", "start", "end", "step", *_EVALUATION), ("query", "start", "end", "step")
        ),
        "format_query": Described("An expression, written as Prometheus writes it", ("query", "tenant"), ("query",)),
        "parse_query": Described("An expression as a tree", ("query", "tenant"), ("query",)),
        "series": Described("Series that selectors take", _CHOICE, ("match[]",)),
        "labels": Described("Names of labels", _CHOICE),
        "label/{name}/values": Described("Values of a label", _CHOICE),
        "metadata": Described("Types and helps of metrics", ("metric", "limit", "tenant")),
        "query_exemplars": Described("Exemplars: there are none", ("query", "start", "end", "tenant")),
        "targets": Described("Agents and the targets that they scrape", ("state", "scrapePool", "tenant")),
        "scrape_pools": Described("Names of the jobs that agents scrape"),
        "rules": Described(
            "Rules and their alerts", ("type", "rule_name[]", "rule_group[]", "file[]", "exclude_alerts", "tenant")
        ),
        "alerts": Described("Alerts that are pending or firing"),
        "status/buildinfo": Described("The version of Prometheus that clients may expect"),
        "status/runtimeinfo": Described("How many series are in memory"),
        "status/flags": Described("Limits of queries"),
        "status/config": Described("Empty: agents are told what to scrape"),
        "status/tsdb": Described("The largest metrics and labels in memory", ("limit", "tenant")),
        "write": Described("Remote write 1.0: a WriteRequest as a snappy block", (), (), "application/x-protobuf"),
    }.items()
} | {"/federate": Described("The newest sample of each series, as text", ("match[]", "tenant"))}

_ENVELOPE: Mapping[str, Any] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "string", "enum": ["success", "error"]},
        "data": {"description": "The answer."},
        "errorType": {"type": "string", "enum": [kind.value for kind in ErrorType]},
        "error": {"type": "string"},
        "warnings": _LIST,
        "infos": _LIST,
    },
}
_JSON: Mapping[str, Any] = {"application/json": {"schema": _ENVELOPE}}

RESPONSES: Mapping[str, Any] = {
    status: {"description": text, "content": _JSON}
    for status, text in {
        "200": "The answer.",
        "400": "A parameter or the query is not valid (bad_data).",
        "422": "The query can't be evaluated (execution).",
        "503": "It took too long, too many wait, or the samples' storage can't be asked (timeout, unavailable).",
    }.items()
}
