"""Service by service: what it answers, and what we make of that."""

# ruff: noqa: E501 - a row stands in one line

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from alerting.notify.channels.model import Answer, Integration, Outcome
from tests.fixtures import chat_services as services
from tests.fixtures.channels import integrations, notification
from tests.fixtures.chat_services import SECRET, TOKEN, Canned, ChatService, chat_service

CONFIGS: dict[str, tuple[services.Rules, str, dict[str, Any]]] = {
    "webhook": (services.hook, "webhook", {"url": "{url}/hook/s3cret-path"}),
    "slack": (services.slack_webhook, "slack", {"api_url": "{url}/services/T0/B0/s3cret-path"}),
    "slack app": (services.slack_api, "slack", {"app_token": TOKEN, "app_url": "{url}/api/chat", "channel": "#ops"}),
    "pagerduty": (services.pagerduty, "pagerduty", {"routing_key": TOKEN, "url": "{url}/v2/enqueue"}),
    "pagerduty v1": (
        lambda got: Canned(200, {"status": "success"}),
        "pagerduty",
        {"service_key": TOKEN, "url": "{url}/v1"},
    ),
    "opsgenie": (services.opsgenie, "opsgenie", {"api_key": TOKEN, "api_url": "{url}/"}),
    "teams": (services.teams_workflow, "msteamsv2", {"webhook_url": "{url}/workflows/s3cret-path"}),
    "teams connector": (services.teams_connector, "msteams", {"webhook_url": "{url}/webhookb2/s3cret-path"}),
    "telegram": (services.telegram, "telegram", {"bot_token": TOKEN, "chat_id": -1001, "api_url": "{url}"}),
    "discord": (services.discord, "discord", {"webhook_url": "{url}/api/webhooks/1/s3cret-path"}),
    "dingtalk": (
        services.dingtalk,
        "dingtalk",
        {"webhook_url": "{url}/robot/send?access_token=" + TOKEN, "secret": SECRET},
    ),
    "wecom bot": (services.wecom_bot, "wecom_bot", {"webhook_url": "{url}/cgi-bin/webhook/send?key=" + TOKEN}),
    "wechat": (
        services.wechat,
        "wechat",
        {"api_url": "{url}/cgi-bin/", "corp_id": "corp", "api_secret": SECRET, "to_user": "@all", "agent_id": "7"},
    ),
    "feishu": (services.feishu, "feishu", {"webhook_url": "{url}/open-apis/bot/v2/hook/s3cret-path", "secret": SECRET}),
}


@contextlib.asynccontextmanager
async def rig(name: str, **changes: Any) -> AsyncIterator[tuple[ChatService, Integration]]:
    rules, kind, config = CONFIGS[name]
    async with chat_service(rules) as service:
        filled = {
            field: value.replace("{url}", service.url) if isinstance(value, str) else value
            for field, value in {**config, **changes}.items()
        }
        (made,) = integrations({"name": "ops", f"{kind}_configs": [filled]})
        try:
            yield service, made
        finally:
            await made.close()


@pytest.mark.parametrize("name", CONFIGS)
async def test_the_service_takes_our_message(name: str) -> None:
    async with rig(name) as (service, made):
        sent = await made.send(notification())
    (answer,) = sent.answers
    assert (answer.outcome, answer.error) == (Outcome.DELIVERED, "")
    assert (answer.target, answer.latency_s > 0) == (service.url, True)
    assert {got.headers["Idempotency-Key"] for got in service.got if got.method == "POST"} == {"k1"}


BUSY = {"errcode": -1, "errmsg": "system busy"}
REFUSED, RETRY, DELIVERED = Outcome.REFUSED, Outcome.RETRY, Outcome.DELIVERED
TOO_MANY = {"retry_after": 0.75, "message": "You are being rate limited.", "global": False}


def telegram_error(code: int, words: str, **parameters: int) -> Canned:
    more = {"parameters": parameters} if parameters else {}
    return Canned(code, {"ok": False, "error_code": code, "description": words, **more})


@pytest.mark.parametrize(
    ("name", "given", "outcome", "code", "business_code", "retry_after_s", "words"),
    [
        # Every service
        ("webhook", Canned(500, "boom"), RETRY, 500, "", None, "answered 500: boom"),
        ("webhook", Canned(503, "", {"Retry-After": "7"}), RETRY, 503, "", 7.0, "answered 503"),
        ("webhook", Canned(429, "", {"Retry-After": "7"}), RETRY, 429, "", 7.0, "answered 429"),
        ("webhook", Canned(408), RETRY, 408, "", None, "answered 408"),
        ("webhook", Canned(400, "no\x1b[31m!"), REFUSED, 400, "", None, "refused the message with 400: no!"),
        ("webhook", Canned(404), REFUSED, 404, "", None, "refused the message with 404"),
        ("webhook", Canned(302, "", {"Location": "/x"}), REFUSED, 302, "", None, "refused the message with 302"),
        ("webhook", Canned(204), DELIVERED, 204, "", None, ""),
        # Slack
        ("slack", Canned(404, "no_service"), REFUSED, 404, "", None, "404: no_service"),
        ("slack", Canned(403, "action_prohibited"), REFUSED, 403, "", None, "403: action_prohibited"),
        ("slack", Canned(429, "", {"Retry-After": "30"}), RETRY, 429, "", 30.0, "answered 429"),
        ("slack", Canned(200, "invalid_token"), REFUSED, 200, "invalid_token", None, "said: invalid_token"),
        ("slack app", Canned(200, {"ok": False, "error": "invalid_auth"}), REFUSED, 200, "invalid_auth", None, "ok: false"),
        ("slack app", Canned(200, {"ok": False, "error": "ratelimited"}, {"Retry-After": "3"}), RETRY, 200, "ratelimited", 3.0, "ratelimited"),
        ("slack app", Canned(200, {"ok": False, "error": "internal_error"}), RETRY, 200, "internal_error", None, "internal_error"),
        # PagerDuty
        ("pagerduty", Canned(429), RETRY, 429, "", None, "answered 429"),
        ("pagerduty", Canned(400, {"status": "invalid event", "message": "Event object is invalid", "errors": ["'payload.source' is missing or blank"]}), REFUSED, 400, "invalid event", None, "'payload.source' is missing"),
        ("pagerduty", Canned(502, "<html>"), RETRY, 502, "", None, "answered 502"),
        ("pagerduty v1", Canned(403, "Forbidden"), RETRY, 403, "", None, "too many events"),
        ("pagerduty", Canned(403, "Forbidden"), REFUSED, 403, "", None, "403: Forbidden"),
        # Opsgenie
        ("opsgenie", Canned(429, {"message": "You are making too many requests!"}), RETRY, 429, "", 60.0, "answered 429"),
        ("opsgenie", Canned(422, {"message": "Request body is not processable.", "errors": {"message": "Message can not be empty."}, "code": 0}), REFUSED, 422, "0", None, "can not be empty"),
        ("opsgenie", Canned(403, {"message": "You are not authorized", "code": 40301}), REFUSED, 403, "40301", None, "not authorized"),
        ("opsgenie", Canned(500, {"message": "Internal Server Error"}), RETRY, 500, "", None, "answered 500"),
        # Teams
        ("teams", Canned(429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": "12"}), RETRY, 429, "", 12.0, "429"),
        ("teams", Canned(400, {"error": {"code": "WorkflowTriggerIsNotEnabled"}}), REFUSED, 400, "", None, "WorkflowTriggerIsNotEnabled"),
        ("teams connector", Canned(200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId"), RETRY, 200, "", None, "HTTP error 429"),
        ("teams connector", Canned(200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 403"), REFUSED, 200, "", None, "HTTP error 403"),
        ("teams connector", Canned(410, "Connector configuration not found"), REFUSED, 410, "", None, "410"),
        # Telegram
        ("telegram", telegram_error(429, "Too Many Requests: retry after 5", retry_after=5), RETRY, 429, "429", 5.0, "Too Many Requests"),
        ("telegram", telegram_error(400, "Bad Request: chat not found"), REFUSED, 400, "400", None, "chat not found"),
        ("telegram", telegram_error(403, "Forbidden: bot was blocked by the user"), REFUSED, 403, "403", None, "blocked"),
        ("telegram", telegram_error(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100200), REFUSED, 400, "400", None, "set chat_id to -100200"),
        ("telegram", telegram_error(502, "Bad Gateway"), RETRY, 502, "502", None, "Bad Gateway"),
        ("telegram", Canned(200, "<html>captive portal"), RETRY, 200, "", None, "without ok: true"),
        # Discord
        ("discord", Canned(429, TOO_MANY, {"Retry-After": "1"}), RETRY, 429, "", 0.75, "rate limited"),
        ("discord", Canned(400, {"message": "Invalid Form Body", "code": 50035}), REFUSED, 400, "50035", None, "Invalid Form Body"),
        ("discord", Canned(404, {"message": "Unknown Webhook", "code": 10015}), REFUSED, 404, "10015", None, "Unknown Webhook"),
        # DingTalk
        ("dingtalk", Canned(200, {"errcode": 310000, "errmsg": "keywords not in content"}), REFUSED, 200, "310000", None, "keywords not in content"),
        ("dingtalk", Canned(200, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}), RETRY, 200, "130101", 600.0, "send too fast"),
        ("dingtalk", Canned(200, {"errcode": 410100, "errmsg": "发送速度太快而限流"}), RETRY, 200, "410100", 600.0, "发送速度太快而限流"),
        ("dingtalk", Canned(200, BUSY), RETRY, 200, "-1", None, "system busy"),
        ("dingtalk", Canned(200, {"errcode": 300005, "errmsg": "token is not exist"}), REFUSED, 200, "300005", None, "not exist"),
        ("dingtalk", Canned(200, "<html>"), RETRY, 200, "", None, "without errcode"),
        # WeCom
        ("wecom bot", Canned(200, {"errcode": 45009, "errmsg": "api freq out of limit"}), RETRY, 200, "45009", 60.0, "freq out of limit"),
        ("wecom bot", Canned(200, {"errcode": 93000, "errmsg": "invalid webhook url"}), REFUSED, 200, "93000", None, "invalid webhook url"),
        ("wecom bot", Canned(200, BUSY), RETRY, 200, "-1", None, "system busy"),
        ("wechat", Canned(200, {"errcode": 40001, "errmsg": "invalid credential"}), RETRY, 0, "", 0.0, "gave no access token: errcode 40001"),
        ("wechat", Canned(200, {"errcode": 40013, "errmsg": "invalid corpid"}), REFUSED, 0, "", None, "check corp_id and api_secret"),
        # Feishu and Lark
        ("feishu", Canned(200, {"code": 19021, "msg": "sign match fail"}), REFUSED, 200, "19021", None, "sign match fail"),
        ("feishu", Canned(200, {"code": 9499, "msg": "Bad Request"}), REFUSED, 200, "9499", None, "Bad Request"),
        ("feishu", Canned(200, {"code": 11232, "msg": "create message trigger rate limit"}), RETRY, 200, "11232", 60.0, "rate limit"),
        ("feishu", Canned(200, {"StatusCode": 0, "StatusMessage": "success", "Extra": None}), DELIVERED, 200, "0", None, ""),
    ],
)  # fmt: skip
async def test_answers(
    name: str,
    given: Canned,
    outcome: Outcome,
    code: int,
    business_code: str,
    retry_after_s: float | None,
    words: str,
) -> None:
    async with rig(name) as (service, made):
        service.answers = [given]
        (answer,) = (await made.send(notification())).answers
    assert (answer.outcome, answer.code, answer.business_code) == (outcome, code, business_code)
    assert answer.retry_after_s == retry_after_s
    assert words in answer.error
    assert (words == "") == (answer.error == "")
    assert_nothing_secret(answer)


def assert_nothing_secret(answer: Answer) -> None:
    shown = repr(answer)
    for secret in (SECRET, TOKEN, "s3cret-path", "acc3ss-t0ken"):
        assert secret not in shown


SENT = {
    **dict.fromkeys(("webhook", "slack", "teams", "teams connector", "discord", "feishu"), "s3cret-path"),
    **dict.fromkeys(("pagerduty", "pagerduty v1", "opsgenie", "slack app", "telegram", "dingtalk", "wecom bot"), TOKEN),
    "wechat": SECRET,
}
"""The secret that each service gets to see."""


@pytest.mark.parametrize("name", CONFIGS)
async def test_a_service_that_quotes_what_it_was_sent_betrays_nothing(name: str) -> None:
    async with rig(name) as (service, made):
        service.answers = [Canned(400, f"{'x' * 190} {SENT[name]} is not valid")]
        (answer,) = (await made.send(notification())).answers
        service.answers = [Canned(400, f"the key {SENT[name]} is not valid")]
        (second,) = (await made.send(notification())).answers
    assert (answer.outcome, second.outcome) == (REFUSED, REFUSED)
    assert SENT[name][:6] not in answer.error + second.error
    assert "the key *** is not valid" in second.error


@pytest.mark.parametrize("name", CONFIGS)
async def test_nobody_there(name: str) -> None:
    async with rig(name) as (service, made):
        pass
    (answer,) = (await made.send(notification())).answers
    await made.close()
    assert (answer.outcome, answer.code) == (RETRY, 0)
    assert f"{service.url} can't be reached: " in answer.error
    assert_nothing_secret(answer)
