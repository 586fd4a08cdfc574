"""The long-running processes: API and worker. Both stop on SIGTERM, and when the owner of their stack is gone."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from threading import Thread, Timer
from typing import TYPE_CHECKING

from serving.errors import SettingsError, StartFailed
from serving.keys.identity import DEFAULT_TENANT, WORKS_FOR
from serving.processes.listener import is_exposed, open_listener, require_keys
from serving.settings import Settings, load_settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

_PR_SET_PDEATHSIG = 1
_NEW_OBJECTS = 10_000  # between two looks of the collector
_MOST_THREADS = 10_000  # as many as calls under way: one that a cancelled run left behind may never give its own back
_TO_END_S = 3.0
log = logging.getLogger(__name__)


async def serve_api(host: str | None, port: int | None, fd: int | None) -> int:
    """Serves HTTP on `fd`, or on host and port. Refuses to listen beyond loopback without API keys."""
    async with AsyncExitStack() as stack:
        with _loading():
            server, listener = await _open_api(stack, host, port, fd)
        calm_collector()
        await server.serve(sockets=[listener])
    return 0


async def _open_api(
    stack: AsyncExitStack, host: str | None, port: int | None, fd: int | None
) -> "tuple[uvicorn.Server, socket.socket]":
    import uvicorn

    from serving.api.app import create_app
    from serving.api.sockets import LendingProtocol
    from serving.api.websockets import CuttableWebSocket
    from serving.auth.custom import load_auth
    from serving.hosting.beside import load_beside
    from serving.hosting.loopback import reachable
    from serving.wiring import allowed_origins, open_api_services

    settings = _prepared()
    host, port = host or settings.host, settings.port if port is None else port
    listener = socket.socket(fileno=fd) if fd is not None else open_listener(host, port)
    exposed = is_exposed(listener)
    if exposed and fd is None and not settings.api_key:
        await asyncio.to_thread(_require_keys, settings.database_url, host)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            services.thread_tails.close()
            await super().shutdown(sockets)

    # Opened here, not by the server: what is wrong then is one line of ours instead of a traceback of its own.
    services = await stack.enter_async_context(open_api_services(settings))
    hosting = services.graphs.hosting
    app = create_app(
        lambda: nullcontext(services),
        exposed=exposed,
        origins=allowed_origins(settings),
        concurrency=settings.api_concurrency,
        beside=await asyncio.to_thread(load_beside, hosting),
        http=hosting.http if hosting else None,
        auth=await asyncio.to_thread(load_auth, hosting),
    )
    await stack.enter_async_context(reachable(lambda: nullcontext(app)))
    options = uvicorn.Config(
        app,
        http=LendingProtocol,
        ws=CuttableWebSocket,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    return Server(options), listener


async def serve_worker() -> int:
    """Claims and runs until SIGTERM, then hands its runs over. 75: something stood still, start it again."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_MOST_THREADS, "call"))
    async with AsyncExitStack() as stack:
        with _loading():
            from serving.hosting.loopback import reachable
            from serving.wiring import open_worker

            settings = _prepared()
            worker = await stack.enter_async_context(open_worker(settings))
        await stack.enter_async_context(reachable(lambda: _unheard_api(settings)))
        on_stop(worker.going, worker.drain)
        _tell_ready(settings.home)
        calm_collector()
        code = await worker.serve()
        _end_soon(code)
    return code


def _end_soon(code: int) -> None:
    """Its runs are others' by now: what their graphs left behind, in a thread or deaf on the loop, keeps no process."""
    timer = Timer(_TO_END_S, os._exit, (code,))
    timer.daemon = True
    timer.start()


@asynccontextmanager
async def _unheard_api(settings: Settings) -> AsyncIterator["FastAPI"]:
    """The API without a socket, for what hosted graphs ask of their server; made beside the loop, which has runs."""

    def made() -> "FastAPI":
        from serving.api.app import create_app
        from serving.wiring import open_api_services

        return create_app(lambda: open_api_services(settings))

    app = await asyncio.to_thread(made)
    async with app.router.lifespan_context(app):
        yield app


async def migrate_database() -> int:
    from serving.migrate import migrate

    for name in migrate(_database_url(load_settings())):
        print(f"applied {name}")
    return 0


def _require_keys(dsn: str, host: str) -> None:
    from serving.migrate import migrate

    migrate(dsn)
    require_keys(dsn, host)


def _prepared() -> Settings:
    WORKS_FOR.set(DEFAULT_TENANT)  # whoever works for no run and no request, such as a lifespan
    settings = load_settings()
    _database_url(settings)
    # Libraries log content and chatter at INFO; ours never log content.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for folder in ("graph", "memory", "privacy", "serving"):
        logging.getLogger(folder).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_already_told)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # who had no connection says so, once
    if settings.faults:
        _break(settings)
    if settings.parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != settings.parent:
            raise StartFailed("the stack that started this process has ended")
    return settings


@contextmanager
def _loading() -> Iterator[None]:
    """A process that still loads has begun nothing: SIGTERM needn't wait until its imports have ended. Nor does the
    collector come by, which takes a seventh of their time, with LiteLLM a fifth, and finds next to nothing."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        signal.signal(signal.SIGTERM, before)


def calm_collector() -> None:
    """For a process that stays: what is loaded by now is no garbage, so the collector need not walk through it while
    requests and runs wait, nor begin for every 700 new objects. LangGraph's make hardly any cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def _already_told(record: logging.LogRecord) -> bool:
    """A request's error is logged where it is answered, without its message, which may hold content."""
    return not record.getMessage().startswith("Exception in ASGI application")


def _break(settings: Settings) -> None:
    from psycopg import OperationalError

    from graph.faults import Faults, install

    if not settings.testing:
        raise SettingsError("TRIREME_FAULTS breaks this process on purpose", "unset it, or set TRIREME_TESTING=true")
    try:
        install(Faults(settings.faults, lambda: OperationalError("a fault that TRIREME_FAULTS asks for")))
    except ValueError as error:
        raise SettingsError(f"TRIREME_FAULTS: {error}", "see graph/faults.py") from None
    log.warning("action=break faults=%s", settings.faults)


def _database_url(settings: Settings) -> str:
    if not settings.database_url:
        raise SettingsError("DATABASE_URL is not set", "set it, or use trireme up, which brings a Postgres of its own")
    return settings.database_url


def _tell_ready(home: Path) -> None:
    """What the owner of a stack looks for."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "worker.ready").write_text(str(os.getpid()))
    except OSError as error:
        hint = "set TRIREME_HOME to a folder you can write to"
        raise SettingsError(f"can't write to {home}: {error.strerror}", hint) from None


def on_stop(at_once: Callable[[], None], on_the_loop: Callable[[], None]) -> None:
    """For SIGTERM and SIGINT. A loop's own handler would wait for as long as a node blocks it: `at_once` is called in a
    thread that the interpreter wakes in the moment of the signal."""
    loop, (heard, told) = asyncio.get_running_loop(), socket.socketpair()
    stops = bytes((signal.SIGTERM, signal.SIGINT))

    def stop() -> None:
        while heard.recv(1)[0] not in stops:  # any signal that is handled wakes it
            pass
        at_once()
        loop.call_soon_threadsafe(on_the_loop)
        while heard.recv(64):
            pass

    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Where something has put another wake-up in place of this.
        signal.signal(number, lambda got, _: told.send(bytes((got,))))
    Thread(target=stop, name="on-stop", daemon=True).start()
