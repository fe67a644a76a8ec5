"""Mail to a real SMTP server: encryption, logging in, an answer for each recipient."""

# ruff: noqa: E501 - a row stands in one line

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.notify.channels.model import Integration, Outcome, Sent
from alerting.notify.channels.secrets import SecretText
from alerting.notify.channels.smtp import Login, Smarthost, _log_in
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.settings import Secret
from tests.fixtures.channels import RESOLVED, integrations, notification
from tests.fixtures.mail_server import PASSWORD, SECRET, USER, MailServer, mail_server


@pytest.fixture
def tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server", certificates / "server.key")
    return context


def mailer(server: MailServer, folder: Path = Path(), **changes: Any) -> Integration:
    config = {
        "to": "On Call <oncall@example.org>, ops@example.org",
        "from": "Deckwatch <alerts@example.org>",
        "smarthost": f"127.0.0.1:{server.port}",
        "send_resolved": True,
        "require_tls": False,
        **changes,
    }
    (made,) = integrations({"email_configs": [config]}, folder=folder)
    return made


def answers(sent: Sent) -> dict[str, tuple[str, int]]:
    return {answer.target: (answer.outcome.value, answer.code) for answer in sent.answers}


async def test_a_mail() -> None:
    async with mail_server() as server:
        made = mailer(server, headers={"X-Team": "{{ .CommonLabels.severity }}"})
        sent = await made.send(notification())
    assert answers(sent) == {"oncall@example.org": ("delivered", 250), "ops@example.org": ("delivered", 250)}
    (mail,) = server.taken
    message = mail.message
    assert (mail.sender, mail.recipients) == ("alerts@example.org", ("oncall@example.org", "ops@example.org"))
    assert message["Subject"] == "[FIRING:1] Hot (web critical)"
    assert message["From"] == "Deckwatch <alerts@example.org>"
    assert message["To"] == "On Call <oncall@example.org>, ops@example.org"
    assert (message["X-Team"], message["Auto-Submitted"]) == ("critical", "auto-generated")
    assert message["Message-ID"] == "<k1@example.org>"
    assert message["References"] is None
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = (part.get_content() for part in message.iter_parts())
    assert "🔥 Hot · critical" in text
    assert "<code>container=web</code>" in html


@pytest.mark.parametrize(
    ("threading", "thread"),
    [({"enabled": True}, "-2"), ({"enabled": True, "thread_by_date": "none"}, "@example.org>")],
)
async def test_mails_of_one_group_are_a_thread(threading: dict[str, Any], thread: str) -> None:
    async with mail_server() as server:
        made = mailer(server, threading=threading)
        await made.send(notification())
        await made.send(notification(RESOLVED, key="k2"))
    first, second = (mail.message for mail in server.taken)
    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["Message-ID"] != second["Message-ID"]
    assert second["Subject"] == "[RESOLVED] Hot (web critical)"
    assert thread in first["References"]


async def test_starttls(tls: ssl.SSLContext, certificates: Path) -> None:
    async with mail_server(tls) as server:
        made = mailer(server, require_tls=True, tls_config={"ca_file": str(certificates / "ca")})
        sent = await made.send(notification())
    assert sent.outcome is Outcome.DELIVERED
    assert server.taken[0].encrypted


async def test_tls_from_the_start(tls: ssl.SSLContext, certificates: Path) -> None:
    async with mail_server(tls, implicit=True) as server:
        made = mailer(server, force_implicit_tls=True, tls_config={"ca_file": str(certificates / "ca")})
        sent = await made.send(notification())
    assert sent.outcome is Outcome.DELIVERED
    assert server.taken[0].encrypted


async def test_a_certificate_that_nobody_vouches_for(tls: ssl.SSLContext) -> None:
    async with mail_server(tls) as server:
        sent = await mailer(server, require_tls=True).send(notification())
    assert {answer.outcome for answer in sent.answers} == {Outcome.RETRY}
    assert "TLS fails" in sent.answers[0].error
    assert server.taken == []


async def test_no_starttls_where_it_is_required() -> None:
    async with mail_server() as server:
        sent = await mailer(server, require_tls=True).send(notification())
    assert sent.outcome is Outcome.REFUSED
    assert "offers no STARTTLS: set require_tls: false" in sent.answers[0].error


@pytest.mark.parametrize(
    ("offered", "config", "by"),
    [
        ("PLAIN LOGIN", {"auth_password": PASSWORD}, "PLAIN"),
        ("LOGIN", {"auth_password": PASSWORD}, "LOGIN"),
        ("CRAM-MD5 PLAIN", {"auth_secret": SECRET}, "CRAM-MD5"),
        ("CRAM-MD5 PLAIN", {"auth_password": PASSWORD}, "PLAIN"),
        ("LOGIN", {"auth_password_file": "password"}, "LOGIN"),
        ("", {}, ""),
    ],
)
async def test_logging_in(
    offered: str, config: dict[str, Any], by: str, tls: ssl.SSLContext, certificates: Path
) -> None:
    (certificates / "password").write_text(f"{PASSWORD}\n")
    user = {"auth_username": USER} if config else {}
    trusted = {"require_tls": True, "tls_config": {"ca_file": "ca"}}
    async with mail_server(tls, login=offered) as server:
        sent = await mailer(server, certificates, **config, **user, **trusted).send(notification())
    assert sent.outcome is Outcome.DELIVERED
    assert server.taken[0].logged_in_by == by


@pytest.mark.parametrize(
    ("offered", "config", "words"),
    [
        ("PLAIN", {"auth_password": "wr0ng-password"}, "answered 535 5.7.8 bad credentials: ***"),
        ("XOAUTH2", {"auth_password": PASSWORD}, "offers XOAUTH2, for which there is no password or secret"),
        ("", {"auth_password": PASSWORD}, "offers no login, for which"),
    ],
)
async def test_not_being_let_in(offered: str, config: dict[str, Any], words: str) -> None:
    async with mail_server(login=offered) as server:
        sent = await mailer(server, auth_username=USER, **config).send(notification())
    assert sent.outcome is Outcome.REFUSED
    assert words in sent.answers[0].error
    assert "wr0ng-password" not in repr(sent)


@pytest.mark.parametrize(
    ("refuse", "outcomes"),
    [
        ({"ops@example.org": "550 5.1.1 no such user"}, {"oncall@example.org": ("delivered", 250), "ops@example.org": ("refused", 550)}),
        ({"ops@example.org": "450 4.2.1 greylisted"}, {"oncall@example.org": ("delivered", 250), "ops@example.org": ("retry", 450)}),
        ({"oncall@example.org": "550 no", "ops@example.org": "451 later"}, {"oncall@example.org": ("refused", 550), "ops@example.org": ("retry", 451)}),
        ({"MAIL": "421 closing"}, {"oncall@example.org": ("retry", 0), "ops@example.org": ("retry", 0)}),
        ({"MAIL": "553 not yours"}, {"oncall@example.org": ("refused", 0), "ops@example.org": ("refused", 0)}),
        ({"DATA": "452 no room"}, {"oncall@example.org": ("retry", 0), "ops@example.org": ("retry", 0)}),
        ({"END": "554 spam"}, {"oncall@example.org": ("refused", 0), "ops@example.org": ("refused", 0)}),
    ],
)  # fmt: skip
async def test_an_answer_for_each_recipient(refuse: dict[str, str], outcomes: dict[str, tuple[str, int]]) -> None:
    async with mail_server() as server:
        server.refuse = refuse
        sent = await mailer(server).send(notification())
    assert answers(sent) == outcomes


async def test_who_has_it_is_not_sent_it_again() -> None:
    async with mail_server() as server:
        again = msgspec.structs.replace(notification(), reached=("oncall@example.org",))
        sent = await mailer(server).send(again)
    assert answers(sent) == {"ops@example.org": ("delivered", 250)}
    assert server.taken[0].recipients == ("ops@example.org",)
    assert server.taken[0].message["To"] == "On Call <oncall@example.org>, ops@example.org"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "{{ .CommonLabels.nobody }}"}, "to holds no mail address"),
        ({"to": "no-address"}, "to holds no mail address"),
        ({"to": "a@b@c"}, "to holds no mail address"),
        ({"from": "a@example.org, b@example.org"}, "from must be exactly one address, not 2"),
        ({"to": "{{ .Nope }}"}, "to: the template fails"),
        ({"to": "日志@example.org"}, "is no list of mail addresses: local-part contains non-ASCII"),
    ],
)
async def test_addresses_that_are_none(changes: dict[str, Any], words: str) -> None:
    async with mail_server() as server:
        sent = await mailer(server, **changes).send(notification())
    assert sent.outcome is Outcome.REFUSED
    assert words in sent.answers[0].error


async def test_a_domain_of_another_script() -> None:
    async with mail_server() as server:
        sent = await mailer(server, to="ops@bücher.example").send(notification())
    assert answers(sent) == {"ops@xn--bcher-kva.example": ("delivered", 250)}


async def test_an_address_from_a_label() -> None:
    async with mail_server() as server:
        await mailer(server, to="{{ .CommonLabels.container }}@example.org").send(notification())
    assert server.taken[0].recipients == ("web@example.org",)


async def test_nobody_there() -> None:
    async with mail_server() as server:
        made = mailer(server)
    sent = await made.send(notification())
    assert {answer.outcome for answer in sent.answers} == {Outcome.RETRY}
    assert "can't be reached" in sent.answers[0].error


def test_a_password_is_not_sent_in_the_clear() -> None:
    """Not to a host elsewhere; nothing is connected to here."""
    smtp = smtplib.SMTP()
    smtp.esmtp_features = {"auth": "PLAIN"}
    login = Login(USER, password=SecretText(Secret(PASSWORD), None))
    server = Smarthost("mail.example.org", 25, "me", implicit_tls=False, require_tls=False, timeout_s=1)
    with pytest.raises(Reject, match="a password is not sent without encryption"):
        _log_in(smtp, server, login, encrypted=False)
