"""A file that uses every field of every receiver that we have: Debian's amtool takes it, and so do we."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.fixtures.channels import integrations

FILE = """
global:
  resolve_timeout: 5m
  smtp_from: 'alerts@example.org'
  smtp_smarthost: 'mail.example.org:587'
  smtp_hello: 'alerts.example.org'
  smtp_auth_username: 'me'
  smtp_auth_password: 'secret'
  smtp_auth_identity: 'me'
  smtp_auth_secret: 'secret'
  smtp_require_tls: true
  slack_api_url: 'https://hooks.slack.com/services/T/B/X'
  victorops_api_key: 'key'
  victorops_api_url: 'https://alert.victorops.com/integrations/generic/20131114/alert/'
  pagerduty_url: 'https://events.pagerduty.com/v2/enqueue'
  opsgenie_api_key: 'key'
  opsgenie_api_url: 'https://api.opsgenie.com/'
  wechat_api_url: 'https://qyapi.weixin.qq.com/cgi-bin/'
  wechat_api_secret: 'secret'
  wechat_api_corp_id: 'corp'
  telegram_api_url: 'https://api.telegram.org'
  webex_api_url: 'https://webexapis.com/v1/messages'
  http_config: &http
    follow_redirects: true
    enable_http2: true
    proxy_url: 'http://proxy.example.org:3128'
    tls_config: {insecure_skip_verify: true, server_name: 'x.example.org', min_version: TLS12}
    authorization: {type: Bearer, credentials: 'secret'}
route:
  receiver: all
receivers:
- name: all
  webhook_configs:
  - {send_resolved: true, http_config: *http, url: 'https://example.org/hook', max_alerts: 10}
  email_configs:
  - to: 'a@example.org, B <b@example.org>'
    send_resolved: true
    from: 'c@example.org'
    hello: localhost
    smarthost: 'mail.example.org:25'
    auth_username: u
    auth_password: p
    auth_secret: s
    auth_identity: i
    headers: {subject: '{{ .Status }}', X-Other: 'x'}
    html: '{{ template "email.default.html" . }}'
    text: 'plain'
    require_tls: false
    tls_config: {insecure_skip_verify: true}
  pagerduty_configs:
  - send_resolved: true
    http_config: *http
    routing_key: key
    url: 'https://events.pagerduty.com/v2/enqueue'
    client: 'me'
    client_url: 'https://example.org'
    description: '{{ .Status }}'
    details: {firing: '{{ .Alerts.Firing | len }}', other: 'x'}
    images: [{src: 'https://i', alt: a, href: 'https://h'}]
    links: [{href: 'https://h', text: t}]
    severity: critical
    class: c
    component: d
    group: g
  - {service_key: key}
  opsgenie_configs:
  - send_resolved: true
    http_config: *http
    api_key: key
    api_url: 'https://api.eu.opsgenie.com/'
    message: m
    description: d
    source: s
    details: {a: b}
    entity: e
    responders: [{id: '1', type: team}, {name: n, type: schedule}, {username: u, type: user}]
    actions: 'a,b'
    tags: 'a,b'
    note: n
    priority: P1
    update_alerts: true
  wechat_configs:
  - send_resolved: true
    http_config: *http
    api_secret: s
    corp_id: c
    message: m
    api_url: 'https://qyapi.weixin.qq.com/cgi-bin/'
    to_user: u
    to_party: p
    to_tag: t
    agent_id: 1000002
    message_type: markdown
  slack_configs:
  - send_resolved: true
    http_config: *http
    api_url: 'https://hooks.slack.com/services/T/B/Y'
    channel: '#ops'
    username: u
    color: danger
    title: t
    title_link: 'https://l'
    pretext: p
    text: t
    fields: [{title: a, value: b, short: true}, {title: c, value: d}]
    short_fields: true
    footer: f
    fallback: f
    callback_id: c
    icon_emoji: ':x:'
    icon_url: 'https://i'
    image_url: 'https://i'
    thumb_url: 'https://i'
    link_names: true
    mrkdwn_in: [text]
    actions:
    - {type: button, text: b, url: 'https://u', style: danger}
    - type: button
      text: b
      name: n
      value: 5
      confirm: {text: sure, title: t, ok_text: 'y', dismiss_text: 'n'}
  telegram_configs:
  - send_resolved: true
    http_config: *http
    api_url: 'https://api.telegram.org'
    bot_token: '123:abc'
    chat_id: -1001
    message: m
    disable_notifications: true
    parse_mode: MarkdownV2
  discord_configs:
  - {send_resolved: true, http_config: *http, webhook_url: 'https://discord.com/api/webhooks/1/x', title: t, message: m}
"""

NAMES = [
    *("webhook[0]", "email[0]", "pagerduty[0]", "pagerduty[1]", "opsgenie[0]", "wechat[0]", "slack[0]", "telegram[0]"),
    "discord[0]",
]


def test_every_field_is_taken(tmp_path: Path) -> None:
    loaded = yaml.safe_load(FILE)
    made = integrations(loaded["receivers"][0], loaded["global"], folder=tmp_path)
    assert [one.name for one in made] == NAMES


def test_amtool_takes_it_too(tmp_path: Path) -> None:
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not installed (Debian: prometheus-alertmanager)")
    (tmp_path / "am.yml").write_text(FILE)
    done = subprocess.run(
        ["amtool", "check-config", str(tmp_path / "am.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
