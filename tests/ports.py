"""Ports for servers that have to be told one."""

import socket
from contextlib import suppress
from random import SystemRandom

_BELOW_THE_KERNELS = range(20_000, 32_000)


def free_port() -> int:
    """Of those that the kernel gives to nobody: one of its own could be anybody's before its server listens."""
    for port in SystemRandom().sample(_BELOW_THE_KERNELS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")
