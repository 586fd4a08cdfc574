"""An e-mail of which nobody knows whether it went out: the run waits, the command line tells, a person decides."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tests.acceptance.conftest import DEMO, running
from tests.integration.smtp_server import SmtpServer

TO = "kostas@example.com"
GOAL = f"Send an e-mail to {TO} with the carry-over of vacation days."
DOCUMENTS = str(DEMO / "documents")


@contextmanager
def mail_server(server: SmtpServer) -> Iterator[SmtpServer]:
    """`server` on a thread of its own."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server.running():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(60)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_a_person_says_what_became_of_an_email_that_was_cut_off(database: str, tmp_path: Path) -> None:
    """The server takes the first message and hangs up without a word, as a lost connection looks; then it is well."""
    with (
        mail_server(SmtpServer(answers={".": None})) as server,
        running(tmp_path, DATABASE_URL=database, SMTP_URL=f"smtp://127.0.0.1:{server.port}") as up,
    ):

        def trireme(*arguments: str, code: int) -> str:
            done = up.home.run(*arguments)
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout + done.stderr

        run_id = orjson.loads(up.home.run("run", GOAL, "--docs", DOCUMENTS, "--json").stdout)["run_id"]
        waits = trireme("approve", run_id, code=3)
        assert f"trireme effects {run_id}" in waits
        assert len(server.deliveries) == 1
        status = trireme("status", run_id, code=0)
        assert "waiting_for_human" in status
        assert "broke off while it took the message" in status
        listed = trireme("effects", "--state", "unknown", code=0)
        assert f"to: {TO}" in listed, "the person reads the real address"
        key = listed.split()[0]
        server.answers.clear()
        trireme("effects", run_id, "--decide", key[:4], "retry", "--note", f"{TO} got nothing", code=0)
        assert [delivery.recipients for delivery in server.deliveries] == [[TO], [TO]]
        assert len({delivery.message["Message-ID"] for delivery in server.deliveries}) == 1
        done = trireme("effects", run_id, code=0)
        assert f"retry, says local: {TO} got nothing" in done
        assert done.split()[1] == "done"
        assert "nothing to decide" in trireme("effects", run_id, "--decide", key, "happened", code=2)
