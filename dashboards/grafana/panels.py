"""Panels as all our dashboards have them: unit, thresholds, legend and a description that says how to read it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, RED, BLUE, GREY = "green", "#EAB839", "red", "blue", "#808080"

Step = tuple[float | None, str]
"""(from this value on, colour); None: from the least."""


def warn(at: float, critical: float) -> tuple[Step, ...]:
    """More is worse."""
    return ((None, GREEN), (at, YELLOW), (critical, RED))


def bad_from(at: float) -> tuple[Step, ...]:
    """Anything from here on needs a look."""
    return ((None, GREEN), (at, RED))


RATE = "[$__rate_interval]"
"""The window of rates in graphs: Grafana takes at least four times the data source's sampling interval."""

PLAIN: tuple[Step, ...] = ((None, BLUE),)
SHARE = warn(0.8, 0.9)  # of a limit


class Query(msgspec.Struct, frozen=True):
    """`legend` is Grafana's template: `{{host}}`. An empty one shows all labels."""

    expr: str
    legend: str = ""


class Shown(msgspec.Struct, frozen=True):
    """What a value is shown as: 1 -> healthy, green."""

    value: str
    text: str
    color: str


def ref_ids() -> list[str]:
    return [chr(ord("A") + place) for place in range(26)]


def target(query: Query, ref: str, *, instant: bool = False, as_table: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE)
    made = made.instant() if instant else made.range()
    if as_table:
        return made.format(PromQueryFormat.TABLE)
    return made.legend_format(query.legend) if query.legend else made


def thresholds(steps: Sequence[Step]) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def mappings(shown: Sequence[Shown]) -> list[model.ValueMapping]:
    options = {
        each.value: model.ValueMappingResult(text=each.text, color=each.color, index=place)
        for place, each in enumerate(shown)
    }
    return [model.ValueMap(options=options)] if options else []


def by_thresholds() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def number(
    title: str,
    description: str,
    query: str | Query,
    *,
    unit: str = "short",
    steps: Sequence[Step] = PLAIN,
    shown: Sequence[Shown] = (),
    link: str = "",
    width: int = 4,
    decimals: int | None = None,
) -> stat.Panel:
    """One figure as it is now (several where the query has several series), with its trend behind it."""
    asked = query if isinstance(query, Query) else Query(query)
    made = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(target(asked, "A"))
        .unit(unit)
        .thresholds(thresholds(steps))
        .color_scheme(by_thresholds())
        .mappings(mappings(shown))
        .no_value("–")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common_model.BigValueColorMode.BACKGROUND_SOLID if len(steps) > 1 else _VALUE)
        .graph_mode(common_model.BigValueGraphMode.NONE if shown else common_model.BigValueGraphMode.AREA)
        .span(width)
        .height(4)
    )
    if decimals is not None:
        made = made.decimals(decimals)
    return made.data_links([dashboard.DashboardLink("Look closer").url(link)]) if link else made


_VALUE = common_model.BigValueColorMode.VALUE


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    stacked: bool = False,
    most: float | None = None,
    least: float | None = 0.0,
    steps: Sequence[Step] = (),
    below: str = "",
    dashed: str = "",
    link: str = "",
    width: int = 12,
    height: int = 8,
) -> timeseries.Panel:
    """`below`: series whose names match it are drawn under the axis (sent against received); `dashed`: limits, a
    dashed red line without an area. `steps` are drawn as lines."""
    made = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_model.VisibilityMode.AUTO)
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
        .span(width)
        .height(height)
    )
    for ref, query in zip(ref_ids(), queries, strict=False):
        made = made.with_target(target(query, ref))
    if stacked:
        made = made.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if steps:
        lines = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        made = made.thresholds(thresholds(steps)).thresholds_style(lines)
    if most is not None:
        made = made.max(most)
    if least is not None and not below:
        made = made.min(least)
    if below:
        made = made.override_by_regexp(below, [_property("custom.transform", "negative-Y")])
    if dashed:
        made = made.override_by_regexp(dashed, _LIMIT)
    return made.data_links([dashboard.DashboardLink("Look closer").url(link)]) if link else made


def timeline(
    title: str,
    description: str,
    *queries: Query,
    shown: Sequence[Shown] = (),
    steps: Sequence[Step] = PLAIN,
    width: int = 12,
    height: int = 8,
) -> statetimeline.Panel:
    """States over time, a lane for each series."""
    made = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .mappings(mappings(shown))
        .thresholds(thresholds(steps))
        .color_scheme(by_thresholds())
        .merge_values(True)
        .show_value(common_model.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(75)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(_LIST).placement(_BOTTOM).calcs([]))
        .span(width)
        .height(height)
    )
    for ref, query in zip(ref_ids(), queries, strict=False):
        made = made.with_target(target(query, ref))
    return made


_LIST, _BOTTOM = common_model.LegendDisplayMode.LIST, common_model.LegendPlacement.BOTTOM


def _legend() -> common.VizLegendOptions:
    """A table of the greatest, with what one asks of a curve: usual, worst, now."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_model.LegendDisplayMode.TABLE)
        .placement(_BOTTOM)
        .calcs(["mean", "max", "lastNotNull"])
        .sort_by("Max")
        .sort_desc(True)
    )


def _property(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)


_LIMIT = [
    _property("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
    _property("custom.fillOpacity", 0),
    _property("custom.stacking", {"mode": "none", "group": "limit"}),
    _property("color", {"mode": "fixed", "fixedColor": RED}),
]
