"""How many requests work at a time. Whoever comes beyond that is told at once when to come again, and costs nothing.

Past the pool's few connections more requests in flight are no faster: each only holds memory until it gives up.
"""

import math
import secrets
import time

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.failures import failure
from serving.api.mounted import own_path

_PROBES = frozenset({"/ok"})
_WEIGHT = 1 / 32  # of the newest request in the mean
_LONGEST_S = 60
_PLACE = "trireme.place"


class Admission:
    """At most `most` requests in flight; streams and those that wait for a run to end don't count."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self.in_flight, self._refused = 0, 0
        self._mean_s, self._second = 0.1, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or own_path(scope) in _PROBES:
            await self._app(scope, receive, send)
        elif self.in_flight >= self._most:
            await self._refuse(scope, receive, send)
        else:
            place = scope[_PLACE] = _Place(self)
            try:
                await self._app(scope, receive, place.unless_stream(send))
            finally:
                place.leave()

    def left(self, took_s: float) -> None:
        self.in_flight -= 1
        self._mean_s += (took_s - self._mean_s) * _WEIGHT

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._second != (second := int(time.monotonic())):
            self._second, self._refused = second, 0
        self._refused += 1
        scope["request_id"] = secrets.token_hex(8)
        message = f"{self.in_flight} requests are in work, as many as this server takes at a time"
        hint = "come again after Retry-After seconds; nothing was done"
        answer = failure(HTTPConnection(scope), 503, "overloaded", message, hint)
        answer.headers["Retry-After"] = str(self._wait_s())
        await answer(scope, receive, send)

    def _wait_s(self) -> int:
        """Until those in work and those who were refused in this second can have had their turn (Little's law)."""
        seconds = (self.in_flight + self._refused) * self._mean_s / self._most
        return min(max(math.ceil(seconds), 1), _LONGEST_S)


class _Place:
    def __init__(self, admission: Admission) -> None:
        self._admission, self._since, self._held = admission, time.monotonic(), True
        admission.in_flight += 1

    def leave(self) -> None:
        if self._held:
            self._held = False
            self._admission.left(time.monotonic() - self._since)

    def unless_stream(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                self.leave()
            await send(message)

        return watched


def step_aside(request: HTTPConnection) -> None:
    """Gives the request's place to another one: it waits from here on, and asks the database hardly anything."""
    request.scope[_PLACE].leave()


def _is_stream(message: Message) -> bool:
    """An answer that doesn't say how long it is comes piece by piece, as it becomes known."""
    return all(name != b"content-length" for name, _ in message["headers"])
