"""What a request says: what can't be read or can't be kept exactly is refused, by its place or the field's name."""

import asyncio
from typing import Final

from starlette.requests import Request

from serving.runs.requests.limits import TOO_DEEP, check_json, check_text

_LONG: Final = 2**18  # characters of JSON, which take some milliseconds to look through


async def refuse_unkeepable(request: Request) -> None:
    """Before any route. Raises BadRequest, as `check_json` does."""
    for name, value in request.query_params.multi_items():
        check_text(value, name)
    if "json" not in request.headers.get("content-type", "") or not await request.body():
        return
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return  # of a route that takes none: the others have answered it by now
    if len(await request.body()) > _LONG:
        await asyncio.to_thread(check_json, body)  # others are answered meanwhile
    else:
        check_json(body)


def unreadable(error: BaseException, coding: str) -> tuple[str, str]:
    """Message and hint for a body from which no JSON could be made; `coding`: its Content-Encoding."""
    if coding not in ("", "identity"):
        return f"the body is encoded, as {coding[:40]!r}", "send it as it is, without Content-Encoding"
    if isinstance(error, UnicodeDecodeError):
        return f"the body is not {error.encoding.upper()} at byte {error.start}", "send JSON in UTF-8"
    if isinstance(error, RecursionError):
        return TOO_DEEP
    if isinstance(error, ValueError):
        return "the body holds a number with thousands of digits", "send it as text"
    return "the body can't be read", "send JSON, with Content-Type: application/json"
