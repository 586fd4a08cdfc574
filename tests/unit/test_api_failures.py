"""What an error of ours leaves: an answer and frames in the log, and nothing of what the caller sent."""

import logging

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.types import Message

from serving.api.body import refuse_unkeepable
from serving.api.failures import install_failures
from serving.processes.serve import _already_told


async def test_an_error_of_ours_is_logged_by_its_frames_and_never_by_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()
    install_failures(app)

    @app.get("/{word}")
    async def broken(word: str) -> None:
        raise ValueError(f"can't read {word}")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/anna@example.com")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "ValueError" in caplog.text
    assert "in broken" in caplog.text
    assert "anna@example.com" not in caplog.text.replace("GET http://api/anna@example.com", "") + answer.text


async def test_a_client_that_hangs_up_within_its_body_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI(dependencies=[Depends(refuse_unkeepable)])
    install_failures(app)
    app.post("/runs")(lambda: None)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
    scope = {"type": "http", "method": "POST", "path": "/runs", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert caplog.text == ""


def test_the_servers_own_word_on_it_is_left_out() -> None:
    told = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Exception in ASGI application\n", (), None)
    other = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "something else", (), None)
    assert [_already_told(told), _already_told(other)] == [False, True]
