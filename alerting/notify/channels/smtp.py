"""One mail to one server by SMTP (RFC 5321), with an answer for each recipient. Blocking: for a thread.

`require_tls` asks for STARTTLS (RFC 3207); port 465 speaks TLS from the start (RFC 8314).
"""

from __future__ import annotations

import base64
import smtplib
import ssl
from contextlib import suppress

import msgspec

from alerting.notify.channels.mail_message import Mail
from alerting.notify.channels.markup import one_line
from alerting.notify.channels.model import Answer, Outcome
from alerting.notify.channels.secrets import SecretText, without
from deckwatch.runtime.faults import Reject, Retry

_LOCAL = ("localhost", "127.0.0.1", "::1")


class Smarthost(msgspec.Struct, frozen=True):
    host: str
    port: int
    hello: str
    implicit_tls: bool
    require_tls: bool
    timeout_s: float


class Login(msgspec.Struct, frozen=True):
    """No username: nobody logs in."""

    username: str = ""
    identity: str = ""
    password: SecretText = SecretText(None, None)
    secret: SecretText = SecretText(None, None)  # of CRAM-MD5


def deliver(mail: Mail, server: Smarthost, login: Login, tls: ssl.SSLContext) -> tuple[Answer, ...]:
    """Raises Retry (no server, no connection, a fault that may pass), Reject (it will not take this as it is)."""
    where = f"{server.host}:{server.port}"
    try:
        with _connected(server, tls) as smtp:
            _log_in(smtp, server, login, encrypted=server.implicit_tls or server.require_tls)
            return _send(smtp, mail)
    except smtplib.SMTPResponseException as error:
        text = _words(error.smtp_code, error.smtp_error, login)
        raise (Retry if 400 <= error.smtp_code < 500 else Reject)(f"{where}: {text}") from None
    except ssl.SSLError as error:
        raise Retry(f"{where}: TLS fails: {error.reason or error}") from None
    except TimeoutError:
        raise Retry(f"{where} did not answer within {server.timeout_s:g} s") from None
    except OSError as error:  # SMTPException is one
        reason = error.strerror or str(error) or type(error).__name__
        raise Retry(f"{where} can't be reached: {one_line(reason)}") from None


def _connected(server: Smarthost, tls: ssl.SSLContext) -> smtplib.SMTP:
    if server.implicit_tls:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, server.hello, timeout=server.timeout_s, context=tls
        )
    else:
        smtp = smtplib.SMTP(server.host, server.port, server.hello, timeout=server.timeout_s)
    try:
        smtp.ehlo_or_helo_if_needed()
        if server.require_tls and not server.implicit_tls:
            _encrypt(smtp, server, tls)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _encrypt(smtp: smtplib.SMTP, server: Smarthost, tls: ssl.SSLContext) -> None:
    if not smtp.has_extn("starttls"):
        where = f"{server.host}:{server.port}"
        raise Reject(f"{where} offers no STARTTLS: set require_tls: false to send without encryption")
    smtp.starttls(context=tls)
    smtp.ehlo()


def _log_in(smtp: smtplib.SMTP, server: Smarthost, login: Login, *, encrypted: bool) -> None:
    """The first of the server's mechanisms for which there is a secret. A password is not sent in the clear."""
    if not login.username:
        return
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    if "CRAM-MD5" in offered and login.secret:
        smtp.user, smtp.password = login.username, login.secret.reveal()
        smtp.auth("CRAM-MD5", smtp.auth_cram_md5)
        return
    if not login.password or not {"PLAIN", "LOGIN"} & set(offered):
        raise Reject(
            f"{server.host} offers {' '.join(offered) or 'no login'}, for which there is no password or secret"
        )
    if not encrypted and server.host not in _LOCAL:
        raise Reject(f"{server.host}: a password is not sent without encryption: set require_tls: true")
    password = login.password.reveal()
    if "PLAIN" in offered:
        _expect(smtp, "AUTH PLAIN " + _base64("\0".join((login.identity, login.username, password))), 235)
    else:
        _expect(smtp, "AUTH LOGIN", 334)
        _expect(smtp, _base64(login.username), 334)
        _expect(smtp, _base64(password), 235)


def _expect(smtp: smtplib.SMTP, command: str, want: int) -> None:
    code, text = smtp.docmd(command)
    if code != want:
        raise smtplib.SMTPAuthenticationError(code, text)


def _send(smtp: smtplib.SMTP, mail: Mail) -> tuple[Answer, ...]:
    code, text = smtp.mail(mail.sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, text, mail.sender)
    answers = {recipient: _recipient(smtp, recipient) for recipient in mail.recipients}
    if all(answer.outcome is not Outcome.DELIVERED for answer in answers.values()):
        smtp.rset()
        return tuple(answers.values())
    code, text = smtp.data(mail.body)
    if code != 250:
        raise smtplib.SMTPDataError(code, text)
    with suppress(smtplib.SMTPException, OSError):  # it has taken the mail, whatever becomes of the good-bye
        smtp.quit()
    return tuple(
        msgspec.structs.replace(answer, code=code) if answer.outcome is Outcome.DELIVERED else answer
        for answer in answers.values()
    )


def _recipient(smtp: smtplib.SMTP, recipient: str) -> Answer:
    code, text = smtp.rcpt(recipient)
    if code in (250, 251):
        return Answer(Outcome.DELIVERED, recipient, code)
    outcome = Outcome.RETRY if 400 <= code < 500 else Outcome.REFUSED
    return Answer(outcome, recipient, code, error=f"{recipient}: {_words(code, text, Login())}")


def _words(code: int, text: bytes | str, login: Login) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    secrets = [secret.reveal() for secret in (login.password, login.secret) if secret]
    return without(f"answered {code} {one_line(words)}", [*secrets, *map(_base64, secrets)])


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
