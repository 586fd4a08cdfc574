"""A caller's JSON as the text that Postgres takes for a jsonb parameter."""

from typing import Any

import orjson

from serving.errors import Unprocessable


def jsonb(value: Any, what: str) -> str:
    """`what` names the value for the caller. Raises Unprocessable for what couldn't be given back as it came."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise Unprocessable(f"{what} holds an integer over 64 bits", "send it as a text") from None
