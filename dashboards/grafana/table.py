"""Tables: a row for each thing, a column for each figure, the worst on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import PLAIN, SOURCE, Query, Shown, Step, mappings, ref_ids, target, thresholds


class Column(msgspec.Struct, frozen=True):
    title: str
    expr: str
    unit: str = "short"
    steps: tuple[Step, ...] = PLAIN
    shown: tuple[Shown, ...] = ()


def figures(
    title: str,
    description: str,
    by: Mapping[str, str],
    columns: Sequence[Column],
    *,
    worst: str,
    links: Mapping[str, str] = {},
    none: str = "–",
    width: int = 24,
    height: int = 10,
) -> table.Panel:
    """`by`: label -> heading, the labels that each expression is aggregated by; `worst`: the column to sort by;
    `links`: heading -> where a click leads; `none`: what stands there when there is no row."""
    refs = ref_ids()[: len(columns)]
    made = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .no_value(none)
        .show_header(True)
        .sort_by([common.TableSortByFieldState().display_name(worst).desc(True)])
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(_organized(by, columns, refs))
        .span(width)
        .height(height)
    )
    for ref, column in zip(refs, columns, strict=True):
        made = made.with_target(target(Query(column.expr), ref, instant=True, as_table=True))
        made = made.override_by_name(column.title, _look(column))
    for heading, url in links.items():
        link = {"title": "Look closer", "url": url}
        made = made.override_by_name(heading, [model.DynamicConfigValue(id_val="links", value=[link])])
    return made


def _organized(by: Mapping[str, str], columns: Sequence[Column], refs: Sequence[str]) -> model.DataTransformerConfig:
    """One query's value column is called Value, several queries' are Value #A, Value #B..."""
    values = ["Value"] if len(refs) == 1 else [f"Value #{ref}" for ref in refs]
    names = {**by, **{value: column.title for value, column in zip(values, columns, strict=True)}}
    order = {name: place for place, name in enumerate(names)}
    options = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    return model.DataTransformerConfig(id_val="organize", options=options)


def _look(column: Column) -> list[model.DynamicConfigValue]:
    values: dict[str, object] = {"unit": column.unit}
    if len(column.steps) > 1 or column.shown:
        values["thresholds"] = thresholds(column.steps).build()
        values["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.shown:
        values["mappings"] = mappings(column.shown)
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in values.items()]
