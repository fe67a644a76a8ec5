"""A notification as a mail: headers, a text and an HTML part, and what joins the mails of one group into a thread."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

import msgspec

from alerting.notify.channels.fields import HtmlTmpl, Tmpl
from alerting.notify.channels.markup import Dialect, one_line
from alerting.notify.channels.view import View
from deckwatch.runtime.faults import Reject

SUBJECT_MOST = 255


class Threading(msgspec.Struct, frozen=True):
    """Mails of one group refer to the same mail, which need not exist; `daily` starts a thread each day."""

    enabled: bool = False
    thread_by_date: str = "daily"

    def __post_init__(self) -> None:
        if self.thread_by_date not in ("daily", "none"):
            raise ValueError("thread_by_date: expected daily or none")


class MailTexts(msgspec.Struct, frozen=True):
    sender: Tmpl
    to: Tmpl
    headers: Mapping[str, str]
    html: HtmlTmpl
    text: Tmpl
    threading: Threading


class Mail(msgspec.Struct, frozen=True):
    sender: str  # the envelope's addresses
    recipients: tuple[str, ...]
    body: bytes


def written(texts: MailTexts, view: View, now: datetime) -> Mail:
    """Raises Reject: an address that is none."""
    sender = _addresses(view.exact(texts.sender, "from"), "from")
    recipients = _addresses(view.exact(texts.to, "to"), "to")
    if len(sender) != 1:
        raise Reject(f"from must be exactly one address, not {len(sender)}")
    message = EmailMessage(policy=SMTP)
    for name, value in _headers(texts, view, now, sender[0]).items():
        message[name] = value
    _add_bodies(message, texts, view)
    return Mail(sender[0], tuple(dict.fromkeys(recipients)), message.as_bytes())


def _headers(texts: MailTexts, view: View, now: datetime, sender: str) -> dict[str, str]:
    given = {name: one_line(view.text(template)) for name, template in texts.headers.items()}
    domain = sender.rpartition("@")[2]
    standard = {
        "Subject": view.line(Tmpl('{{ template "email.default.subject" . }}'), SUBJECT_MOST),
        "To": one_line(view.text(texts.to)),
        "From": one_line(view.text(texts.sender)),
        "Date": format_datetime(now.astimezone(UTC)),
        "Message-ID": f"<{view.notification.key or now.timestamp()}@{domain}>",  # a repeat is the same mail
        "Auto-Submitted": "auto-generated",  # RFC 3834: no answers by holiday robots
        **_thread(texts.threading, view.notification.group_key, now, domain),
    }
    taken = {name.lower() for name in given}
    return {**{name: value for name, value in standard.items() if name.lower() not in taken}, **given}


def _thread(threading: Threading, group_key: str, now: datetime, domain: str) -> dict[str, str]:
    if not threading.enabled:
        return {}
    day = f"-{now.astimezone(UTC):%Y-%m-%d}" if threading.thread_by_date == "daily" else ""
    first = f"<alert-{hashlib.sha256(group_key.encode()).hexdigest()}{day}@{domain}>"
    return {"References": first, "In-Reply-To": first}


def _add_bodies(message: EmailMessage, texts: MailTexts, view: View) -> None:
    """The better form comes last (RFC 2046, 5.1.4)."""
    text = view.text(texts.text) if texts.text else ""
    html = view.speaking(Dialect.HTML).html(texts.html) if texts.html else ""
    if text or not html:
        message.set_content(text, cte="quoted-printable")
    if html and text:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    elif html:
        message.set_content(html, subtype="html", cte="quoted-printable")


def _addresses(text: str, what: str) -> list[str]:
    header: Any = HeaderRegistry()("To", text)  # an address header, which its types don't tell
    found = [_ascii(str(address.addr_spec)) for address in header.addresses if address.domain]
    if not found:
        raise Reject(f"{what} holds no mail address")
    if header.defects:
        raise Reject(f"{what}: {text!r} is no list of mail addresses: {header.defects[0]}")
    return found


def _ascii(address: str) -> str:
    """Domains of other scripts have a form of their own (RFC 5890)."""
    local, _, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{domain.encode('idna').decode()}"
