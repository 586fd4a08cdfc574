"""The socket that the API listens on, and the rule that nothing listens beyond loopback without API keys."""

import socket
from ipaddress import ip_address
from typing import Final

import psycopg

from serving.errors import SettingsError, StartFailed

_NO_KEY: Final = "set TRIREME_API_KEY, or make a key: trireme keys create"


def is_public_name(host: str) -> bool:
    """Whether somebody's name server says what it stands for: of a name with a dot that isn't this machine's own."""
    try:
        ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(".localhost")
    return False


def open_listener(host: str, port: int) -> socket.socket:
    """Raises StartFailed when the address can't be had."""
    try:
        return socket.create_server((socket.gethostbyname(host), port))
    except OSError as error:
        reason = (error.strerror or "refused").partition(" (while")[0].lower()
        raise StartFailed(
            f"can't listen on {host}:{port}: {reason}", "set TRIREME_PORT to a free port, and check TRIREME_HOST"
        ) from None


def is_exposed(listener: socket.socket) -> bool:
    return not ip_address(listener.getsockname()[0]).is_loopback


def require_keys(dsn: str, host: str) -> None:
    """Raises SettingsError where the database, which must have its schema, holds no API key."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        if not connection.execute("select from api_keys limit 1").rowcount:
            raise SettingsError(f"refusing to listen on {host} without an API key", _NO_KEY)
