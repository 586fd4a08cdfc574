"""The command line's half of the HTTP API: it sends what is redacted and gives back what is restored."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from serving.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    ServingError,
    TooLarge,
    Unauthorized,
    Unreachable,
)

_KINDS: dict[int, type[ServingError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: BadRequest,
    503: Unreachable,
}
_JSON = {"Content-Type": "application/json"}
_PATIENCE_S = 30.0


class Client:
    """Raises the ServingError that the server's `code`, `message` and `hint` say."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.url = url
        patience, proxied = httpx.Timeout(60, connect=5), not is_local(url)
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=patience, trust_env=proxied)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        return _json(await self._send("GET", path, params=query))

    async def text(self, path: str) -> str:
        return (await self._send("GET", path)).text

    async def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        return _json(await self._send("POST", path, content=orjson.dumps(body), headers=_JSON | (headers or {})))

    async def put(self, path: str, body: Any) -> Any:
        return _json(await self._send("PUT", path, content=orjson.dumps(body), headers=_JSON))

    async def delete(self, path: str) -> None:
        await self._send("DELETE", path)

    async def events(self, run_id: str, after: int = 0) -> AsyncGenerator[dict[str, Any], None]:
        """The run's log, live, until nothing is left to come: a run that was resumed has an end in the middle too.

        A cut connection is taken up behind the last event; gives up after 30 s without one. Who leaves early closes it.
        """
        import asyncio
        import time

        last_seen = time.monotonic()
        while True:
            try:
                async with aclosing(self._stream(run_id, after)) as stream:
                    async for event in stream:
                        if event is None:
                            return
                        after, last_seen = event["seq"], time.monotonic()
                        yield event
            except (httpx.TransportError, Unreachable) as error:
                if time.monotonic() - last_seen > _PATIENCE_S:
                    raise Unreachable(f"the server at {self.url} went away", f"trireme logs {run_id}") from error
                await asyncio.sleep(0.3)

    async def _stream(self, run_id: str, after: int) -> AsyncGenerator[dict[str, Any] | None, None]:
        """None: nothing is left to come. An end without it is the server's, which may stop at any time."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(60, connect=5)
        async with self._http.stream("GET", f"/runs/{run_id}/events", headers=headers, timeout=timeout) as answer:
            if answer.status_code >= 400:
                await answer.aread()
                raise _error_of(answer)
            if answer.status_code == 204:
                yield None
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield orjson.loads(line[6:])

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **request)
        except httpx.TransportError:
            raise Unreachable(f"the server at {self.url} does not answer", "start it with trireme up") from None
        if answer.status_code >= 400:
            raise _error_of(answer)
        return answer


def is_local(url: str) -> bool:
    """Whether it names this machine, which no proxy of the environment leads to."""
    try:
        host = httpx.URL(url).host
        return host == "localhost" or ip_address(host).is_loopback
    except (httpx.InvalidURL, ValueError):
        return False


def _json(answer: httpx.Response) -> Any:
    return orjson.loads(answer.content) if answer.content else None


def _error_of(answer: httpx.Response) -> ServingError:
    kind = _KINDS.get(answer.status_code, ServingError)
    try:
        body = orjson.loads(answer.content)
        hint = body.get("hint") or (f"request {body['request_id']}" if answer.status_code == 500 else "")
        return kind(body["message"], hint, body["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return kind(f"the server answered {answer.status_code} without saying why", "is that URL a trireme server?")
