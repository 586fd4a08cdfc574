"""A list in an address."""

from typing import Any, Final

import orjson
from pydantic import BeforeValidator


def _parted(value: Any) -> Any:
    """Older JavaScript clients send the whole list as one JSON text: select=["status"]."""
    if isinstance(value, list) and len(value) == 1 and str(value[0]).startswith("["):
        try:
            return orjson.loads(value[0])
        except orjson.JSONDecodeError:
            return value
    return value


LISTED: Final = BeforeValidator(_parted)
