"""The socket that the API listens on."""

import socket
from ipaddress import ip_address

from serving.errors import SettingsError, StartFailed


def open_listener(host: str, port: int, *, has_key: bool) -> socket.socket:
    """Raises SettingsError for an address beyond loopback without an API key, StartFailed when it can't be had."""
    try:
        address = socket.gethostbyname(host)
        if not has_key and not ip_address(address).is_loopback:
            raise SettingsError(f"refusing to listen on {host} without an API key", "set TRIREME_API_KEY")
        return socket.create_server((address, port))
    except OSError as error:
        reason = (error.strerror or "refused").partition(" (while")[0].lower()
        raise StartFailed(
            f"can't listen on {host}:{port}: {reason}", "set TRIREME_PORT to a free port, and check TRIREME_HOST"
        ) from None
