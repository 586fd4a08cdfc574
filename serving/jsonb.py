"""A caller's JSON as the text that Postgres takes for a jsonb parameter."""

from typing import Any, Final

import orjson

from serving.errors import TooLarge, Unprocessable

_MOST_METADATA: Final = 2**20


def jsonb(value: Any, what: str) -> str:
    """`what` names the value for the caller. Raises Unprocessable for what couldn't be given back as it came."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise Unprocessable(f"{what} holds an integer over 64 bits", "send it as a text") from None


def metadata_jsonb(metadata: Any) -> str:
    """What is kept to be searched by, and shown in every list. Raises Unprocessable, TooLarge."""
    text = jsonb(metadata, "metadata")
    if len(text) > _MOST_METADATA:
        hint = "keep what is long in the state or in the store"
        raise TooLarge(f"metadata has {len(text):,} characters, at most {_MOST_METADATA:,} are taken", hint)
    return text
