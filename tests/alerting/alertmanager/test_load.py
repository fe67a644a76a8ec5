"""Configuration files: what a real one means, and every fault of a bad one at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from alerting.alertmanager.load import load_configuration
from alerting.alertmanager.model import BadConfiguration, Configuration
from alerting.alertmanager.receivers import ReceiverMaker
from alerting.notify.channels.context import Shared
from alerting.notify.intervals import TimeInterval
from alerting.notify.matchers import matchers_text
from alerting.settings import AlertingSettings

S = 10**9
RECORDED = Path(__file__).parents[2] / "recordings" / "alertmanager"
MAKER = ReceiverMaker(AlertingSettings(), Shared())

FULL = r"""
global:
  resolve_timeout: 2m
  slack_api_url: https://hooks.example.org/services/T0/B0/verysecret
templates: ['*.tmpl']
route:
  receiver: ops
  group_by: [alertname, cluster]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1d12h
  routes:
    - match: {team: on, zip: 007}
      match_re: {service: web.*}
      matchers: ['severity=~"a|b", host!="x"', "größe=5"]
      receiver: chat
      group_by: ['...']
      group_wait: 0s
      mute_time_intervals: [nights]
      active_time_intervals: [work]
      continue: true
      routes:
        - group_by: []
        - {group_by: [x], repeat_interval: 2h}
    - &again
      receiver: chat
    - <<: *again
      matchers: []
inhibit_rules:
  - source_match: {alertname: HostDown}
    source_match_re: {dc: e.*}
    target_matchers: [severity=warning]
    equal: [host]
receivers:
  - name: ops
    webhook_configs:
      - url: http://127.0.0.1:9/secret/path
        max_alerts: 5
      - url: http://127.0.0.1:9
        send_resolved: false
  - name: chat
    slack_configs: [{channel: '#x'}]
    dingtalk_configs: [{webhook_url: 'https://oapi.dingtalk.com/robot/send?access_token=dingsecret'}]
mute_time_intervals:
  - name: nights
    time_intervals:
      - times: [{start_time: 17:00, end_time: 24:00}]
        weekdays: ['monday:friday', Sunday]
        days_of_month: ['1:5', '-3:-1']
        months: ['may:august', 12]
        years: ['2020:2022', 2030]
        location: Europe/Berlin
time_intervals:
  - name: work
    time_intervals: [{weekdays: [monday]}]
"""


def load(path: Path, text: str) -> Configuration:
    file = path / "am.yml"
    file.write_text(text)
    return load_configuration(file, MAKER)


def faults(path: Path, text: str) -> list[str]:
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    return str(caught.value).replace(f"{path}/am.yml:", "").splitlines()


def test_all_that_a_file_may_say(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text('{{ define "mine" }}{{ .Status }}{{ end }}')
    made = load(tmp_path, FULL)
    root = made.routing.root
    first, second, third = root.routes
    assert made.routing.resolve_timeout_ns == 120 * S
    assert (root.group_wait_ns, root.group_interval_ns, root.repeat_interval_ns) == (10 * S, 60 * S, 36 * 3600 * S)
    assert first.key == ('{}/{"größe"="5",host!="x",service=~"web.*",severity=~"a|b",team="on",zip="007"}')
    assert (first.receiver, first.group_by_all, first.group_wait_ns, first.goes_on) == ("chat", True, 0, True)
    assert (first.mute, first.active) == (("nights",), ("work",))
    inner, other = first.routes
    assert (inner.group_by_all, inner.group_wait_ns, inner.mute, inner.goes_on) == (True, 0, (), False)
    assert (other.group_by, other.group_by_all, other.repeat_interval_ns) == (("x",), False, 7200 * S)
    assert second.receiver == third.receiver == "chat"
    assert second.group_by == ("alertname", "cluster")
    assert second.id != third.id
    (rule,) = made.routing.inhibit_rules
    assert matchers_text(rule.source) == '{alertname="HostDown",dc=~"e.*"}'
    assert (matchers_text(rule.target), rule.equal) == ('{severity="warning"}', ("host",))
    assert made.routing.intervals == {
        "nights": (
            TimeInterval(
                minutes=((17 * 60, 1440),),
                weekdays=((1, 5), (0, 0)),
                days_of_month=((1, 5), (-3, -1)),
                months=((5, 8), (12, 12)),
                years=((2020, 2022), (2030, 2030)),
                location="Europe/Berlin",
            ),
        ),
        "work": (TimeInterval(weekdays=((1, 1),)),),
    }
    integrations = {name: [(i.name, i.send_resolved) for i in each] for name, each in made.routing.receivers.items()}
    assert integrations["ops"] == [("webhook[0]", True), ("webhook[1]", False)]
    assert integrations["chat"] == [("slack[0]", False), ("dingtalk[0]", integrations["chat"][1][1])]
    assert [each.name for each in made.integrations["ops"]] == ["webhook[0]", "webhook[1]"]


def test_what_is_shown_holds_no_secret_and_no_channel_that_amtool_does_not_know(tmp_path: Path) -> None:
    shown = load(tmp_path, FULL).shown
    for secret in ("verysecret", "dingsecret", "/secret/path"):
        assert secret not in shown
    read = yaml.safe_load(shown)
    assert read["global"]["slack_api_url"] == "<secret>"
    assert [each.get("url") for each in read["receivers"][0]["webhook_configs"]] == [
        *("http://127.0.0.1:9/<secret>", "http://127.0.0.1:9")
    ]
    assert read["receivers"][1] == {"name": "chat", "slack_configs": [{"channel": "#x"}]}
    assert "# left out, since Alertmanager's tools don't know it: dingtalk_configs of the receiver chat\n" in shown


def test_secrets_of_http_config_are_not_shown(tmp_path: Path) -> None:
    http = {
        "proxy_url": "http://me:pr0xyword@proxy:3128",
        "proxy_connect_header": {"Proxy-Authorization": ["Basic c0nnect"]},
        "http_headers": {"X-Key": {"values": ["plain"], "secrets": ["h3ader"], "files": ["there"]}},
        "oauth2": {
            "client_id": "id",
            "client_secret": "cl1ent",
            "token_url": "http://me:t0kenword@tokens/",
            "proxy_url": "http://me:pr0xyword@proxy:3128",
        },
    }
    receivers = [{"name": "a", "webhook_configs": [{"url": "http://hook/", "http_config": http}]}]
    file = {"global": {"http_config": http}, "route": {"receiver": "a"}, "receivers": receivers}
    shown = load(tmp_path, yaml.safe_dump(file)).shown
    for secret in ("pr0xyword", "c0nnect", "h3ader", "cl1ent", "t0kenword"):
        assert secret not in shown
    of_all = yaml.safe_load(shown)["global"]["http_config"]
    assert of_all["proxy_url"] == "http://me:xxxxx@proxy:3128"
    assert of_all["proxy_connect_header"] == {"Proxy-Authorization": ["<secret>"]}
    assert of_all["http_headers"] == {"X-Key": {"values": ["plain"], "secrets": ["<secret>"], "files": ["there"]}}


def test_the_recorded_file_is_shown_as_alertmanager_shows_it() -> None:
    """All but the paths of webhooks, which may be secrets, and how the YAML is quoted and ordered."""
    import json

    shown = load_configuration(RECORDED / "am.yml", MAKER).shown
    theirs = json.loads((RECORDED / "01_status.json").read_text())["response"]["config"]["original"]
    for name in ("grouped", "ungrouped", "flaky", "capped"):
        theirs = theirs.replace(f"http://127.0.0.1:19095/{name}", "http://127.0.0.1:19095/<secret>")
    assert yaml.safe_load(shown) == yaml.safe_load(theirs)


def test_faults_come_together_with_their_places(tmp_path: Path) -> None:
    text = """\
route:
  receiver: ops
  matchers: [a=b]
  continue: true
  group_by: [a, a]
  group_interval: 0s
  nonsense: 1
  routes:
    - receiver: nobody
      matchers: ['a=~"("', 'a{b']
      group_wait: soon
      group_by: ['...', a]
      mute_time_intervals: [never]
    - match_re: {a: '('}
    - match: {a-b: c}
inhibit_rules:
  - {source_matcher: [a=b], equal: host}
receivers:
  - name: ops
    webhook_configs: [{url: 'ftp://x'}, {urls: x}]
  - name: ops
  - pagerduty_configs: []
time_intervals:
  - name: t
    time_intervals:
      - times: [{start_time: 9:00, end_time: '10:00'}, {start_time: '12:00', end_time: '10:00'}, {end_time: '10:00'}]
        weekdays: ['friday:monday', noday]
        days_of_month: ['0', '-1:5', '20:10', '40', x]
        months: [13, 'may:april']
        years: ['2022:2020']
        location: Mars/Base
  - name: t
    time_intervals: []
  - {}
alerts: []
"""
    told = faults(tmp_path, text)
    print("\n".join(told))
    for line, part in [
        (3, "route.matchers: the root route takes every alert; put it on a route below it"),
        (4, "route.continue: nothing comes behind the root route; leave it out"),
        (5, 'route.group_by: the label "a" stands twice'),
        (6, "route.group_interval can't be zero; give a duration such as 5m"),
        (7, 'unknown field "nonsense" in route; known are receiver, group_by'),
        (10, 'route.routes[0].matchers[0]: the regular expression "(" is not valid'),
        (10, "route.routes[0].matchers[1]: bad matcher format: a{b"),
        (11, 'route.routes[0].group_wait: not a duration: "soon"'),
        (12, "route.routes[0].group_by: '...' is all labels; name either it or single labels"),
        (14, 'route.routes[1].match_re.a: the regular expression "(" is not valid'),
        (15, 'route.routes[2].match: invalid label name "a-b"'),
        (17, 'unknown field "source_matcher" in inhibit_rules[0]'),
        (17, "inhibit_rules[0].equal must be a list"),
        (20, "receivers[0].webhook_configs[0]: url must be http:// or https:// and name a host"),
        (20, "receivers[0].webhook_configs[1].urls: unknown field"),
        (22, "receivers[2]: a receiver needs a name"),
        (26, 'time_intervals[0].time_intervals[0].times[0].start_time: "9:00" is not a time; expected HH:MM'),
        (26, "time_intervals[0].time_intervals[0].times[1]: end_time must come behind start_time"),
        (26, 'time_intervals[0].time_intervals[0].times[2].start_time: "" is not a time'),
        (27, 'time_intervals[0].time_intervals[0].weekdays: the range "friday:monday" ends before it begins'),
        (27, '"noday" is not a day of the week; expected one of sunday'),
        (28, '"0": days are 1 to 31'),
        (28, '"-1:5": where the first day is counted from the end of the month, the last must be, too'),
        (28, 'the range "20:10" ends before it begins'),
        (28, '"40": days are 1 to 31'),
        (28, '"x" is not a whole number'),
        (29, '"13" is not a month'),
        (29, 'the range "may:april" ends before it begins'),
        (30, 'the range "2022:2020" ends before it begins'),
        (31, 'there is no time zone "Mars/Base"'),
        (32, 'time_intervals[1]: the name "t" stands twice'),
        (34, "time_intervals[2]: has no name"),
        (35, 'unknown field "alerts" in the configuration'),
    ]:
        assert any(each.startswith(f"{line}:") and part in each for each in told), (line, part)
    assert any('receivers: the name "ops" stands 2 times' in each for each in told)


def test_names_that_lead_nowhere_are_told_beside_other_faults_of_the_routes(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        "route: {receiver: a, group_wait: 2sec, routes: [{matchers: [x=y], receiver: b}]}\nreceivers: [{name: a}]\n",
    )
    assert len(told) == 2
    assert any('there is no receiver "b"' in each for each in told)
    assert any("route.group_wait: not a duration" in each for each in told)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        "route: {receiver: a, routes: [{matchers: [x=y], receiver: b, mute_time_intervals: [never]}]}\n"
        "receivers: [{name: a}]\n",
    )
    assert [each.partition(": ")[2] for each in told] == [
        'route {}/{x="y"}: there is no receiver "b" in `receivers`',
        'route {}/{x="y"}: there is no time interval "never" in `time_intervals`',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty; a `route` with a receiver and `receivers` are the least it needs"),
        ("receivers: [{name: a}]", "there is no `route`; the least is route: {receiver: NAME}"),
        ("route: {}", "route: the root route must name a receiver"),
        ("route: [", "not valid YAML"),
        ("route: {receiver: a}\nroute: {receiver: a}\nreceivers: [{name: a}]", 'field "route" stands twice'),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in each for each in faults(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"am\.yml: can't be read: No such file"):
        load_configuration(tmp_path / "am.yml", MAKER)


def test_broken_templates_are_faults_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text("{{ nope }}")
    text = "templates: ['a.tmpl']\nroute: {receiver: a}\nreceivers: [{name: a}]"
    assert any("a.tmpl" in each and each.startswith("1:") for each in faults(tmp_path, text))
