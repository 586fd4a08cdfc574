"""Where a webhook may go: a caller names the address, so it must lead to nothing that only this server can reach."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from serving.errors import BadRequest, SettingsError

_Address: TypeAlias = IPv4Address | IPv6Address
_LONGEST: Final = 2_000
_NAT64: Final = ip_network("64:ff9b::/96")
# All of IPv6 that is given out; what lies beside it leads, if anywhere, into somebody's own network.
_UNICAST: Final = ip_network("2000::/3")
# What this version of Python doesn't know of: protocol assignments, relays, documentation.
_SPECIAL: Final = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
_HINT: Final = "send a full http(s) address that the server can reach"


class AddressRefused(BadRequest):
    """It leads to a place that webhooks may not reach."""

    code = "webhook_refused"


def check_url(url: str) -> None:
    """Raises BadRequest for what is no address to send to. What its name stands for is looked at when it is sent."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadRequest("webhook is no address", _HINT, "bad_webhook") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _LONGEST
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadRequest("webhook is no http(s) address of at most 2,000 ASCII characters", _HINT, "bad_webhook")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadRequest("webhook holds a user, a password or a fragment", "put a token into its query", "bad_webhook")


class Networks:
    """Public addresses, and those networks that the operator allows beside them."""

    def __init__(self, allowed: str = "") -> None:
        """`allowed`: comma-separated, such as `10.1.0.0/16, 127.0.0.1`. Raises SettingsError."""
        try:
            self._allowed = tuple(ip_network(each.strip()) for each in allowed.split(",") if each.strip())
        except ValueError as error:
            hint = "comma-separated networks, such as 10.1.0.0/16"
            raise SettingsError(f"TRIREME_WEBHOOK_NETWORKS: {error}", hint) from None

    async def resolve(self, host: str, port: int) -> str:
        """One address of the host, looked up now. Raises AddressRefused when any of its addresses is out of bounds,
        OSError when it has none."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        self._check(addresses)
        return addresses[0]

    def _check(self, addresses: Iterable[str]) -> None:
        for address in map(ip_address, addresses):
            if not any(address in network for network in self._allowed) and not all(map(_is_public, _meant(address))):
                raise AddressRefused(
                    "the webhook's host is an address that isn't public",
                    "the server's operator can allow its network: TRIREME_WEBHOOK_NETWORKS",
                )


def _is_public(address: _Address) -> bool:
    given_out = isinstance(address, IPv4Address) or address in _UNICAST or address in _NAT64
    special = address.is_multicast or any(address in network for network in _SPECIAL)
    return given_out and address.is_global and not special


def _meant(address: _Address) -> Iterable[_Address]:
    """The address, and the IPv4 addresses that it leads to."""
    yield address
    if isinstance(address, IPv6Address):
        yield from (inner for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if inner)
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
