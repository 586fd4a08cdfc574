"""The long-running processes: API and worker. Both stop on SIGTERM, and when the owner of their stack is gone."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Thread

from serving.errors import SettingsError, StartFailed
from serving.processes.listener import is_exposed, open_listener, require_keys
from serving.settings import Settings, load_settings

_PR_SET_PDEATHSIG = 1
_NEW_OBJECTS = 10_000  # between two looks of the collector
log = logging.getLogger(__name__)


async def serve_api(host: str | None, port: int | None, fd: int | None) -> int:
    """Serves HTTP on `fd`, or on host and port. Refuses to listen beyond loopback without API keys."""
    import uvicorn

    from serving.api.app import create_app
    from serving.api.sockets import LendingProtocol
    from serving.api.websockets import CuttableWebSocket
    from serving.hosting.beside import load_beside
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
    async with open_api_services(settings) as services:
        hosting = services.graphs.hosting
        app = create_app(
            lambda: nullcontext(services),
            exposed=exposed,
            origins=allowed_origins(settings),
            concurrency=settings.api_concurrency,
            beside=await asyncio.to_thread(load_beside, hosting),
            http=hosting.http if hosting else None,
        )
        options = uvicorn.Config(
            app,
            http=LendingProtocol,
            ws=CuttableWebSocket,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
            lifespan="on",
        )
        calm_collector()
        await Server(options).serve(sockets=[listener])
    return 0


async def serve_worker() -> int:
    """Claims and runs until SIGTERM, then hands its runs over. 75: something stood still, start it again."""
    from serving.wiring import open_worker

    settings = _prepared()
    async with open_worker(settings) as worker:
        on_stop(worker.going, worker.drain)
        _tell_ready(settings.home)
        calm_collector()
        return await worker.serve()


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
