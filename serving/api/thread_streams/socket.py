"""The thread-centric protocol over a WebSocket: every frame that comes is a command, every one that goes is an answer
or an event of one of the connection's subscriptions."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final

import orjson
import psycopg
from fastapi import APIRouter
from psycopg_pool import PoolTimeout
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from serving.api.authorization.doors import command
from serving.api.runs import services_for
from serving.api.thread_streams.commands import LOOKS, obey, read, success
from serving.api.thread_streams.errors import Refused, error_frame, refusal
from serving.api.thread_streams.following import beginning, fall_behind, stepwise
from serving.api.thread_streams.in_step import InStep
from serving.api.thread_streams.subscription import Subscription, since_of, subscription_of
from serving.api.websockets import TRANSPORT
from serving.errors import ServingError
from serving.runs.requests.limits import check_json, uuid_of
from serving.services import ApiServices
from serving.threads.places import Place

router = APIRouter()
_MOST_SUBSCRIPTIONS: Final = 100
_REMEMBERED: Final = 10_000
_GOING_AWAY, _TRY_AGAIN, _WRONG_THREAD = 1012, 1013, 4422
log = logging.getLogger(__name__)


async def converse(websocket: WebSocket) -> None:
    services = services_for(websocket)
    await websocket.accept()
    try:
        thread_id = uuid_of(websocket.path_params["thread_id"], "thread")
    except ServingError as error:
        await websocket.send_json(error_frame(Refused("invalid_argument", str(error))))
        await websocket.close(_WRONG_THREAD)
        return
    await _Conversation(websocket, services, thread_id).held()


router.add_websocket_route("/threads/{thread_id}/stream/events", converse)


class _Conversation:
    """An event that several subscriptions ask for is sent once, but for what is told again to one that comes later."""

    def __init__(self, websocket: WebSocket, services: ApiServices, thread_id: str) -> None:
        self._websocket, self._services, self._thread_id = websocket, services, thread_id
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[str, None] = {}
        self._in_step = InStep()
        self._sending = asyncio.Lock()
        self._transport: asyncio.Transport = websocket.scope["extensions"][TRANSPORT]

    async def held(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._heard(message.get("text") or message.get("bytes") or "")
        except (WebSocketDisconnect, TimeoutError, RuntimeError):
            return
        finally:
            for task in self._subscriptions.values():
                task.cancel()

    async def _heard(self, text: str | bytes) -> None:
        frame: Any = None
        try:
            frame = orjson.loads(text)
            check_json(frame)
            id_, method, params = read(frame)
        except orjson.JSONDecodeError:
            await self._answer(error_frame(Refused("invalid_argument", "a frame is a command, as JSON")))
            return
        except (Refused, ServingError) as error:
            await self._answer(error_frame(refusal(error), frame.get("id") if isinstance(frame, dict) else None))
            return
        await self._answer(await self._obeyed(id_, method, params))

    async def _obeyed(self, id_: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if method == "subscription.subscribe":
                return success(id_, await self._subscribe(params), await self._through())
            if method == "subscription.unsubscribe":
                self._unsubscribe(params.get("subscription_id"))
                return success(id_, {}, await self._through())
            if method == "subscription.reconnect":  # a connection's subscriptions end with it
                return success(id_, {"restored": False}, await self._through())
            if method not in LOOKS and "write" not in self._websocket.scope["identity"].scopes:
                raise Refused("permission_denied", f"this API key lacks the scope 'write', which {method} needs")
            services = self._services
            if permits := self._websocket.scope.get("permits"):
                params, held = await command(permits, self._thread_id, method, params)
                services = replace(services, held=held)
            return await obey(services, self._thread_id, id_, method, params)
        except (Refused, ServingError) as error:
            return error_frame(refusal(error), id_)
        except (psycopg.Error, PoolTimeout):
            return error_frame(Refused("unknown_error", "Postgres does not answer; try again, nothing was lost"), id_)

    async def _subscribe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if len(self._subscriptions) >= _MOST_SUBSCRIPTIONS:
            raise Refused("invalid_argument", f"a connection has at most {_MOST_SUBSCRIPTIONS} subscriptions")
        wanted, since = subscription_of(params), since_of(params)
        known = await self._services.places.end(self._thread_id)
        start = await beginning(self._services, self._thread_id, wanted, since)
        id_ = secrets.token_hex(16)
        self._in_step.reached(id_, start.seq)
        self._subscriptions[id_] = asyncio.create_task(self._follow(id_, wanted, start, known))
        return {"subscription_id": id_}

    def _unsubscribe(self, id_: Any) -> None:
        task = self._subscriptions.pop(id_, None) if isinstance(id_, str) else None
        if task is None:
            raise Refused("no_such_subscription", f"this connection has no subscription {id_!r:.80}")
        task.cancel()
        self._in_step.left(str(id_))

    async def _follow(self, id_: str, wanted: Subscription, start: Place, known: Place) -> None:
        code, first = _GOING_AWAY, True
        try:
            pages = stepwise(self._services, self._thread_id, wanted, start, plain=True)
            async with aclosing(pages) as found:
                async for page, reached in found:
                    if page and page.data:
                        if len(self._subscriptions) == 1:  # others of the connection are kept in step
                            await fall_behind(wanted, page.data, first=first)
                        first = False
                    for event in page.data.splitlines() if page else ():
                        await self._tell(id_, event, known)
                    self._in_step.reached(id_, reached)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=follow thread=%s error=%s outcome=cut", self._thread_id, type(error).__name__)
            code = _TRY_AGAIN
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return
        finally:
            self._in_step.left(id_)
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1):
                await self._websocket.close(code)

    async def _tell(self, id_: str, event: bytes, known: Place) -> None:
        told = orjson.loads(event)
        seq, event_id = told["seq"], told["event_id"]
        await self._in_step.turn(id_, seq)
        if seq > known.seq:
            if event_id in self._sent:
                return
            self._sent[event_id] = None
            if len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]
        await self._send(event.decode())

    async def _answer(self, frame: dict[str, Any]) -> None:
        await self._send(orjson.dumps(frame).decode())

    async def _send(self, text: str) -> None:
        """Raises TimeoutError for a reader that took nothing for too long: it was cut off."""
        async with self._sending:
            waiting = self._transport.get_write_buffer_size()
            while self._websocket.client_state is WebSocketState.CONNECTED:
                try:
                    async with asyncio.timeout(self._services.tails.patience_s):
                        await self._websocket.send_text(text)
                    break
                except TimeoutError:  # while it waited for room: nothing of the text has been written
                    before, waiting = waiting, self._transport.get_write_buffer_size()
                    if waiting >= before:
                        log.info("action=cut_slow_reader thread=%s waiting=%s", self._thread_id, waiting)
                        self._transport.abort()
                        raise

    async def _through(self) -> int:
        return (await self._services.places.end(self._thread_id)).seq
