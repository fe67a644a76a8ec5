"""Grafana's dashboards as code.

`python -m dashboards.grafana` builds them (with grafana-foundation-sdk: pip install 'deckwatch[dashboards]') into the
JSON files beside this one; a test holds those current. `export` hands the files out and needs no SDK.

    panels, table, board   the vocabulary: one look for all panels, links, variables, ids
    symptoms               when a container or host is sick, in PromQL: the fleet's first rows are made of it
    fleet -> host -> container | workload, logs, itself     one module a dashboard
"""
