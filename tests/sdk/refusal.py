"""What a refused call says."""

from collections.abc import Awaitable
from typing import Any

import pytest
from langgraph_sdk.errors import APIStatusError


async def refused(call: Awaitable[Any], status: int) -> str:
    """The message of the error; it must come with this status, a code and a hint's field."""
    with pytest.raises(APIStatusError) as caught:
        await call
    assert caught.value.status_code == status, caught.value.body
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["code"]
    assert "hint" in body
    return str(body["message"])
