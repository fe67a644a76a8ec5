from __future__ import annotations

import math

import pytest

from alerting.rules.gofloat import general, scientific
from alerting.rules.template import Template, TemplateData, TemplateSample
from alerting.templates.nodes import TemplateError

DATA = TemplateData(
    labels={"container": "web", "instance": "10.0.0.1:9100", "fqdn": "db.example.org:80"},
    value=91.0,
    external_labels={"cluster": "lab"},
    external_url="http://localhost:9428",
)


def answers(text: str) -> list[TemplateSample]:
    """What stands behind `query`."""
    table = {
        "up": [TemplateSample({"__name__": "up", "job": "web"}, 1.0), TemplateSample({"job": "api"}, 0.5)],
        "count": [TemplateSample({"__value__": "5"}, 2.0)],
        "nothing": [],
    }
    return table[text]


def expand(text: str, value: float = 91.0) -> str:
    data = TemplateData(DATA.labels, value, DATA.external_labels, DATA.external_url, 1_700_000_000_000_000_000, answers)
    return Template(text).expand("Hot", data)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ $labels.container }} at {{ $value | humanize }}", "web at 91"),
        ('({{ printf "%.1f" $value }})', "(91.0)"),
        ("{{ .Value | humanizePercentage }} {{ $externalLabels.cluster }}", "9100% lab"),
        ("{{ .Labels.container }}{{ $externalURL }}", "webhttp://localhost:9428"),
        ("[{{ $labels.missing }}]", "[]"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("a  {{- $labels.container -}}  b", "awebb"),
        ("{{ if eq $labels.container `web` }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if gt $value 100.0 }}a{{ else if gt $value 50.0 }}b{{ else }}c{{ end }}", "b"),
        ("{{ if and $labels.container (not $labels.missing) }}both{{ end }}", "both"),
        ("{{ with $labels.container }}<{{ . }}>{{ end }}", "<web>"),
        ("{{ with $labels.missing }}x{{ else }}none{{ end }}", "none"),
        ("{{ $x := $labels.container | toUpper }}{{ $x }}", "WEB"),
        ('{{ index $labels "container" }}', "web"),
        ("{{ $labels.container | title }}", "Web"),
        ("{{ $labels.instance | stripPort }} {{ stripDomain $labels.fqdn }}", "10.0.0.1 db:80"),
        ('{{ reReplaceAll "(w)eb" "${1}as" $labels.container }}', "was"),
        ('{{ if match "^w" $labels.container }}m{{ end }}', "m"),
        ('{{ printf "%s has %5.2f%% %q %v" $labels.container $value "x" $value }}', 'web has 91.00% "x" 91'),
        ('{{ printf "%d" $value }}', "%!d(float64=91)"),
        ('{{ printf "%s" }}', "%!s(MISSING)"),
        ("{{ $labels }}", "map[container:web fqdn:db.example.org:80 instance:10.0.0.1:9100]"),
        ('{{ "2h" | parseDuration | humanizeDuration }}', "2h 0m 0s"),
        ("{{ 1700000000 | humanizeTimestamp }}", "2023-11-14 22:13:20 +0000 UTC"),
        ("{{ urlQueryEscape `a b&c` }}", "a+b%26c"),
        ("{{ len $labels }}", "3"),
        ('{{ range query "up" }}{{ .Labels.job }}={{ .Value }};{{ end }}', "web=1;api=0.5;"),
        ('{{ with query "up" }}{{ . | first | value | humanizePercentage }}{{ end }}', "100%"),
        ('{{ query "up" | first | label "job" }} {{ (query "up" | first).Labels.job }}', "web web"),
        (
            '{{ range $i, $x := query "up" | sortByLabel "job" }}{{ if $i }}, {{ end }}{{ $x.Labels.job }}{{ end }}',
            "api, web",
        ),
        ('{{ range query "nothing" }}x{{ else }}none{{ end }}', "none"),
        ("{{ range $key, $text := $labels }}{{ $key }} {{ end }}", "container fqdn instance "),
        (
            "{{ range $key, $text := $labels }}{{ if eq $key `fqdn` }}{{ break }}{{ end }}{{ $key }}{{ end }}",
            "container",
        ),
        (
            "{{ range $key, $text := $labels }}{{ if eq $key `fqdn` }}{{ continue }}{{ end }}{{ $key }} {{ end }}",
            "container instance ",
        ),
        ('{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" $value }}{{ tmpl "x" `y` }}', "<91><y>"),
        ('{{ define "two" }}{{ .arg0 }}+{{ .arg1 }}{{ end }}{{ template "two" (args 1 2) }}', "1+2"),
        ('{{ block "b" 5 }}<{{ . }}>{{ end }}', "<5>"),
        (
            '{{ tableLink "up == 0" }} {{ graphLink "a" }}',
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=1 /graph?g0.expr=a&g0.tab=0",
        ),
        ("{{ externalURL }}|{{ pathPrefix }}|{{ now }}", "http://localhost:9428||1.7e+09"),
        (
            "{{ 1700000000 | toTime }} {{ 3661.5 | toDuration }} {{ 0.25 | toDuration }}",
            "2023-11-14 22:13:20 +0000 UTC 1h1m1.5s 250ms",
        ),
        ('{{ slice "abcdef" 1 3 }} {{ html "<a>" }} {{ js "it\'s" }}', r"bc &lt;a&gt; it\'s"),
        ('{{ strvalue (query "count" | first) }}', "5"),
    ],
)
def test_expand(text: str, want: str) -> None:
    assert expand(text) == want


def test_a_failing_template_says_so_in_prometheus_own_words() -> None:
    """Recorded from Prometheus 2.42: the place counts from the variables that it declares before the text."""
    assert expand("{{ .Nope }}") == (
        "<error expanding template: error executing template __alert_Hot: template: __alert_Hot:1:115: executing "
        '"__alert_Hot" at <.Nope>: can\'t evaluate field Nope in type struct { Labels map[string]string; '
        "ExternalLabels map[string]string; ExternalURL string; Value float64 }>"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{{ template "x" }}', 'template "x" not defined'),
        ("{{ first 5 }}", "expected template.queryResult; got int"),
        ("{{ range 5.5 }}x{{ end }}", "range can't iterate over 5.5"),
        ('{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}', "exceeded maximum template depth"),
        ('{{ humanize "five" }}', 'error calling humanize: strconv.ParseFloat: parsing "five": invalid syntax'),
        ("{{ toUpper $value }}", "wrong type for value; expected string; got float64"),
        ("{{ humanize }}", "wrong number of args for humanize"),
        ("{{ eq $value 91 }}", "incompatible types for comparison"),
        ('{{ match "(" "x" }}', "regex parse error"),
        ("{{ $value.x }}", "can't evaluate field x in type float64"),
        ("{{ $labels.container 5 }}", "can't give argument to non-function"),
        ("{{ . }}", "can't be printed"),
    ],
)
def test_failures_while_expanding(text: str, problem: str) -> None:
    expanded = expand(text)
    assert expanded.startswith("<error expanding template: error executing template __alert_Hot: ")
    assert problem in expanded


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ $labels.foo ", "unclosed action"),
        ("{{ nope }}", 'function "nope" not defined'),
        ("{{ $nope }}", 'undefined variable "$nope"'),
        ("{{ }}", "missing value for command"),
        ("{{ if }}x{{ end }}", "missing value for if"),
        ("{{ if $value }}x", "{{if}} has no {{end}}"),
        ("x{{ end }}", "unexpected {{end}}"),
        ("{{ $value | }}", "missing value for command"),
        ('{{ $value | "x" }}', "non executable command in pipeline"),
        ("{{ (humanize $value }}", "unclosed left paren"),
        ("{{ $value & 5 }}", "unexpected '&' in an action"),
        ("{{ range $labels }}x", "{{range}} has no {{end}}"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ define x }}y{{ end }}", "define needs a name in quotes"),
        ('{{ define "x" }}{{ $labels }}{{ end }}', 'undefined variable "$labels"'),
    ],
)
def test_faults_when_loading(text: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("function", "value", "want"),
    [
        # Tables of prometheus/template/template_test.go
        ("humanize", 0.0, "0"),
        ("humanize", math.inf, "+Inf"),
        ("humanize", math.nan, "NaN"),
        ("humanize", 1.0, "1"),
        ("humanize", 1234567.0, "1.235M"),
        ("humanize", 0.00123, "1.23m"),
        ("humanize", -1e-9, "-1n"),
        ("humanize", 1.0e21, "1Z"),
        ("humanize1024", 0.0, "0"),
        ("humanize1024", 1.0, "1"),
        ("humanize1024", 1048576.0, "1Mi"),
        ("humanize1024", 1024.0, "1ki"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 1.0, "1s"),
        ("humanizeDuration", 60.0, "1m 0s"),
        ("humanizeDuration", 3600.0, "1h 0m 0s"),
        ("humanizeDuration", 86400.0, "1d 0h 0m 0s"),
        ("humanizeDuration", -86400.0 - 1, "-1d 0h 0m 1s"),
        ("humanizeDuration", 899.99, "14m 59s"),
        ("humanizeDuration", 0.1, "100ms"),
        ("humanizeDuration", 0.0001, "100us"),
        ("humanizePercentage", 0.1234567, "12.35%"),
        ("humanizePercentage", 0.6666, "66.66%"),
        ("humanizePercentage", 1.0, "100%"),
    ],
)
def test_humanize(function: str, value: float, want: str) -> None:
    assert expand(f"{{{{ $value | {function} }}}}", value) == want


@pytest.mark.parametrize(
    ("value", "v", "e"),
    [
        (91.0, "91", "9.1e+01"),
        (0.0, "0", "0e+00"),
        (-1.5, "-1.5", "-1.5e+00"),
        (123456.0, "123456", "1.23456e+05"),
        (1e6, "1e+06", "1e+06"),
        (1234567.5, "1.2345675e+06", "1.2345675e+06"),
        (0.0001, "0.0001", "1e-04"),
        (0.00001234, "1.234e-05", "1.234e-05"),
        (math.inf, "+Inf", "+Inf"),
        (math.nan, "NaN", "NaN"),
    ],
)
def test_floats_as_go_writes_them(value: float, v: str, e: str) -> None:
    assert general(value) == v
    assert scientific(value) == e
