"""A mail server that speaks SMTP on a loopback socket and keeps what it takes."""

import asyncio
import base64
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default


@dataclass
class Delivery:
    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    login: str

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class SmtpServer:
    """Keeps what it takes (RFC 5321, AUTH PLAIN, STARTTLS). `answers` replaces its reply to a verb; None hangs up.
    `holds`: the verb that it replies to when it may `go_on`. `left`: somebody has gone."""

    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    answers: dict[str, str | None] = field(default_factory=dict)
    holds: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    deliveries: list[Delivery] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SmtpServer"]:
        context = self.tls if self.implicit_tls else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            self.left.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = Delivery("", [], b"", self.implicit_tls, "")
        await self._say(writer, "220 mail.example.org ready")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
            reply = self.answers.get(verb, self._reply(verb, line, now))
            if reply is None:
                break
            if verb == self.holds:
                self.asked.set()
                await self.go_on.wait()
            await self._say(writer, reply)
            if verb == "STARTTLS" and self.tls:
                await writer.start_tls(self.tls)
                now.encrypted = True
            if verb == "DATA" and reply.startswith("354"):
                await self._take(reader, writer, now)
            if verb == "QUIT" or writer.is_closing():
                break

    def _reply(self, verb: str, line: str, now: Delivery) -> str:
        if verb == "EHLO":
            offers = ["AUTH PLAIN", "8BITMIME"] + (["STARTTLS"] if self.tls and not now.encrypted else [])
            return "\r\n".join(["250-mail.example.org", *(f"250-{offer}" for offer in offers), "250 SIZE 1000000"])
        if verb == "AUTH":
            now.login = base64.b64decode(line.split()[2]).decode().replace("\x00", "|")
            return "235 welcome" if now.login == "|agent|s3cret pass" else "535 no"
        if verb == "MAIL":
            now.sender = line.partition("<")[2].partition(">")[0]
        if verb == "RCPT":
            now.recipients.append(line.partition("<")[2].partition(">")[0])
        return {"DATA": "354 go on", "STARTTLS": "220 go on", "QUIT": "221 bye"}.get(verb, "250 ok")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, now: Delivery) -> None:
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        now.content = b"".join(lines)
        self.deliveries.append(now)
        reply = self.answers.get(".", "250 queued")
        if reply is None:
            writer.close()
        else:
            await self._say(writer, reply)

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())
        await writer.drain()
