"""A dashboard: its variables, its links to the others, its rows of panels with ids that stay."""

from __future__ import annotations

import json
from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import SOURCE

TAG = "deckwatch"
FLEET, HOST, CONTAINER, WORKLOAD, LOGS, ITSELF = (
    f"deckwatch-{name}" for name in ("fleet", "host", "container", "workload", "logs", "itself")
)
_KEEP = "${__url_time_range}&var-datasource=${datasource}"


def to_host(host: str = "${__data.fields.Host}") -> str:
    """Where a click on a host leads. In graphs the host is `${__field.labels.host}`."""
    return f"/d/{HOST}?var-host={host}&{_KEEP}"


def to_container(host: str = "${__data.fields.Host}", name: str = "${__data.fields.Container}") -> str:
    return f"/d/{CONTAINER}?var-host={host}&var-container={name}&{_KEEP}"


def to_workload(name: str = "${__data.fields.Workload}") -> str:
    return f"/d/{WORKLOAD}?var-workload={name}&{_KEEP}"


OF_SERIES_HOST = to_host("${__field.labels.host}")
OF_SERIES_CONTAINER = to_container("${__field.labels.host}", "${__field.labels.name}")


def to_board(uid: str) -> str:
    return f"/d/{uid}?{_KEEP}"


def datasource() -> dashboard.DatasourceVariable:
    """A collector, or a Prometheus that it writes to; one data source for each tenant."""
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def chosen(
    name: str, label: str, query: str, *, every: bool = True, several: bool = True, or_none: bool = False
) -> dashboard.QueryVariable:
    """`every`: All is offered and taken first. `or_none`: All takes series without the label too."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"values-of-{name}"})
        .definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(several)
    )
    if not every:
        return made.allow_custom_value(False)  # a link from where All was chosen falls back to the first
    all_of_them = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return made.include_all(True).all_value(".*" if or_none else ".+").current(all_of_them)


def hosts(*, every: bool = True) -> dashboard.QueryVariable:
    return chosen("host", "Host", "label_values(node_time_seconds, host)", every=every, several=every)


class Board:
    def __init__(
        self,
        uid: str,
        title: str,
        description: str,
        variables: Sequence[dashboard.QueryVariable],
        *,
        since: str = "now-1h",
    ) -> None:
        self.uid = uid
        self._ids = 0
        links = dashboard.DashboardLink("Deckwatch").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
        self._made = (
            dashboard.Dashboard(f"Deckwatch / {title}")
            .uid(uid)
            .description(description)
            .tags([TAG])
            .time(since, "now")
            .refresh("30s")
            .timezone("browser")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .link(links.as_dropdown(True).include_vars(True).keep_time(True))
            .with_variable(datasource())
        )
        for variable in variables:
            self._made.with_variable(variable)

    def row(self, title: str, *panels: Builder[model.Panel]) -> Board:
        """Its panels go from left to right and wrap at 24 columns."""
        self._made.with_row(dashboard.Row(title).id(self._next_id()))
        for panel in panels:
            built = panel.build()
            built.id_val = self._next_id()
            self._made.with_panel(_Built(built))
        return self

    def mark(self, name: str, expr: str, title: str, color: str) -> Board:
        """A vertical line wherever the expression has a sample: starts, deaths."""
        query = prometheus.Dataquery().expr(expr).ref_id("A").datasource(SOURCE).range()
        made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color)
        self._made.annotation(made.expr(expr).title_format(title).target(query))
        return self

    def json(self) -> str:
        """As it lies in the repository: sorted as the SDK writes it, one line end at the end."""
        return json.dumps(self._made.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids


class _Built(Builder[model.Panel]):
    """The SDK takes builders; this one is done already."""

    def __init__(self, built: model.Panel) -> None:
        self._built = built

    def build(self) -> model.Panel:
        return self._built
