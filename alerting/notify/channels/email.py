"""Mail: one message for each notification, an answer for each recipient."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import field

from alerting.notify.channels.channel import ChannelContext
from alerting.notify.channels.fields import HtmlTmpl, Tmpl
from alerting.notify.channels.global_config import GlobalConfig, Place
from alerting.notify.channels.http_config import TlsConfig, tls_context
from alerting.notify.channels.mail_message import Mail, MailTexts, Threading, written
from alerting.notify.channels.model import Answer, Notification, Outcome, Sent
from alerting.notify.channels.secrets import SecretText, one_of
from alerting.notify.channels.smtp import Login, Smarthost, deliver
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.settings_fields import Secret

IMPLICIT_TLS_PORT = 465


class EmailConfig(msgspec.Struct, frozen=True):
    to: Tmpl
    send_resolved: bool = False
    from_: Tmpl = field(name="from", default=Tmpl(""))
    hello: str = ""
    smarthost: str = ""
    auth_username: str = ""
    auth_password: Secret | None = None
    auth_password_file: Path | None = None
    auth_secret: Secret | None = None
    auth_secret_file: Path | None = None
    auth_identity: str = ""
    headers: dict[str, Tmpl] = {}
    html: HtmlTmpl = HtmlTmpl('{{ template "email.default.html" . }}')
    text: Tmpl = Tmpl('{{ template "email.default.text" . }}')
    require_tls: bool | None = None
    force_implicit_tls: bool | None = None
    tls_config: TlsConfig | None = None
    threading: Threading = Threading()

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to: give an address")
        one_of("auth_password", self.auth_password, self.auth_password_file, required=False)
        one_of("auth_secret", self.auth_secret, self.auth_secret_file, required=False)
        names = [name.lower() for name in self.headers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"headers: {', '.join(twice)} given twice")


class Email:
    """Implements `Integration`."""

    def __init__(
        self, name: str, config: EmailConfig, texts: MailTexts, server: Smarthost, login: Login, context: ChannelContext
    ) -> None:
        """Raises ValueError: certificates that can't be used."""
        self.name = name
        self.send_resolved = config.send_resolved
        self._texts = texts
        self._server = server
        self._login = login
        self._context = context
        self._tls = tls_context(config.tls_config or TlsConfig())
        # Of its own: a server that doesn't answer is not to take the threads in which others search.
        self._threads = ThreadPoolExecutor(self.at_once, thread_name_prefix=f"mail of {name}")

    at_once = 2

    def wait_s(self, monotonic_s: float) -> float:
        return 0.0

    async def send(self, notification: Notification) -> Sent:
        started = time.perf_counter()
        mail = Mail("", (), b"")
        try:
            view = await self._context.view(notification)
            mail = written(self._texts, view, datetime.now(UTC))
            left = tuple(one for one in mail.recipients if one not in notification.reached)
            mail = msgspec.structs.replace(mail, recipients=left)
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._threads, deliver, mail, self._server, self._login, self._tls)
        except Retry as fault:
            answers = self._for_all(mail, Outcome.RETRY, str(fault))
        except Reject as fault:
            answers = self._for_all(mail, Outcome.REFUSED, str(fault))
        latency_s = time.perf_counter() - started
        return Sent(tuple(msgspec.structs.replace(answer, latency_s=latency_s) for answer in answers))

    def _for_all(self, mail: Mail, outcome: Outcome, error: str) -> tuple[Answer, ...]:
        """What befell the whole mail befell each recipient."""
        return tuple(Answer(outcome, target, error=error) for target in mail.recipients or (self.name,))

    async def close(self) -> None:
        """A mail that is on its way is not waited for."""
        self._threads.shutdown(wait=False)


def make(place: Place, config: EmailConfig, context: ChannelContext) -> Email:
    """Raises ValueError."""
    defaults = place.defaults
    sender = config.from_ or defaults.smtp_from
    if not sender:
        raise ValueError("give from, here or as global.smtp_from")
    texts = MailTexts(sender, config.to, config.headers, config.html, config.text, config.threading)
    server = _server(config, defaults, context.timeout_s)
    if config.tls_config is None:
        tls = defaults.smtp_tls_config
        config = msgspec.structs.replace(config, tls_config=tls)
    return Email(place.name, config, texts, server, _login(config, defaults), context)


def _server(config: EmailConfig, defaults: GlobalConfig, timeout_s: float) -> Smarthost:
    address = config.smarthost or defaults.smtp_smarthost
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not colon or not port.isdigit():
        raise ValueError("smarthost: expected host:port, here or as global.smtp_smarthost")
    forced = config.force_implicit_tls if config.force_implicit_tls is not None else defaults.smtp_force_implicit_tls
    required = config.require_tls if config.require_tls is not None else defaults.smtp_require_tls
    implicit = int(port) == IMPLICIT_TLS_PORT if forced is None else forced
    return Smarthost(host, int(port), config.hello or defaults.smtp_hello, implicit, required, timeout_s)


def _login(config: EmailConfig, defaults: GlobalConfig) -> Login:
    password = SecretText(config.auth_password, config.auth_password_file)
    secret = SecretText(config.auth_secret, config.auth_secret_file)
    return Login(
        config.auth_username or defaults.smtp_auth_username,
        config.auth_identity or defaults.smtp_auth_identity,
        password or SecretText(defaults.smtp_auth_password, defaults.smtp_auth_password_file),
        secret or SecretText(defaults.smtp_auth_secret, defaults.smtp_auth_secret_file),
    )
