"""Mail leaves once, whole and only to real addresses: through an outbox folder, and over real SMTP on a socket."""

import asyncio
import email
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from graph.errors import OutcomeUnknown, ToolFailed
from graph.ports import Email
from serving.errors import SettingsError
from serving.mail import OutboxMailer, Reveal, SmtpMailer, keep_placeholders
from tests.integration.smtp_server import SmtpServer

SENDER = "Trireme <agent@example.org>"
REAL = {"[EMAIL_1]": "anna@example.com", "[PERSON_2]": "Anna Müller"}
HELLO = Email(to="[EMAIL_1]", subject="Grüße an [PERSON_2]", body="Hello [PERSON_2],\n.\nthe sum is 351 €.\n")


async def reveal(placeholder: str) -> str:
    return REAL.get(placeholder, placeholder)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, signed by itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The server's side; clients of this test trust its certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server_tls(certificate)


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def mailer_for(server: SmtpServer, scheme: str = "smtp", login: str = "", reveal: Reveal = reveal) -> SmtpMailer:
    host = "localhost" if server.tls else "127.0.0.1"
    return SmtpMailer(f"{scheme}://{login}{host}:{server.port}", SENDER, reveal, timeout_s=30)


# ---------------------------------------------------------------- over SMTP


async def test_a_message_arrives_whole_with_its_placeholders_revealed() -> None:
    async with SmtpServer().running() as server:
        said = await mailer_for(server).send(HELLO, "key-1")
    delivery = server.deliveries[0]
    assert (delivery.sender, delivery.recipients) == ("agent@example.org", ["anna@example.com"])
    message = delivery.message
    assert message["To"] == "anna@example.com"
    assert message["From"] == SENDER
    assert message["Subject"] == "Grüße an Anna Müller"
    assert message.get_content().replace("\r\n", "\n") == "Hello Anna Müller,\n.\nthe sum is 351 €.\n"
    assert delivery.content.isascii()
    assert said == f"handed to the mail server 127.0.0.1:{server.port}"


async def test_a_repeat_carries_the_same_message_id() -> None:
    async with SmtpServer().running() as server:
        for key in ("key-1", "key-1", "key-2"):
            await mailer_for(server).send(HELLO, key)
    first, again, other = (delivery.message["Message-ID"] for delivery in server.deliveries)
    assert first == again != other
    assert first.endswith("@example.org>")


async def test_several_recipients_each_get_it() -> None:
    async with SmtpServer().running() as server:
        await mailer_for(server).send(Email(to="Bo <bo@example.com>, [EMAIL_1]", subject="s", body="b"), "k")
    assert server.deliveries[0].recipients == ["bo@example.com", "anna@example.com"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_tls_is_used_and_the_login_goes_through_it(trusted: ssl.SSLContext, scheme: str) -> None:
    server = SmtpServer(tls=trusted, implicit_tls=scheme == "smtps")
    async with server.running():
        await mailer_for(server, scheme, "agent:s3cret%20pass@").send(HELLO, "k")
    assert (server.deliveries[0].encrypted, server.deliveries[0].login) == (True, "|agent|s3cret pass")


async def test_a_certificate_that_is_not_trusted_stops_the_mail(certificate: Path) -> None:
    server = SmtpServer(tls=server_tls(certificate), implicit_tls=True)
    async with server.running():
        with pytest.raises(ToolFailed, match="localhost"):
            await mailer_for(server, "smtps").send(HELLO, "k")
    assert server.deliveries == []


async def test_a_wrong_password_is_named_and_never_shown() -> None:
    async with SmtpServer().running() as server:
        with pytest.raises(ToolFailed) as failed:
            await mailer_for(server, login="agent:hunter2@").send(HELLO, "k")
    assert str(failed.value) == (
        f"mail server 127.0.0.1:{server.port} answered 535; check user and password in SMTP_URL"
    )


@pytest.mark.parametrize(
    ("verb", "reply", "said"),
    [
        ("RCPT", "550 no such user anna@example.com", "answered 550; it does not take"),
        ("MAIL", "451 greylisted", "answered 451; try again later"),
        ("DATA", "554 no", "answered 554"),
        (".", "552 too large", "answered 552"),
        ("EHLO", None, "can't be used"),
    ],
)
async def test_a_refusal_names_server_and_code_and_no_content(verb: str, reply: str | None, said: str) -> None:
    async with SmtpServer(answers={verb: reply}).running() as server:
        with pytest.raises(ToolFailed) as failed:
            await mailer_for(server).send(HELLO, "k")
    assert said in str(failed.value)
    assert f"127.0.0.1:{server.port}" in str(failed.value)
    assert "anna" not in str(failed.value)
    assert type(failed.value) is ToolFailed


async def test_a_server_that_hangs_up_with_the_message_in_hand_leaves_the_outcome_open() -> None:
    async with SmtpServer(answers={".": None}).running() as server:
        with pytest.raises(OutcomeUnknown, match="may have gone out or not"):
            await mailer_for(server).send(HELLO, "k")


@pytest.mark.parametrize("reply", [None, "500 what?"])
async def test_a_message_that_was_taken_is_sent_whatever_the_goodbye(reply: str | None) -> None:
    async with SmtpServer(answers={"QUIT": reply}).running() as server:
        assert "handed to" in await mailer_for(server).send(HELLO, "k")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_call_that_is_given_up_sends_nothing_later(trusted: ssl.SSLContext, scheme: str) -> None:
    """Its thread goes on, without a line: else a person is asked what became of what has not happened yet."""
    slow = SmtpServer(tls=trusted, implicit_tls=scheme == "smtps", holds="RCPT")
    async with slow.running() as server:
        sending = asyncio.create_task(mailer_for(server, scheme).send(HELLO, "k"))
        await asyncio.wait_for(server.asked.wait(), 30)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        server.go_on.set()
        await asyncio.wait_for(server.left.wait(), 30)
        assert server.deliveries == []


async def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ToolFailed, match=f"127.0.0.1:{port} can't be used: Connection refused"):
            await SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, reveal).send(HELLO, "k")


@pytest.mark.parametrize("url", ["", "mail.example.org:25", "http://example.org", "smtp://", "smtp://h:notaport"])
def test_a_url_that_is_none_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL"):
        SmtpMailer(url, SENDER, reveal)


def test_a_bad_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        SmtpMailer("smtp//agent:hunter2@mail", SENDER, reveal)
    assert "hunter2" not in str(refused.value)


# ---------------------------------------------------------------- what may be sent at all


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        (HELLO.model_copy(update={"to": "[EMAIL_9]"}), "must reveal its address"),
        (HELLO.model_copy(update={"to": "bo@example.com, [EMAIL_S9]"}), "must reveal its address"),
        (HELLO.model_copy(update={"to": "Anna"}), "not an e-mail address"),
        (HELLO.model_copy(update={"to": "a b@example.com"}), "not an e-mail address"),
        (HELLO.model_copy(update={"to": ""}), "recipients"),
        (HELLO.model_copy(update={"to": ", ".join(f"u{i}@example.com" for i in range(21))}), "1 to 20"),
        (HELLO.model_copy(update={"to": "a@example.com\nBcc: b@example.com"}), "more than one line"),
        (HELLO.model_copy(update={"subject": "Hi\r\nBcc: b@example.com"}), "more than one line"),
    ],
)
async def test_what_is_no_plain_message_to_a_real_address_never_leaves(mail: Email, said: str, tmp_path: Path) -> None:
    async with SmtpServer().running() as server:
        for mailer in (mailer_for(server), OutboxMailer(tmp_path, SENDER, reveal)):
            with pytest.raises(ToolFailed, match=said):
                await mailer.send(mail, "k")
    assert server.deliveries == []
    assert list(tmp_path.iterdir()) == []


async def test_a_line_break_that_is_only_revealed_is_refused_too(tmp_path: Path) -> None:
    async def sly(placeholder: str) -> str:
        return {"[PERSON_2]": "Anna\nBcc: b@example.com", "[EMAIL_1]": "anna@example.com"}[placeholder]

    with pytest.raises(ToolFailed, match="more than one line"):
        await OutboxMailer(tmp_path, SENDER, sly).send(HELLO, "k")


# ---------------------------------------------------------------- the outbox


async def test_the_outbox_keeps_one_private_file_per_key(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path / "outbox", SENDER, reveal)
    said = [await outbox.send(HELLO, key) for key in ("k1", "k1", "k2")]
    files = sorted((tmp_path / "outbox").iterdir())
    assert len(files) == 2
    assert said[0] == said[1]
    assert files[0].name in " ".join(said)
    assert str(tmp_path) not in said[0]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    message = email.message_from_bytes(files[0].read_bytes(), policy=default)
    assert message["To"] == "anna@example.com"


async def test_the_same_key_at_the_same_time_writes_one_whole_file(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path, SENDER, reveal)
    await asyncio.gather(*(outbox.send(HELLO, "k") for _ in range(10)))
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().startswith(b"From: Trireme")


async def test_an_outbox_that_cannot_be_written_says_so_without_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ToolFailed, match="the outbox can't be written") as failed:
        await OutboxMailer(tmp_path / "file", SENDER, reveal).send(HELLO, "k")
    assert str(tmp_path) not in str(failed.value)


async def test_without_a_reveal_the_placeholders_stay_and_the_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="placeholder"):
        await OutboxMailer(tmp_path).send(HELLO, "k")
    await OutboxMailer(tmp_path, SENDER, keep_placeholders).send(HELLO.model_copy(update={"to": "a@example.com"}), "k")
    (file,) = tmp_path.iterdir()
    assert "[PERSON_2]" in str(email.message_from_bytes(file.read_bytes(), policy=default)["Subject"])
