"""Port `Mailer`: an outbox folder or an SMTP server. Placeholders become real values here, at the moment of sending."""

import asyncio
import hashlib
import os
import re
import smtplib
import socket
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, parseaddr
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from graph.errors import OutcomeUnknown, ToolFailed
from graph.ports import Email
from privacy.placeholder import find
from serving.errors import SettingsError

Reveal: TypeAlias = Callable[[str], Awaitable[str]]

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_MOST_RECIPIENTS = 20


async def keep_placeholders(placeholder: str) -> str:
    """A `Reveal` gives the value of one placeholder, or the placeholder itself; this one reveals nothing."""
    return placeholder


class OutboxMailer:
    """Writes each e-mail as one `.eml` file, named after its key: the same key never writes twice."""

    reconcile: Final = "honours_key"

    def __init__(self, folder: Path, sender: str = "trireme@localhost", reveal: Reveal = keep_placeholders) -> None:
        self._folder, self._sender, self._reveal = folder, sender, reveal

    async def send(self, email: Email, key: str) -> str:
        message, _ = await _message(email, key, self._sender, self._reveal)
        name = f"{_short(key)}.eml"
        try:
            await asyncio.to_thread(self._write, name, message.as_bytes())
        except OSError as error:
            raise ToolFailed(
                f"the outbox can't be written: {error.strerror}; free some space or set SMTP_URL"
            ) from None
        return f"written to the outbox as {name}; no mail server is configured, so nothing went out"

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".draft-", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self._folder / name)  # unlike a rename, refuses a name that is taken
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)


class SmtpMailer:
    """Sends through `smtp://` (STARTTLS where offered) or `smtps://`; `user:password@` only ever over TLS or loopback.

    A server keeps no keys, so a repeat can go out twice; it carries the same Message-ID.
    """

    reconcile: Final = "ask_a_person"

    def __init__(self, url: str, sender: str, reveal: Reveal = keep_placeholders, timeout_s: float = 20.0) -> None:
        """Raises SettingsError for a URL that is none, without repeating it: it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _bad_url() from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise _bad_url()
        self._tls = parts.scheme == "smtps"
        self._host, self._port = parts.hostname, port or (465 if self._tls else 587 if parts.username else 25)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._sender, self._reveal, self._timeout_s = sender, reveal, timeout_s

    async def send(self, email: Email, key: str) -> str:
        message, recipients = await _message(email, key, self._sender, self._reveal)
        line = _Line()
        try:
            await asyncio.to_thread(self._deliver, line, message.as_bytes(), recipients)
        except asyncio.CancelledError:
            line.cut()
            raise
        return f"handed to the mail server {self._host}:{self._port}"

    def _deliver(self, line: "_Line", content: bytes, recipients: list[str]) -> None:
        where = f"mail server {self._host}:{self._port}"
        try:
            server = self._connected()
            with closing(server):
                line.opened(server)
                self._envelope(server, recipients)
                _hand_over(server, content, where)
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
        except smtplib.SMTPResponseException as error:
            raise ToolFailed(f"{where} answered {error.smtp_code}; {_mend(error.smtp_code)}") from None
        except smtplib.SMTPNotSupportedError:
            raise ToolFailed(f"{where} does not support what SMTP_URL asks for (login)") from None
        except (smtplib.SMTPException, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ToolFailed(f"{where} can't be used: {reason}; check SMTP_URL") from None

    def _connected(self) -> smtplib.SMTP:
        secure = ssl.create_default_context()
        if self._tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout_s, context=secure)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        try:
            self._prepare(server, secure)
        except BaseException:
            server.close()
            raise
        return server

    def _prepare(self, server: smtplib.SMTP, secure: ssl.SSLContext) -> None:
        server.ehlo_or_helo_if_needed()
        encrypted = self._tls
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=secure)
            server.ehlo()
            encrypted = True
        if self._login:
            if not encrypted and not _is_loopback(server):
                raise ToolFailed(f"mail server {self._host}:{self._port} offers no TLS for the login; use smtps://")
            server.login(*self._login)

    def _envelope(self, server: smtplib.SMTP, recipients: list[str]) -> None:
        code, answer = server.mail(parseaddr(self._sender)[1])
        if code != 250:
            raise smtplib.SMTPResponseException(code, answer)
        for recipient in recipients:
            code, answer = server.rcpt(recipient)
            if code not in (250, 251):
                raise smtplib.SMTPResponseException(code, answer)


class _Line:
    """A connection that another thread can cut: a call that was given up, or cancelled, sends nothing later."""

    def __init__(self) -> None:
        self._lock, self._is_cut = threading.Lock(), False
        self._server: smtplib.SMTP | None = None

    def opened(self, server: smtplib.SMTP) -> None:
        with self._lock:
            self._server = server
            if self._is_cut:
                raise smtplib.SMTPServerDisconnected("the call was given up")

    def cut(self) -> None:
        """An SSL socket's own shutdown would first forget its encryption, beside a thread that writes."""
        with self._lock:
            self._is_cut = True
            if self._server and self._server.sock:
                with suppress(OSError):
                    socket.socket.shutdown(self._server.sock, socket.SHUT_RDWR)


def _hand_over(server: smtplib.SMTP, content: bytes, where: str) -> None:
    """From here on a broken line leaves it open whether the server took the message."""
    try:
        code, answer = server.data(content)
    except smtplib.SMTPResponseException:
        raise  # an OSError by descent, but a clear no
    except (smtplib.SMTPServerDisconnected, OSError):
        raise OutcomeUnknown(f"{where} broke off while it took the message: it may have gone out or not") from None
    if code != 250:
        raise smtplib.SMTPResponseException(code, answer)


def _mend(code: int) -> str:
    if code in (530, 534, 535, 538):
        return "check user and password in SMTP_URL"
    return "try again later" if 400 <= code < 500 else "it does not take this sender, recipient or message"


def _is_loopback(server: smtplib.SMTP) -> bool:
    assert isinstance(server.sock, socket.socket)
    return str(server.sock.getpeername()[0]) in ("127.0.0.1", "::1")


def _bad_url() -> SettingsError:
    return SettingsError(
        "SMTP_URL is not a mail server's address", "write smtps://user:password@host:465 or smtp://host"
    )


async def _message(email: Email, key: str, sender: str, reveal: Reveal) -> tuple[EmailMessage, list[str]]:
    """The message with every placeholder revealed that may be, and its recipients' addresses. Raises ToolFailed."""
    to, subject, body = [await _revealed(text, reveal) for text in (email.to, email.subject, email.body)]
    recipients = _recipients(to)
    if re.search(r"[\r\n]", subject):
        raise ToolFailed("the subject has more than one line; write it in one")
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    try:
        message["From"] = sender
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{_short(key)}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
        message.set_content(body)
    except (ValueError, MessageError):
        raise ToolFailed("the e-mail's headers or text can't be encoded; use plain text") from None
    return message, recipients


async def _revealed(text: str, reveal: Reveal) -> str:
    parts, end = [], 0
    for found in find(text):
        parts += [text[end : found.start], await reveal(str(found.placeholder))]
        end = found.end
    return "".join([*parts, text[end:]])


def _recipients(to: str) -> list[str]:
    if re.search(r"[\r\n]", to):
        raise ToolFailed("the recipient has more than one line; write addresses separated by commas")
    if any(find(to)):
        raise ToolFailed("the recipient is still a placeholder: the person who approves must reveal its address")
    addresses = [address for _, address in getaddresses([to])]
    if not addresses or len(addresses) > _MOST_RECIPIENTS:
        raise ToolFailed(f"an e-mail needs 1 to {_MOST_RECIPIENTS} recipients, separated by commas")
    if not all(_ADDRESS.fullmatch(address) for address in addresses):
        raise ToolFailed("a recipient is not an e-mail address: the person who approves must give or reveal it")
    return addresses


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]
