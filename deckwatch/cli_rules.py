"""`deckwatch rules`: rule files, before they are in force."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(short_help="Check rule files; run their unit tests.")
def rules() -> None:
    """Rule files, before they are in force."""


_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_EXPERIMENTAL = click.option("--experimental-functions", is_flag=True, help="Allow PromQL's experimental functions.")


def _nothing_there(path: Path) -> str:
    """What is wrong where a name leads to no file at all: a check that looked at nothing must not pass. (A single file
    that is missing is told of by whoever reads it.)"""
    from alerting.rules.files import rule_paths

    if rule_paths([str(path)]):
        return ""
    return "is a folder; name the files in it" if path.is_dir() else "no file matches this pattern"


@rules.command()
@_FILES
@_EXPERIMENTAL
def check(files: tuple[Path, ...], experimental_functions: bool) -> int:
    """Check rule files: all faults of all of them, each with its place.

    Exit code 0: all are good. 1: something is wrong.
    """
    from alerting.rules.files import BadRules, load_rules

    bad = False
    for path in files:
        if problem := _nothing_there(path):
            bad = True
            click.echo(f"{path}: FAILED\n  {problem}", err=True)
            continue
        try:
            loaded = load_rules([str(path)], default_interval_ns=60_000_000_000, experimental=experimental_functions)
        except BadRules as fault:
            bad = True
            click.echo(f"{path}: FAILED\n" + "\n".join(f"  {one}" for one in fault.faults), err=True)
        else:
            found = sum(len(group.rules) for group in loaded.groups)
            counted = f"{found} rules" + (f", {len(loaded.log_metrics)} log metrics" if loaded.log_metrics else "")
            click.echo(f"{path}: {counted} found")
    return int(bad)


@rules.command("check-oncall")
@_FILES
def check_oncall(files: tuple[Path, ...]) -> int:
    """Check on-call files, all of them together: users, schedules, escalation policies.

    Exit code 0: all are good. 1: something is wrong.
    """
    from alerting.answer.files import load_plan
    from alerting.rules.files import BadRules

    nothing = [f"{path}: {problem}" for path in files if (problem := _nothing_there(path))]
    if nothing:
        click.echo("\n".join(nothing), err=True)
        return 1
    try:
        plan = load_plan(map(str, files))
    except BadRules as bad:
        click.echo("\n".join(map(str, bad.faults)), err=True)
        return 1
    counts = {"users": plan.users, "schedules": plan.schedules, "escalation policies": plan.policies}
    click.echo("found " + ", ".join(f"{what}: {len(found)}" for what, found in counts.items()))
    return 0


@rules.command("test")
@_FILES
@_EXPERIMENTAL
def run_unit_tests(files: tuple[Path, ...], experimental_functions: bool) -> int:
    """Run unit tests of rules, in promtool's format, as they are.

    Exit code 0: all passed. 1: a test failed, or a file can't be used.
    """
    from alerting.rehearse.unit_files import read_tests
    from alerting.rehearse.unit_tests import run_tests
    from alerting.rules.files import BadRules
    from collector.metrics.promql.settings import PromqlSettings

    settings = PromqlSettings(experimental_functions=experimental_functions)
    failed = False
    for path in files:
        try:
            failures = run_tests(read_tests(path), settings)
        except BadRules as bad:
            failed = True
            click.echo(f"{path}: FAILED\n" + "\n".join(f"  {one}" for one in bad.faults), err=True)
            continue
        if not failures:
            click.echo(f"{path}: SUCCESS")
            continue
        failed = True
        click.echo(f"{path}: FAILED", err=True)
        for one in failures:
            named = f'test "{one.test}": ' if one.test else ""
            problem = one.problem.replace("\n", "\n  ")
            click.echo(f"  {path}:{one.line}: {named}{problem}", err=True)
    return int(failed)
