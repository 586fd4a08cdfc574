"""What our streams are measured against: sse-starlette as its readme shows it, fanning out from memory."""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_QUEUES: set[asyncio.Queue[tuple[int, str]]] = set()


async def _events(_: Request) -> Response:
    queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def lines() -> AsyncIterator[dict[str, Any]]:
        _QUEUES.add(queue)
        try:
            while True:
                seq, text = await queue.get()
                body = f'{{"seq":{seq},"at":"2026-11-21T00:00:00+00:00","kind":"noted","message":"{text}"}}'
                yield {"id": str(seq), "event": "noted", "data": body}
        finally:
            _QUEUES.discard(queue)

    response: Response = import_module("sse_starlette").EventSourceResponse(lines())
    return response


async def _emit(request: Request) -> Response:
    text = (await request.body()).decode()
    for queue in _QUEUES:
        queue.put_nowait((1, text))
    return PlainTextResponse("ok")


async def _ok(_: Request) -> Response:
    return PlainTextResponse("ok")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/events", _events), Route("/emit", _emit, methods=["POST"]), Route("/ok", _ok)])
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning", access_log=False)
