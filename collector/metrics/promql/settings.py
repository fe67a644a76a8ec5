"""Options and limits of queries. The defaults are Prometheus'."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class PromqlSettings(msgspec.Struct, frozen=True):
    lookback_s: Annotated[
        float, Meta(gt=0, description="How old the newest sample of a series may be for it to count as present, in s.")
    ] = 300.0
    timeout_s: Annotated[float, Meta(gt=0, description="Time that a query may take, in seconds.")] = 120.0
    max_waiting: Annotated[
        int, Meta(ge=1, description="Queries that wait for their turn; one more is answered 503.")
    ] = 100
    max_samples: Annotated[
        int, Meta(ge=1, description="Samples that one query may load, and points that one of its steps may hold.")
    ] = 50_000_000
    max_series: Annotated[int, Meta(ge=1, description="Series that one selector may take.")] = 1_000_000
    max_points: Annotated[int, Meta(ge=1, description="Steps of a range query (points of each series).")] = 11_000
    subquery_step_s: Annotated[
        float, Meta(gt=0, description="Step of subqueries that name none (Prometheus: global.evaluation_interval), s.")
    ] = 60.0
    experimental_functions: Annotated[
        bool, Meta(description="Allow what Prometheus has behind promql-experimental-functions.")
    ] = False
