"""Notifications' templates give what Alertmanager's own renderer gives: amtool is asked, where it is installed."""

# ruff: noqa: E501 - templates stand in one piece

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerting.notify.channels.markup import Dialect
from alerting.notify.channels.model import Notification, Undelivered
from alerting.notify.message import GroupAlert, webhook_body
from alerting.notify.notification_templates import BadTemplates, NotificationTemplates, load_templates
from alerting.notify.template_data import Data, Evidence, LogLine
from alerting.notify.words import Language
from alerting.templates.nodes import Source
from alerting.templates.values import FunctionFailed

S = 1_000_000_000
HOT = GroupAlert(
    (("alertname", "Hot"), ("container", "web<b>"), ("severity", "critical")),
    (("runbook_url", "https://r/x?a=1&b=2"), ("summary", "a & b")),
    1_700_000_000 * S + 123_456_789,
    0,
    "http://g/graph?x=1&y=<z>",
)
OVER = GroupAlert(
    (("alertname", "Hot"), ("container", "db"), ("severity", "critical")),
    (("summary", "ok"),),
    1_700_000_000 * S,
    1_700_000_303 * S,
    "http://g",
)
GROUP = (("alertname", "Hot"),)
DEBIAN = Path("/usr/share/prometheus/alertmanager")


def notification(*alerts: GroupAlert, undelivered: Undelivered | None = None) -> Notification:
    return Notification(
        "team.x", "slack[0]", "k", "new", "{}:{}", GROUP, alerts, 0, "http://me", undelivered=undelivered
    )


def expand(text: str, *alerts: GroupAlert, language: Language = Language.ALERTMANAGER, html: bool = False) -> str:
    templates = NotificationTemplates(language=language)
    data = Data(notification(*(alerts or (HOT, OVER))), {})
    write = templates.html if html else templates.text
    return write(text, data, Dialect.HTML if html else Dialect.PLAIN, 1_700_000_600 * S)


@pytest.fixture(scope="module")
def amtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of data that amtool is given."""
    if shutil.which("amtool") is None or not DEBIAN.is_dir():
        pytest.skip("amtool is not installed (Debian: prometheus-alertmanager)")
    path = tmp_path_factory.mktemp("amtool") / "data.json"
    body = webhook_body("team\\.x", "", GROUP, [HOT, OVER], "http://me")
    path.write_text(json.dumps(body))
    return path


def amtool_render(data: Path, text: str, *options: str) -> str:
    command = ["amtool", "template", "render", f"--template.glob={DEBIAN}/*.tmpl", f"--template.data={data}"]
    done = subprocess.run([*command, f"--template.text={text}", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name",
    [
        *("__subject", "__alertmanagerURL", "__alertmanager", "__description"),
        *("slack.default.title", "slack.default.username", "slack.default.fallback", "slack.default.titlelink"),
        *("slack.default.text", "slack.default.pretext", "slack.default.footer", "slack.default.iconemoji"),
        *("pagerduty.default.description", "pagerduty.default.client", "pagerduty.default.clientURL"),
        *("opsgenie.default.message", "opsgenie.default.description", "opsgenie.default.source"),
        *("wechat.default.message", "wechat.default.to_user", "wechat.default.agent_id"),
        *("telegram.default.message", "discord.default.title", "discord.default.message"),
        *("pushover.default.title", "pushover.default.message", "victorops.default.state_message"),
        *("sns.default.subject", "sns.default.message", "webex.default.message", "email.default.subject"),
    ],
)
def test_the_names_give_what_alertmanagers_own_templates_give(name: str, amtool: Path) -> None:
    text = f'{{{{ template "{name}" . }}}}'
    assert expand(text) == amtool_render(amtool, text)


@pytest.mark.parametrize(
    "text",
    [
        '{{ "fooBAR don\'t x_y éa 3rd a1b c-d e.f g:h 10gb MEM/cpu it’s" | title }}',
        "{{ .Alerts.Firing | len }} {{ (index .Alerts 0).StartsAt }} {{ (index .Alerts 0).EndsAt }}",
        '{{ (index .Alerts 0).StartsAt.Format "Mon Jan _2 15:04:05.000 2006 MST -0700 Z07:00 3PM" }}',
        '{{ (index .Alerts 0).StartsAt.Format "Monday, 02-Jan-06 15:04:05.999999999,000 002 __2 pm 1/2 4:5" }}',
        "{{ (index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt }} {{ (index .Alerts 1).StartsAt.Unix }}",
        "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}{{ .CommonLabels.SortedPairs.Names }}",
        '{{ printf "%q %v %5s|%-5s|%05d|%x" "a\\"b" .Status "x" "y" 42 "hi" }}',
        '{{ join "," (stringSlice "a" "b") }} {{ reReplaceAll "a(x*)b" "${1}W" "-ab-axxb-" }} {{ match "a.c" "xabc" }}',
        '{{ $x := "a" }}{{ range .Alerts }}{{ $x = .Status }}{{ $x := 1 }}{{ end }}{{ $x }}',
        "{{ range $i, $a := .Alerts }}{{ if $i }}, {{ end }}{{ $a.Labels.container }}{{ end }}{{ with .CommonLabels.no }}x{{ end }}",
        "{{ (.CommonLabels.Remove .GroupLabels.Names).Values }} {{ .GroupLabels.Names | .CommonLabels.Remove | len }}",
        '{{ if and (eq .Status "firing" "x") (or false .Alerts) (not .CommonAnnotations) }}yes{{ else if true }}no{{ end }}',
        '{{ define "mine" }}<{{ .Labels.container }}>{{ end }}{{ range .Alerts }}{{ template "mine" . }}{{ end }}',
        '{{ block "b" .Status }}[{{ . }}]{{ end }}{{- /* gone */ -}}  {{ `raw "x"` }} {{ "tab\\t" }}|{{ \'a\' }} {{ 0x1F }}',
        '{{ slice .Status 1 3 }} {{ html "<a>" }} {{ js "it\'s" }} {{ urlquery "a b&~" }} {{ println 1 "x" }}',
        "{{ .Receiver }} {{ .ExternalURL }} {{ (index .Alerts 0).Fingerprint }} {{ lt 1 2 }} {{ ge 2.5 2.5 }} {{ ne `a` `b` }}",
    ],
)
def test_text(text: str, amtool: Path) -> None:
    assert expand(text) == amtool_render(amtool, text)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="{{ (index .Alerts 0).GeneratorURL }}" title={{ .Receiver }}>{{ (index .Alerts 0).Labels.container }}</a>',
        '<a href="{{ "javascript:alert(1)" }}">{{ safeHtml "<b>x</b>" }}{{ "it\'s \\"q\\" + =`" }}</a>',
        '<a href="/p/{{ "a b/ü%41%zz+[x]" }}?y={{ "a b&c+d/ü" }}" data-src="{{ "x y" }}">{{ "\\x00x" }}</a>',
        '<p style="width: {{ "10px; x" }}">{{ 5 }} {{ true }}</p><textarea>{{ "<b>" }}</textarea><title>{{ "</title>" }}</title>',
        '<input value={{ "a b=c" }}><b {{ "onclick" }}=1></b><!-- {{ .Status }} -->x',
        '<script>f({{ .Status }}, "{{ "a\\"b</script>" }}")</script><b onclick="f({{ .Status }})">x</b>',
        '{{ define "cell" }}<td>{{ . }}</td>{{ end }}<tr>{{ range .Alerts }}{{ template "cell" .Labels.container }}{{ end }}</tr>',
        '<a href="{{ if true }}http://x/{{ "?a=<" }}{{ end }}" class="{{ "\\"x" }}">{{ "a" }}</a>',
    ],
)
def test_html_is_escaped_for_the_place_where_it_stands(text: str, amtool: Path) -> None:
    assert expand(text, html=True) == amtool_render(amtool, text, "--template.type=html")


def test_debians_own_html_mail_gives_the_same(amtool: Path) -> None:
    """A template of 14 kB that is handed to us as it is."""
    templates = load_templates(["email.tmpl"], DEBIAN, language=Language.ALERTMANAGER)
    text = '{{ template "email.default.html" . }}'
    ours = templates.html(text, Data(notification(HOT, OVER), {}), Dialect.HTML, 0)
    assert ours == amtool_render(amtool, text, "--template.type=html")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        # Newer than Debian's amtool, or nowhere else
        ('{{ ((index .Alerts 0).StartsAt.Add 9000000000000000000000).Format "2006 MST" }}', "9999 UTC"),
        ("{{ ((index .Alerts 0).StartsAt.Add -9000000000000000000000).Year }}", "1"),
        ('{{ "  x " | trimSpace }}', "x"),
        ('{{ (index .Alerts 0).StartsAt | tz "Asia/Shanghai" | date "2006-01-02 15:04 MST" }}', "2023-11-15 06:13 CST"),
        ('{{ (index .Alerts 1).EndsAt | tz "America/New_York" | date "2006" }}', "0001"),
        ("{{ since (index .Alerts 0).EndsAt }}", "4m57s"),
        ("{{ since (index .Alerts 0).EndsAt | humanizeDuration }}", "4m 57s"),
        ("{{ 3661 | humanizeDuration }}", "1h 1m 1s"),
        ('{{ toJson .GroupLabels }} {{ toJson (list 1 "a" true) }}', '{"alertname":"Hot"} [1,"a",true]'),
        ('{{ (dict "a" 1).a }} {{ append (list 1) 2 }} {{ urlUnescape "a%20b+c" }}', "1 [1 2] a b c"),
        ("{{ .CommonLabels }}", "alertname=Hot, severity=critical"),
        ("{{ (index .Alerts 0).EndsAt.Sub (index .Alerts 0).StartsAt | print }}", "5m3s"),
    ],
)
def test_newer_functions(text: str, want: str) -> None:
    assert expand(text) == want


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ .Nope }}", "can't evaluate field Nope in type *template.Data"),
        ('{{ template "nope" . }}', 'template "nope" not defined'),
        ('{{ tz "Mars/Base" (index .Alerts 0).StartsAt }}', "unknown time zone Mars/Base"),
        ('{{ .CommonLabels.Remove "x" }}', "expected []string; got string"),
        ('{{ dict "a" }}', "dict needs a value for each key"),
        ('{{ say "nonsense" }}', "error calling say: 'nonsense'"),
        (
            '{{ define "x" }}{{ if 1 }}{{ with 1 }}{{ range 1 }}{{ if 1 }}{{ template "x" }}{{ end }}{{ end }}{{ end }}'
            '{{ end }}{{ end }}{{ template "x" }}',
            "exceeded maximum template depth",
        ),
        ('{{ .Status.Remove "x" }}', "can't give argument to non-function .Status.Remove"),
    ],
)
def test_failures(text: str, problem: str) -> None:
    with pytest.raises(FunctionFailed) as caught:
        expand(text)
    assert problem in str(caught.value)


def test_a_file_takes_the_place_of_a_name_unless_it_is_blank(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text('{{ define "slack.default.title" }}mine {{ .Status }}{{ end }}top')
    (tmp_path / "b.tmpl").write_text('{{ define "slack.default.username" }}  {{ end }}')
    templates = load_templates(["*.tmpl", "nothing/*.tmpl"], tmp_path, language=Language.ALERTMANAGER)
    text = '{{ template "slack.default.title" . }}|{{ template "slack.default.username" . }}|{{ template "a.tmpl" . }}'
    assert templates.text(text, Data(notification(HOT), {}), Dialect.PLAIN, 0) == "mine firing|Alertmanager|top"


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text("{{ nope }}")
    (tmp_path / "b.tmpl").write_text("{{ if }}")
    (tmp_path / "c.tmpl").write_bytes(b"\xff")
    with pytest.raises(BadTemplates) as caught:
        load_templates(["*.tmpl"], tmp_path)
    assert [Path(where).name for where, _ in caught.value.faults] == ["c.tmpl", "a.tmpl", "b.tmpl"]
    assert 'function "nope" not defined' in str(caught.value)


def test_a_text_of_the_configuration_is_checked() -> None:
    templates = NotificationTemplates()
    assert templates.check('{{ template "slack.default.title" . }}') is None
    assert "unclosed action" in (templates.check("{{ .Status") or "")


EVIDENCE = {
    HOT.fingerprint: Evidence(
        91.5, "> 80", "x > 80", (LogLine(S, "boom \x1b[31m<red>\x1b[0m"),), (("Logs", "http://l"),)
    )
}

OURS = """\
[FIRING:1] Hot (critical)
🔥 Hot · critical
a & b
Value: 91.5 (threshold > 80)
Labels: container=web<b>
Since: 2023-11-14 22:13:20 UTC
Last matching lines:
boom <red>
Runbook: https://r/x?a=1&b=2
Expression: http://g/graph?x=1&y=<z>
Logs: http://l

✅ Hot · critical
ok
Labels: container=db
Resolved after: 5m3s
Expression: http://g

All alerts: http://me/#/alerts"""

CHINESE = """\
[告警:1] Hot (critical)
🔥 Hot · critical
a & b
当前值: 91.5 (阈值 > 80)
标签: container=web<b>
开始时间: 2023-11-15 06:13:20 CST
最近匹配的日志:
boom <red>
处理手册: https://r/x?a=1&b=2
表达式: http://g/graph?x=1&y=<z>
Logs: http://l

✅ Hot · critical
ok
标签: container=db
持续时间: 5m3s
表达式: http://g

全部告警: http://me/#/alerts"""


@pytest.mark.parametrize(("language", "zone", "want"), [("en", "UTC", OURS), ("zh", "Asia/Shanghai", CHINESE)])
def test_our_own_message(language: str, zone: str, want: str) -> None:
    templates = NotificationTemplates(language=Language(language), time_zone=ZoneInfo(zone))
    text = '{{ subject . }}\n{{ template "deckwatch.message" . }}'
    assert templates.text(text, Data(notification(HOT, OVER), EVIDENCE), Dialect.PLAIN, 0) == want


def test_many_alerts_are_counted_instead_of_listed() -> None:
    alerts = [GroupAlert((("alertname", "Hot"), ("n", f"{number:04}")), (), S) for number in range(1000)]
    templates = NotificationTemplates()
    data = Data(notification(*alerts), {})
    text = templates.text('{{ template "deckwatch.message" . }}', data, Dialect.PLAIN, 0)
    assert (text.count("🔥 Hot"), "n=0019" in text, "n=0020" in text) == (20, True, False)
    assert "🔥 … 20 / 1000\n" in text
    page = templates.html('{{ template "email.default.html" . }}', data, Dialect.HTML, 0)
    assert (page.count("🔥 Hot"), "🔥 … 100 / 1000" in page) == (100, True)


def test_whom_a_message_did_not_reach_stands_first() -> None:
    undelivered = Undelivered("ops", "slack[0]", ("https://hooks.example.org",), "answered 403: no_service")
    text = NotificationTemplates().text(
        '{{ template "deckwatch.message" . }}',
        Data(notification(HOT, undelivered=undelivered), {}),
        Dialect.PLAIN,
        0,
    )
    assert text.startswith(
        "⚠ This message did not reach ops (slack[0], https://hooks.example.org). Error: answered 403: no_service\n\n🔥 Hot"
    )


def test_unclosed_quotes_take_no_time() -> None:
    """A pattern that could match a quotation mark in two ways would try 2^n of them."""
    templates = NotificationTemplates()
    assert "unclosed action" in (templates.check("{{ " + '"a" ' * 60 + '"') or "")


def test_a_source_that_fails_is_named() -> None:
    with pytest.raises(BadTemplates) as caught:
        NotificationTemplates([Source("mine.tmpl", "{{ end }}")])
    assert str(caught.value) == "mine.tmpl: unexpected {{end}}"
