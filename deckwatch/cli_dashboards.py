"""`deckwatch dashboards`: hand out the dashboards that come with Deckwatch."""

from __future__ import annotations

from pathlib import Path

import click

from deckwatch.runtime.faults import Unusable


@click.group(short_help="Dashboards for Grafana, with its provisioning files.")
def dashboards() -> None:
    """Dashboards that come with Deckwatch."""


@dashboards.group()
def export() -> None:
    """Write dashboards into a folder."""


@export.command(short_help="Dashboards and provisioning files.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--collector",
    metavar="URL",
    default="http://127.0.0.1:9428",
    show_default=True,
    help="The collector, as Grafana reaches it; a Prometheus that has its samples does too.",
)
@click.option("--seen-at", metavar="PATH", help="Where Grafana finds DIR (a volume in its container); default: DIR.")
@click.option("--tenant", "tenants", metavar="NAME", multiple=True, help="A data source for this tenant. Repeatable.")
@click.option("--with-token", is_flag=True, help="Grafana sends the token that DECKWATCH_TOKEN in its environment has.")
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    help="Between two samples, as agent.sample.interval_s says.",
)
def grafana(
    folder: Path, collector: str, seen_at: str | None, tenants: tuple[str, ...], with_token: bool, interval_s: float
) -> None:
    """Write Grafana's dashboards and provisioning files to DIR; what was exported there before is replaced.

    \b
      deckwatch dashboards export grafana grafana
      GF_PATHS_PROVISIONING=$PWD/grafana/provisioning grafana server
    """
    from dashboards.grafana.export import Export, write

    if not collector.startswith(("http://", "https://")):
        raise Unusable(f"--collector {collector}: expected http://HOST:PORT or https://HOST:PORT")
    choice = Export(
        collector=collector.rstrip("/"),
        seen_at=seen_at or str(folder.absolute()),
        tenants=tenants,
        with_token=with_token,
        interval_s=interval_s,
    )
    try:
        written = write(folder, choice)
    except OSError as error:
        raise Unusable(f"{error.filename or folder}: can't be written: {error.strerror}") from None
    for path in written:
        click.echo(path)
    click.echo(f"Start Grafana with GF_PATHS_PROVISIONING={choice.seen_at.rstrip('/')}/provisioning", err=True)
