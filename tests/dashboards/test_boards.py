"""What must hold of every dashboard, without a Grafana."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from collector.metrics.promql.ast import VectorSelector, walk
from collector.metrics.promql.parser import parse
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.dashboards.written import (
    GIVEN_BY_GRAFANA,
    Asked,
    all_written,
    marks,
    panels,
    queries,
    used_variables,
    variables,
)

BOARDS = {board["uid"]: board for board in all_written()}
ASKED = [asked for board in BOARDS.values() for asked in queries(board)]
SAMPLE = {
    **dict.fromkeys(GIVEN_BY_GRAFANA, "1m"),
    **{name: "x" for board in BOARDS.values() for name in variables(board)},
}
KEPT_UNDER_OTHER_NAMES = re.compile(r"_(bucket|count|sum|total)$")
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}  # prometheus_client's own

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
Board = dict[str, Any]


def test_all_are_there() -> None:
    parts = ("fleet", "host", "container", "workload", "logs", "itself")
    assert set(BOARDS) == {f"deckwatch-{part}" for part in parts}
    assert len({board["title"] for board in BOARDS.values()}) == len(parts)


def through_the_schema(board: Board) -> Any:
    """The SDK's types are made from Grafana's schema, options of panels and queries included: a field that they don't
    know is lost on the way through."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))


@each_board
def test_every_field_is_one_that_grafana_has(board: Board) -> None:
    assert through_the_schema(board) == board


def test_a_field_that_grafana_lacks_is_noticed() -> None:
    board = json.loads(json.dumps(BOARDS["deckwatch-fleet"]))
    graph = next(panel for panel in board["panels"] if panel["type"] == "timeseries")
    for place in (board, graph, graph["options"], graph["fieldConfig"]["defaults"]["custom"], graph["targets"][0]):
        place["unheardOf"] = 1
        assert through_the_schema(board) != board
        del place["unheardOf"]
    assert through_the_schema(board) == board


@each_board
def test_head(board: Board) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert board["description"]
    assert board["schemaVersion"] >= 39
    assert "deckwatch" in board["tags"]
    assert "id" not in board  # it is the installation's
    (link,) = board["links"]
    assert link["tags"] == ["deckwatch"]
    assert link["includeVars"]
    assert link["keepTime"]


@each_board
def test_panels_are_told_apart_and_lie_side_by_side(board: Board) -> None:
    ids = Counter(panel["id"] for panel in board["panels"])
    assert max(ids.values()) == 1
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


@each_board
def test_rows_have_panels_and_titles_are_told_apart_within(board: Board) -> None:
    rows: list[list[str]] = []
    for panel in board["panels"]:
        if panel["type"] == "row":
            rows.append([])
        else:
            rows[-1].append(panel["title"])  # an IndexError is a panel before the first row
    assert all(rows)
    assert all(len(set(titles)) == len(titles) for titles in rows)


@each_board
def test_every_panel_says_how_to_read_it(board: Board) -> None:
    known = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("__")}
    for panel in panels(board):
        assert panel["title"]
        assert len(panel.get("description", "")) > 10, panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["type"] in ("table", "state-timeline") or defaults["unit"] in known, panel["title"]
        for override in panel["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                assert each["id"] != "unit" or each["value"] in known, (panel["title"], each)


@each_board
def test_graphs_name_their_series(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["calcs"], panel["title"]
            legends = [target.get("legendFormat", "") for target in panel["targets"]]
            assert all(legends), panel["title"]
            assert len(set(legends)) == len(legends), panel["title"]


@each_board
def test_every_query_goes_to_the_chosen_data_source(board: Board) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    asking = [*panels(board), *marks(board)]
    asking += [target for panel in panels(board) for target in panel["targets"]]
    asking += [variable for variable in variables(board).values() if variable["type"] == "query"]
    assert all(each["datasource"] == source for each in asking)
    assert board["templating"]["list"][0]["name"] == "datasource"
    assert board["templating"]["list"][0]["query"] == "prometheus"


@each_board
def test_variables_that_are_used_exist_and_all_are_used(board: Board) -> None:
    own = set(variables(board))
    used = used_variables(json.dumps(board))
    assert used - GIVEN_BY_GRAFANA == own


@each_board
def test_variables_ask_for_values_of_series_of_ours(board: Board) -> None:
    earlier: set[str] = set()
    for name, variable in variables(board).items():
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match is not None, name
            assert match[1].split("{")[0] in CATALOGUE
            assert used_variables(match[1]) <= earlier, name  # else the values depend on ones chosen later
        earlier.add(name)


def urls(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "url" and isinstance(value, str) and value:
                yield value
            yield from urls(value)
    elif isinstance(node, list):
        for value in node:
            yield from urls(value)


@each_board
def test_links_lead_to_dashboards_and_variables_that_exist(board: Board) -> None:
    found = list(urls(board))
    for url in found:
        path, asked = urlsplit(url).path, urlsplit(url).query
        uid = path.removeprefix("/d/")
        assert uid in BOARDS, url
        given = {name.removeprefix("var-") for name in parse_qs(asked) if name.startswith("var-")}
        assert given <= set(variables(BOARDS[uid])), url
        assert "${__url_time_range}" in asked
    assert found


@functools.cache
def code() -> str:
    root = Path(__file__).parents[2]
    files = (path for part in ("agent", "collector", "alerting") for path in (root / part).rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def is_ours(metric: str) -> bool:
    """In the agents' catalogue, or made by a daemon of ours under its full name or prometheus_client's short one."""
    if metric in CATALOGUE or metric in PROCESS or metric == "ALERTS":
        return True
    names = {metric, KEPT_UNDER_OTHER_NAMES.sub("", metric), metric.removeprefix("deckwatch_discover_")}
    return metric.startswith("deckwatch_") and any(f'"{name}"' in code() for name in names)


@pytest.mark.parametrize("asked", ASKED, ids=[asked.where for asked in ASKED])
def test_query_is_promql_over_metrics_of_ours(asked: Asked) -> None:
    expr = asked.filled(SAMPLE)
    promql_parser.parse(expr)  # Prometheus' grammar, by others
    names = {node.name for node in walk(parse(expr).expr) if isinstance(node, VectorSelector)}
    strangers = {name for name in names if not is_ours(name)}
    assert names
    assert not strangers


def test_a_metric_that_nobody_makes_is_noticed() -> None:
    assert not is_ours("deckwatch_nobody_makes_this_total")
    assert not is_ours("container_nobody_makes_this")
    assert is_ours("deckwatch_search_duration_seconds_bucket")
