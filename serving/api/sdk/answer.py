"""What the LangGraph SDK's routes answer with: JSON, written once."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from serving.search import Page


def answer(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """`value` is plain JSON, or has models of ours in it."""
    body = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, media_type="application/json", headers=dict(headers or {}))


def page(found: Page) -> Response:
    return answer(found.rows, found.headers)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")
