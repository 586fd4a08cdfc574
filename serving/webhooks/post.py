"""One POST to an address that somebody else chose: pinned, bounded in time and size, never redirected."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpcore

from serving.webhooks.address import Networks

_MOST_READ: Final = 64 * 1024


class _Pinned(httpcore.AnyIOBackend):
    """Looks a name up once, and connects to the very address that was found fit."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        return await super().connect_tcp(await self._networks.resolve(host, port), port, *rest, **more)


class NotDelivered(Exception):
    """Says why in a few words, and nothing of what was sent or answered."""


async def post(url: str, headers: Mapping[str, str], body: bytes, networks: Networks, timeout_s: float) -> int:
    """The status of the answer, of which at most 64 KiB are read. Raises NotDelivered, AddressRefused."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpcore.AsyncConnectionPool(network_backend=_Pinned(networks)) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as answer,
        ):
            read = 0
            async for piece in answer.aiter_stream():
                read += len(piece)
                if read > _MOST_READ:
                    break
            return answer.status
    except TimeoutError:
        raise NotDelivered(f"no answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise NotDelivered(f"TLS failed: {error.reason or 'no reason given'}") from None
    except OSError as error:
        raise NotDelivered(f"not reached: {(error.strerror or 'no reason given').lower()}") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise NotDelivered(f"not reached: {type(error).__name__}") from None
