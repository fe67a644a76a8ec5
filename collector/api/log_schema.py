"""What the endpoints of logs take and answer, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any

from collector.api.endpoint import Parameter
from collector.search.ecs import ALWAYS
from deckwatch.wire.model import DEFAULT_TENANT

CURSOR_HEADER = "X-Deckwatch-Cursor"
NOTICES_HEADER = "X-Deckwatch-Notices"

_TIME = {"type": "string", "examples": ["2026-01-31T12:00:00Z", "1769860800", "now-15m", "15m"]}
COUNT = {"type": "integer", "minimum": 0}
RECORD: dict[str, Any] = {
    "type": "object",
    "description": "A record under ECS names, flat with dots. The required ones are null where they are absent, others "
    "are left out.",
    "required": [*ALWAYS],
    "properties": {
        "@timestamp": {"type": "string", "format": "date-time"},
        "message": {"type": "string"},
        "log.offset": {"type": "integer"},
        "deckwatch.seq": {"type": "integer"},
    },
}
TENANT = Parameter("tenant", f"Whose records; {DEFAULT_TENANT!r} if absent.")
QUERY = Parameter(
    "query", "Lucene/KQL-like query string; empty for every record.", {"type": "string", "maxLength": 4096}
)
FILTER = Parameter("filter", "A second query string: records match both.", QUERY.schema)


def time_range(start_default: str) -> tuple[Parameter, Parameter]:
    return (
        Parameter("start", f"First time (inclusive): RFC 3339, Unix, or relative. Default: {start_default}.", _TIME),
        Parameter("end", "Last time (exclusive). Default: no end.", _TIME),
    )


PAGING = (
    Parameter("limit", "At most so many records; 0: all.", {**COUNT, "default": 1000}),
    Parameter("order", "By (time, stream, offset).", {"enum": ["desc", "asc"], "default": "desc"}),
    Parameter("cursor", f"The next page begins behind it: {CURSOR_HEADER} of the page before."),
    Parameter("progress", "Stream, with lines that tell how far the scan is.", {"enum": ["true", "false"]}),
)
BUCKETS = (
    Parameter("interval", "Length of a bucket; by default about 60 in the range.", {"examples": ["30s", "5m"]}),
    Parameter("by", "Apart by level, or not.", {"enum": ["level", "none"], "default": "level"}),
)
HISTOGRAM: dict[str, Any] = {
    "type": "object",
    "required": ["interval_ns", "count", "buckets"],
    "properties": {
        "interval_ns": COUNT,
        "count": COUNT,
        "buckets": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "start": {"type": "string", "format": "date-time"},
                    "start_ns": {"type": "integer"},
                    "level": {"type": "string", "description": "Empty: none was found."},
                    "count": COUNT,
                },
            },
        },
    },
}
FIELD = (
    Parameter("field", "Full or short name of a field."),
    Parameter("size", "So many values.", {"type": "integer", "minimum": 1, "default": 10}),
)
AROUND = (
    Parameter("stream", "deckwatch.stream of the record.", required=True),
    Parameter("offset", "log.offset of the record, or any byte inside it.", COUNT, required=True),
    Parameter("before", "So many records before it.", {**COUNT, "default": 3}),
    Parameter("after", "So many records behind it.", {**COUNT, "default": 3}),
)
